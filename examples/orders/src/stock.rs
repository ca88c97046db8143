//! How many pieces are there for whom, and who must not get any? Decided over a query, not over a stream.

use std::collections::BTreeMap;

use factum::{Boundary, Context, Decider, Event};
use factum_core::{EventType, NameError, Query, QueryItem, StreamName};

use crate::{ArticleId, Line, OrderId};

/// What happened to the stock of one article. Those that an order caused carry its number as a second tag.
#[derive(Clone, Debug, PartialEq, Event)]
pub enum StockEvent {
    /// Pieces came in.
    StockReceived {
        /// Of what.
        #[event(tag = "article")]
        article: ArticleId,
        /// How many.
        pieces: u32,
    },
    /// Pieces are put aside for an order.
    StockReserved {
        /// For whom.
        #[event(tag = "order")]
        order: OrderId,
        /// Of what.
        #[event(tag = "article")]
        article: ArticleId,
        /// How many.
        pieces: u32,
    },
    /// Pieces that were put aside are there for everybody again.
    StockReleased {
        /// For whom they were.
        #[event(tag = "order")]
        order: OrderId,
        /// Of what.
        #[event(tag = "article")]
        article: ArticleId,
        /// How many.
        pieces: u32,
    },
    /// Pieces that were put aside have left the house.
    StockShipped {
        /// For whom they were.
        #[event(tag = "order")]
        order: OrderId,
        /// Of what.
        #[event(tag = "article")]
        article: ArticleId,
        /// How many.
        pieces: u32,
    },
}

impl StockEvent {
    /// The article.
    pub fn article(&self) -> &ArticleId {
        match self {
            StockEvent::StockReceived { article, .. }
            | StockEvent::StockReserved { article, .. }
            | StockEvent::StockReleased { article, .. }
            | StockEvent::StockShipped { article, .. } => article,
        }
    }
}

/// What became of the pieces that were put aside for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// They wait.
    Held(BTreeMap<ArticleId, u32>),
    /// They are there for everybody again.
    Released,
    /// They have left the house.
    Shipped,
}

/// What the events of a boundary come to: of the articles and the orders that it is about, and of no others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    available: BTreeMap<ArticleId, i64>,
    reservations: BTreeMap<OrderId, Reservation>,
}

impl Stock {
    /// Pieces that nobody has put aside. Only those of an article that the boundary was about are all of them.
    pub fn available(&self, article: &ArticleId) -> i64 {
        self.available.get(article).copied().unwrap_or(0)
    }

    /// What became of an order's pieces, if any were put aside.
    pub fn reservation(&self, order: &OrderId) -> Option<&Reservation> {
        self.reservations.get(order)
    }

    fn hold(&mut self, order: &OrderId, article: &ArticleId, pieces: u32) {
        let reservation = self.reservations.entry(order.clone());
        if let Reservation::Held(held) = reservation.or_insert(Reservation::Held(BTreeMap::new())) {
            held.insert(article.clone(), pieces);
        }
    }

    fn moves(&mut self, article: &ArticleId, pieces: i64) {
        *self.available.entry(article.clone()).or_default() += pieces;
    }
}

/// What may be asked of the stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockCommand {
    /// Pieces have come in.
    Receive(Line),
    /// Put all of these aside for an order, or none.
    Reserve {
        /// For whom.
        order: OrderId,
        /// What.
        lines: Vec<Line>,
    },
    /// Let everybody have what was put aside for this order.
    Release {
        /// For whom it was.
        order: OrderId,
    },
    /// What was put aside for this order leaves the house.
    Ship {
        /// For whom it was.
        order: OrderId,
    },
}

/// Why the stock does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockRefusal {
    /// There is nothing to do it with.
    #[error("no pieces are named")]
    NoPieces,
    /// There are too few.
    #[error("{wanted} pieces of '{article}' are wanted, {available} are there")]
    OutOfStock {
        /// Of what.
        article: ArticleId,
        /// How many are wanted.
        wanted: u64,
        /// How many are there.
        available: u64,
    },
    /// Other pieces are put aside for this order.
    #[error("other pieces are put aside for order '{0}' already")]
    OtherReservation(OrderId),
    /// What was put aside is there for everybody again: the order is over.
    #[error("what was put aside for order '{0}' was released")]
    Released(OrderId),
    /// What was put aside has left the house: it cannot be undone.
    #[error("what was put aside for order '{0}' has left the house")]
    Shipped(OrderId),
    /// Nothing is put aside.
    #[error("nothing is put aside for order '{0}'")]
    NotReserved(OrderId),
}

impl StockCommand {
    /// What the decision rests on: to reserve, everything about those articles and that order; to receive, to release
    /// or to ship, nothing that other customers do.
    ///
    /// # Errors
    /// Where a number cannot be a tag or part of a stream's name.
    pub fn boundary(&self) -> Result<Boundary<StockEvent>, NameError> {
        for line in self.lines() {
            line.article.stream()?;
        }
        // Never written to: every article of these events has had its stream, or has been looked at just now.
        let nowhere = StreamName::new("stock-")?;
        let boundary: Boundary<StockEvent> = match self {
            StockCommand::Receive(line) => {
                let received = QueryItem::types([EventType::new("StockReceived")?]);
                Boundary::new(Query::item(received.and_tags([line.article.tag()?])), nowhere.clone())
            }
            StockCommand::Reserve { order, lines } => {
                let mut boundary = Boundary::tags([order.tag()?], nowhere.clone())?;
                for line in lines {
                    boundary = boundary.or_tags([line.article.tag()?])?;
                }
                boundary
            }
            StockCommand::Release { order } | StockCommand::Ship { order } => {
                Boundary::tags([order.tag()?], nowhere.clone())?
            }
        };
        Ok(boundary.routed(move |event| event.article().stream().unwrap_or_else(|_| nowhere.clone())))
    }

    fn lines(&self) -> &[Line] {
        match self {
            StockCommand::Receive(line) => std::slice::from_ref(line),
            StockCommand::Reserve { lines, .. } => lines,
            StockCommand::Release { .. } | StockCommand::Ship { .. } => &[],
        }
    }
}

/// The rules of the stock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inventory;

impl Decider for Inventory {
    type State = Stock;
    type Command = StockCommand;
    type Event = StockEvent;
    type Rejection = StockRefusal;

    fn initial_state(&self) -> Stock {
        Stock::default()
    }

    fn evolve(&self, state: &mut Stock, event: &StockEvent) {
        match event {
            StockEvent::StockReceived { article, pieces } => state.moves(article, i64::from(*pieces)),
            StockEvent::StockReserved { order, article, pieces } => {
                state.moves(article, -i64::from(*pieces));
                state.hold(order, article, *pieces);
            }
            StockEvent::StockReleased { order, article, pieces } => {
                state.moves(article, i64::from(*pieces));
                state.reservations.insert(order.clone(), Reservation::Released);
            }
            StockEvent::StockShipped { order, .. } => {
                state.reservations.insert(order.clone(), Reservation::Shipped);
            }
        }
    }

    fn decide(
        &self,
        state: &Stock,
        command: &StockCommand,
        _: &Context,
    ) -> Result<Vec<StockEvent>, StockRefusal> {
        match command {
            StockCommand::Receive(line) if line.pieces == 0 => Err(StockRefusal::NoPieces),
            StockCommand::Receive(line) => {
                let (article, pieces) = (line.article.clone(), line.pieces);
                Ok(vec![StockEvent::StockReceived { article, pieces }])
            }
            StockCommand::Reserve { order, lines } => reserve(state, order, lines),
            StockCommand::Release { order } => match state.reservation(order) {
                // What was never put aside needs no release: whoever cleans up need not know how far it came.
                None | Some(Reservation::Released) => Ok(vec![]),
                Some(Reservation::Shipped) => Err(StockRefusal::Shipped(order.clone())),
                Some(Reservation::Held(held)) => Ok(held
                    .iter()
                    .map(|(article, pieces)| StockEvent::StockReleased {
                        order: order.clone(),
                        article: article.clone(),
                        pieces: *pieces,
                    })
                    .collect()),
            },
            StockCommand::Ship { order } => match state.reservation(order) {
                None => Err(StockRefusal::NotReserved(order.clone())),
                Some(Reservation::Released) => Err(StockRefusal::Released(order.clone())),
                Some(Reservation::Shipped) => Ok(vec![]),
                Some(Reservation::Held(held)) => Ok(held
                    .iter()
                    .map(|(article, pieces)| StockEvent::StockShipped {
                        order: order.clone(),
                        article: article.clone(),
                        pieces: *pieces,
                    })
                    .collect()),
            },
        }
    }
}

/// All lines or none.
fn reserve(state: &Stock, order: &OrderId, lines: &[Line]) -> Result<Vec<StockEvent>, StockRefusal> {
    let mut wanted: BTreeMap<ArticleId, u32> = BTreeMap::new();
    for line in lines {
        let pieces = wanted.entry(line.article.clone()).or_default();
        *pieces = pieces.saturating_add(line.pieces);
    }
    if wanted.is_empty() || wanted.values().any(|pieces| *pieces == 0) {
        return Err(StockRefusal::NoPieces);
    }
    match state.reservation(order) {
        Some(Reservation::Held(held)) if *held == wanted => return Ok(vec![]),
        Some(Reservation::Held(_)) => return Err(StockRefusal::OtherReservation(order.clone())),
        Some(Reservation::Released) => return Err(StockRefusal::Released(order.clone())),
        Some(Reservation::Shipped) => return Err(StockRefusal::Shipped(order.clone())),
        None => {}
    }
    let reserved = wanted.into_iter().map(|(article, pieces)| {
        let available = state.available(&article);
        if i64::from(pieces) > available {
            let available = u64::try_from(available).unwrap_or(0);
            return Err(StockRefusal::OutOfStock { article, wanted: u64::from(pieces), available });
        }
        Ok(StockEvent::StockReserved { order: order.clone(), article, pieces })
    });
    reserved.collect()
}

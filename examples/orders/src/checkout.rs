//! How does a submitted order become a parcel? Reserve, take the money, ship; undo in reverse what was done in vain.

use std::time::Duration;

use factum::{Dispatch, Effect, EventSource, ProcessInput, ProcessManager};
use serde::{Deserialize, Serialize};

use crate::{Card, Country, Line, Money, OrderEvent, OrderId, Submission};

/// The timer that ends the waiting.
const DEADLINE: &str = "deadline";

/// What the saga asks of the shop, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckoutStep {
    /// Put everything aside.
    Reserve {
        /// For which order.
        order: OrderId,
        /// What.
        lines: Vec<Line>,
    },
    /// Let everybody have it again.
    Release(OrderId),
    /// Take the money.
    TakePayment {
        /// For which order.
        order: OrderId,
        /// How much.
        amount: Money,
        /// From what.
        card: Card,
    },
    /// Give the money back.
    Refund(OrderId),
    /// Hand it to a carrier.
    Ship {
        /// Which order.
        order: OrderId,
        /// Where to.
        country: Country,
        /// What it weighs.
        grams: u64,
    },
    /// Take what has left the house out of the stock.
    HandOut(OrderId),
    /// Tell the order that it is done.
    Complete(OrderId),
    /// Tell the order that it will not be delivered.
    GiveUp {
        /// Which.
        order: OrderId,
        /// Why.
        reason: String,
    },
}

/// How far an order has come, as the saga sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutProgress {
    submitted: Option<(OrderId, Submission)>,
    /// Whether the parcel is on its way to the carrier: from then on only the answer counts.
    shipping: bool,
}

/// The process manager over order, stock, payment and shipment.
///
/// ```text
/// reserve --> pay --> ship --> hand out, complete
/// release <-- refund <-- no carrier takes it, or the deadline is over before it was shipped
/// ```
/// What has left the house is not called back: shipping is the point of no return.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// How long an order may take until it is handed to a carrier.
    pub deadline: Duration,
}

impl Default for Checkout {
    /// Three days.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(3 * 24 * 3_600) }
    }
}

impl ProcessManager for Checkout {
    type State = CheckoutProgress;
    type Event = OrderEvent;
    type Command = CheckoutStep;

    fn name(&self) -> &'static str {
        "checkout"
    }

    fn steps(&self) -> &'static [&'static str] {
        &["reserve", "pay", "ship", "hand out", "complete", "give up"]
    }

    fn correlate(&self, event: &OrderEvent, _: &EventSource) -> Option<String> {
        match event {
            OrderEvent::OrderSubmitted { order, .. } => Some(order.to_string()),
            // Before it is submitted, an order is the customer's; how it ends, the saga itself says.
            OrderEvent::OrderCreated { .. }
            | OrderEvent::ItemAdded { .. }
            | OrderEvent::CouponApplied { .. }
            | OrderEvent::OrderCompleted { .. }
            | OrderEvent::OrderCancelled { .. } => None,
        }
    }

    fn starts_on(&self, event: &OrderEvent) -> bool {
        matches!(event, OrderEvent::OrderSubmitted { .. })
    }

    fn initial_state(&self, _: &str) -> CheckoutProgress {
        CheckoutProgress::default()
    }

    fn evolve(&self, state: &mut CheckoutProgress, input: &ProcessInput<OrderEvent>) {
        match input {
            ProcessInput::Event(OrderEvent::OrderSubmitted { order, submission }) => {
                state.submitted = Some((order.clone(), submission.clone()));
            }
            ProcessInput::StepDone { step, .. } => state.shipping |= step == "pay",
            ProcessInput::Event(_) | ProcessInput::Timeout { .. } | ProcessInput::StepRejected { .. } => {}
        }
    }

    fn react(&self, state: &CheckoutProgress, input: &ProcessInput<OrderEvent>) -> Vec<Effect<CheckoutStep>> {
        let Some((order, submission)) = &state.submitted else { return vec![] };
        match input {
            ProcessInput::Event(_) => {
                let reserve = CheckoutStep::Reserve { order: order.clone(), lines: submission.lines.clone() };
                let release = CheckoutStep::Release(order.clone());
                vec![
                    Dispatch::new("reserve", reserve).undo(release).into(),
                    Effect::start_timer(DEADLINE, self.deadline),
                ]
            }
            ProcessInput::StepDone { step, .. } => next(step, order, submission),
            ProcessInput::StepRejected { step, reason } => give_up(order, format!("{step}: {reason}")),
            ProcessInput::Timeout { .. } if !state.shipping => {
                give_up(order, format!("it was not shipped within {:?}", self.deadline))
            }
            ProcessInput::Timeout { .. } => vec![],
        }
    }
}

/// What follows a step that took effect.
fn next(step: &str, order: &OrderId, submission: &Submission) -> Vec<Effect<CheckoutStep>> {
    let order = order.clone();
    match step {
        "reserve" => {
            let refund = CheckoutStep::Refund(order.clone());
            let (amount, card) = (submission.total, submission.card.clone());
            vec![Dispatch::new("pay", CheckoutStep::TakePayment { order, amount, card }).undo(refund).into()]
        }
        "pay" => {
            let Submission { country, grams, .. } = *submission;
            vec![Dispatch::new("ship", CheckoutStep::Ship { order, country, grams }).pivot().into()]
        }
        "ship" => vec![
            Effect::cancel_timer(DEADLINE),
            Effect::dispatch("hand out", CheckoutStep::HandOut(order.clone())),
            Effect::dispatch("complete", CheckoutStep::Complete(order)),
            Effect::Complete,
        ],
        _ => vec![],
    }
}

/// The customer learns of it at once; then money and stock go back.
fn give_up(order: &OrderId, reason: String) -> Vec<Effect<CheckoutStep>> {
    let tell = CheckoutStep::GiveUp { order: order.clone(), reason: reason.clone() };
    vec![Effect::dispatch("give up", tell), Effect::fail(reason)]
}

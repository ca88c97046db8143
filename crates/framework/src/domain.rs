//! What does an application tell a server of its own types, so that the server shows states and events as it sees them?

mod aggregate;
mod upcasting;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use factum_core::{Category, NameError, RecordedEvent, category_of};
use serde::Serialize;

use crate::{Codec, CodecError, Decider, Event, EventKind};

pub use aggregate::{AggregateFold, FoldError, FoldState};
pub use upcasting::{Upcasted, UpcastedStep};

use aggregate::DeciderFold;
use upcasting::KnownKind;

/// Longest name of an aggregate, in bytes.
pub const MAX_AGGREGATE_NAME_BYTES: usize = 200;

/// An application's aggregates and events, by name, for programs that know neither: a server is given it by the application that
/// embeds it.
///
/// It is the application's own code that runs: the decider's `evolve`, the same codec, the same upcasters. Nothing is said twice.
///
/// ```
/// use factum::{Context, Decider, Domain, Event};
///
/// #[derive(Event)]
/// enum Click {
///     Counted,
/// }
///
/// struct Counter;
///
/// impl Decider for Counter {
///     type State = u64;
///     type Command = ();
///     type Event = Click;
///     type Rejection = ();
///     fn initial_state(&self) -> u64 {
///         0
///     }
///     fn evolve(&self, state: &mut u64, _: &Click) {
///         *state += 1;
///     }
///     fn decide(&self, _: &u64, _: &(), _: &Context) -> Result<Vec<Click>, ()> {
///         Ok(vec![Click::Counted])
///     }
/// }
///
/// let domain = Domain::new().aggregate("Counter", "counter", Counter)?;
/// assert_eq!(domain.aggregate_of("counter-1").map(|fold| fold.name().to_owned()).as_deref(), Some("Counter"));
/// # Ok::<(), factum::DomainError>(())
/// ```
#[derive(Clone, Default)]
pub struct Domain {
    aggregates: Vec<Arc<dyn AggregateFold>>,
    kinds: Vec<KnownKind>,
    /// By each name under which it may be stored.
    by_name: HashMap<&'static str, usize>,
}

/// Why something is not taken into a domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Its events cannot be declared so.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Two aggregates have one name.
    #[error("there is an aggregate '{name}' already: each has a name of its own")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// The name cannot be one.
    #[error(
        "'{name}' cannot be the name of an aggregate: it is empty, or longer than {MAX_AGGREGATE_NAME_BYTES} bytes"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The category cannot be one.
    #[error("the category of '{name}': {source}")]
    Category {
        /// The aggregate.
        name: String,
        /// What is wrong.
        source: NameError,
    },
}

impl Domain {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the aggregate that `decider` is the rules of, in the streams of a category (what stands before the first `-` of their
    /// names), and with its events. The first aggregate of a category is what its streams are shown as.
    ///
    /// A state is shown as serde writes it. A personal value in it is never shown: what stands for it in the log is.
    ///
    /// # Errors
    /// Where a name is taken or cannot be one, or the declaration of the events cannot work.
    pub fn aggregate<D>(mut self, name: &str, category: &str, decider: D) -> Result<Self, DomainError>
    where
        D: Decider + Send + Sync + 'static,
        D::State: Serialize + Clone + Send + Sync + 'static,
    {
        let owned = || name.to_owned();
        if name.is_empty() || name.len() > MAX_AGGREGATE_NAME_BYTES {
            return Err(DomainError::Name { name: owned() });
        }
        if self.aggregate_named(name).is_some() {
            return Err(DomainError::NameTwice { name: owned() });
        }
        let category =
            Category::new(category).map_err(|source| DomainError::Category { name: owned(), source })?;
        self.aggregates.push(Arc::new(DeciderFold::new(name, category, decider)));
        self.events::<D::Event>()
    }

    /// With events that no aggregate of it has: those of a process, or of another program. Where two enums know one stored name,
    /// the first one is taken.
    ///
    /// # Errors
    /// Where the declaration cannot work.
    pub fn events<E: Event>(mut self) -> Result<Self, DomainError> {
        Codec::<E>::new()?;
        for (number, kind) in E::kinds().iter().enumerate() {
            for name in kind.names() {
                self.by_name.entry(name).or_insert(self.kinds.len());
            }
            self.kinds.push(KnownKind::new::<E>(number, kind));
        }
        Ok(self)
    }

    /// Its aggregates, in the order in which they were given.
    pub fn aggregates(&self) -> impl Iterator<Item = &Arc<dyn AggregateFold>> {
        self.aggregates.iter()
    }

    /// The aggregate of this name.
    pub fn aggregate_named(&self, name: &str) -> Option<&Arc<dyn AggregateFold>> {
        self.aggregates.iter().find(|fold| fold.name() == name)
    }

    /// The aggregate that a stream is one of, by the stream's category.
    pub fn aggregate_of(&self, stream: &str) -> Option<&Arc<dyn AggregateFold>> {
        let category = category_of(stream)?;
        self.aggregates.iter().find(|fold| fold.category().as_str() == category)
    }

    /// The kind of event that is stored under this name, current or historical.
    pub fn kind(&self, stored: &str) -> Option<&'static EventKind> {
        self.by_name.get(stored).map(|number| self.kinds[*number].declared())
    }

    /// The event as the application reads it today; `None` where it does not know the type.
    pub fn upcast(&self, event: &RecordedEvent) -> Option<Upcasted> {
        self.by_name.get(event.event_type()).map(|number| self.kinds[*number].upcast(event))
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.aggregates.iter().map(|fold| fold.name()).collect();
        f.debug_struct("Domain").field("aggregates", &names).field("kinds", &self.kinds.len()).finish()
    }
}

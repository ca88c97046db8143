//! What is a projection? A fold over the log into rows, whose progress is kept with the rows.

mod applier;
mod board;
mod changes;
mod declared;
mod definition;
mod explain;
mod forget;
mod handle;
mod observer;
mod projections;
mod reader;
mod status;
mod typed;
mod worker;

use factum_core::read_model::{Parameters, ReadModelError, Rows, Tables};
use factum_core::{ErrorKind, RecordedEvent};
use factum_vault::{KeysDestroyed, Unavailable, VaultError};

use crate::DecodeError;

pub use board::Waited;
pub(crate) use board::{Board, Condition};
pub use changes::{Changed, ChangedTags, Changes, MAX_CHANGED_TAGS};
pub use declared::{DeclarationCheckError, DeclarationError, DeclaredEvent, DeclaredProjection, UnknownType};
pub use definition::{Definition, DefinitionError, MAX_PARTITIONS};
pub use explain::{ExplainError, RowChange, RowHistory, RowQuestion, explain};
pub use forget::ForgettingReadModels;
pub use handle::Handle;
pub use observer::Observer;
pub use projections::{ProjectionError, Projections};
pub(crate) use status::{LogEnd, report};
pub use status::{STALLED_AFTER, Status, StatusReport};
pub use typed::TypedProjection;

/// A fold over the log, or a query of it, into the rows of a read model.
///
/// Rows and progress are committed together: each event is applied exactly once, whatever is killed. So `apply` only
/// changes rows: it sends nothing, reads no clock and keeps nothing outside the tables.
///
/// Most projections are written with [`TypedProjection`].
pub trait Projection: Send + Sync + 'static {
    /// What an event becomes before it is applied.
    type Event: Send + 'static;

    /// Its name, its tables, and which events it is about.
    fn definition(&self) -> &Definition;

    /// Reads an event; `None` where it does not concern the projection. It runs on another thread than `apply`, ahead of
    /// it.
    ///
    /// # Errors
    /// Where the event cannot be read: the projection stops before it.
    fn decode(&self, event: &RecordedEvent) -> Result<Option<Self::Event>, ApplyError>;

    /// Applies an event to the rows, within a transaction of several events.
    ///
    /// # Errors
    /// Where the event cannot be applied: the transaction is given up, and the projection stops before the event. It
    /// may be called again with the same event.
    fn apply(
        &self,
        event: &Self::Event,
        recorded: &RecordedEvent,
        model: &mut Model<'_>,
    ) -> Result<(), ApplyError>;

    /// Whether its events have personal data: then its definition says how that is forgotten, or it is not started.
    fn has_personal_data(&self) -> bool {
        false
    }

    /// Forgets a subject whose keys are destroyed, within a transaction: every value of its personal data, in every row. Called
    /// in the place of the log where the vault says so, for a projection that declares
    /// [`PersonalData::Forgotten`](factum_core::read_model::PersonalData). Every partition is told, and whoever hears of changes
    /// hears that everything has changed. Where nothing is implemented, such a projection stops there: rows that did not forget
    /// are never called forgotten.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    fn forget(
        &self,
        erased: &KeysDestroyed,
        recorded: &RecordedEvent,
        model: &mut Model<'_>,
    ) -> Result<(), ApplyError> {
        let _ = (erased, recorded, model);
        Err(ApplyError::cannot_forget())
    }
}

/// Why an event could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It cannot be read as one of the projection's events.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The database refused.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// Personal data cannot be opened now: the projection waits and tries again. Nothing stands for it meanwhile.
    #[error("personal data cannot be opened now: {0}")]
    Unavailable(Unavailable),
    /// The projection itself cannot go on, and says why.
    #[error("{0}")]
    Refused(String),
}

impl From<VaultError> for ApplyError {
    /// A vault that does not answer is waited for. A subject that was erased since the event was read is found erased when it
    /// is read again.
    fn from(error: VaultError) -> Self {
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Deleted => Self::Unavailable(Unavailable::VaultDown),
            _ => Self::Refused(error.to_string()),
        }
    }
}

impl From<Unavailable> for ApplyError {
    /// What another attempt may find is waited for; what is wrong with the value itself stops the projection there.
    fn from(reason: Unavailable) -> Self {
        match reason {
            Unavailable::VaultDown => Self::Unavailable(reason),
            _ => Self::Refused(format!("the event has personal data that cannot be opened: {reason}")),
        }
    }
}

impl ApplyError {
    /// The rows are declared to forget, and nothing says how.
    fn cannot_forget() -> Self {
        let why = "the projection is declared to forget personal data, and does not say how: implement `Projection::forget`, or \
                   give `TypedProjection::forgets` what to do";
        Self::Refused(why.to_owned())
    }

    /// Whether it is this event that cannot be applied, and not the database that cannot work.
    pub fn is_about_the_event(&self) -> bool {
        match self {
            ApplyError::Decode(_) | ApplyError::Refused(_) => true,
            ApplyError::Unavailable(_) => false,
            ApplyError::ReadModel(error) => {
                matches!(error, ReadModelError::Statement { .. } | ReadModelError::MissingParameter { .. })
            }
        }
    }
}

/// The rows of a read model within a transaction, as `apply` gets them.
pub struct Model<'a> {
    tables: &'a mut dyn Tables,
    changed: &'a mut ChangedTags,
}

impl<'a> Model<'a> {
    /// Over these tables; `changed` takes what the projection says has changed.
    pub fn new(tables: &'a mut dyn Tables, changed: &'a mut ChangedTags) -> Self {
        Self { tables, changed }
    }

    /// Executes a statement with named parameters: `:name` takes the value of `("name", value)`.
    ///
    /// # Errors
    /// As [`Tables::execute`].
    pub fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError> {
        self.tables.execute(statement, parameters)
    }

    /// Reads rows; it sees what this transaction has changed so far.
    ///
    /// # Errors
    /// As [`Tables::query`].
    pub fn query(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<Rows, ReadModelError> {
        self.tables.query(statement, parameters)
    }

    /// Says that what carries this tag, such as `account:7`, has changed: caches forget it once the rows are committed.
    pub fn changed(&mut self, tag: impl Into<String>) {
        self.changed.add(tag.into());
    }
}

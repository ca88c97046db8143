//! How is a projection written over the events of one enum?

use factum_core::read_model::{InvalidProjectionName, PersonalData};
use factum_core::{RecordedEvent, Selector};
use factum_vault::KeysDestroyed;

use super::definition::DefinitionError;
use super::{ApplyError, Definition, Model, Projection};
use crate::{Codec, Event, UnknownEvents, UnknownFields};

type Forget = Box<dyn Fn(&KeysDestroyed, &mut Model<'_>) -> Result<(), ApplyError> + Send + Sync>;
type Apply<E> = Box<dyn Fn(&E, &RecordedEvent, &mut Model<'_>) -> Result<(), ApplyError> + Send + Sync>;

/// A projection of the events of `E`: a declaration, and a function from an event to rows.
///
/// The events are upcast before they are applied, so the function sees current types only. An enum that has some of the
/// log's types is enough: the log is asked for those only.
///
/// ```
/// use factum::{Event, TypedProjection};
///
/// #[derive(Debug, PartialEq, Event)]
/// enum AccountEvent {
///     FundsDeposited { account: String, cents: i64 },
/// }
///
/// let balances = TypedProjection::<AccountEvent>::new(
///     "balances",
///     "create table balances (account text primary key, cents bigint not null)",
///     |event, _recorded, balances| match event {
///         AccountEvent::FundsDeposited { account, cents } => {
///             balances.execute(
///                 "insert into balances (account, cents) values (:account, :cents)
///                  on conflict (account) do update set cents = balances.cents + excluded.cents",
///                 &[("account", account.into()), ("cents", (*cents).into())],
///             )?;
///             balances.changed(format!("account:{account}"));
///             Ok(())
///         }
///     },
/// )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedProjection<E> {
    definition: Definition,
    codec: Codec<E>,
    apply: Apply<E>,
    forget: Option<Forget>,
}

impl<E: Event> TypedProjection<E> {
    /// A projection named `name`, into the tables that these statements make (separated by `;`).
    ///
    /// # Errors
    /// Where the name cannot stand in SQL, or the events' declaration cannot work.
    pub fn new(
        name: &str,
        tables: &str,
        apply: impl Fn(&E, &RecordedEvent, &mut Model<'_>) -> Result<(), ApplyError> + Send + Sync + 'static,
    ) -> Result<Self, DefinitionError> {
        let codec = Codec::<E>::new()?.unknown_events(UnknownEvents::Skip);
        let definition = Definition::new(name, Selector::All, tables)
            .map_err(|name: InvalidProjectionName| DefinitionError::Name(name))?
            .selecting(&codec);
        Ok(Self { definition, codec, apply: Box::new(apply), forget: None })
    }

    /// Changes the declaration: its source, its revision, its partitions.
    #[must_use]
    pub fn declared(mut self, change: impl FnOnce(Definition) -> Definition) -> Self {
        self.definition = change(self.definition);
        self
    }

    /// Keeps personal data in clear, and forgets a subject like this when its keys are destroyed: every row, every column.
    /// Rows find their subject by its reference (`Personal::subject`), which they keep beside the data.
    #[must_use]
    pub fn forgets(
        mut self,
        forget: impl Fn(&KeysDestroyed, &mut Model<'_>) -> Result<(), ApplyError> + Send + Sync + 'static,
    ) -> Self {
        self.definition = self.definition.personal_data(PersonalData::Forgotten);
        self.forget = Some(Box::new(forget));
        self
    }

    /// Drops fields that the events' types do not have, instead of stopping: for a projection that may be older than
    /// those who write.
    #[must_use]
    pub fn drops_unknown_fields(mut self) -> Self {
        self.codec = self.codec.unknown_fields(UnknownFields::Drop);
        self
    }
}

impl<E: Event + Send + 'static> Projection for TypedProjection<E> {
    type Event = E;

    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<E>, ApplyError> {
        Ok(self.codec.decode_known(event)?)
    }

    fn apply(&self, event: &E, recorded: &RecordedEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
        (self.apply)(event, recorded, model)
    }

    fn has_personal_data(&self) -> bool {
        E::kinds().iter().any(|kind| !kind.personal.is_empty())
    }

    fn forget(
        &self,
        erased: &KeysDestroyed,
        _recorded: &RecordedEvent,
        model: &mut Model<'_>,
    ) -> Result<(), ApplyError> {
        match &self.forget {
            Some(forget) => forget(erased, model),
            None => Err(ApplyError::cannot_forget()),
        }
    }
}

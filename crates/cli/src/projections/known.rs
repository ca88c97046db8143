//! Which projections can this program apply? Those whose declaration is kept with them, and the bank's.

use bank::{AccountEvent, CustomerEvent};
use factum::{
    ApplyError, DeclaredEvent, DeclaredProjection, Definition, DefinitionError, Model, Projection,
    TypedProjection,
};
use factum_core::RecordedEvent;
use factum_core::read_model::Version;
use factum_vault::KeysDestroyed;

use crate::failure::{Exit, Failure};

/// A projection that this program can apply.
pub(crate) enum Known {
    Declared(Box<DeclaredProjection>),
    Accounts(Box<TypedProjection<AccountEvent>>),
    Customers(Box<TypedProjection<CustomerEvent>>),
}

/// Its events.
pub(crate) enum KnownEvent {
    Declared(DeclaredEvent),
    Account(AccountEvent),
    Customer(Box<CustomerEvent>),
}

type Make = fn() -> Result<TypedProjection<AccountEvent>, DefinitionError>;

/// The projection that this version was made from; `None` where it is compiled into another program.
pub(crate) fn known(version: &Version) -> Result<Option<Known>, Failure> {
    if !version.definition.is_empty() {
        let declared = DeclaredProjection::parse(&version.definition).map_err(|error| {
            Failure::new(
                (Exit::Error, "unsupported"),
                format!("{} of '{}' cannot be applied", version.number, version.name),
                format!("its declaration, as it is kept, is refused: {error}"),
                "`factum projections rebuild NAME FILE` builds it from a mended one",
            )
        })?;
        return Ok(Some(Known::Declared(Box::new(declared))));
    }
    let is_it = |definition: &Definition| {
        *definition.name() == version.name && definition.fingerprint() == version.fingerprint
    };
    let accounts: [Make; 3] = [bank::balances, bank::statements, bank::daily_totals];
    let mut accounts = accounts.into_iter().filter_map(|projection| projection().ok());
    if let Some(found) = accounts.find(|projection| is_it(projection.definition())) {
        return Ok(Some(Known::Accounts(Box::new(found))));
    }
    let customers = bank::customers().ok().filter(|projection| is_it(projection.definition()));
    Ok(customers.map(|projection| Known::Customers(Box::new(projection))))
}

/// What it means that this program cannot apply a version.
pub(super) fn unknown(version: &Version) -> Failure {
    Failure::new(
        (Exit::Error, "unsupported"),
        format!("{} of '{}' cannot be applied here", version.number, version.name),
        "it is written in Rust and compiled into another program: only a declaration is kept with its rows",
        "run that program; it applies the projection when it starts",
    )
}

impl Projection for Known {
    type Event = KnownEvent;

    fn definition(&self) -> &Definition {
        match self {
            Known::Declared(projection) => projection.definition(),
            Known::Accounts(projection) => projection.definition(),
            Known::Customers(projection) => projection.definition(),
        }
    }

    fn decode(&self, event: &RecordedEvent) -> Result<Option<KnownEvent>, ApplyError> {
        Ok(match self {
            Known::Declared(projection) => projection.decode(event)?.map(KnownEvent::Declared),
            Known::Accounts(projection) => projection.decode(event)?.map(KnownEvent::Account),
            Known::Customers(projection) => {
                projection.decode(event)?.map(|event| KnownEvent::Customer(Box::new(event)))
            }
        })
    }

    fn apply(
        &self,
        event: &KnownEvent,
        recorded: &RecordedEvent,
        model: &mut Model<'_>,
    ) -> Result<(), ApplyError> {
        match (self, event) {
            (Known::Declared(projection), KnownEvent::Declared(event)) => {
                projection.apply(event, recorded, model)
            }
            (Known::Accounts(projection), KnownEvent::Account(event)) => {
                projection.apply(event, recorded, model)
            }
            (Known::Customers(projection), KnownEvent::Customer(event)) => {
                projection.apply(event, recorded, model)
            }
            // An event is applied by the projection that read it.
            _ => Err(ApplyError::Refused("the event was read by another projection".to_owned())),
        }
    }

    fn has_personal_data(&self) -> bool {
        match self {
            Known::Declared(projection) => projection.has_personal_data(),
            Known::Accounts(projection) => projection.has_personal_data(),
            Known::Customers(projection) => projection.has_personal_data(),
        }
    }

    fn forget(
        &self,
        erased: &KeysDestroyed,
        recorded: &RecordedEvent,
        model: &mut Model<'_>,
    ) -> Result<(), ApplyError> {
        match self {
            Known::Declared(projection) => projection.forget(erased, recorded, model),
            Known::Accounts(projection) => projection.forget(erased, recorded, model),
            Known::Customers(projection) => projection.forget(erased, recorded, model),
        }
    }
}

//! An account from the bank's first years: its events are of versions that nothing writes any more.

use factum_core::{
    AppendError, EventStore, EventStoreExt, EventType, ExpectedRevision, NameError, NewEvent, SchemaVersion,
    Timestamp,
};

use crate::AccountId;

/// The account's number.
pub const HERITAGE: &str = "museum";
/// 2011-05-02T09:00:00Z, in ticks.
const OPENED: i64 = 1_304_326_800 * 10_000_000;
/// A month, more or less, in ticks.
const MONTH: i64 = 30 * 24 * 3_600 * 10_000_000;

/// Type, schema version and data of what is stored.
const STORED: [(&str, u32, &str); 6] = [
    ("AccountOpened", 1, r#"{"account":"museum","owner":"City museum"}"#),
    ("FundsDeposited", 1, r#"{"account":"museum","cents":250000}"#),
    ("FundsWithdrawn", 1, r#"{"account":"museum","cents":74950}"#),
    ("FundsDeposited", 1, r#"{"account":"museum","cents":1250}"#),
    ("AccountFrozen", 1, r#"{"account":"museum","reason":"closed for renovation"}"#),
    ("AccountUnfrozen", 1, r#"{"account":"museum"}"#),
];

/// Why the account is not there.
#[derive(Debug, thiserror::Error)]
pub enum HeritageError {
    /// A name cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The store did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Puts the account's events into the store as they were written then.
///
/// # Errors
/// Where the store does not take them: also where the account is there.
pub async fn heritage(store: &dyn EventStore) -> Result<(), HeritageError> {
    let stream = AccountId::new(HERITAGE).stream()?;
    let tag = AccountId::new(HERITAGE).tag()?;
    let mut events = Vec::new();
    for (month, (event_type, version, data)) in (0..).zip(STORED) {
        let event = NewEvent::json(EventType::new(event_type)?, data)
            .with_schema_version(SchemaVersion(version))
            .with_occurred_at(Timestamp(OPENED + month * MONTH));
        events.push(NewEvent { tags: vec![tag.clone()], ..event });
    }
    store.append_to(stream, ExpectedRevision::NoStream, events).await?;
    Ok(())
}

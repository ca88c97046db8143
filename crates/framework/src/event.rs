//! What must a type say of itself to be kept as events? `#[derive(Event)]` says it.

use factum_core::{NameError, Tag};

use crate::Upcaster;

/// The events of one aggregate or one decision: an enum, one variant per kind of fact.
///
/// Pure: nothing here does I/O, reads the clock or knows a store.
pub trait Event: Sized + 'static {
    /// The name of the whole set of events, such as `AccountEvent`: the union's name in exported schemas.
    fn name() -> &'static str {
        let path = std::any::type_name::<Self>();
        path.rsplit("::").next().unwrap_or(path)
    }

    /// Every kind of event in this enum, in order of declaration.
    fn kinds() -> &'static [EventKind];

    /// The stable type name of this event, such as `FundsDeposited`.
    fn event_type(&self) -> &'static str;

    /// The schema version that `encode` writes for this event, from 1.
    fn schema_version(&self) -> u32;

    /// Labels for queries and append conditions.
    ///
    /// # Errors
    /// Where a tag value is empty or too long.
    fn tags(&self) -> Result<Vec<Tag>, NameError>;

    /// The data of this event as JSON text.
    ///
    /// # Errors
    /// Where a value has no JSON form, such as a map with keys that are not text.
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error>;

    /// The event from data of the *current* schema version of `event_type`. Unknown fields are refused.
    /// Data of earlier versions is upcast first, by the codec.
    ///
    /// # Errors
    /// Where the type is not one of `kinds()`, or the data does not fit it.
    fn decode(event_type: &str, data: &[u8]) -> Result<Self, serde_json::Error>;

    /// As `decode`, for the kind at this index of `kinds()`: for callers that have looked the type up already.
    ///
    /// # Errors
    /// Where there is no such kind, or the data does not fit it.
    fn decode_kind(kind: usize, data: &[u8]) -> Result<Self, serde_json::Error> {
        match Self::kinds().get(kind) {
            Some(found) => Self::decode(found.event_type, data),
            None => Err(crate::__private::unknown_kind(kind)),
        }
    }
}

/// One kind of event, as declared.
#[derive(Clone, Copy, Debug)]
pub struct EventKind {
    /// The stable type name.
    pub event_type: &'static str,
    /// The current schema version, from 1.
    pub version: u32,
    /// Names under which it was stored before it was renamed.
    pub aliases: &'static [&'static str],
    /// Upcasters from version `i + 1` to `i + 2`, in order: `version - 1` of them.
    pub upcasters: &'static [Upcaster],
    /// The JSON Schema of the current version's data.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

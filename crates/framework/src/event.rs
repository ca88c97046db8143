//! What must a type say of itself to be kept as events? `#[derive(Event)]` says it.

use factum_core::{NameError, Tag};

use crate::{PersonalMark, Upcaster};

/// The events of one aggregate or one decision: an enum, one variant per kind of fact.
///
/// Pure: nothing here does I/O, reads the clock or knows a store.
///
/// # Deriving it
///
/// ```
/// use factum::Event;
///
/// #[derive(Debug, PartialEq, Event)]
/// enum AccountEvent {
///     /// Money came in. (Doc comments reach the schemas.)
///     #[event(name = "FundsDeposited", version = 3, alias = "Deposited")]
///     #[event(upcast(from = 1, rename("amt", "amount"), default("currency", "EUR")))]
///     #[event(upcast(from = 2, with = cents))]
///     Deposited {
///         #[event(tag = "account")]
///         account: String,
///         amount: i64,
///         currency: String,
///     },
///     Frozen,
/// }
///
/// /// Version 2 had whole units.
/// fn cents(mut data: serde_json::Value) -> Result<serde_json::Value, String> {
///     let units = data["amount"].as_i64().ok_or("amount is not a whole number")?;
///     data["amount"] = (units * 100).into();
///     Ok(data)
/// }
///
/// let event = AccountEvent::Deposited { account: "7".into(), amount: 1250, currency: "EUR".into() };
/// assert_eq!((event.event_type(), event.schema_version()), ("FundsDeposited", 3));
/// assert_eq!(event.tags()?[0], "account:7");
/// assert_eq!(event.encode()?, br#"{"account":"7","amount":1250,"currency":"EUR"}"#);
/// assert_eq!(AccountEvent::Frozen.event_type(), "Frozen");
/// assert!(AccountEvent::decode("Frozen", br#"{"why":"no such field"}"#).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A variant has named fields, no fields, or holds one struct (which is then `Serialize`, `Deserialize` with
/// `deny_unknown_fields`, and `JsonSchema` itself). Fields need serde's and schemars' traits; the derive finds both
/// crates through `factum`.
///
/// | on | attribute | means |
/// |---|---|---|
/// | variant | `name = ".."` | the stored type name; else the variant's. Not empty, not starting with `$` |
/// | variant | `version = n` | the current schema version; else 1 |
/// | variant | `alias = ".."` | an earlier stored name, any number of times |
/// | variant | `upcast(from = n, ..)` | the step from version n to n + 1: one for each version before the current one |
/// | field | `tag = "prefix"` | the tag `prefix:value`, by `Display`; any number of times |
/// | field | `#[personal(..)]` | its values are personal: see below |
/// | enum | `crate = path` | where the `factum` crate is, if not at `::factum` |
///
/// An `upcast` does its parts in the order written: `rename("old", "new")`, `default("field", literal)`,
/// `remove("field")`, `personal("field", "subject field")` (see [`UpcastStep::Personal`](crate::UpcastStep::Personal)),
/// `with = path` to a `fn(serde_json::Value) -> Result<serde_json::Value, String>`. Numbers beyond
/// 64 bits do not survive an upcast.
///
/// A field whose type is spelled `Option<..>`, `Vec<..>`, `VecDeque<..>`, `BTreeSet<..>`, `HashSet<..>` or an array
/// gives one tag per value. An empty value is an error; a tag that comes twice is kept once.
///
/// # Personal data
///
/// A field that holds something about a person is a [`Personal<T>`](crate::Personal), or an `Option`, `Box`, `Vec` or map with
/// text keys of those, with a mark:
///
/// | on | in `#[personal(..)]` | means |
/// |---|---|---|
/// | field | `subject = "field"` | the field beside it that names the person, by `Display` |
/// | field | nothing: `#[personal]` | the default subject, of the variant or the enum; unless a value brings its own |
/// | field | `own_subject` | each value brings its subject: [`Personal::of`](crate::Personal::of) |
/// | field | `purpose = ".."` | sealed with a key of this purpose: `a-z`, `0-9`, `-` and `_` |
/// | field | `fallback = value` | what stands for an erased value: a `T`, a text for it, or a `fn() -> T` |
/// | field | `partial = ".."` | stored in clear beside it: `"last4"`, `"year"`, or the path of a `fn(&T) -> impl Serialize` |
/// | field | `external` | its sealed bytes are kept outside the log |
/// | variant, enum | `subject = "field"` | the default subject, also of nested structs, where the variant has this field |
///
/// Structs in fields derive [`PersonalFields`](crate::PersonalFields) for it. A personal field may not be a tag, nor name a
/// subject.
///
/// # Fields and serde
///
/// `#[serde(..)]` and `#[schemars(..)]` on fields work as on any struct, except `flatten`, which would let unknown
/// fields in. `#[serde(rename_all = "..")]` on a variant, or `#[serde(rename_all_fields = "..")]` on the enum, renames
/// fields. Structs inside fields say `#[serde(deny_unknown_fields)]` themselves; [`Codec::new`](crate::Codec::new)
/// finds those that do not.
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
    /// Its fields that are marked as personal, those of a struct that the variant holds included. What is nested deeper is in
    /// the schema: [`EventSchema::personal_fields`](crate::EventSchema::personal_fields).
    pub personal: &'static [PersonalMark],
    /// The JSON Schema of the current version's data.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

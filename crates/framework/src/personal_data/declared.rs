//! What do the marks of a field say of the personal values in it?

use factum_vault::{Keep, Subject};
use serde::Serialize;
use serde_json::Value;

use super::PersonalField;
use super::scope::Named;

/// A field that is declared as personal, as data: for tools and projections that must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonalMark {
    /// Where it is in the event's data, as a JSON pointer: `/email`.
    pub field: &'static str,
    /// The field beside it that names the subject; `None` where the values bring theirs.
    pub subject: Option<&'static str>,
    /// What it is kept for.
    pub purpose: Option<&'static str>,
    /// Where its sealed bytes are kept.
    pub keep: Keep,
    /// What of it is stored in clear, as its mark says: `last4`, or the path of a function.
    pub partial: Option<&'static str>,
}

/// A struct with personal fields, to be nested in events and states: `#[derive(PersonalFields)]` makes it one, and
/// `Serialize`, `Deserialize` (refusing unknown fields) and `JsonSchema` with it.
///
/// ```
/// use factum::{Codec, Event, Personal, PersonalFields};
///
/// #[derive(Debug, PartialEq, PersonalFields)]
/// struct Passenger {
///     customer_id: String,
///     #[personal(subject = "customer_id")]
///     name: Personal<String>,
///     seat: String,
/// }
///
/// #[derive(Debug, PartialEq, Event)]
/// enum TripEvent {
///     Booked { passengers: Vec<Passenger> },
/// }
///
/// let passenger = |id: &str, name: &str, seat: &str| Passenger {
///     customer_id: id.to_owned(),
///     name: Personal::new(name.to_owned()),
///     seat: seat.to_owned(),
/// };
/// let booked = TripEvent::Booked { passengers: vec![passenger("c-1", "Ada", "1A"), passenger("c-2", "Alan", "1B")] };
/// let new = Codec::new()?.encode(&booked)?;
/// // Each name is marked for the vault with its own subject.
/// assert!(String::from_utf8_lossy(&new.data).contains(r#""name":{"$personal":{"s":"c-2","v":"Alan"}},"seat":"1B""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Fields take the same `#[personal(..)]` as in an event, and serde's and schemars' attributes; a field that says just
/// `#[personal]` belongs to the default subject of the struct (`#[personal(subject = "..")]` on it), else of the event that
/// it is in, unless its value brings its own. In a state, values stay with whom they belong to.
pub trait PersonalFields {
    /// Its marked fields.
    const MARKS: &'static [PersonalMark];
}

/// Gives what is stored in clear of a value.
pub(crate) type Partial<T> = fn(&T) -> Result<Value, serde_json::Error>;

/// What the derive knows of a field.
#[derive(Debug)]
pub struct Declared<T: 'static> {
    /// The purpose.
    pub purpose: Option<&'static str>,
    /// Where sealed bytes are kept.
    pub keep: Keep,
    /// What stands for an erased value.
    pub fallback: Option<fn() -> T>,
    /// What is stored in clear.
    pub partial: Option<Partial<T>>,
}

impl<T> Declared<T> {
    /// No mark at all.
    pub(crate) const NOTHING: Declared<T> =
        Declared { purpose: None, keep: Keep::InEvent, fallback: None, partial: None };
}

/// Whose a field's values are.
#[derive(Clone, Debug)]
pub enum Whose {
    /// The mark names the subject.
    Named(Named),
    /// The default's, unless they bring their own.
    Default,
    /// They bring their own.
    Own,
}

/// How the values of one field are written.
pub struct How<'a, T: 'static> {
    /// Its mark; `None` for a field that serde alone knows of.
    pub(crate) mark: Option<&'a Declared<T>>,
    pub(crate) whose: &'a Whose,
}

impl<T> Clone for How<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for How<'_, T> {}

/// A marked field in the struct that an event is written from.
pub struct Marked<'a, P: PersonalField> {
    field: &'a P,
    mark: &'static Declared<P::Value>,
    whose: Whose,
}

impl<'a, P: PersonalField> Marked<'a, P> {
    /// The field with its mark.
    pub fn new(field: &'a P, mark: &'static Declared<P::Value>, whose: Whose) -> Self {
        Self { field, mark, whose }
    }
}

/// So that `#[serde(skip_serializing_if = "..")]` sees the field.
impl<P: PersonalField> std::ops::Deref for Marked<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        self.field
    }
}

impl<P: PersonalField> Serialize for Marked<'_, P> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.field.write(serializer, How { mark: Some(self.mark), whose: &self.whose })
    }
}

/// What may name a subject: whatever has a text of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot name the subject of personal data",
    label = "this type has no `Display`",
    note = "the subject is the id of a person, such as a customer number: one value that is always there and is not itself personal"
)]
pub trait NamesSubject {
    /// The subject.
    fn subject(&self) -> Named;
}

impl<T: std::fmt::Display> NamesSubject for T {
    fn subject(&self) -> Named {
        Subject::new(self.to_string())
    }
}

/// What may be declared as a fallback for `T`. `Kind` tells the ways apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand for an erased `{T}`",
    label = "neither a `{T}` nor a function that gives one",
    note = "write `fallback = value` or `fallback = path::to::function` with `fn() -> {T}`"
)]
pub trait Fallback<T, Kind> {
    /// The value.
    fn give(self) -> T;
}

/// A value as it is.
pub struct AsValue;
/// A function that gives the value.
pub struct AsFunction;
/// A literal text.
pub struct AsText;

impl<T> Fallback<T, AsValue> for T {
    fn give(self) -> T {
        self
    }
}

impl<T, F: FnOnce() -> T> Fallback<T, AsFunction> for F {
    fn give(self) -> T {
        self()
    }
}

impl<T: From<&'static str>> Fallback<T, AsText> for &'static str {
    fn give(self) -> T {
        self.into()
    }
}

/// The fallback that a mark declares.
pub fn fallback<T, Kind>(declared: impl Fallback<T, Kind>) -> T {
    declared.give()
}

/// What a mark's function keeps in clear, as JSON.
///
/// # Errors
/// Where it has no JSON form.
pub fn partial(kept: impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(kept)
}

/// Shortest text of which the last four characters are kept in clear, in characters: of a shorter one they would say too much.
pub(crate) const MIN_LAST4_CHARACTERS: usize = 8;

/// `partial = "last4"`: the last four characters, of a long enough text.
pub fn last4<T: AsRef<str>>(value: &T) -> Option<String> {
    let text = value.as_ref();
    let characters = text.chars().count();
    (characters >= MIN_LAST4_CHARACTERS).then(|| text.chars().skip(characters - 4).collect())
}

/// `partial = "year"`: the year of a date whose text begins with it, as `1815-12-10` does.
pub fn year<T: std::fmt::Display>(value: &T) -> Option<u16> {
    let text = value.to_string();
    let (year, rest) = (text.get(..4)?, text.get(4..)?);
    let digits = year.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (rest.is_empty() || rest.starts_with('-')) { year.parse().ok() } else { None }
}

/// Finds the marks of `T` where it has some: `Marks::<T>::MARKS`, with [`NoMarks`] in scope.
pub struct Marks<T>(std::marker::PhantomData<T>);

impl<T: PersonalFields> Marks<T> {
    /// Its marks.
    pub const MARKS: &'static [PersonalMark] = T::MARKS;
}

/// The marks of a type that has none.
pub trait NoMarks {
    /// None.
    const MARKS: &'static [PersonalMark] = &[];
}

impl<T> NoMarks for Marks<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_clear_says_little() {
        assert_eq!(last4(&"DE02120300000000202051"), Some("2051".to_owned()));
        assert_eq!(last4(&"é".repeat(MIN_LAST4_CHARACTERS)), Some("éééé".to_owned()));
        assert_eq!(last4(&"é".repeat(MIN_LAST4_CHARACTERS - 1)), None);
        assert_eq!(year(&"1815-12-10"), Some(1815));
        assert_eq!(year(&"1815"), Some(1815));
        for text in ["18151210", "10.12.1815", "181", "", "éé18", "+815-1"] {
            assert_eq!(year(&text), None, "{text}");
        }
    }

    #[test]
    fn a_fallback_is_a_value_a_function_or_a_text() {
        fn nobody() -> String {
            "nobody".to_owned()
        }
        assert_eq!(fallback::<String, _>(nobody), "nobody");
        assert_eq!(fallback::<String, _>("nobody"), "nobody");
        assert_eq!(fallback::<String, _>(nobody()), "nobody");
        assert_eq!(fallback::<u8, _>(7), 7);
        assert_eq!(fallback::<Option<u8>, _>(None), None);
        assert_eq!(fallback::<Vec<u8>, _>(Vec::new), Vec::<u8>::new());
    }
}

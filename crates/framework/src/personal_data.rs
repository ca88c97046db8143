//! What does domain code hold where a person's data is? A value, that it was erased, or that it cannot be opened now.

pub(crate) mod declared;
mod field;
mod plain;
mod read;
mod schema;
pub(crate) mod scope;
mod write;

pub use declared::{PersonalFields, PersonalMark};
pub use field::PersonalField;
pub(crate) use plain::make_personal;
pub use plain::{fresh_personal, map_personal};
pub(crate) use read::PLAIN_OBJECT;
pub use schema::personal;
pub(crate) use schema::{CONTENT, content};

use std::fmt;
use std::hash::{Hash, Hasher};

use factum_vault::{ErasureId, Keep, KeyId, KeyOwner, Purpose, Subject, SubjectRef, Unavailable};
use serde_json::Value;

/// A value about a person, in an event or a state: sealed with that person's key where it is stored, and gone once the
/// key is destroyed.
///
/// There are three outcomes, and code must face them: the value, erased, unavailable. An outage of the key store is never
/// taken for an erasure, and no fallback stands in for a value that only cannot be opened now.
///
/// ```
/// use factum::{Personal, Revealed};
///
/// let name = Personal::new("Ada Lovelace".to_owned());
/// let greeting = match name.read()? {
///     Revealed::Value(name) => format!("Dear {name}"),
///     Revealed::Erased(_) => "To whom it may concern".to_owned(),
/// };
/// assert_eq!(greeting, "Dear Ada Lovelace");
///
/// // It shows itself nowhere by accident: no `Display`, no `Serialize`, and `Debug` says only what there is.
/// assert_eq!(format!("{name:?}"), "Personal(value)");
/// # Ok::<(), factum::Unavailable>(())
/// ```
///
/// Two values are equal where their values are, whoever they belong to; two that were erased, where that was one erasure.
///
/// In an event it is marked with `#[personal(..)]`: see [`Event`](crate::Event). Without a mark it does not compile, under
/// whatever name:
///
/// ```compile_fail,E0277
/// type Name = factum::Personal<String>;
///
/// #[derive(factum::PersonalFields)]
/// struct Guest {
///     name: Name,
/// }
/// ```
///
/// Nor does a value that serde could not write:
///
/// ```compile_fail,E0277
/// struct Name;
///
/// #[derive(factum::PersonalFields)]
/// struct Guest {
///     #[personal]
///     name: factum::Personal<Name>,
/// }
/// ```
#[derive(Clone)]
pub struct Personal<T> {
    state: State<T>,
    /// What is stored in clear beside it.
    partial: Option<Box<Value>>,
}

#[derive(Clone)]
enum State<T> {
    Value {
        value: T,
        origin: Option<Box<Origin>>,
    },
    Erased {
        erasure: ErasureId,
        key: Option<(KeyId, Option<Box<KeyOwner>>)>,
        fallback: Option<T>,
    },
    Unavailable(Unavailable),
    /// The store was read without its vault: what stands in the log. It is shown again as it is, and nothing else is made of it.
    Sealed(Box<Value>),
}

impl<T> State<T> {
    /// Why there is neither a value nor an erasure.
    fn why(&self) -> Option<Unavailable> {
        match self {
            State::Unavailable(why) => Some(*why),
            State::Sealed(_) => Some(Unavailable::NoVault),
            State::Value { .. } | State::Erased { .. } => None,
        }
    }
}

/// Whose a value is known to be; a value that was just made may not know.
#[derive(Clone)]
enum Origin {
    /// Said with [`Personal::of`].
    Said(Subject),
    /// In an event that was decided, but not sealed and read again since.
    Decided { subject: Subject, purpose: Option<Purpose>, keep: Keep },
    /// It came out of the vault.
    Opened { key: KeyId, owner: KeyOwner, keep: Keep },
}

/// What a personal value came to, once it is known that it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revealed<T> {
    /// The value.
    Value(T),
    /// Nobody can open it any more.
    Erased(Erased<T>),
}

/// What is left of an erased value. What was stored in clear beside it is in [`Personal::partial`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased<T> {
    /// The erasure.
    pub erasure: ErasureId,
    /// What the field's mark declares for this case, if it does.
    pub fallback: Option<T>,
}

impl<T> Personal<T> {
    /// A value whose subject is named by the mark of its field.
    pub fn new(value: T) -> Self {
        Self::made(value, None)
    }

    /// A value that brings its subject along: for values in lists and nested structs, each another person's.
    ///
    /// Where a mark names the subject too, the event is not written unless both are the same.
    pub fn of(subject: Subject, value: T) -> Self {
        Self::made(value, Some(Origin::Said(subject)))
    }

    /// As a value reads after this erasure: for tests of what your code does then. It cannot be written, since no key
    /// sealed it.
    pub fn erased(erasure: ErasureId) -> Self {
        Self { state: State::Erased { erasure, key: None, fallback: None }, partial: None }
    }

    /// As a value reads that cannot be opened: for tests of what your code does then.
    pub fn unavailable(why: Unavailable) -> Self {
        Self { state: State::Unavailable(why), partial: None }
    }

    fn made(value: T, origin: Option<Origin>) -> Self {
        Self { state: State::Value { value, origin: origin.map(Box::new) }, partial: None }
    }

    /// The value, or that it was erased.
    ///
    /// # Errors
    /// Why it cannot be opened now: try again later, and take it for nothing else.
    pub fn read(&self) -> Result<Revealed<&T>, Unavailable> {
        match &self.state {
            State::Value { value, .. } => Ok(Revealed::Value(value)),
            State::Erased { erasure, fallback, .. } => {
                Ok(Revealed::Erased(Erased { erasure: *erasure, fallback: fallback.as_ref() }))
            }
            State::Unavailable(why) => Err(*why),
            State::Sealed(_) => Err(Unavailable::NoVault),
        }
    }

    /// As [`read`](Self::read), giving the value away.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn into_inner(self) -> Result<Revealed<T>, Unavailable> {
        match self.state {
            State::Value { value, .. } => Ok(Revealed::Value(value)),
            State::Erased { erasure, fallback, .. } => Ok(Revealed::Erased(Erased { erasure, fallback })),
            State::Unavailable(why) => Err(why),
            State::Sealed(_) => Err(Unavailable::NoVault),
        }
    }

    /// The value; `None` where it was erased.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn value(&self) -> Result<Option<&T>, Unavailable> {
        self.read().map(|revealed| match revealed {
            Revealed::Value(value) => Some(value),
            Revealed::Erased(_) => None,
        })
    }

    /// The value, or what its mark declares for an erased one; `None` where it was erased and the mark declares nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read): there is no fallback for a value that may come back.
    pub fn or_fallback(&self) -> Result<Option<&T>, Unavailable> {
        self.read().map(|revealed| match revealed {
            Revealed::Value(value) => Some(value),
            Revealed::Erased(erased) => erased.fallback,
        })
    }

    /// The value, or `instead` where it was erased.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn or<'a>(&'a self, instead: &'a T) -> Result<&'a T, Unavailable> {
        self.value().map(|value| value.unwrap_or(instead))
    }

    /// Whether it was erased. A value that cannot be opened now was not.
    pub fn is_erased(&self) -> bool {
        matches!(self.state, State::Erased { .. })
    }

    /// Why it cannot be opened now, if it cannot.
    pub fn why_unavailable(&self) -> Option<Unavailable> {
        self.state.why()
    }

    /// Whose it is, by the reference under which logs and receipts name the subject: rows keep it beside the data, to find it
    /// when the subject is erased. `None` for a value that has not come out of a vault.
    pub fn subject(&self) -> Option<SubjectRef> {
        match &self.state {
            State::Value { origin: Some(origin), .. } => match &**origin {
                Origin::Opened { owner, .. } => Some(owner.subject),
                Origin::Said(_) | Origin::Decided { .. } => None,
            },
            State::Erased { key: Some((_, Some(owner))), .. } => Some(owner.subject),
            _ => None,
        }
    }

    /// The key that sealed it: rows of a purpose with a retention keep it beside the data, since an expiry destroys some of a
    /// subject's keys and not others. `None` for a value that has not come out of a vault.
    pub fn key(&self) -> Option<KeyId> {
        match &self.state {
            State::Value { origin: Some(origin), .. } => match &**origin {
                Origin::Opened { key, .. } => Some(*key),
                Origin::Said(_) | Origin::Decided { .. } => None,
            },
            State::Erased { key: Some((key, _)), .. } => Some(*key),
            _ => None,
        }
    }

    /// What is stored in clear beside it, where its mark says `partial`: it stays when the value is erased. `None` for a
    /// value that has not been in an event.
    pub fn partial(&self) -> Option<&Value> {
        self.partial.as_deref()
    }

    /// Another value about the same person, made from this one. What was erased stays erased, with no fallback; what
    /// cannot be opened stays so.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Personal<U> {
        let state = match self.state {
            State::Value { value, origin } => State::Value { value: change(value), origin },
            State::Erased { erasure, key, .. } => State::Erased { erasure, key, fallback: None },
            State::Unavailable(why) => State::Unavailable(why),
            State::Sealed(_) => State::Unavailable(Unavailable::NoVault),
        };
        Personal { state, partial: self.partial }
    }

    fn word(&self) -> &'static str {
        match self.state {
            State::Value { .. } => "value",
            State::Erased { .. } => "erased",
            State::Unavailable(why) => why.word(),
            State::Sealed(_) => Unavailable::NoVault.word(),
        }
    }
}

impl<T> fmt::Debug for Personal<T> {
    /// What there is of it, never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Personal({})", self.word())
    }
}

impl<T: PartialEq> PartialEq for Personal<T> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.state, &other.state) {
            (State::Value { value: a, .. }, State::Value { value: b, .. }) => a == b,
            (State::Erased { erasure: a, .. }, State::Erased { erasure: b, .. }) => a == b,
            (a, b) => a.why().is_some() && a.why() == b.why(),
        }
    }
}

impl<T: Eq> Eq for Personal<T> {}

impl<T: Hash> Hash for Personal<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.word().hash(hasher);
        match &self.state {
            State::Value { value, .. } => value.hash(hasher),
            State::Erased { erasure, .. } => erasure.hash(hasher),
            State::Unavailable(_) | State::Sealed(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_outcomes_stay_apart() {
        let erasure = ErasureId::generate();
        let value = Personal::new(7);
        let erased = Personal::<i32>::erased(erasure);
        let unavailable = Personal::<i32>::unavailable(Unavailable::VaultDown);
        assert_eq!(value.read(), Ok(Revealed::Value(&7)));
        assert_eq!(erased.read(), Ok(Revealed::Erased(Erased { erasure, fallback: None })));
        assert_eq!(unavailable.read(), Err(Unavailable::VaultDown));
        assert_eq!((value.or(&1), erased.or(&1)), (Ok(&7), Ok(&1)));
        assert_eq!(unavailable.or(&1), Err(Unavailable::VaultDown));
        assert_eq!(unavailable.or_fallback(), Err(Unavailable::VaultDown));
        assert!(erased.is_erased() && !unavailable.is_erased());
        assert!(value != erased && erased != unavailable && erased == erased.clone());
        assert_ne!(erased, Personal::erased(ErasureId::generate()));
        let text = format!("{value:?} {erased:?} {unavailable:?}");
        assert_eq!(text, "Personal(value) Personal(erased) Personal(vault_down)");
    }

    #[test]
    fn what_is_made_from_a_value_belongs_to_the_same_person() {
        let subject = Subject::new("ada").unwrap();
        let longer = Personal::of(subject.clone(), 7).map(|years| format!("{years} years"));
        assert_eq!(longer, Personal::new("7 years".to_owned()));
        let State::Value { origin: Some(origin), .. } = longer.state else { panic!("it has an origin") };
        assert!(matches!(*origin, Origin::Said(said) if said == subject));
        assert!(Personal::<i32>::erased(ErasureId::generate()).map(|n| n + 1).is_erased());
    }
}

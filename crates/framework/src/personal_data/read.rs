//! How does a personal value come out of an event's JSON?

use std::fmt;
use std::marker::PhantomData;

use factum_core::PERSONAL_MEMBER;
use factum_vault::{ErasureId, Keep, KeyId, KeyOwner, Purpose, SEALED_MEMBER, Subject, Unavailable, key_id};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::declared::Declared;
use super::{Origin, Personal, State};
use crate::codec::without_value;

const EXPECTED: &str = "a personal value (an object with '$personal' or '$pii'): a field that became personal needs an upcaster \
                        that says whose it is";
/// Begins the error about an object that is no personal value. The error's place is in the object, at its first key.
pub(crate) const PLAIN_OBJECT: &str = "another object where there should be a personal value";
/// Of a sealed value: what is stored in clear beside it.
const PARTIAL: &str = "p";
const MALFORMED: &str = "this is no personal value as Factum writes it";

pub(super) fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    mark: &Declared<T>,
) -> Result<Personal<T>, D::Error> {
    // What is found instead of a marker, and what the value's own type says in an error, may be personal itself.
    deserializer
        .deserialize_map(Outer(mark))
        .map_err(|error| D::Error::custom(without_value(&error.to_string(), &[PLAIN_OBJECT, MALFORMED])))
}

/// The object that stands in the value's place.
struct Outer<'a, T: 'static>(&'a Declared<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Outer<'_, T> {
    type Value = Personal<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Personal<T>, A::Error> {
        let personal = match map.next_key::<Said<OuterName>>()?.map(|Said(name)| name) {
            Some(OuterName::Personal) => {
                let members: Members<T> = map.next_value()?;
                members.personal(self.0).ok_or_else(|| A::Error::custom(MALFORMED))?
            }
            // The store was read without its vault.
            Some(OuterName::Sealed) => {
                let envelope: Value = map.next_value()?;
                let Value::Object(members) = &envelope else { return Err(A::Error::custom(MALFORMED)) };
                let partial = members.get(PARTIAL).cloned().map(Box::new);
                Personal { state: State::Sealed(Box::new(envelope)), partial }
            }
            Some(OuterName::Other) => {
                return Err(A::Error::custom(format_args!("{PLAIN_OBJECT}: expected {EXPECTED}")));
            }
            None => return Err(A::Error::custom(MALFORMED)),
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(personal),
            Some(_) => Err(A::Error::custom(format_args!("{PLAIN_OBJECT}: it has members beside it"))),
        }
    }
}

/// What a short text says, read where it stands: events have many of them, and none needs a copy.
struct Said<T>(T);

/// What can be read from a text.
trait Sayable: Sized {
    fn from_text(text: &str) -> Option<Self>;
}

impl<'de, T: Sayable> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SaidVisitor(PhantomData))
    }
}

struct SaidVisitor<T>(PhantomData<fn() -> T>);

impl<T: Sayable> Visitor<'_> for SaidVisitor<T> {
    type Value = Said<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text of a personal value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Said<T>, E> {
        T::from_text(text).map(Said).ok_or_else(|| E::custom(MALFORMED))
    }
}

/// The name of an object's first member.
enum OuterName {
    Personal,
    Sealed,
    Other,
}

impl Sayable for OuterName {
    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            PERSONAL_MEMBER => Self::Personal,
            SEALED_MEMBER => Self::Sealed,
            _ => Self::Other,
        })
    }
}

/// The name of a marker's member: one letter.
struct MemberName(u8);

impl Sayable for MemberName {
    fn from_text(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [letter] => Some(Self(*letter)),
            _ => None,
        }
    }
}

impl Sayable for KeyId {
    fn from_text(text: &str) -> Option<Self> {
        key_id(text)
    }
}

impl Sayable for KeyOwner {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Sayable for ErasureId {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Sayable for Unavailable {
    fn from_text(text: &str) -> Option<Self> {
        Self::from_word(text)
    }
}

/// The members of a marker, as they come.
struct Members<T> {
    subject: Option<String>,
    purpose: Option<String>,
    outside: bool,
    key: Option<KeyId>,
    owner: Option<KeyOwner>,
    value: Option<T>,
    erasure: Option<ErasureId>,
    unavailable: Option<Unavailable>,
    partial: Option<Value>,
}

impl<T> Members<T> {
    /// `None` where they do not go together.
    fn personal(self, mark: &Declared<T>) -> Option<Personal<T>> {
        let state = match self {
            Members {
                subject: Some(s),
                value: Some(value),
                key: None,
                owner: None,
                erasure: None,
                unavailable: None,
                ..
            } => {
                let purpose = match self.purpose {
                    Some(purpose) => Some(Purpose::new(purpose).ok()?),
                    None => None,
                };
                let keep = if self.outside { Keep::Outside } else { Keep::InEvent };
                let origin = Origin::Decided { subject: Subject::new(s).ok()?, purpose, keep };
                State::Value { value, origin: Some(Box::new(origin)) }
            }
            Members {
                subject: None,
                key: Some(key),
                owner: Some(owner),
                value: Some(value),
                erasure: None,
                unavailable: None,
                ..
            } => {
                let keep = if self.outside { Keep::Outside } else { Keep::InEvent };
                let origin = Origin::Opened { key, owner, keep };
                State::Value { value, origin: Some(Box::new(origin)) }
            }
            Members {
                subject: None,
                key: Some(key),
                owner,
                value: None,
                erasure: Some(erasure),
                unavailable: None,
                ..
            } => State::Erased {
                erasure,
                key: Some((key, owner.map(Box::new))),
                fallback: mark.fallback.map(|fallback| fallback()),
            },
            Members { subject: None, value: None, erasure: None, unavailable: Some(why), .. } => {
                State::Unavailable(why)
            }
            _ => return None,
        };
        Some(Personal { state, partial: self.partial.map(Box::new) })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Inner(PhantomData))
    }
}

struct Inner<T>(PhantomData<fn() -> T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Inner<T> {
    type Value = Members<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the members of a personal value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
        let mut members = Members {
            subject: None,
            purpose: None,
            outside: false,
            key: None,
            owner: None,
            value: None,
            erasure: None,
            unavailable: None,
            partial: None,
        };
        while let Some(Said(MemberName(name))) = map.next_key()? {
            match name {
                b's' => members.subject = map.next_value()?,
                b'p' => members.purpose = map.next_value()?,
                b'x' => members.outside = map.next_value()?,
                b'k' => members.key = Some(said(&mut map)?),
                b'o' => members.owner = Some(said(&mut map)?),
                // `null` is a value like any other.
                b'v' => members.value = Some(map.next_value()?),
                b'e' => members.erasure = Some(said(&mut map)?),
                b'u' => members.unavailable = Some(said(&mut map)?),
                b'c' => members.partial = Some(map.next_value()?),
                _ => return Err(A::Error::custom(MALFORMED)),
            }
        }
        Ok(members)
    }
}

fn said<'de, T: Sayable, A: MapAccess<'de>>(map: &mut A) -> Result<T, A::Error> {
    map.next_value().map(|Said(value)| value)
}

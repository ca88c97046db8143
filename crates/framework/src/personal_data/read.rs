//! How does a personal value come out of an event's JSON?

use std::fmt;
use std::marker::PhantomData;

use factum_core::PERSONAL_MEMBER;
use factum_vault::{Keep, KeyOwner, Purpose, SEALED_MEMBER, Subject, Unavailable, key_id};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::declared::Declared;
use super::{Origin, Personal, State};
use crate::codec::without_value;

const EXPECTED: &str = "a personal value (an object with '$personal' or '$pii'): a field that became personal needs an upcaster \
                        that says whose it is";
/// Begins the error about an object that is no personal value. The error's place is in the object, at its first key.
pub(crate) const PLAIN_OBJECT: &str = "another object where there should be a personal value";
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
        let personal = match map.next_key::<String>()?.as_deref() {
            Some(PERSONAL_MEMBER) => {
                let members: Members<T> = map.next_value()?;
                members.personal(self.0).ok_or_else(|| A::Error::custom(MALFORMED))?
            }
            // The store was read without its vault.
            Some(SEALED_MEMBER) => Personal {
                state: State::Unavailable(Unavailable::NoVault),
                partial: map.next_value::<InClear>()?.0.map(Box::new),
            },
            Some(_) => return Err(A::Error::custom(format_args!("{PLAIN_OBJECT}: expected {EXPECTED}"))),
            None => return Err(A::Error::custom(MALFORMED)),
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(personal),
            Some(_) => Err(A::Error::custom(format_args!("{PLAIN_OBJECT}: it has members beside it"))),
        }
    }
}

/// The members of a marker, as they come.
struct Members<T> {
    subject: Option<String>,
    purpose: Option<String>,
    outside: bool,
    key: Option<String>,
    owner: Option<String>,
    value: Option<T>,
    erasure: Option<String>,
    unavailable: Option<String>,
    partial: Option<Value>,
}

impl<T> Members<T> {
    /// `None` where they do not go together.
    fn personal(self, mark: &Declared<T>) -> Option<Personal<T>> {
        let key = |text: &str| key_id(text);
        let owner = |text: &str| text.parse::<KeyOwner>().ok();
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
                key: Some(k),
                owner: Some(o),
                value: Some(value),
                erasure: None,
                unavailable: None,
                ..
            } => {
                let keep = if self.outside { Keep::Outside } else { Keep::InEvent };
                let origin = Origin::Opened { key: key(&k)?, owner: owner(&o)?, keep };
                State::Value { value, origin: Some(Box::new(origin)) }
            }
            Members {
                subject: None,
                key: Some(k),
                owner: o,
                value: None,
                erasure: Some(e),
                unavailable: None,
                ..
            } => {
                let owner = match o {
                    Some(o) => Some(Box::new(owner(&o)?)),
                    None => None,
                };
                State::Erased {
                    erasure: e.parse().ok()?,
                    key: Some((key(&k)?, owner)),
                    fallback: mark.fallback.map(|fallback| fallback()),
                }
            }
            Members { subject: None, value: None, erasure: None, unavailable: Some(why), .. } => {
                State::Unavailable(Unavailable::from_word(&why)?)
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
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "s" => members.subject = map.next_value()?,
                "p" => members.purpose = map.next_value()?,
                "x" => members.outside = map.next_value()?,
                "k" => members.key = map.next_value()?,
                "o" => members.owner = map.next_value()?,
                // `null` is a value like any other.
                "v" => members.value = Some(map.next_value()?),
                "e" => members.erasure = map.next_value()?,
                "u" => members.unavailable = map.next_value()?,
                "c" => members.partial = Some(map.next_value()?),
                _ => return Err(A::Error::custom(MALFORMED)),
            }
        }
        Ok(members)
    }
}

/// What a sealed value shows without its vault.
struct InClear(Option<Value>);

impl<'de> Deserialize<'de> for InClear {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Envelope)
    }
}

struct Envelope;

impl<'de> Visitor<'de> for Envelope {
    type Value = InClear;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sealed value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InClear, A::Error> {
        let mut partial = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == "p" {
                partial = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(InClear(partial))
    }
}

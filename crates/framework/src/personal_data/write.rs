//! How is a personal value written, and when does it refuse to be?

use factum_core::PERSONAL_MEMBER;
use factum_vault::{
    InvalidName, Keep, KeyId, KeyOwner, Purpose, SEALED_MEMBER, Subject, Unavailable, key_id_text,
};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::declared::{How, Whose};
use super::scope::{self, Named, Writing};
use super::{Origin, Personal, State};

/// Why a personal value was not written. Without the value, and without the subject.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error("personal data is only written through an event or a snapshot")]
    NoScope,
    #[error("a personal value is in another one: mark one of them, the outer or the inner")]
    Nested,
    #[error("a personal value cannot be opened now, so it is not written either: {0}")]
    Unavailable(Unavailable),
    #[error(
        "nobody knows whose this personal value is: mark its field with a subject, or make it with Personal::of"
    )]
    NoSubject,
    #[error("this personal value brings another subject than the one that its field's mark names")]
    OtherSubject,
    #[error("the subject of this personal value: {0}")]
    Subject(InvalidName),
    #[error("the purpose of this personal value: {0}")]
    Purpose(InvalidName),
    #[error("this erased value did not come out of a vault: Personal::erased is for tests")]
    NeverSealed,
    #[error("what is to be stored in clear beside this personal value has no JSON form")]
    Partial,
    #[error("this personal value has no JSON form: a map whose keys are not text, or its type refuses")]
    Json,
}

/// The members of a marker, `v` and `c` aside.
enum Members {
    Fresh { subject: Subject, purpose: Option<Purpose>, keep: Keep },
    Opened { key: KeyId, owner: KeyOwner, keep: Keep },
    Erased { key: KeyId, owner: Option<KeyOwner>, erasure: String },
}

pub(super) fn write<T: Serialize, S: Serializer>(
    personal: &Personal<T>,
    serializer: S,
    how: How<'_, T>,
) -> Result<S::Ok, S::Error> {
    let refuse = S::Error::custom::<NotWritten>;
    let (writing, default) = scope::current().ok_or(NotWritten::NoScope).map_err(refuse)?;
    if writing == Writing::Inside {
        return Err(refuse(NotWritten::Nested));
    }
    if writing == Writing::Shown {
        return shown(personal, serializer);
    }
    let marker = match &personal.state {
        State::Unavailable(why) => return Err(refuse(NotWritten::Unavailable(*why))),
        State::Sealed(_) => return Err(refuse(NotWritten::Unavailable(Unavailable::NoVault))),
        State::Erased { erasure, key, .. } => {
            let (key, owner) = key.clone().ok_or_else(|| refuse(NotWritten::NeverSealed))?;
            let members = Members::Erased { key, owner: owner.map(|o| *o), erasure: erasure.to_string() };
            Marker { members, value: None, partial: personal.partial().cloned() }
        }
        State::Value { value, origin } => {
            let origin = origin.as_deref();
            let members = match writing {
                Writing::Event => in_event(origin, how, default),
                _ => in_copy(origin, how, default),
            };
            let members = members.map_err(refuse)?;
            let partial = match how.mark.and_then(|mark| mark.partial) {
                Some(partial) => Some(partial(value).map_err(|_| refuse(NotWritten::Partial))?),
                // A mark that keeps nothing in clear is meant so.
                None if writing == Writing::Event && how.mark.is_some() => None,
                None => personal.partial().cloned(),
            };
            Marker { members, value: Some(value), partial }
        }
    };
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(PERSONAL_MEMBER, &marker).map_err(|error| {
        // What the value's own type says in an error may be the value. The marker's own members have a JSON form.
        let nested = error.to_string() == NotWritten::Nested.to_string();
        refuse(if nested { NotWritten::Nested } else { NotWritten::Json })
    })?;
    map.end()
}

/// What anybody may see of it: that it is sealed, as it stands in the log, that it was erased, or why it cannot be opened. Of a
/// value that is open here only that there is one.
fn shown<T, S: Serializer>(personal: &Personal<T>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    if let State::Sealed(envelope) = &personal.state {
        map.serialize_entry(SEALED_MEMBER, envelope)?;
        return map.end();
    }
    let mut members = serde_json::Map::new();
    match &personal.state {
        State::Erased { erasure, .. } => members.insert("e".to_owned(), erasure.to_string().into()),
        State::Unavailable(why) => members.insert("u".to_owned(), why.word().into()),
        State::Value { .. } | State::Sealed(_) => members.insert("hidden".to_owned(), true.into()),
    };
    if let Some(partial) = personal.partial() {
        members.insert("c".to_owned(), partial.clone());
    }
    map.serialize_entry(PERSONAL_MEMBER, &members)?;
    map.end()
}

/// In an event the marks decide: what is copied into an event about somebody is that person's.
fn in_event<T>(
    origin: Option<&Origin>,
    how: How<'_, T>,
    default: Option<Named>,
) -> Result<Members, NotWritten> {
    let subject = match (how.whose, origin) {
        (Whose::Named(Ok(named)), Some(Origin::Said(said))) if named != said => {
            return Err(NotWritten::OtherSubject);
        }
        (Whose::Named(named), _) => Some(named.clone()),
        (_, Some(Origin::Said(said))) => Some(Ok(said.clone())),
        (Whose::Default, _) => default,
        (Whose::Own, _) => None,
    };
    match (subject, origin) {
        (Some(subject), _) => fresh(subject, how, origin),
        (None, Some(Origin::Opened { key, owner, keep })) => {
            Ok(Members::Opened { key: *key, owner: owner.clone(), keep: *keep })
        }
        (None, Some(Origin::Decided { subject, .. })) => fresh(Ok(subject.clone()), how, origin),
        (None, _) => Err(NotWritten::NoSubject),
    }
}

/// In a state or a record a value stays with whom it belongs to.
fn in_copy<T>(
    origin: Option<&Origin>,
    how: How<'_, T>,
    default: Option<Named>,
) -> Result<Members, NotWritten> {
    let subject = match (origin, how.whose) {
        (Some(Origin::Opened { key, owner, keep }), _) => {
            return Ok(Members::Opened { key: *key, owner: owner.clone(), keep: *keep });
        }
        (Some(Origin::Decided { subject, purpose, keep }), _) => {
            return Ok(Members::Fresh { subject: subject.clone(), purpose: purpose.clone(), keep: *keep });
        }
        (Some(Origin::Said(said)), _) => Some(Ok(said.clone())),
        (None, Whose::Named(named)) => Some(named.clone()),
        (None, _) => default,
    };
    fresh(subject.ok_or(NotWritten::NoSubject)?, how, origin)
}

fn fresh<T>(subject: Named, how: How<'_, T>, origin: Option<&Origin>) -> Result<Members, NotWritten> {
    let subject = subject.map_err(NotWritten::Subject)?;
    let (purpose, keep) = match (how.mark, origin) {
        (Some(mark), _) => {
            let purpose = mark.purpose.map(Purpose::new).transpose().map_err(NotWritten::Purpose)?;
            (purpose, mark.keep)
        }
        (None, Some(Origin::Decided { purpose, keep, .. })) => (purpose.clone(), *keep),
        (None, _) => (None, Keep::InEvent),
    };
    Ok(Members::Fresh { subject, purpose, keep })
}

struct Marker<'a, T> {
    members: Members,
    value: Option<&'a T>,
    partial: Option<Value>,
}

impl<T: Serialize> Serialize for Marker<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.members {
            Members::Fresh { subject, purpose, keep } => {
                map.serialize_entry("s", subject.expose())?;
                if let Some(purpose) = purpose {
                    map.serialize_entry("p", purpose.as_str())?;
                }
                if *keep == Keep::Outside {
                    map.serialize_entry("x", &true)?;
                }
            }
            Members::Opened { key, owner, keep } => {
                map.serialize_entry("k", &key_id_text(*key))?;
                map.serialize_entry("o", &owner.to_string())?;
                if *keep == Keep::Outside {
                    map.serialize_entry("x", &true)?;
                }
            }
            Members::Erased { key, owner, erasure } => {
                map.serialize_entry("k", &key_id_text(*key))?;
                if let Some(owner) = owner {
                    map.serialize_entry("o", &owner.to_string())?;
                }
                map.serialize_entry("e", erasure)?;
            }
        }
        if let Some(value) = self.value {
            scope::inside(|| map.serialize_entry("v", value))?;
        }
        if let Some(partial) = &self.partial {
            map.serialize_entry("c", partial)?;
        }
        map.end()
    }
}

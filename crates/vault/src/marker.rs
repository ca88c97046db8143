//! How does personal data look between typed code and the vault: before it is sealed, after it was opened?
//!
//! An object with the one member `$personal` stands where the value stands. It exists in memory only: a store refuses events
//! that hold one (`InvalidEvent::Unsealed`), so that nothing is kept in clear where the vault was forgotten.
//!
//! | member | in | means |
//! |---|---|---|
//! | `s`, `p` | fresh | the subject's id, the purpose |
//! | `x` | fresh, opened | `true`: the value is kept outside the log |
//! | `k`, `o` | opened, erased | the key's id, its owner |
//! | `v` | fresh, opened | the value |
//! | `e` | erased | the erasure |
//! | `u` | unavailable | why, as a word |
//! | `c` | all | what is stored in clear beside the value |

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use factum_core::PERSONAL_MEMBER;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::subject::{ErasureId, KeyId, KeyOwner, Purpose, Subject};

/// One personal value of an event in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker<'a> {
    /// What there is of it.
    pub content: Content<'a>,
    /// What is stored in clear beside it, as JSON text.
    pub partial: Option<&'a str>,
}

/// What there is of a personal value.
#[derive(Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// A value that has not been sealed before.
    Fresh {
        /// Whose it is.
        subject: Subject,
        /// What it is kept for.
        purpose: Option<Purpose>,
        /// Where its sealed bytes are to be.
        keep: Keep,
        /// The value, as JSON text.
        value: &'a str,
    },
    /// A value that was opened; in a snapshot it is sealed again.
    Opened {
        /// The key that opened it.
        key: KeyId,
        /// Whose it is.
        owner: KeyOwner,
        /// Where its sealed bytes are, and are to be again.
        keep: Keep,
        /// The value, as JSON text.
        value: &'a str,
    },
    /// A value that nobody can open any more.
    Erased {
        /// The key that sealed it.
        key: KeyId,
        /// Whose it was, where that is known.
        owner: Option<KeyOwner>,
        /// The erasure.
        erasure: ErasureId,
    },
    /// A value that cannot be opened now. It must never be written anywhere.
    Unavailable(Unavailable),
}

/// Where the sealed bytes of a value are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// In the event.
    #[default]
    InEvent,
    /// In the key store, from which they can be deleted: `external`.
    Outside,
}

/// Why a personal value cannot be opened now. Never an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unavailable {
    /// The store was read without a vault.
    #[error("the store was opened without its vault: open it with the vault to read personal data")]
    NoVault,
    /// The vault does not answer.
    #[error("the vault cannot be used now: try again when its key store and its key provider answer")]
    VaultDown,
    /// The key store never had the key: it is older than the log, or another log's.
    #[error(
        "the key store does not know the key of this value: it is older than the log, or of another log; restore the newest \
         key store"
    )]
    UnknownKey,
    /// The key in the key store is not the one that sealed the value.
    #[error("the key does not fit this value: key store or key-encryption key are not the right ones")]
    WrongKey,
    /// The bytes were changed, or moved here from somewhere else.
    #[error("the sealed value was changed, or moved here from another event, field, stream or subject")]
    Tampered,
    /// It is not of the shape that Factum writes.
    #[error("it is not a sealed value that this version of Factum knows")]
    Malformed,
    /// It was kept outside the log and is not there.
    #[error("its bytes were kept outside the log, and are not there: restore the newest key store")]
    Missing,
}

impl Unavailable {
    const ALL: [Unavailable; 7] = [
        Unavailable::NoVault,
        Unavailable::VaultDown,
        Unavailable::UnknownKey,
        Unavailable::WrongKey,
        Unavailable::Tampered,
        Unavailable::Malformed,
        Unavailable::Missing,
    ];

    /// The word for it in a marker, and in what people see.
    pub fn word(self) -> &'static str {
        match self {
            Unavailable::NoVault => "no_vault",
            Unavailable::VaultDown => "vault_down",
            Unavailable::UnknownKey => "unknown_key",
            Unavailable::WrongKey => "wrong_key",
            Unavailable::Tampered => "tampered",
            Unavailable::Malformed => "malformed",
            Unavailable::Missing => "missing",
        }
    }

    /// The reason for a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

/// An object with `$personal` that is no marker. What is in it is not repeated: it may be personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no personal value as Factum's typed events write it: {0}")]
pub struct MalformedMarker(&'static str);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    s: Option<String>,
    p: Option<String>,
    #[serde(default)]
    x: bool,
    k: Option<&'a str>,
    o: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    v: Option<&'a RawValue>,
    e: Option<&'a str>,
    u: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    c: Option<&'a RawValue>,
}

/// `null` is a value like any other.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&'a RawValue>::deserialize(from).map(Some)
}

impl<'a> Marker<'a> {
    /// Reads what is under `$personal`.
    ///
    /// # Errors
    /// Why it is no marker.
    pub fn parse(text: &'a [u8]) -> Result<Self, MalformedMarker> {
        let wire: Wire<'a> =
            serde_json::from_slice(text).map_err(|_| MalformedMarker("it has other members"))?;
        let key = |text| key_id(text).ok_or(MalformedMarker("'k' is no key id"));
        let keep = |outside| if outside { Keep::Outside } else { Keep::InEvent };
        let owner = |text: &str| text.parse::<KeyOwner>().map_err(|_| MalformedMarker("'o' is no owner"));
        let content = match wire {
            Wire { s: Some(s), p, x, v: Some(v), k: None, o: None, e: None, u: None, .. } => Content::Fresh {
                subject: Subject::new(s).map_err(|_| MalformedMarker("'s' is no subject"))?,
                purpose: p.map(Purpose::new).transpose().map_err(|_| MalformedMarker("'p' is no purpose"))?,
                keep: keep(x),
                value: v.get(),
            },
            Wire { s: None, p: None, x, k: Some(k), o: Some(o), v: Some(v), e: None, u: None, .. } => {
                Content::Opened { key: key(k)?, owner: owner(o)?, keep: keep(x), value: v.get() }
            }
            Wire { s: None, p: None, k: Some(k), o, v: None, e: Some(e), u: None, .. } => Content::Erased {
                key: key(k)?,
                owner: o.map(owner).transpose()?,
                erasure: e.parse().map_err(|_| MalformedMarker("'e' is no erasure"))?,
            },
            Wire { s: None, p: None, v: None, e: None, u: Some(u), .. } => {
                Content::Unavailable(Unavailable::from_word(u).ok_or(MalformedMarker("'u' is no reason"))?)
            }
            Wire { s: None, k: None, v: Some(_), .. } => {
                return Err(MalformedMarker("it says neither whose it is nor which key opened it"));
            }
            _ => return Err(MalformedMarker("its members do not go together")),
        };
        Ok(Self { content, partial: wire.c.map(RawValue::get) })
    }

    /// Writes the whole object, `$personal` and all.
    pub fn write(&self, into: &mut Vec<u8>) {
        let mut members = Members::begin(into);
        match &self.content {
            Content::Fresh { subject, purpose, keep, value } => {
                members.json(b's', &serde_json::to_vec(subject.expose()).unwrap_or_default());
                if let Some(purpose) = purpose {
                    members.text(b'p', |into| into.extend_from_slice(purpose.as_str().as_bytes()));
                }
                members.keep(*keep);
                members.json(b'v', value.as_bytes());
            }
            Content::Opened { key, owner, keep, value } => {
                members.opened_by(*key, owner);
                members.keep(*keep);
                members.json(b'v', value.as_bytes());
            }
            Content::Erased { key, owner, erasure } => {
                members.json(b'k', &quoted_key(*key));
                if let Some(owner) = owner {
                    members.text(b'o', |into| owner.write_to(into));
                }
                members.text(b'e', |into| into.extend_from_slice(erasure.to_string().as_bytes()));
            }
            Content::Unavailable(reason) => {
                members.text(b'u', |into| into.extend_from_slice(reason.word().as_bytes()));
            }
        }
        members.end(self.partial);
    }
}

/// How the marker of each value begins that was opened with this key.
pub(crate) fn opened_head(key: KeyId, owner: &KeyOwner) -> Box<[u8]> {
    let mut head = Vec::new();
    Members::begin(&mut head).opened_by(key, owner);
    head.into()
}

/// Writes the marker of an opened value, as [`Marker::write`] does, its beginning made once per key and the value by `value`:
/// where that fails, the marker is unfinished.
pub(crate) fn write_opened<E>(
    head: &[u8],
    keep: Keep,
    partial: Option<&str>,
    into: &mut Vec<u8>,
    value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    into.extend_from_slice(head);
    let mut members = Members { into, first: false };
    members.keep(keep);
    members.name(b'v');
    value(members.into)?;
    members.end(partial);
    Ok(())
}

/// The members of a marker while they are written.
struct Members<'v> {
    into: &'v mut Vec<u8>,
    first: bool,
}

impl<'v> Members<'v> {
    fn begin(into: &'v mut Vec<u8>) -> Self {
        into.extend_from_slice(b"{\"");
        into.extend_from_slice(PERSONAL_MEMBER.as_bytes());
        into.extend_from_slice(b"\":{");
        Self { into, first: true }
    }

    fn end(mut self, partial: Option<&str>) {
        if let Some(partial) = partial {
            self.json(b'c', partial.as_bytes());
        }
        self.into.extend_from_slice(b"}}");
    }

    fn opened_by(&mut self, key: KeyId, owner: &KeyOwner) {
        self.json(b'k', &quoted_key(key));
        self.text(b'o', |into| owner.write_to(into));
    }

    fn name(&mut self, name: u8) {
        if !std::mem::replace(&mut self.first, false) {
            self.into.push(b',');
        }
        self.into.extend_from_slice(&[b'"', name, b'"', b':']);
    }

    fn json(&mut self, name: u8, value: &[u8]) {
        self.name(name);
        self.into.extend_from_slice(value);
    }

    /// A text that needs no escapes.
    fn text(&mut self, name: u8, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        self.into.push(b'"');
        write(self.into);
        self.into.push(b'"');
    }

    fn keep(&mut self, keep: Keep) {
        if keep == Keep::Outside {
            self.json(b'x', b"true");
        }
    }
}

/// A key id as markers and envelopes have it: base64 without padding.
pub fn key_id_text(key: KeyId) -> String {
    BASE64.encode(key.0)
}

/// The key id in such text.
pub fn key_id(text: &str) -> Option<KeyId> {
    let mut room = [0; 18];
    match BASE64.decode_slice(text, &mut room) {
        Ok(16) => room[..16].try_into().ok().map(KeyId),
        _ => None,
    }
}

fn quoted_key(key: KeyId) -> [u8; 24] {
    let mut text = [b'"'; 24];
    // 16 bytes are 22 characters.
    let _ = BASE64.encode_slice(key.0, &mut text[1..23]);
    text
}

impl fmt::Debug for Content<'_> {
    /// Never a value, never a subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Fresh { purpose, keep, .. } => {
                f.debug_struct("Fresh").field("purpose", purpose).field("keep", keep).finish_non_exhaustive()
            }
            Content::Opened { key, .. } => f.debug_struct("Opened").field("key", key).finish_non_exhaustive(),
            Content::Erased { key, erasure, .. } => {
                f.debug_struct("Erased").field("key", key).field("erasure", erasure).finish_non_exhaustive()
            }
            Content::Unavailable(reason) => f.debug_tuple("Unavailable").field(reason).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::find;
    use crate::subject::SubjectRef;

    #[test]
    fn a_marker_reads_back_as_it_is_written() {
        let owner = KeyOwner::of(SubjectRef([7; 16])).with_purpose(Purpose::new("tax").unwrap());
        let (key, erasure) = (KeyId([3; 16]), ErasureId::generate());
        let subject = Subject::new("ada \"\\ é").unwrap();
        let purpose = Purpose::new("billing").unwrap();
        for content in [
            Content::Fresh { subject: subject.clone(), purpose: None, keep: Keep::InEvent, value: "null" },
            Content::Fresh { subject, purpose: Some(purpose), keep: Keep::Outside, value: r#"{"a":[1]}"# },
            Content::Opened { key, owner: owner.clone(), keep: Keep::InEvent, value: "1.50" },
            Content::Opened { key, owner: owner.clone(), keep: Keep::Outside, value: "null" },
            Content::Erased { key, owner: None, erasure },
            Content::Erased { key, owner: Some(owner), erasure },
            Content::Unavailable(Unavailable::Tampered),
        ] {
            for partial in [None, Some("\"1990\"")] {
                let marker = Marker { content: content.clone(), partial };
                let mut text = Vec::new();
                marker.write(&mut text);
                let found = find(&text, PERSONAL_MEMBER).unwrap();
                assert_eq!(found.len(), 1);
                if let Content::Opened { key, owner, keep, value } = &content {
                    let (mut same, head) = (Vec::new(), opened_head(*key, owner));
                    let written = write_opened(&head, *keep, partial, &mut same, |into| {
                        into.extend_from_slice(value.as_bytes());
                        Ok::<_, ()>(())
                    });
                    assert_eq!((written, &same), (Ok(()), &text));
                }
                assert_eq!(Marker::parse(&text[found[0].value.clone()]), Ok(marker));
            }
        }
    }

    #[test]
    fn what_is_no_marker_is_refused_without_repeating_it() {
        for text in [
            "7",
            "{}",
            r#"{"v":"ada"}"#,
            r#"{"s":"ada"}"#,
            r#"{"s":"ada","v":1,"k":"AwMDAwMDAwMDAwMDAwMDAw"}"#,
            r#"{"s":"a#b","v":1}"#,
            r#"{"s":"ada","p":"No","v":1}"#,
            r#"{"k":"AwMD","o":"07070707070707070707070707070707","v":1}"#,
            r#"{"u":"erased"}"#,
            r#"{"s":"ada","v":1,"z":2}"#,
        ] {
            let error = Marker::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("ada"), "{error}");
        }
    }

    #[test]
    fn nothing_personal_is_printed() {
        let subject = Subject::new("ada").unwrap();
        let content = Content::Fresh { subject, purpose: None, keep: Keep::InEvent, value: "\"lovelace\"" };
        let text = format!("{:?}", Marker { content, partial: None });
        assert!(!text.contains("ada") && !text.contains("lovelace"), "{text}");
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        for reason in Unavailable::ALL {
            assert_eq!(Unavailable::from_word(reason.word()), Some(reason));
        }
    }
}

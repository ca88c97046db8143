//! How does a sealed value look in an event's JSON?

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::seal::{SALT_BYTES, Sealed};
use crate::subject::KeyId;

/// The member that makes an object a sealed value.
pub const SEALED_MEMBER: &str = "$pii";

/// Characters of a key id, in base64.
const KEY_TEXT: usize = 22;
/// Characters of a salt, in base64.
const SALT_TEXT: usize = 32;
/// What is written before a key id, a salt and sealed bytes.
const BEFORE_KEY: &[u8] = br#"{"v":1,"k":""#;
const BEFORE_SALT: &[u8] = br#"","s":""#;
const BEFORE_SEALED: &[u8] = br#"","c":""#;

/// A sealed value as it is stored in the place of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The key that opens it.
    pub key: KeyId,
    /// Where its bytes are.
    pub body: Body,
    /// What is stored in clear beside it, as JSON text.
    pub partial: Option<&'a str>,
}

/// Where a sealed value's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Here(Sealed),
    /// In the key store, under this id: `external`. They can be deleted there.
    Outside {
        /// What the value's key is derived with.
        salt: [u8; SALT_BYTES],
        /// The id.
        value: Uuid,
    },
    /// Nowhere: it was erased before it was written here.
    Erased,
}

/// Why an object with `$pii` is no sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEnvelope {
    /// It is not of the shape that Factum writes.
    #[error("it is not of the shape of a sealed value")]
    Shape,
    /// It was written by a later version.
    #[error("it is of format {format}, this version of Factum knows 1")]
    Format {
        /// Its format.
        format: u64,
    },
    /// Key, salt or bytes are not base64, or not of their length.
    #[error("its {member} is not base64 of the right length")]
    Base64 {
        /// Which.
        member: &'static str,
    },
}

/// An envelope as it is written, its sealed bytes still base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    pub(crate) key: KeyId,
    pub(crate) body: WrittenBody<'a>,
    /// As JSON text.
    pub(crate) partial: Option<&'a str>,
}

/// A [`Body`] as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WrittenBody<'a> {
    Here { salt: [u8; SALT_BYTES], sealed: &'a [u8] },
    Outside { salt: [u8; SALT_BYTES], value: Uuid },
    Erased,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    v: u64,
    k: &'a str,
    s: Option<&'a str>,
    c: Option<&'a str>,
    x: Option<Uuid>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
}

impl<'a> Written<'a> {
    /// Reads what is under `$pii`, members in any order.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, MalformedEnvelope> {
        let stored: Stored<'a> = serde_json::from_slice(text).map_err(|_| MalformedEnvelope::Shape)?;
        if stored.v != 1 {
            return Err(MalformedEnvelope::Format { format: stored.v });
        }
        let key = KeyId(bytes("k", stored.k)?);
        let body = match (stored.s, stored.c, stored.x) {
            (Some(salt), Some(sealed), None) => {
                WrittenBody::Here { salt: bytes("s", salt)?, sealed: sealed.as_bytes() }
            }
            (Some(salt), None, Some(value)) => WrittenBody::Outside { salt: bytes("s", salt)?, value },
            (None, None, None) => WrittenBody::Erased,
            _ => return Err(MalformedEnvelope::Shape),
        };
        Ok(Self { key, body, partial: stored.p.map(RawValue::get) })
    }

    /// Reads an envelope at the beginning of `text`, and how long it is: only one that is byte for byte of the shape that
    /// [`Envelope::write`] gives a value that is here, with nothing in clear. Most are, and these take no parser; all
    /// others, and what is wrong with them, are for [`parse`](Self::parse).
    pub(crate) fn as_written(text: &'a [u8]) -> Option<(Self, usize)> {
        let (key, rest) = text.strip_prefix(BEFORE_KEY)?.split_first_chunk::<KEY_TEXT>()?;
        let (salt, rest) = rest.strip_prefix(BEFORE_SALT)?.split_first_chunk::<SALT_TEXT>()?;
        let rest = rest.strip_prefix(BEFORE_SEALED)?;
        let (sealed, rest) = rest.split_at_checked(memchr::memchr2(b'"', b'\\', rest)?)?;
        let rest = rest.strip_prefix(b"\"}")?;
        let key = KeyId(bytes("k", key).ok()?);
        let body = WrittenBody::Here { salt: bytes("s", salt).ok()?, sealed };
        Some((Self { key, body, partial: None }, text.len() - rest.len()))
    }

    /// Puts the bytes that `sealed` says into `into`, and nothing else.
    pub(crate) fn decode(sealed: &[u8], into: &mut Vec<u8>) -> Result<(), MalformedEnvelope> {
        into.clear();
        BASE64.decode_vec(sealed, into).map_err(|_| MalformedEnvelope::Base64 { member: "c" })
    }
}

impl<'a> Envelope<'a> {
    /// Reads what is under `$pii`.
    ///
    /// # Errors
    /// Why it is no sealed value.
    pub fn parse(text: &'a [u8]) -> Result<Self, MalformedEnvelope> {
        let Written { key, body, partial } = Written::parse(text)?;
        let body = match body {
            WrittenBody::Here { salt, sealed } => {
                let mut bytes = Vec::new();
                Written::decode(sealed, &mut bytes)?;
                Body::Here(Sealed { salt, bytes })
            }
            WrittenBody::Outside { salt, value } => Body::Outside { salt, value },
            WrittenBody::Erased => Body::Erased,
        };
        Ok(Self { key, body, partial })
    }

    /// Writes the whole object, `$pii` and all.
    pub fn write(&self, into: &mut Vec<u8>) {
        let mut member = |before: &[u8], value: &[u8]| {
            into.extend_from_slice(before);
            let at = into.len();
            into.resize(at + base64::encoded_len(value.len(), false).unwrap_or_default(), 0);
            // There is exactly room for it.
            let _ = BASE64.encode_slice(value, &mut into[at..]);
        };
        member(br#"{"$pii":"#, b"");
        member(BEFORE_KEY, &self.key.0);
        match &self.body {
            Body::Here(sealed) => {
                member(BEFORE_SALT, &sealed.salt);
                member(BEFORE_SEALED, &sealed.bytes);
            }
            Body::Outside { salt, value } => {
                member(BEFORE_SALT, salt);
                into.extend_from_slice(format!("\",\"x\":\"{value}").as_bytes());
            }
            Body::Erased => {}
        }
        into.push(b'"');
        if let Some(partial) = self.partial {
            into.extend_from_slice(b",\"p\":");
            into.extend_from_slice(partial.as_bytes());
        }
        into.extend_from_slice(b"}}");
    }
}

fn bytes<const N: usize>(member: &'static str, text: impl AsRef<[u8]>) -> Result<[u8; N], MalformedEnvelope> {
    let wrong = MalformedEnvelope::Base64 { member };
    // Some room above, since the decoder rounds up.
    let mut room = [0; 32];
    match BASE64.decode_slice(text, &mut room) {
        Ok(length) if length == N => room[..N].try_into().map_err(|_| wrong),
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::find;

    #[test]
    fn an_envelope_reads_back_as_it_is_written() {
        let key = KeyId([3; 16]);
        let salt = [5; SALT_BYTES];
        for (body, partial) in [
            (Body::Here(Sealed { salt, bytes: vec![1, 2, 3] }), None),
            (Body::Here(Sealed { salt, bytes: Vec::new() }), Some("\"1990\"")),
            (Body::Outside { salt, value: Uuid::from_u128(9) }, None),
            (Body::Erased, Some("7")),
        ] {
            let envelope = Envelope { key, body, partial };
            let mut text = Vec::new();
            envelope.write(&mut text);
            let found = find(&text, SEALED_MEMBER).unwrap();
            assert_eq!(Envelope::parse(&text[found[0].value.clone()]), Ok(envelope));
        }
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        let parse = |text: &str| Envelope::parse(text.as_bytes()).map(|_| ());
        let key = "AwMDAwMDAwMDAwMDAwMDAw";
        assert_eq!(parse(&format!(r#"{{"v":1,"k":"{key}"}}"#)), Ok(()));
        assert_eq!(parse(&format!(r#"{{"v":2,"k":"{key}"}}"#)), Err(MalformedEnvelope::Format { format: 2 }));
        assert_eq!(parse(r#"{"v":1,"k":"AwMD"}"#), Err(MalformedEnvelope::Base64 { member: "k" }));
        assert_eq!(parse(&format!(r#"{{"v":1,"k":"{key}","s":"A"}}"#)), Err(MalformedEnvelope::Shape));
        assert_eq!(parse(&format!(r#"{{"v":1,"k":"{key}","q":"A"}}"#)), Err(MalformedEnvelope::Shape));
        let long = "A".repeat(1_000);
        assert_eq!(
            parse(&format!(r#"{{"v":1,"k":"{long}"}}"#)),
            Err(MalformedEnvelope::Base64 { member: "k" })
        );
        assert_eq!(parse("7"), Err(MalformedEnvelope::Shape));
    }
}

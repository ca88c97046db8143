//! How does one value become unreadable without its key, and readable again in its own place only?
//!
//! The bytes are in `docs/format-privacy.md`. A fresh key is derived for each value, so no nonce is ever used twice and no
//! count of messages matters; half of what is derived is stored as a commitment, since the cipher itself would open one
//! ciphertext under several keys.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Tag};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::data_key::{DataKey, RandomError, random};

/// How a value is sealed. Numbers are stored: none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SealFormat {
    /// AES-256-GCM under a key derived per value by HKDF-SHA-256, with a commitment of 16 bytes.
    V1 = 1,
}

/// Bytes of the random salt of one value.
pub const SALT_BYTES: usize = 24;
/// Bytes of the commitment to the key.
pub const COMMITMENT_BYTES: usize = 16;
/// Bytes of the cipher's tag.
pub const TAG_BYTES: usize = 16;
/// The longest value that is sealed, in bytes of JSON.
pub const MAX_SEALED_BYTES: usize = 1 << 20;
/// The smallest size that a value is padded to, in bytes.
const SMALLEST_BUCKET: usize = 16;
/// From here on sizes grow by this much, not twofold, in bytes.
const LARGE_BUCKET: usize = 4_096;

/// Each value has a key of its own, so that its nonce is no part of what must differ.
const NONCE: [u8; 12] = [0; 12];
const LABEL: &[u8] = b"factum/pii/v1";
const AAD_LABEL: &[u8] = b"factum-pii-v1";

/// Where a sealed value belongs: it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose vault.
    pub tenant: &'a str,
    /// The stream of the event.
    pub stream: &'a str,
    /// The event's id.
    pub event_id: &'a [u8; 16],
    /// The event's type.
    pub event_type: &'a str,
    /// Where in the event's data, as a JSON pointer.
    pub pointer: &'a str,
    /// What is stored in clear beside the value, as JSON text; empty for nothing.
    pub partial: &'a [u8],
}

/// A value, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What its key is derived with.
    pub salt: [u8; SALT_BYTES],
    /// Commitment, ciphertext, tag.
    pub bytes: Vec<u8>,
}

/// Why bytes do not open with a key that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key did not seal them. It, or the salt, is another one.
    #[error("the key does not fit: key or salt are not those that it was sealed with")]
    OtherKey,
    /// They were changed, or moved from another event, field, stream or subject.
    #[error("it was changed, or it belongs to another event, field, stream or subject")]
    Tampered,
    /// They are too short to be anything.
    #[error("it is cut off")]
    CutOff,
}

/// Why a value was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSealed {
    /// It is too long.
    #[error("a personal value has at most {limit} bytes of JSON, this one has {actual}")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
        /// What was given, in bytes.
        actual: usize,
    },
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Seals JSON text.
///
/// # Errors
/// `TooLong`, or where the operating system gives no random bytes.
pub fn seal(key: &DataKey, place: &Place<'_>, json: &[u8]) -> Result<Sealed, NotSealed> {
    if json.len() > MAX_SEALED_BYTES {
        return Err(NotSealed::TooLong { limit: MAX_SEALED_BYTES, actual: json.len() });
    }
    let salt = *random::<SALT_BYTES>()?;
    let derived = key.derive::<{ 32 + COMMITMENT_BYTES }>(LABEL, &salt);
    let padded = bucket(json.len());
    let mut bytes = Vec::with_capacity(COMMITMENT_BYTES + padded + TAG_BYTES);
    bytes.extend_from_slice(&derived[32..]);
    bytes.extend_from_slice(json);
    // White space after a JSON value means nothing: the length hides, and nothing has to be cut off again.
    bytes.resize(COMMITMENT_BYTES + padded, b' ');
    let aad = AssociatedData::of(key, place).data;
    let buffer = (&mut bytes[COMMITMENT_BYTES..]).into();
    // The cipher refuses only what is far above the limit of a value.
    let tag = cipher(&derived)
        .encrypt_inout_detached(&NONCE.into(), &aad, buffer)
        .map_err(|_| NotSealed::TooLong { limit: MAX_SEALED_BYTES, actual: json.len() })?;
    bytes.extend_from_slice(&tag);
    Ok(Sealed { salt, bytes })
}

/// The JSON text that was sealed, with white space after it.
///
/// # Errors
/// `OtherKey`, `Tampered` or `CutOff`.
pub fn open(
    key: &DataKey,
    place: &Place<'_>,
    salt: &[u8; SALT_BYTES],
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    // With room for all of it: a text that moves leaves a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len()));
    open_onto(key, &AssociatedData::of(key, place), salt, bytes, &mut text)?;
    Ok(text)
}

/// Puts what [`open`] gives behind what is in `text`; where it is an error, nothing.
pub(crate) fn open_onto(
    key: &DataKey,
    bound_to: &AssociatedData,
    salt: &[u8; SALT_BYTES],
    bytes: &[u8],
    text: &mut Vec<u8>,
) -> Result<(), SealError> {
    let (commitment, rest) = bytes.split_at_checked(COMMITMENT_BYTES).ok_or(SealError::CutOff)?;
    let length = rest.len().checked_sub(TAG_BYTES).ok_or(SealError::CutOff)?;
    let (sealed, tag) = rest.split_at(length);
    let derived = key.derive::<{ 32 + COMMITMENT_BYTES }>(LABEL, salt);
    if !bool::from(derived[32..].ct_eq(commitment)) {
        return Err(SealError::OtherKey);
    }
    let tag = <Tag>::try_from(tag).map_err(|_| SealError::CutOff)?;
    let start = text.len();
    text.extend_from_slice(sealed);
    let buffer = (&mut text[start..]).into();
    let decrypted = cipher(&derived).decrypt_inout_detached(&NONCE.into(), &bound_to.data, buffer, &tag);
    decrypted.map_err(|_| {
        text.truncate(start);
        SealError::Tampered
    })
}

fn cipher(derived: &[u8; 32 + COMMITMENT_BYTES]) -> Aes256Gcm {
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&derived[..32]);
    Aes256Gcm::new((&*key).into())
}

/// What a seal is bound to: each part with its length before it, so that no two places read the same.
#[derive(Default)]
pub(crate) struct AssociatedData {
    data: Vec<u8>,
    /// Where the part ends that the values of one event under one key have in common, in bytes.
    common: usize,
}

impl AssociatedData {
    fn of(key: &DataKey, place: &Place<'_>) -> Self {
        let mut this = Self::default();
        this.event(key, place);
        this.value(place);
        this
    }

    /// For the values of another event, or of the same under another key. [`value`](Self::value) has to follow.
    pub(crate) fn event(&mut self, key: &DataKey, place: &Place<'_>) {
        let owner = key.owner();
        let purpose = owner.purpose.as_ref().map_or("", |purpose| purpose.as_str());
        self.data.clear();
        self.put(&[
            AAD_LABEL,
            place.tenant.as_bytes(),
            &owner.subject.0,
            purpose.as_bytes(),
            &key.id().0,
            place.stream.as_bytes(),
            place.event_id,
            place.event_type.as_bytes(),
        ]);
        self.common = self.data.len();
    }

    /// For another value of the same event under the same key.
    pub(crate) fn value(&mut self, place: &Place<'_>) {
        self.data.truncate(self.common);
        self.put(&[place.pointer.as_bytes(), place.partial]);
    }

    fn put(&mut self, parts: &[&[u8]]) {
        self.data.reserve(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            self.data.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.data.extend_from_slice(part);
        }
    }
}

/// The size that a value of `length` bytes is padded to: 16, 32, 64 .. 4,096, then multiples of that.
fn bucket(length: usize) -> usize {
    if length <= LARGE_BUCKET {
        length.max(SMALLEST_BUCKET).next_power_of_two()
    } else {
        length.next_multiple_of(LARGE_BUCKET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::{KeyId, KeyOwner, Purpose, SubjectRef};

    const EVENT: [u8; 16] = [7; 16];

    fn key(id: u8, secret: u8) -> DataKey {
        DataKey::new(KeyId([id; 16]), KeyOwner::of(SubjectRef([1; 16])), &[secret; 32])
    }

    fn place() -> Place<'static> {
        Place {
            tenant: "default",
            stream: "customer-1",
            event_id: &EVENT,
            event_type: "Registered",
            pointer: "/name",
            partial: b"",
        }
    }

    fn text(opened: &Zeroizing<Vec<u8>>) -> &str {
        std::str::from_utf8(opened).unwrap().trim_end()
    }

    #[test]
    fn a_value_opens_in_its_place_and_nowhere_else() {
        let key = key(1, 9);
        let sealed = seal(&key, &place(), br#""Ada""#).unwrap();
        assert_eq!(text(&open(&key, &place(), &sealed.salt, &sealed.bytes).unwrap()), r#""Ada""#);
        let other = [8; 16];
        for elsewhere in [
            Place { tenant: "other", ..place() },
            Place { stream: "customer-2", ..place() },
            Place { event_id: &other, ..place() },
            Place { event_type: "Renamed", ..place() },
            Place { pointer: "/email", ..place() },
            Place { partial: b"1", ..place() },
            // The same letters, cut elsewhere.
            Place { tenant: "defaultc", stream: "ustomer-1", ..place() },
        ] {
            assert_eq!(
                open(&key, &elsewhere, &sealed.salt, &sealed.bytes),
                Err(SealError::Tampered),
                "{elsewhere:?}"
            );
        }
    }

    #[test]
    fn another_subject_purpose_or_key_id_does_not_open_it() {
        let sealed = seal(&key(1, 9), &place(), b"1").unwrap();
        let other_id = key(2, 9);
        let owner = KeyOwner::of(SubjectRef([2; 16]));
        let other_subject = DataKey::new(KeyId([1; 16]), owner, &[9; 32]);
        let owner = KeyOwner::of(SubjectRef([1; 16])).with_purpose(Purpose::new("tax").unwrap());
        let other_purpose = DataKey::new(KeyId([1; 16]), owner, &[9; 32]);
        for key in [other_id, other_subject, other_purpose] {
            assert_eq!(open(&key, &place(), &sealed.salt, &sealed.bytes), Err(SealError::Tampered));
        }
    }

    #[test]
    fn another_key_is_told_from_a_changed_byte() {
        let sealed = seal(&key(1, 9), &place(), b"true").unwrap();
        assert_eq!(open(&key(1, 8), &place(), &sealed.salt, &sealed.bytes), Err(SealError::OtherKey));
        let mut salt = sealed.salt;
        salt[0] ^= 1;
        assert_eq!(open(&key(1, 9), &place(), &salt, &sealed.bytes), Err(SealError::OtherKey));
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 0x80;
            let expected = if at < COMMITMENT_BYTES { SealError::OtherKey } else { SealError::Tampered };
            assert_eq!(open(&key(1, 9), &place(), &sealed.salt, &bytes), Err(expected), "byte {at}");
        }
        for length in 0..COMMITMENT_BYTES + TAG_BYTES {
            let cut = open(&key(1, 9), &place(), &sealed.salt, &sealed.bytes[..length]);
            assert_eq!(cut, Err(SealError::CutOff), "{length}");
        }
    }

    #[test]
    fn lengths_are_hidden_in_buckets() {
        for (length, padded) in [(0, 16), (1, 16), (16, 16), (17, 32), (4_096, 4_096), (4_097, 8_192)] {
            let sealed = seal(&key(1, 9), &place(), &vec![b'1'; length]).unwrap();
            assert_eq!(sealed.bytes.len(), COMMITMENT_BYTES + padded + TAG_BYTES, "{length}");
        }
        let actual = MAX_SEALED_BYTES + 1;
        let refused = NotSealed::TooLong { limit: MAX_SEALED_BYTES, actual };
        assert_eq!(seal(&key(1, 9), &place(), &vec![b'1'; actual]), Err(refused));
        assert!(seal(&key(1, 9), &place(), &vec![b'1'; MAX_SEALED_BYTES]).is_ok());
    }

    #[test]
    fn nothing_shows_a_key() {
        let shown = format!("{:?}", key(1, 9));
        assert_eq!(shown, "DataKey { id: KeyId(01010101010101010101010101010101), .. }");
    }
}

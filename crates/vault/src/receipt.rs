//! What does the vault attest after an erasure, and how is that checked without it?
//!
//! A receipt says what was destroyed, what has been reached and what has not. It is signed with the vault's own key over its
//! canonical JSON (members sorted, no white space), so that it may be printed, mailed and kept anywhere. It attests; it cannot
//! prove that nobody kept a copy elsewhere.

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use factum_core::{ErrorKind, StoreId, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::kek::KekEpoch;
use crate::key_store::Extent;
use crate::ledger::{moment, optional, text};
use crate::subject::{ErasureId, KeyId, Purpose, SubjectRef};

/// The receipt's format. A reader refuses one that it does not know.
pub const RECEIPT_FORMAT: u64 = 1;
const SIGNED_LABEL: &[u8] = b"factum/receipt/v1\n";

/// A place that an erasure has to reach, and whether it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// What it is: `keys`, `caches`, `read model`.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// How it was reached, or what has to happen for it.
    pub how: String,
}

/// What is attested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The erasure.
    pub erasure: ErasureId,
    /// The vault that attests.
    pub vault: Uuid,
    /// Whose vault it is.
    pub tenant: String,
    /// The log.
    pub log: StoreId,
    /// Who was forgotten.
    pub subject: SubjectRef,
    /// For which purpose; `None` for everything.
    pub purpose: Option<Purpose>,
    /// Which keys of it.
    pub extent: Extent,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub actor: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it was complete.
    pub completed_at: Timestamp,
    /// The keys that were destroyed. Random, so that they say nothing of the subject.
    pub keys: Vec<KeyId>,
    /// What was reached.
    pub reached: Vec<Reach>,
    /// What cannot be reached from here, and until when it matters.
    pub not_reached: Vec<Reach>,
    /// The epoch that wrapped the keys when they were destroyed: older copies of the key store open with it until it is destroyed.
    pub kek_epoch: KekEpoch,
    /// When that epoch is destroyed at the latest, by the rotation that the vault was told of. Older copies of the key store open
    /// nothing any more from then on.
    pub horizon: Option<Timestamp>,
}

/// A receipt with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What is attested.
    pub receipt: Receipt,
    /// The key that verifies it, 32 bytes in hexadecimal.
    pub key: String,
    /// The signature, 64 bytes in hexadecimal.
    pub signature: String,
    /// What was signed, as it was written.
    signed: Value,
}

/// Why a receipt is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is not a receipt.
    #[error(
        "this is no receipt of an erasure, or one of a later version: give the JSON as `factum privacy receipts ERASURE` prints it"
    )]
    Malformed,
    /// Another key signed it.
    #[error("the receipt was signed by key {found}, not by {expected}: it is of another vault")]
    OtherKey {
        /// The key that is trusted.
        expected: String,
        /// The receipt's.
        found: String,
    },
    /// It was changed after it was signed.
    #[error("the receipt was changed after it was signed: its signature does not fit")]
    Changed,
}

impl ReceiptError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ReceiptError::Malformed | ReceiptError::OtherKey { .. } => ErrorKind::Invalid,
            ReceiptError::Changed => ErrorKind::Damaged,
        }
    }
}

impl Receipt {
    fn to_value(&self) -> Value {
        let reach = |places: &[Reach]| -> Vec<Value> {
            places.iter().map(|r| json!({ "kind": r.kind, "name": r.name, "how": r.how })).collect()
        };
        let through = match self.extent {
            Extent::Everything => None,
            Extent::UpTo(generation) => Some(generation),
        };
        json!({
            "format": RECEIPT_FORMAT,
            "erasure": self.erasure.to_string(),
            "vault": self.vault.to_string(),
            "tenant": self.tenant,
            "log": self.log.to_string(),
            "subject": self.subject.to_string(),
            "purpose": self.purpose.as_ref().map(Purpose::as_str),
            "through": through,
            "reason": self.reason,
            "actor": self.actor,
            "requested_at": self.requested_at.to_string(),
            "completed_at": self.completed_at.to_string(),
            "keys": self.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reached": reach(&self.reached),
            "not_reached": reach(&self.not_reached),
            "kek_epoch": self.kek_epoch.0,
            "horizon": self.horizon.map(|horizon| horizon.to_string()),
        })
    }

    fn from_value(value: &Value) -> Option<Self> {
        if value["format"].as_u64() != Some(RECEIPT_FORMAT) {
            return None;
        }
        let keys = value["keys"].as_array()?.iter().map(|key| key.as_str()?.parse().ok());
        Some(Self {
            erasure: text(value, "erasure")?.parse().ok()?,
            vault: text(value, "vault")?.parse().ok()?,
            tenant: text(value, "tenant")?.to_owned(),
            log: text(value, "log")?.parse().ok()?,
            subject: text(value, "subject")?.parse().ok()?,
            purpose: optional(value, "purpose")?,
            extent: match &value["through"] {
                Value::Null => Extent::Everything,
                through => Extent::UpTo(u32::try_from(through.as_u64()?).ok()?),
            },
            reason: text(value, "reason")?.to_owned(),
            actor: text(value, "actor")?.to_owned(),
            requested_at: moment(value, "requested_at")?,
            completed_at: moment(value, "completed_at")?,
            keys: keys.collect::<Option<_>>()?,
            reached: reaches(&value["reached"])?,
            not_reached: reaches(&value["not_reached"])?,
            kek_epoch: KekEpoch(u32::try_from(value["kek_epoch"].as_u64()?).ok()?),
            horizon: match &value["horizon"] {
                // Receipts from before there was one lack it.
                Value::Null => None,
                _ => Some(moment(value, "horizon")?),
            },
        })
    }

    pub(crate) fn sign(self, key: &VerifyingKey, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> SignedReceipt {
        let signed = self.to_value();
        let signature = hex(&sign(&message(&signed)));
        SignedReceipt { receipt: self, key: hex(key.as_bytes()), signature, signed }
    }
}

fn reaches(value: &Value) -> Option<Vec<Reach>> {
    let reach = |value: &Value| {
        let text = |member| text(value, member).map(str::to_owned);
        Some(Reach { kind: text("kind")?, name: text("name")?, how: text("how")? })
    };
    value.as_array()?.iter().map(reach).collect()
}

impl SignedReceipt {
    /// Reads what [`to_json`](Self::to_json) wrote; however it was laid out since. `None` where it is no receipt.
    pub fn from_json(json: &[u8]) -> Option<Self> {
        Self::from_value(&serde_json::from_slice(json).ok()?)
    }

    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        Some(Self {
            receipt: Receipt::from_value(&value["receipt"])?,
            key: text(value, "key")?.to_owned(),
            signature: text(value, "signature")?.to_owned(),
            signed: value["receipt"].clone(),
        })
    }

    /// The receipt with its key and signature.
    pub fn to_json(&self) -> Value {
        json!({ "receipt": self.signed, "key": self.key, "signature": self.signature })
    }

    /// Checks that the owner of `trusted` (32 bytes in hexadecimal) signed exactly this. Needs neither vault nor log.
    ///
    /// # Errors
    /// `Malformed`, `OtherKey` or `Changed`.
    pub fn verify(&self, trusted: &str) -> Result<(), ReceiptError> {
        if !self.key.eq_ignore_ascii_case(trusted.trim()) {
            let (expected, found) = (trusted.trim().to_owned(), self.key.clone());
            return Err(ReceiptError::OtherKey { expected, found });
        }
        if is_signed(&message(&self.signed), &self.key, &self.signature) {
            return Ok(());
        }
        Err(ReceiptError::Changed)
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.name, self.how)
    }
}

fn message(signed: &Value) -> Vec<u8> {
    let mut message = SIGNED_LABEL.to_vec();
    message.extend_from_slice(canonical(signed).as_bytes());
    message
}

/// Whether the owner of `key` (hexadecimal) signed this message.
pub(crate) fn is_signed(message: &[u8], key: &str, signature: &str) -> bool {
    let key = from_hex::<32>(key).and_then(|key| VerifyingKey::from_bytes(&key).ok());
    match (key, from_hex::<64>(signature)) {
        (Some(key), Some(signature)) => {
            key.verify_strict(message, &Signature::from_bytes(&signature)).is_ok()
        }
        _ => false,
    }
}

/// JSON that is the same however it was laid out: members sorted, no white space.
pub(crate) fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

/// The same value with the members of every object in order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let sorted_members = names.into_iter().map(|name| (name.clone(), sorted(&members[name])));
            Value::Object(sorted_members.collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roots::{ROOT_BYTES, Roots};

    fn signed() -> (SignedReceipt, String) {
        let roots = Roots::from_secret("default", &[7; ROOT_BYTES]).unwrap();
        let receipt = Receipt {
            erasure: ErasureId::generate(),
            vault: Uuid::new_v4(),
            tenant: "default".to_owned(),
            log: StoreId::generate(),
            subject: SubjectRef([1; 16]),
            purpose: Some(Purpose::new("billing").unwrap()),
            extent: Extent::UpTo(3),
            reason: "art. 17 \u{e9}".to_owned(),
            actor: "dpo".to_owned(),
            requested_at: Timestamp::parse("2026-11-27T10:00:00Z").unwrap(),
            completed_at: Timestamp::parse("2026-11-27T10:00:01.5Z").unwrap(),
            keys: vec![KeyId([2; 16])],
            reached: vec![Reach { kind: "key store".into(), name: "keys".into(), how: "destroyed".into() }],
            not_reached: Vec::new(),
            kek_epoch: KekEpoch(2),
            horizon: Some(Timestamp::parse("2026-12-27T10:00:00Z").unwrap()),
        };
        let key = roots.verifying_key();
        (receipt.sign(&key, |message| roots.sign(message)), hex(key.as_bytes()))
    }

    #[test]
    fn a_receipt_is_verified_wherever_it_was_kept() {
        let (receipt, key) = signed();
        let pretty = serde_json::to_string_pretty(&receipt.to_json()).unwrap();
        let again = SignedReceipt::from_json(pretty.as_bytes()).unwrap();
        assert_eq!(again, receipt);
        assert_eq!(again.verify(&key), Ok(()));
        // Members in another order are the same receipt.
        let reordered = sorted(&receipt.to_json()).to_string();
        assert_eq!(SignedReceipt::from_json(reordered.as_bytes()).unwrap().verify(&key), Ok(()));
    }

    #[test]
    fn a_changed_receipt_is_refused_whatever_was_changed() {
        let (receipt, key) = signed();
        let json = receipt.to_json();
        for member in json["receipt"].as_object().unwrap().keys() {
            let mut changed = json.clone();
            changed["receipt"][member] = match &json["receipt"][member] {
                Value::String(text) => Value::String(match text.char_indices().next_back() {
                    Some((at, last)) => format!("{}{}", &text[..at], if last == '1' { '2' } else { '1' }),
                    None => "1".to_owned(),
                }),
                Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
                Value::Array(values) if values.is_empty() => json!([{"kind": "", "name": "", "how": ""}]),
                _ => json!([]),
            };
            if changed == json {
                continue;
            }
            if let Some(changed) = SignedReceipt::from_json(changed.to_string().as_bytes()) {
                assert_eq!(changed.verify(&key), Err(ReceiptError::Changed), "{member}");
            }
        }
        let mut added = json.clone();
        added["receipt"]["more"] = json!(1);
        let added = SignedReceipt::from_json(added.to_string().as_bytes()).unwrap();
        assert_eq!(added.verify(&key), Err(ReceiptError::Changed));
    }

    #[test]
    fn a_receipt_of_another_vault_is_refused() {
        let (receipt, _) = signed();
        let other = "00".repeat(32);
        assert!(matches!(receipt.verify(&other), Err(ReceiptError::OtherKey { .. })));
        let mut json = receipt.to_json();
        json["key"] = other.clone().into();
        let forged = SignedReceipt::from_json(json.to_string().as_bytes()).unwrap();
        assert!(forged.verify(&other).is_err());
        assert_eq!(SignedReceipt::from_json(b"{}"), None);
        assert_eq!(from_hex::<1>("\u{e9}"), None);
    }
}

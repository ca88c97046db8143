//! What does Transit say about a key?

use std::collections::BTreeMap;

use factum_core::Timestamp;
use serde::Deserialize;

use super::super::{EpochInfo, KekEpoch};

/// The kinds of keys that bind a ciphertext to a label.
const KINDS: &[&str] = &["aes256-gcm96", "chacha20-poly1305"];

/// The answer to reading a key.
#[derive(Deserialize)]
pub(super) struct KeyAnswer {
    data: KeyData,
}

#[derive(Deserialize)]
struct KeyData {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    derived: bool,
    #[serde(default)]
    soft_deleted: bool,
    /// When each version was made, in seconds since 1970; an object for keys of kinds that do not fit.
    keys: BTreeMap<String, serde_json::Value>,
    latest_version: u32,
    #[serde(default)]
    min_decryption_version: u32,
    #[serde(default)]
    min_encryption_version: u32,
    #[serde(default)]
    min_available_version: u32,
}

/// A key as the provider needs it.
pub(super) struct Key {
    kind: String,
    derived: bool,
    soft_deleted: bool,
    /// Those that can unwrap, the oldest first.
    pub(super) epochs: Vec<EpochInfo>,
    pub(super) latest: KekEpoch,
    pub(super) min_decryption: u32,
    /// 0 where it was never set.
    pub(super) min_encryption: u32,
    min_available: u32,
}

impl KeyAnswer {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn key(self) -> Result<Key, String> {
        let KeyData { kind, derived, soft_deleted, keys, latest_version, .. } = self.data;
        let first = self.data.min_decryption_version.max(self.data.min_available_version).max(1);
        let mut epochs = Vec::with_capacity(keys.len());
        for (version, made) in keys {
            let number = version.parse().map_err(|_| "a version that is not a number".to_owned())?;
            let created =
                made.as_i64().map(|seconds| Timestamp::from_unix_millis(seconds.saturating_mul(1_000)));
            if number >= first {
                epochs.push(EpochInfo { epoch: KekEpoch(number), created });
            }
        }
        epochs.sort_by_key(|info| info.epoch);
        if epochs.last().is_none_or(|info| info.epoch.0 != latest_version) {
            return Err("a key without its latest version".to_owned());
        }
        Ok(Key {
            kind,
            derived,
            soft_deleted,
            epochs,
            latest: KekEpoch(latest_version),
            min_decryption: self.data.min_decryption_version,
            min_encryption: self.data.min_encryption_version,
            min_available: self.data.min_available_version,
        })
    }
}

impl Key {
    /// Why a vault cannot use this key.
    pub(super) fn unfit(&self) -> Option<String> {
        if !KINDS.contains(&self.kind.as_str()) {
            let kinds = KINDS.join(" or ");
            return Some(format!(
                "its key is of type {}: it has to be {kinds}",
                super::api::plain(&self.kind)
            ));
        }
        if self.derived {
            return Some("its key is derived: make one that is not (derived=false)".to_owned());
        }
        self.soft_deleted.then(|| "its key is soft-deleted: restore it".to_owned())
    }

    /// Whether no version before `keep` is in OpenBao's storage any more.
    pub(super) fn has_destroyed_before(&self, keep: KekEpoch) -> bool {
        keep.0 <= 1 || self.min_available >= keep.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(data: &str) -> Result<Key, String> {
        serde_json::from_str::<KeyAnswer>(&format!(r#"{{"data":{data}}}"#)).unwrap().key()
    }

    #[test]
    fn versions_are_sorted_as_numbers_and_those_not_allowed_are_left_out() {
        let key = key(r#"{"type":"aes256-gcm96","keys":{"10":1700000010,"9":1700000009,"8":1700000008},
                "latest_version":10,"min_decryption_version":9,"min_available_version":8}"#)
        .unwrap();
        let epochs: Vec<u32> = key.epochs.iter().map(|info| info.epoch.0).collect();
        assert_eq!(epochs, [9, 10]);
        assert_eq!(key.epochs[1].created.unwrap().to_string(), "2023-11-14T22:13:30Z");
        assert_eq!(key.unfit(), None);
        assert!(key.has_destroyed_before(KekEpoch(8)));
        assert!(!key.has_destroyed_before(KekEpoch(9)), "version 8 may be brought back");
    }

    #[test]
    fn a_key_of_another_kind_is_unfit() {
        let made = |more: &str| {
            key(&format!(r#"{{"keys":{{"1":{{"name":"x"}}}},"latest_version":1,{more}}}"#)).unwrap().unfit()
        };
        assert!(made(r#""type":"rsa-2048""#).unwrap().contains("rsa-2048"));
        assert!(made(r#""type":"aes256-gcm96","derived":true"#).unwrap().contains("derived"));
        assert!(made(r#""type":"aes256-gcm96","soft_deleted":true"#).unwrap().contains("soft-deleted"));
        assert_eq!(made(r#""type":"chacha20-poly1305""#), None);
    }

    #[test]
    fn a_key_without_its_latest_version_is_refused() {
        assert!(key(r#"{"type":"aes256-gcm96","keys":{"1":1},"latest_version":2}"#).is_err());
        assert!(key(r#"{"type":"aes256-gcm96","keys":{"x":1},"latest_version":2}"#).is_err());
    }
}

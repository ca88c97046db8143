//! Stream metadata: KurrentDB's reserved keys, and the range of a stream that they leave visible.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Revision, Timestamp};

/// The `$tb` that means: soft-deleted.
pub const TRUNCATE_ALL: u64 = i64::MAX as u64;

/// What a stream's last metadata event says. Text that is not a JSON object counts as empty metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamMetadata {
    /// `$maxAge`: events older than this are not visible.
    pub max_age: Option<Duration>,
    /// `$maxCount`: only so many of the newest events are visible.
    pub max_count: Option<u64>,
    /// `$tb`: events before this revision are not visible; `TRUNCATE_ALL`: soft-deleted.
    pub truncate_before: Option<u64>,
    /// `$cacheControl`: how long a reader may keep the stream's head.
    pub cache_control: Option<Duration>,
    /// `$acl`, as it was written.
    pub acl: Option<Value>,
    /// Every other key, as it was written.
    pub user: Map<String, Value>,
}

const MAX_AGE: &str = "$maxAge";
const MAX_COUNT: &str = "$maxCount";
const TRUNCATE_BEFORE: &str = "$tb";
const CACHE_CONTROL: &str = "$cacheControl";
const ACL: &str = "$acl";

impl StreamMetadata {
    /// Reads the data of a `$metadata` event.
    pub fn parse(data: &[u8]) -> Self {
        let Ok(mut keys) = serde_json::from_slice::<Map<String, Value>>(data) else {
            return Self::default();
        };
        let mut number = |key: &str| match keys.get(key).and_then(Value::as_u64) {
            Some(number) => {
                keys.remove(key);
                Some(number)
            }
            // A reserved key with a value of the wrong kind is kept like a user's key, and has no effect.
            None => None,
        };
        let max_age = number(MAX_AGE).map(Duration::from_secs);
        let max_count = number(MAX_COUNT);
        let truncate_before = number(TRUNCATE_BEFORE);
        let cache_control = number(CACHE_CONTROL).map(Duration::from_secs);
        let acl = keys.remove(ACL);
        Self { max_age, max_count, truncate_before, cache_control, acl, user: keys }
    }

    /// The data of a `$metadata` event that says this.
    pub fn to_json(&self) -> Bytes {
        let mut keys = Map::new();
        let mut put = |key: &str, value: Option<u64>| {
            if let Some(value) = value {
                keys.insert(key.to_owned(), Value::from(value));
            }
        };
        put(MAX_AGE, self.max_age.map(|age| age.as_secs()));
        put(MAX_COUNT, self.max_count);
        put(TRUNCATE_BEFORE, self.truncate_before);
        put(CACHE_CONTROL, self.cache_control.map(|time| time.as_secs()));
        if let Some(acl) = &self.acl {
            keys.insert(ACL.to_owned(), acl.clone());
        }
        keys.extend(self.user.clone());
        Bytes::from(Value::Object(keys).to_string())
    }

    /// Whether this soft-deletes the stream.
    pub fn is_deleted(&self) -> bool {
        self.truncate_before == Some(TRUNCATE_ALL)
    }

    /// The part of a stream up to `last` that is visible at `now`.
    pub fn visible(&self, last: Revision, now: Timestamp) -> VisibleRange {
        let by_count = self.max_count.map_or(0, |count| (last.0 + 1).saturating_sub(count));
        let first = Revision(self.truncate_before.unwrap_or(0).max(by_count));
        VisibleRange { first, not_before: self.max_age.map(|age| now.saturating_sub(age)) }
    }
}

/// What is visible of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisibleRange {
    /// The first revision that may be seen.
    pub first: Revision,
    /// Events recorded before this are not seen.
    pub not_before: Option<Timestamp>,
}

impl VisibleRange {
    /// Whether an event may be seen.
    pub fn shows(&self, revision: Revision, recorded_at: Timestamp) -> bool {
        revision >= self.first && self.not_before.is_none_or(|not_before| recorded_at >= not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_keys_and_user_keys_round_trip() {
        let text =
            r#"{"$maxAge":60,"$maxCount":3,"$tb":2,"$cacheControl":5,"$acl":{"$r":["a"]},"owner":"ada"}"#;
        let metadata = StreamMetadata::parse(text.as_bytes());
        assert_eq!(metadata.max_age, Some(Duration::from_secs(60)));
        assert_eq!(metadata.user["owner"], "ada");
        assert_eq!(metadata.to_json(), text);
    }

    #[test]
    fn text_that_is_not_an_object_counts_as_empty() {
        for text in ["", "7", "[1]", "{\"$tb\":", "\u{0}"] {
            assert_eq!(StreamMetadata::parse(text.as_bytes()), StreamMetadata::default(), "{text}");
        }
        let odd = StreamMetadata::parse(br#"{"$maxCount":"three"}"#);
        assert_eq!(odd.max_count, None);
        assert_eq!(odd.user["$maxCount"], "three");
    }

    #[test]
    fn the_tighter_of_count_and_truncation_wins() {
        let metadata = StreamMetadata { max_count: Some(3), truncate_before: Some(4), ..Default::default() };
        assert_eq!(metadata.visible(Revision(9), Timestamp(0)).first, Revision(7));
        assert_eq!(metadata.visible(Revision(5), Timestamp(0)).first, Revision(4));
    }
}

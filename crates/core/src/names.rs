//! Checked names: stream, category, event type, tag.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use bytes::Bytes;

use crate::limits::{MAX_EVENT_TYPE_BYTES, MAX_STREAM_NAME_BYTES, MAX_TAG_BYTES};
use crate::text::Text;

/// A name that may not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("a {what} may not be empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// The name is longer than its limit.
    #[error("a {what} may have at most {limit} bytes, this one has {actual}")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
        /// The length found, in bytes.
        actual: usize,
    },
    /// The name is not UTF-8.
    #[error("a {what} must be UTF-8, this one stops being so at byte {valid_up_to}")]
    NotUtf8 {
        /// Which kind of name.
        what: &'static str,
        /// How many bytes are valid before the first that is not.
        valid_up_to: usize,
    },
    /// The name is reserved.
    #[error("'{name}' cannot name a stream: {why}")]
    Reserved {
        /// The name.
        name: String,
        /// The rule that it breaks.
        why: &'static str,
    },
}

fn check(what: &'static str, limit: usize, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit {
        return Err(NameError::TooLong { what, limit, actual: text.len() });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:expr, $extra:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// The checked name.
            pub fn new(name: impl Into<Text>) -> Result<Self, NameError> {
                let text = name.into();
                let limit: fn(&str) -> usize = $limit;
                check($what, limit(&text), &text)?;
                let extra: fn(&str) -> Result<(), NameError> = $extra;
                extra(&text)?;
                Ok(Self(text))
            }

            /// The checked name from raw bytes.
            pub fn from_bytes(bytes: Bytes) -> Result<Self, NameError> {
                let text = Text::from_utf8(bytes)
                    .map_err(|e| NameError::NotUtf8 { what: $what, valid_up_to: e.valid_up_to() })?;
                Self::new(text)
            }

            /// The name as a string slice.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                self.0.as_str()
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.0.as_str(), f)
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl TryFrom<&str> for $name {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }
    };
}

name!(
    /// The name of a stream: 1 to 1,024 bytes of UTF-8, not `$all`, not `$$`, not a metastream of a metastream.
    StreamName,
    "stream name",
    // A metadata stream may be as long as the stream that it describes and its prefix.
    |name| MAX_STREAM_NAME_BYTES + if name.starts_with(METASTREAM_PREFIX) { METASTREAM_PREFIX.len() } else { 0 },
    |name| {
        let reserved = |why| Err(NameError::Reserved { name: name.to_owned(), why });
        match name {
            "$all" => reserved("it stands for the whole log"),
            "$$" => reserved("it is the prefix of metadata streams"),
            _ if name.starts_with("$$$$") => reserved("a metadata stream has no metadata stream of its own"),
            _ => Ok(()),
        }
    }
);
name!(
    /// The stable name of a kind of event: 1 to 1,024 bytes of UTF-8.
    EventType,
    "event type",
    |_| MAX_EVENT_TYPE_BYTES,
    |_| Ok(())
);
name!(
    /// A label by which queries and append conditions find an event, such as `course:c1`.
    Tag,
    "tag",
    |_| MAX_TAG_BYTES,
    |_| Ok(())
);
name!(
    /// The part of a stream name before its first `-`.
    Category,
    "category",
    |_| MAX_STREAM_NAME_BYTES,
    |_| Ok(())
);

/// Prefix of a stream that holds another stream's metadata.
pub const METASTREAM_PREFIX: &str = "$$";

/// The category of a stream name: what stands before its first `-`, if anything does.
///
/// ```
/// assert_eq!(factum_core::category_of("account-7-b"), Some("account"));
/// assert_eq!(factum_core::category_of("ledger"), None);
/// assert_eq!(factum_core::category_of("$$account-7"), None);
/// ```
pub fn category_of(stream: &str) -> Option<&str> {
    if stream.starts_with('$') {
        return None;
    }
    stream.split_once('-').map(|(category, _)| category).filter(|category| !category.is_empty())
}

impl StreamName {
    /// The stream's category, if its name has one. System streams have none.
    pub fn category(&self) -> Option<&str> {
        category_of(self)
    }

    /// The stream that holds this one's metadata. A metadata stream has none.
    pub fn metastream(&self) -> Option<StreamName> {
        if self.is_metastream() {
            return None;
        }
        Some(StreamName(Text::from(format!("{METASTREAM_PREFIX}{self}"))))
    }

    /// Whether this stream holds another stream's metadata.
    pub fn is_metastream(&self) -> bool {
        self.starts_with(METASTREAM_PREFIX)
    }

    /// Whether this is a system stream (its name starts with `$`).
    pub fn is_system(&self) -> bool {
        self.starts_with('$')
    }

    /// For a metadata stream, the stream that it describes.
    pub fn described(&self) -> Option<&str> {
        self.strip_prefix(METASTREAM_PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(StreamName::new("").unwrap_err(), NameError::Empty { what: "stream name" });
        assert!(StreamName::new("x".repeat(1_024)).is_ok());
        assert!(matches!(StreamName::new("x".repeat(1_025)), Err(NameError::TooLong { actual: 1_025, .. })));
        for reserved in ["$all", "$$", "$$$$x"] {
            assert!(matches!(StreamName::new(reserved), Err(NameError::Reserved { .. })), "{reserved}");
        }
        let bad = StreamName::from_bytes(Bytes::from_static(b"ab\xff"));
        assert_eq!(bad.unwrap_err(), NameError::NotUtf8 { what: "stream name", valid_up_to: 2 });
    }

    #[test]
    fn a_metastream_describes_its_stream() {
        let stream = StreamName::new("account-7").unwrap();
        let meta = stream.metastream().unwrap();
        assert_eq!(meta.as_str(), "$$account-7");
        assert_eq!(meta.described(), Some("account-7"));
        assert_eq!(meta.metastream(), None);
        let longest = StreamName::new("x".repeat(1_024)).unwrap().metastream().unwrap();
        assert_eq!(StreamName::new(longest.as_str()), Ok(longest));
    }
}

//! What is a link?

use factum_core::{Revision, StreamName};

/// The type of an event that points to another one.
pub const LINK_TYPE: &str = "$>";
/// The type of an event that points to a stream.
pub const STREAM_REFERENCE_TYPE: &str = "$@";

/// What a link points to. Its data is `revision@stream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTarget {
    /// The stream.
    pub stream: StreamName,
    /// The event's number in it.
    pub revision: Revision,
}

impl LinkTarget {
    /// Reads a link's data; `None` where it is no link. The stream's name may itself hold `@`.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (revision, stream) = std::str::from_utf8(data).ok()?.split_once('@')?;
        let digits = !revision.is_empty() && revision.bytes().all(|b| b.is_ascii_digit());
        let revision = digits.then(|| revision.parse().ok()).flatten()?;
        Some(Self { stream: StreamName::new(stream.to_owned()).ok()?, revision: Revision(revision) })
    }

    /// Writes a link's data.
    pub fn write(stream: &str, revision: Revision) -> String {
        format!("{}@{stream}", revision.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_come_back_and_others_are_none() {
        let link = LinkTarget::parse(b"12@a@b").expect("a link");
        assert_eq!((link.revision, link.stream.as_str()), (Revision(12), "a@b"));
        assert_eq!(LinkTarget::write("a@b", Revision(12)), "12@a@b");
        for bad in
            [&b""[..], b"@a", b"1@", b"-1@a", b"+1@a", b"x@a", b"1", b"99999999999999999999@a", b"1@\xff"]
        {
            assert_eq!(LinkTarget::parse(bad), None, "{bad:?}");
        }
    }
}

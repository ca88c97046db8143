//! How is a stream named on the wire?

use bytes::Bytes;
use factum_core::{NameError, StreamName};

use crate::wire::v1::StreamIdentifier;

/// A stream identifier that names no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamIdentifierError {
    /// The request has none.
    #[error("a stream identifier is missing")]
    Missing,
    /// Its name may not be used.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Reads a stream's name.
///
/// # Errors
/// `StreamIdentifierError` where it is missing, or may not name a stream.
pub fn stream_from_wire(identifier: Option<&StreamIdentifier>) -> Result<StreamName, StreamIdentifierError> {
    let name = &identifier.ok_or(StreamIdentifierError::Missing)?.stream_name;
    let text = std::str::from_utf8(name)
        .map_err(|error| NameError::NotUtf8 { what: "stream name", valid_up_to: error.valid_up_to() })?;
    Ok(StreamName::new(text.to_owned())?)
}

/// Writes a stream's name.
pub fn stream_to_wire(stream: &str) -> StreamIdentifier {
    StreamIdentifier { stream_name: Bytes::copy_from_slice(stream.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_bad_ones_are_refused() {
        let name = "konto-ä/1 $x";
        assert_eq!(stream_from_wire(Some(&stream_to_wire(name))).map(|n| n.to_string()), Ok(name.to_owned()));
        assert_eq!(stream_from_wire(None), Err(StreamIdentifierError::Missing));
        let of = |bytes: &'static [u8]| StreamIdentifier { stream_name: Bytes::from_static(bytes) };
        for bad in [of(b""), of(b"$$"), of(b"a\xff"), of(b"$all")] {
            assert!(matches!(stream_from_wire(Some(&bad)), Err(StreamIdentifierError::Name(_))), "{bad:?}");
        }
    }
}

//! How is an id written on the wire?

use factum_core::EventId;
use uuid::Uuid;

use crate::wire::v1;
use crate::wire::v1::uuid::{Structured, Value};

/// The two ways of writing an id; a reader says which one it wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UuidForm {
    /// Two signed halves of 64 bits, most significant first.
    Structured,
    /// Lower-case text with dashes.
    #[default]
    Text,
}

/// An id that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UuidError {
    /// It is not there.
    #[error("an id is missing")]
    Missing,
    /// Its text is not one of the forms of a UUID.
    #[error("'{text}' is not a UUID")]
    NotUuid {
        /// The text, shortened.
        text: String,
    },
}

/// Longest part of a bad id that an error repeats, in characters.
const SHOWN: usize = 64;

/// Reads an id in either form.
///
/// # Errors
/// `UuidError` where it is missing or no UUID.
pub fn uuid_from_wire(id: Option<&v1::Uuid>) -> Result<EventId, UuidError> {
    match id.and_then(|id| id.value.as_ref()) {
        None => Err(UuidError::Missing),
        Some(Value::Structured(halves)) => {
            let high = halves.most_significant_bits.cast_unsigned();
            let low = halves.least_significant_bits.cast_unsigned();
            Ok(EventId(Uuid::from_u64_pair(high, low)))
        }
        Some(Value::String(text)) => Uuid::try_parse(text)
            .map(EventId)
            .map_err(|_| UuidError::NotUuid { text: text.chars().take(SHOWN).collect() }),
    }
}

/// Writes an id in the form asked for.
pub fn uuid_to_wire(id: EventId, form: UuidForm) -> v1::Uuid {
    let value = match form {
        UuidForm::Structured => {
            let (high, low) = id.0.as_u64_pair();
            Value::Structured(Structured {
                most_significant_bits: high.cast_signed(),
                least_significant_bits: low.cast_signed(),
            })
        }
        UuidForm::Text => Value::String(id.0.to_string()),
    };
    v1::Uuid { value: Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_come_back() {
        for id in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x8000_0000_0000_0000_7fff_ffff_ffff_ffff)] {
            for form in [UuidForm::Structured, UuidForm::Text] {
                assert_eq!(uuid_from_wire(Some(&uuid_to_wire(EventId(id), form))), Ok(EventId(id)));
            }
        }
    }

    #[test]
    fn the_first_half_is_the_first_eight_bytes_big_endian() {
        let id = EventId(Uuid::from_u128(0xffff_ffff_ffff_fffe_0000_0000_0000_0001));
        let Some(Value::Structured(halves)) = uuid_to_wire(id, UuidForm::Structured).value else {
            panic!("not structured");
        };
        assert_eq!((halves.most_significant_bits, halves.least_significant_bits), (-2, 1));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert_eq!(uuid_from_wire(None), Err(UuidError::Missing));
        assert_eq!(uuid_from_wire(Some(&v1::Uuid { value: None })), Err(UuidError::Missing));
        let bad = v1::Uuid { value: Some(Value::String("x".repeat(1_000))) };
        assert_eq!(uuid_from_wire(Some(&bad)), Err(UuidError::NotUuid { text: "x".repeat(SHOWN) }));
    }
}

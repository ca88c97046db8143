//! How is a value written as the type that the server wants for a statement's parameter?

use bytes::{BufMut, BytesMut};
use factum_core::Timestamp;
use factum_core::read_model::Value;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

/// 1970-01-01 to 2000-01-01, from which the server counts.
const MICROS_TO_2000: i64 = 946_684_800_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;
const TICKS_PER_MICRO: i64 = 10;

/// A value as it is sent. It does not show itself: the client may log parameters.
pub(crate) struct Encoded {
    /// `None` is NULL.
    bytes: Option<Vec<u8>>,
    format: Format,
}

impl Encoded {
    fn binary(bytes: &[u8]) -> Self {
        Self { bytes: Some(bytes.to_vec()), format: Format::Binary }
    }

    /// The server reads it as it reads a literal of that type.
    fn text(text: impl Into<Vec<u8>>) -> Self {
        Self { bytes: Some(text.into()), format: Format::Text }
    }

    /// `value` as `wanted`.
    ///
    /// # Errors
    /// What does not fit, without the value: `a text cannot be a bytea`.
    pub(crate) fn new(value: &Value<'_>, wanted: &Type) -> Result<Self, String> {
        let mut wanted = wanted;
        while let Kind::Domain(base) = wanted.kind() {
            wanted = base;
        }
        match value {
            Value::Null => Ok(Self { bytes: None, format: Format::Binary }),
            Value::Bool(value) => boolean(*value, wanted),
            Value::Integer(value) => integer(*value, wanted),
            Value::Real(value) => real(*value, wanted),
            Value::Text(text) => match *wanted {
                Type::BYTEA => Err(unfit("a text", wanted)),
                // A text with a NUL is none for the server, which would say less clearly why.
                _ if text.contains('\0') => Err("a text with a NUL character cannot be kept".to_owned()),
                _ => Ok(Self::text(text.as_bytes())),
            },
            Value::Bytes(bytes) => match *wanted {
                Type::BYTEA => Ok(Self::binary(bytes)),
                Type::UUID if bytes.len() == 16 => Ok(Self::binary(bytes)),
                _ => Err(unfit("bytes", wanted)),
            },
            Value::Time(time) => moment(*time, wanted),
        }
    }
}

impl ToSql for Encoded {
    fn to_sql(
        &self,
        _wanted: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        out.put_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_wanted: &Type) -> bool {
        true
    }

    fn encode_format(&self, _wanted: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}

fn unfit(what: &str, wanted: &Type) -> String {
    format!("{what} cannot be a {}: cast the parameter or change the column", wanted.name())
}

/// SQLite has no booleans and keeps 1 and 0: whole numbers and booleans stand for each other, so that a statement means
/// the same in both.
fn boolean(value: bool, wanted: &Type) -> Result<Encoded, String> {
    match *wanted {
        Type::BOOL => Ok(Encoded::binary(&[u8::from(value)])),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::NUMERIC => integer(value.into(), wanted),
        ref other if takes_any_text(other) => Ok(Encoded::text(if value { "true" } else { "false" })),
        _ => Err(unfit("a truth value", wanted)),
    }
}

fn integer(value: i64, wanted: &Type) -> Result<Encoded, String> {
    let too_large = |_| format!("the whole number does not fit into a {}", wanted.name());
    match *wanted {
        Type::INT8 => Ok(Encoded::binary(&value.to_be_bytes())),
        Type::INT4 => i32::try_from(value).map(|v| Encoded::binary(&v.to_be_bytes())).map_err(too_large),
        Type::INT2 => i16::try_from(value).map(|v| Encoded::binary(&v.to_be_bytes())).map_err(too_large),
        Type::BOOL if value == 0 || value == 1 => Ok(Encoded::binary(&[u8::from(value == 1)])),
        Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC | Type::OID => Ok(Encoded::text(value.to_string())),
        ref other if takes_any_text(other) => Ok(Encoded::text(value.to_string())),
        _ => Err(unfit("a whole number", wanted)),
    }
}

fn real(value: f64, wanted: &Type) -> Result<Encoded, String> {
    match *wanted {
        Type::FLOAT8 => Ok(Encoded::binary(&value.to_be_bytes())),
        Type::FLOAT4 | Type::NUMERIC => Ok(Encoded::text(value.to_string())),
        ref other if takes_any_text(other) => Ok(Encoded::text(value.to_string())),
        _ => Err(unfit("a number with a fraction", wanted)),
    }
}

fn moment(time: Timestamp, wanted: &Type) -> Result<Encoded, String> {
    let micros = time.0.div_euclid(TICKS_PER_MICRO) - MICROS_TO_2000;
    match *wanted {
        Type::TIMESTAMPTZ | Type::TIMESTAMP => Ok(Encoded::binary(&micros.to_be_bytes())),
        Type::DATE => match i32::try_from(micros.div_euclid(MICROS_PER_DAY)) {
            Ok(days) => Ok(Encoded::binary(&days.to_be_bytes())),
            Err(_) => Err("the time is beyond the dates that the server knows".to_owned()),
        },
        Type::JSON | Type::JSONB => Ok(Encoded::text(format!("\"{}\"", rfc3339(time)))),
        ref other if takes_any_text(other) => Ok(Encoded::text(rfc3339(time))),
        _ => Err(unfit("a time", wanted)),
    }
}

fn takes_any_text(wanted: &Type) -> bool {
    matches!(
        *wanted,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON | Type::JSONB
    )
}

/// A time as `2026-11-17T15:00:00.000000Z`: always six digits after the point, so that text order is the order in time.
/// What is finer than a microsecond is cut off.
fn rfc3339(time: Timestamp) -> String {
    let cut = Timestamp(time.0.div_euclid(TICKS_PER_MICRO) * TICKS_PER_MICRO);
    let text = cut.to_string();
    let Some(body) = text.strip_suffix('Z') else { return text };
    let (seconds, fraction) = body.split_once('.').unwrap_or((body, ""));
    format!("{seconds}.{fraction:0<6}Z")
}

/// The moment `micros` after 2000; `None` beyond what a timestamp can hold.
pub(crate) fn from_micros(micros: i64) -> Option<Timestamp> {
    micros.checked_add(MICROS_TO_2000)?.checked_mul(TICKS_PER_MICRO).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use factum_core::Timestamp;
    use factum_core::read_model::Value;
    use tokio_postgres::types::{Format, Type};

    use super::{Encoded, rfc3339};

    #[test]
    fn times_have_six_digits() {
        for (given, written) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
            ("2026-11-17T15:04:05.1234567Z", "2026-11-17T15:04:05.123456Z"),
            ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::parse(given).unwrap()), written);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_without_the_value() {
        for (value, wanted) in [
            (Value::Integer(70_000), Type::INT2),
            (Value::Integer(5_000_000_000), Type::INT4),
            (Value::Integer(70_000), Type::BOOL),
            (Value::from("70000"), Type::BYTEA),
            (Value::from("70000\0"), Type::TEXT),
            (Value::Bytes(b"70000".to_vec().into()), Type::TEXT),
            (Value::Real(70_000.5), Type::INT4),
            (Value::Time(Timestamp(70_000)), Type::INT8),
        ] {
            let error = Encoded::new(&value, &wanted).unwrap_err();
            assert!(!error.contains("70") && !error.is_empty(), "{error}");
        }
    }

    #[test]
    fn a_parameter_does_not_show_itself() {
        let encoded = Encoded::new(&Value::from("secret"), &Type::TEXT).unwrap();
        assert_eq!(format!("{encoded:?}"), "_");
        assert!(matches!(encoded.format, Format::Text));
    }
}

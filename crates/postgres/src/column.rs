//! What does a column of an answer hold, as a value of ours?

use std::borrow::Cow;
use std::error::Error;

use factum_core::Timestamp;
use factum_core::read_model::Value;
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::parameter::from_micros;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A value of any type that can be read.
///
/// Whole numbers of all widths are `Integer`, and so is a `numeric` without a fraction (a sum). A `numeric` with one stays
/// exact, as text. JSON, UUIDs, dates and enumerations are text, and so is whatever else the server has (intervals, arrays):
/// as it writes it.
pub(crate) struct Cell(pub(crate) Value<'static>);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(given: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        decode(given, raw).map(Self)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether values of this type can be read as they are sent. Others are asked for as text.
pub(crate) fn can_be_read(given: &Type) -> bool {
    match given.kind() {
        Kind::Domain(base) => can_be_read(base),
        Kind::Enum(_) => true,
        _ => READ.contains(given),
    }
}

/// The types that [`decode`] knows.
const READ: &[Type] = &[
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::UNKNOWN,
    Type::JSON,
    Type::XML,
    Type::JSONB,
    Type::BYTEA,
    Type::UUID,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMP,
    Type::DATE,
    Type::VOID,
];

fn decode(given: &Type, raw: &[u8]) -> Result<Value<'static>, Box<dyn Error + Sync + Send>> {
    let text = |text: String| Ok(Value::Text(Cow::Owned(text)));
    match *given {
        Type::BOOL => Ok(Value::Bool(bool::from_sql(given, raw)?)),
        Type::INT2 => Ok(Value::Integer(i16::from_sql(given, raw)?.into())),
        Type::INT4 => Ok(Value::Integer(i32::from_sql(given, raw)?.into())),
        Type::INT8 => Ok(Value::Integer(i64::from_sql(given, raw)?)),
        Type::OID => Ok(Value::Integer(u32::from_sql(given, raw)?.into())),
        Type::FLOAT4 => Ok(Value::Real(f32::from_sql(given, raw)?.into())),
        Type::FLOAT8 => Ok(Value::Real(f64::from_sql(given, raw)?)),
        Type::NUMERIC => numeric(raw),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON | Type::XML => {
            text(std::str::from_utf8(raw)?.to_owned())
        }
        Type::JSONB => match raw.split_first() {
            Some((1, rest)) => text(std::str::from_utf8(rest)?.to_owned()),
            _ => Err("a jsonb of an unknown version".into()),
        },
        Type::BYTEA => Ok(Value::Bytes(Cow::Owned(raw.to_owned()))),
        Type::UUID => text(uuid::Uuid::from_slice(raw)?.to_string()),
        Type::TIMESTAMPTZ | Type::TIMESTAMP => Ok(moment(i64::from_be_bytes(raw.try_into()?))),
        Type::DATE => match from_micros(i64::from(i32::from_be_bytes(raw.try_into()?)) * MICROS_PER_DAY) {
            Some(day) => text(day.to_string().split('T').next().unwrap_or_default().to_owned()),
            None => Err("the date is beyond what can be read".into()),
        },
        Type::VOID => Ok(Value::Null),
        ref other => match other.kind() {
            Kind::Domain(base) => decode(base, raw),
            Kind::Enum(_) => text(std::str::from_utf8(raw)?.to_owned()),
            _ => Err(format!("a {} cannot be read: cast it to text", other.name()).into()),
        },
    }
}

fn moment(micros: i64) -> Value<'static> {
    match micros {
        i64::MAX => Value::Text(Cow::Borrowed("infinity")),
        i64::MIN => Value::Text(Cow::Borrowed("-infinity")),
        _ => from_micros(micros)
            .map_or(Value::Time(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX }), Value::Time),
    }
}

/// The server's form: counts of digits in base 10,000, the power of the first, the sign, and how many decimals are shown.
fn numeric(raw: &[u8]) -> Result<Value<'static>, Box<dyn Error + Sync + Send>> {
    let word = |index: usize| -> Result<i16, Box<dyn Error + Sync + Send>> {
        let bytes = raw.get(index * 2..index * 2 + 2).ok_or("a numeric is cut off")?;
        Ok(i16::from_be_bytes(bytes.try_into()?))
    };
    let (count, weight, sign, decimals) = (word(0)?, word(1)?, word(2)?.cast_unsigned(), word(3)?);
    match sign {
        0xC000 => return Ok(Value::Text(Cow::Borrowed("NaN"))),
        0xD000 => return Ok(Value::Text(Cow::Borrowed("Infinity"))),
        0xF000 => return Ok(Value::Text(Cow::Borrowed("-Infinity"))),
        _ => {}
    }
    let digit = |power: i32| -> Result<i16, Box<dyn Error + Sync + Send>> {
        let index = i32::from(weight) - power;
        if index < 0 || index >= i32::from(count) { Ok(0) } else { word(4 + usize::try_from(index)?) }
    };
    let mut text = String::new();
    if sign == 0x4000 {
        text.push('-');
    }
    for power in (0..=i32::from(weight).max(0)).rev() {
        let group = digit(power)?;
        let first = power == i32::from(weight).max(0);
        text.push_str(&if first { group.to_string() } else { format!("{group:04}") });
    }
    let decimals = usize::try_from(decimals).unwrap_or_default();
    if decimals > 0 {
        let mut fraction = String::new();
        let mut power = -1;
        while fraction.len() < decimals {
            fraction.push_str(&format!("{:04}", digit(power)?));
            power -= 1;
        }
        text.push('.');
        text.push_str(&fraction[..decimals]);
    }
    Ok(text.parse().map_or(Value::Text(Cow::Owned(text)), Value::Integer))
}

#[cfg(test)]
mod tests {
    use factum_core::read_model::Value;

    use super::numeric;

    fn check(words: &[i32], expected: &Value<'_>) {
        let raw: Vec<u8> =
            words.iter().flat_map(|word| u16::try_from(*word & 0xFFFF).unwrap().to_be_bytes()).collect();
        assert_eq!(numeric(&raw).unwrap(), *expected);
    }

    #[test]
    fn decimal_numbers_stay_exact() {
        check(&[0, 0, 0, 0], &Value::Integer(0));
        check(&[2, 1, 0, 0, 12, 34], &Value::Integer(120_034));
        check(&[1, 1, 0x4000, 0, 5], &Value::Integer(-50_000));
        check(&[2, 0, 0, 2, 12, 5000], &Value::from("12.50"));
        check(&[1, -1, 0x4000, 4, 7], &Value::from("-0.0007"));
        check(&[1, -2, 0, 8, 7], &Value::from("0.00000007"));
        check(&[0, 0, 0xC000, 0], &Value::from("NaN"));
        check(&[6, 5, 0, 0, 1, 0, 0, 0, 0, 1], &Value::from("100000000000000000001"));
        assert!(numeric(&[0, 1]).is_err());
    }
}

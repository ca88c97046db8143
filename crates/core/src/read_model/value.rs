//! What goes into a statement, and what comes out of it?

use std::borrow::Cow;
use std::fmt;

use crate::Timestamp;

/// One value of a row or of a statement's parameter.
///
/// Booleans and times have a column type in some databases and none in others: SQLite keeps `true` as 1, and a time as
/// text in RFC 3339 with six digits of seconds, so that text order is the order in time. Microseconds are what is kept.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value<'a> {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction. Money is a whole number of minor units instead.
    Real(f64),
    /// Text; also JSON, and whatever else a database reads from text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A moment.
    Time(Timestamp),
}

/// A statement's parameters by name, without the colon.
pub type Parameters<'a> = [(&'a str, Value<'a>)];

/// One row.
pub type Row = Vec<Value<'static>>;

/// The rows of an answer, with their columns' names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The columns, in the statement's order.
    pub columns: Vec<String>,
    /// The rows; each has one value per column.
    pub rows: Vec<Row>,
}

impl Rows {
    /// The only value of the first row, where there is one.
    pub fn first_value(&self) -> Option<&Value<'static>> {
        self.rows.first()?.first()
    }
}

impl Value<'_> {
    /// The value with nothing borrowed.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Integer(value) => Value::Integer(value),
            Value::Real(value) => Value::Real(value),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Value::Time(time) => Value::Time(time),
        }
    }

    /// The whole number, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    /// As a person reads it; bytes in hexadecimal, nothing as `null`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.pad("null"),
            Value::Bool(value) => f.pad(if *value { "true" } else { "false" }),
            Value::Integer(value) => f.pad(&value.to_string()),
            Value::Real(value) => f.pad(&value.to_string()),
            Value::Text(text) => f.pad(text),
            Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Value::Time(time) => f.pad(&time.to_string()),
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<i32> for Value<'_> {
    fn from(value: i32) -> Self {
        Value::Integer(value.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Value::Integer(value.into())
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Value::Real(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Value::Time(time)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn values_come_from_what_events_are_made_of() {
        assert_eq!(Value::from("a").into_owned(), Value::from("a".to_owned()));
        assert_eq!(Value::from(None::<i64>), Value::Null);
        assert_eq!(Value::from(Some(7)).as_integer(), Some(7));
        assert_eq!(Value::from(&[1, 255][..]).to_string(), "01ff");
        assert_eq!(format!("{:>5}", Value::from(true)), " true");
    }
}

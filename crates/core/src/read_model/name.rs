//! What may a projection be called?

use std::fmt;
use std::str::FromStr;

/// Most bytes of a projection's name: it is also the name of a directory, of a schema and of a file.
const MAX_PROJECTION_NAME_BYTES: usize = 48;

/// The name of a projection: lower-case letters, digits and `_`, beginning with a letter, at most 48 bytes.
///
/// So that it can stand unquoted in SQL and in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectionName(String);

/// A name that no projection may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' cannot name a projection: use lower-case letters, digits and '_', beginning with a letter, at most \
     {MAX_PROJECTION_NAME_BYTES} bytes, without '__', and neither 'factum' nor 'main', 'temp', 'public' or 'pg_...'"
)]
pub struct InvalidProjectionName(String);

impl ProjectionName {
    /// The name, checked.
    ///
    /// # Errors
    /// Where it cannot stand unquoted in SQL and in a path.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidProjectionName> {
        let name = name.into();
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        // Names that the databases give to schemas of their own, and the mark between a name and its version.
        let taken = ["factum", "main", "temp", "public", "information_schema"].contains(&name.as_str())
            || name.starts_with("pg_")
            || name.contains("__");
        if !plain || !begins || taken || name.len() > MAX_PROJECTION_NAME_BYTES {
            return Err(InvalidProjectionName(name.chars().take(100).collect()));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ProjectionName {
    type Err = InvalidProjectionName;
    fn from_str(name: &str) -> Result<Self, InvalidProjectionName> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PROJECTION_NAME_BYTES, ProjectionName};

    #[test]
    fn names_stand_unquoted_in_sql_and_in_paths() {
        for good in ["balances", "daily_totals", "b2"] {
            assert!(ProjectionName::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(MAX_PROJECTION_NAME_BYTES + 1);
        for bad in
            ["", "Balances", "2b", "a-b", "a b", "../x", "a__v2", "pg_x", "main", "factum", "_a", &long]
        {
            assert!(ProjectionName::new(bad).is_err(), "{bad}");
        }
    }
}

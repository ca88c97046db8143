//! What is an amount of money? Whole minor units of one currency, added and multiplied without losing any.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The currencies in which the shop sells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Currency {
    /// Euro, in cents.
    #[default]
    EUR,
    /// US dollar, in cents.
    USD,
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Currency::EUR => "EUR",
            Currency::USD => "USD",
        })
    }
}

/// An amount of money.
///
/// ```
/// use orders::{Currency, Money};
///
/// let price = Money::new(1_205, Currency::EUR);
/// assert_eq!(price.to_string(), "12.05 EUR");
/// assert_eq!(price.times(3).map(|sum| sum.to_string()), Some("36.15 EUR".to_owned()));
/// assert_eq!(price.plus(Money::new(1, Currency::USD)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Cents.
    pub minor: i64,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// So many cents.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing.
    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Both together; `None` where they are of two currencies, or more than can be counted.
    pub fn plus(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_add(other.minor).filter(|_| self.currency == other.currency)?;
        Some(Self { minor, ..self })
    }

    /// So many times as much; `None` where that is more than can be counted.
    pub fn times(self, pieces: u32) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(i64::from(pieces))?, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        f.pad(&format!("{sign}{}.{:02} {}", minor / 100, minor % 100, self.currency))
    }
}

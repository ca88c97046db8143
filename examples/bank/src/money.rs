//! What an amount of money is: whole minor units of one currency, never a fraction of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The currencies in which accounts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Currency {
    /// Euro, in cents.
    EUR,
    /// US dollar, in cents.
    USD,
    /// Yen, which has no minor unit.
    JPY,
}

impl Currency {
    /// Decimal digits of the minor unit.
    pub fn digits(self) -> usize {
        match self {
            Currency::EUR | Currency::USD => 2,
            Currency::JPY => 0,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Currency::EUR => "EUR",
            Currency::USD => "USD",
            Currency::JPY => "JPY",
        })
    }
}

/// An amount of money.
///
/// ```
/// use bank::{Currency, Money};
///
/// assert_eq!(Money::new(123_405, Currency::EUR).to_string(), "1234.05 EUR");
/// assert_eq!(Money::new(-7, Currency::USD).to_string(), "-0.07 USD");
/// assert_eq!(Money::new(500, Currency::JPY).to_string(), "500 JPY");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Cents of euros, or whole yen.
    pub minor: i64,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// So many minor units.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing.
    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.digits();
        let unit = 10_u64.pow(digits as u32);
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        let text = match digits {
            0 => format!("{sign}{minor} {}", self.currency),
            _ => format!("{sign}{}.{:0digits$} {}", minor / unit, minor % unit, self.currency),
        };
        f.pad(&text)
    }
}

//! What does a coupon take off?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Money;

/// What a coupon takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Discount {
    /// So much of a hundred, rounded down to whole cents: what is left over is the shop's. More than 100 counts as 100.
    Percent(u8),
    /// This much.
    Amount(Money),
}

impl Discount {
    /// What is to be paid of `sum`; `None` where the coupon is of another currency, and never below zero.
    pub fn applied_to(self, sum: Money) -> Option<Money> {
        let off = match self {
            // At most `sum` itself, so it fits.
            Discount::Percent(percent) => (i128::from(sum.minor) * i128::from(percent.min(100)) / 100) as i64,
            Discount::Amount(amount) if amount.currency == sum.currency => amount.minor,
            Discount::Amount(_) => return None,
        };
        Some(Money::new(sum.minor.saturating_sub(off).max(0), sum.currency))
    }
}

/// A coupon that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coupon {
    /// What it takes off.
    pub discount: Discount,
    /// What an order must come to before it.
    pub minimum: Money,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    #[test]
    fn what_a_percentage_leaves_over_is_the_shops() {
        let eur = |cents| Money::new(cents, Currency::EUR);
        for (percent, sum, left) in [
            (10, 1_999, 1_800),
            (33, 100, 67),
            (0, 5, 5),
            (100, 5, 0),
            (200, 5, 0),
            (50, i64::MAX, i64::MAX / 2 + 1),
        ] {
            assert_eq!(
                Discount::Percent(percent).applied_to(eur(sum)),
                Some(eur(left)),
                "{percent} % of {sum}"
            );
        }
    }

    #[test]
    fn an_amount_is_of_its_own_currency_and_leaves_nothing_at_least() {
        let eur = |cents| Money::new(cents, Currency::EUR);
        assert_eq!(Discount::Amount(eur(5)).applied_to(eur(7)), Some(eur(2)));
        assert_eq!(Discount::Amount(eur(9)).applied_to(eur(7)), Some(eur(0)));
        assert_eq!(Discount::Amount(Money::new(5, Currency::USD)).applied_to(eur(7)), None);
    }
}

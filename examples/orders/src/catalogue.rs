//! What is sold, at which price, and which coupons are out?

use std::collections::BTreeMap;

use crate::{ArticleId, Coupon, CouponCode, Currency, Discount, Money};

/// What the shop sells as one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    /// What one piece costs.
    pub price: Money,
    /// What one piece weighs.
    pub grams: u32,
}

/// All articles and coupons. It is given to the decider: an order keeps the prices of the day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    articles: BTreeMap<ArticleId, Article>,
    coupons: BTreeMap<CouponCode, Coupon>,
}

impl Catalogue {
    /// Nothing is sold.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this article.
    #[must_use]
    pub fn with_article(mut self, article: &str, price: Money, grams: u32) -> Self {
        self.articles.insert(ArticleId::new(article), Article { price, grams });
        self
    }

    /// And this coupon.
    #[must_use]
    pub fn with_coupon(mut self, code: &str, coupon: Coupon) -> Self {
        self.coupons.insert(CouponCode::new(code), coupon);
        self
    }

    /// A small shop for tests and the demonstration.
    pub fn sample() -> Self {
        let eur = |cents| Money::new(cents, Currency::EUR);
        Self::new()
            .with_article("mug", eur(1_250), 400)
            .with_article("tea", eur(495), 100)
            .with_article("kettle", eur(4_990), 1_800)
            .with_article("anvil", eur(29_900), 40_000)
            .with_article("import", Money::new(900, Currency::USD), 200)
            .with_coupon("TEN", Coupon { discount: Discount::Percent(10), minimum: eur(2_000) })
            .with_coupon("FIVER", Coupon { discount: Discount::Amount(eur(500)), minimum: eur(0) })
    }

    /// An article, if it is sold.
    pub fn article(&self, article: &ArticleId) -> Option<&Article> {
        self.articles.get(article)
    }

    /// A coupon, if it is out.
    pub fn coupon(&self, code: &CouponCode) -> Option<&Coupon> {
        self.coupons.get(code)
    }

    /// Every article's number.
    pub fn articles(&self) -> impl Iterator<Item = &ArticleId> {
        self.articles.keys()
    }
}

//! How are orders, articles and coupons named, in streams and in tags?

use std::fmt;

use factum_core::{NameError, StreamName, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub struct $name(String);

        impl $name {
            /// The name as it is. One that is empty or too long for a tag or a stream's name shows when it is used.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// The number of an order.
    OrderId
}
name! {
    /// The number of an article.
    ArticleId
}
name! {
    /// What is printed on a coupon.
    CouponCode
}

impl OrderId {
    /// The tag of all that happens to the order, in whichever stream.
    ///
    /// # Errors
    /// Where the number is too long for a tag.
    pub fn tag(&self) -> Result<Tag, NameError> {
        Tag::new(format!("order:{self}"))
    }

    /// The stream of the order in this category: `order-17`, `payment-17`, `shipment-17`.
    pub(crate) fn stream(&self, category: &str) -> Result<StreamName, NameError> {
        StreamName::new(format!("{category}-{self}"))
    }
}

impl ArticleId {
    /// The tag of all that happens to the article's stock.
    ///
    /// # Errors
    /// Where the number is too long for a tag.
    pub fn tag(&self) -> Result<Tag, NameError> {
        Tag::new(format!("article:{self}"))
    }

    /// The stream of the article's stock.
    ///
    /// # Errors
    /// Where the number is too long for a stream's name.
    pub fn stream(&self) -> Result<StreamName, NameError> {
        StreamName::new(format!("stock-{self}"))
    }
}

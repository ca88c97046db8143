//! What may happen to a customer: the only place where the bank keeps something about a person.

use std::fmt;

use factum::{Event, Personal};
use factum_core::{NameError, StreamName, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands in a letter for the name of a customer who was forgotten.
pub const FORMER_CUSTOMER: &str = "Former customer";

/// The number of a customer. It stands in stream names, tags and account events for ever, in clear, so it says nothing about
/// the person: never a name or an e-mail address. It is also the subject by which the person is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CustomerId(String);

impl CustomerId {
    /// A customer's number. One that is too long for a stream's name shows when it is used.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Whether it is no number at all.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The stream of the customer's events.
    ///
    /// # Errors
    /// Where the number is too long for a stream's name.
    pub fn stream(&self) -> Result<StreamName, NameError> {
        StreamName::new(format!("customer-{self}"))
    }

    /// The tag of the customer's events.
    ///
    /// # Errors
    /// Where the number is too long for a tag.
    pub fn tag(&self) -> Result<Tag, NameError> {
        Tag::new(format!("customer:{self}"))
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where somebody lives. Sealed as one value; the country alone is also stored in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// Postcode and town.
    pub town: String,
    /// ISO 3166 code, such as `AT`.
    pub country: String,
}

/// What is kept of an address when its owner is forgotten: banks report by country.
fn country(address: &Address) -> &str {
    &address.country
}

/// What happened to a customer. Each personal value is sealed with the customer's own key, which is destroyed when the
/// customer is forgotten.
#[derive(Clone, Debug, PartialEq, Event)]
#[personal(subject = "customer")]
pub enum CustomerEvent {
    /// Somebody became a customer.
    CustomerRegistered {
        /// The customer.
        #[event(tag = "customer")]
        customer: CustomerId,
        /// What the customer is called.
        #[personal(fallback = FORMER_CUSTOMER)]
        name: Personal<String>,
        /// Where mail goes to.
        #[personal]
        email: Personal<String>,
        /// Where letters go to.
        #[personal(partial = country)]
        address: Personal<Address>,
    },
    /// The customer lives somewhere else.
    CustomerMoved {
        /// The customer.
        #[event(tag = "customer")]
        customer: CustomerId,
        /// Where.
        #[personal(partial = country)]
        address: Personal<Address>,
    },
    /// Mail goes somewhere else.
    EmailChanged {
        /// The customer.
        #[event(tag = "customer")]
        customer: CustomerId,
        /// Where to.
        #[personal]
        email: Personal<String>,
    },
    /// The customer may be called about offers. The number is kept for that alone, under a key of its own: it is forgotten
    /// without the customer, when the consent is withdrawn.
    MarketingAllowed {
        /// The customer.
        #[event(tag = "customer")]
        customer: CustomerId,
        /// Which number to call.
        #[personal(purpose = "marketing")]
        phone: Personal<String>,
    },
    /// The customer wants no offers any more. Whoever hears it erases the purpose `marketing`.
    MarketingEnded {
        /// The customer.
        #[event(tag = "customer")]
        customer: CustomerId,
    },
}

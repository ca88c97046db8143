//! What may be asked of a customer's record, and what is refused.

mod event;

use factum::{Context, Decider, Personal, PersonalFields};

pub use event::{Address, CustomerEvent, CustomerId, FORMER_CUSTOMER};

/// What the events of a customer come to. In a snapshot each value is sealed with the customer's key, as in the events.
#[derive(Clone, Debug, Default, PartialEq, PersonalFields)]
pub struct Customer {
    /// What the customer is called; `None` until registered.
    #[personal(fallback = FORMER_CUSTOMER)]
    pub name: Option<Personal<String>>,
    /// Where mail goes to.
    #[personal]
    pub email: Option<Personal<String>>,
    /// Where letters go to.
    #[personal]
    pub address: Option<Personal<Address>>,
    /// Which number to call about offers, where that is allowed.
    #[personal]
    pub phone: Option<Personal<String>>,
}

impl Customer {
    /// Whether somebody was registered and nobody knows any more who it was.
    pub fn is_forgotten(&self) -> bool {
        self.name.as_ref().is_some_and(Personal::is_erased)
    }
}

/// What may be asked of a customer's record. Values that are personal are so from here on: no log shows them.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomerCommand {
    /// Begin it.
    Register {
        /// What the customer is called.
        name: Personal<String>,
        /// Where mail goes to.
        email: Personal<String>,
        /// Where letters go to.
        address: Personal<Address>,
    },
    /// The customer has moved.
    Move(Personal<Address>),
    /// Mail is to go somewhere else.
    ChangeEmail(Personal<String>),
    /// The customer may be called about offers, under this number.
    AllowMarketing(Personal<String>),
    /// The customer wants no offers any more.
    EndMarketing,
}

/// Why a customer's record does not change as asked. Says nothing about the person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomerRefusal {
    /// Nobody registered.
    #[error("the customer is not registered")]
    NotRegistered,
    /// Somebody registered before.
    #[error("the customer was registered before")]
    AlreadyRegistered,
    /// A customer has a number.
    #[error("the customer needs a number")]
    NoNumber,
    /// A customer has a name.
    #[error("the customer needs a name")]
    NoName,
    /// Mail cannot go there.
    #[error("that is no e-mail address: it has no '@'")]
    NoEmail,
    /// Who was forgotten has no record to change. A person who comes back is a new customer, with a new number.
    #[error("the customer was forgotten: somebody who comes back is registered anew, under another number")]
    Forgotten,
}

/// The rules of a customer's record. The command names the customer, the stream is its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Customers;

impl Decider for Customers {
    type State = Customer;
    type Command = (CustomerId, CustomerCommand);
    type Event = CustomerEvent;
    type Rejection = CustomerRefusal;

    fn initial_state(&self) -> Customer {
        Customer::default()
    }

    fn evolve(&self, state: &mut Customer, event: &CustomerEvent) {
        match event {
            CustomerEvent::CustomerRegistered { name, email, address, .. } => {
                state.name = Some(name.clone());
                state.email = Some(email.clone());
                state.address = Some(address.clone());
            }
            CustomerEvent::CustomerMoved { address, .. } => state.address = Some(address.clone()),
            CustomerEvent::EmailChanged { email, .. } => state.email = Some(email.clone()),
            CustomerEvent::MarketingAllowed { phone, .. } => state.phone = Some(phone.clone()),
            CustomerEvent::MarketingEnded { .. } => state.phone = None,
        }
    }

    fn decide(
        &self,
        state: &Customer,
        (customer, command): &(CustomerId, CustomerCommand),
        _: &Context,
    ) -> Result<Vec<CustomerEvent>, CustomerRefusal> {
        let customer = customer.clone();
        if let CustomerCommand::Register { name, email, address } = command {
            check_new(state, &customer, name)?;
            check_email(email)?;
            let (name, email, address) = (name.clone(), email.clone(), address.clone());
            return Ok(vec![CustomerEvent::CustomerRegistered { customer, name, email, address }]);
        }
        if state.name.is_none() {
            return Err(CustomerRefusal::NotRegistered);
        }
        if state.is_forgotten() {
            return Err(CustomerRefusal::Forgotten);
        }
        Ok(match command {
            CustomerCommand::Register { .. } => return Err(CustomerRefusal::AlreadyRegistered),
            CustomerCommand::Move(address) if state.address.as_ref() == Some(address) => vec![],
            CustomerCommand::Move(address) => {
                vec![CustomerEvent::CustomerMoved { customer, address: address.clone() }]
            }
            CustomerCommand::ChangeEmail(email) => {
                check_email(email)?;
                match state.email.as_ref() == Some(email) {
                    true => vec![],
                    false => vec![CustomerEvent::EmailChanged { customer, email: email.clone() }],
                }
            }
            CustomerCommand::AllowMarketing(phone) if state.phone.as_ref() == Some(phone) => vec![],
            CustomerCommand::AllowMarketing(phone) => {
                vec![CustomerEvent::MarketingAllowed { customer, phone: phone.clone() }]
            }
            CustomerCommand::EndMarketing if state.phone.is_none() => vec![],
            CustomerCommand::EndMarketing => vec![CustomerEvent::MarketingEnded { customer }],
        })
    }
}

fn check_new(
    state: &Customer,
    customer: &CustomerId,
    name: &Personal<String>,
) -> Result<(), CustomerRefusal> {
    if state.name.is_some() {
        return Err(CustomerRefusal::AlreadyRegistered);
    }
    if customer.is_blank() {
        return Err(CustomerRefusal::NoNumber);
    }
    match holds(name, |name| !name.trim().is_empty()) {
        true => Ok(()),
        false => Err(CustomerRefusal::NoName),
    }
}

fn check_email(email: &Personal<String>) -> Result<(), CustomerRefusal> {
    if holds(email, |email| email.contains('@')) { Ok(()) } else { Err(CustomerRefusal::NoEmail) }
}

/// Whether there is a value and it is right. What was erased or cannot be opened is not what a person gave us just now.
fn holds(value: &Personal<String>, right: impl Fn(&str) -> bool) -> bool {
    matches!(value.value(), Ok(Some(value)) if right(value))
}

//! Who is customer number so and so? In clear, and forgotten when the keys are destroyed.

use factum::{ApplyError, DefinitionError, Model, Personal, TypedProjection};
use factum_core::read_model::Value;
use factum_vault::KeysDestroyed;

use crate::{Address, CustomerEvent};

/// `subject` is what the vault calls the customer: erasures find the row by it. `country` is kept when the rest is forgotten,
/// as it is in the log.
const TABLES: &str = "
create table customers (
    customer text primary key,
    subject text,
    name text,
    email text,
    street text,
    town text,
    country text,
    phone text
)";

const REGISTER: &str = "
insert into customers (customer, subject, name, email, street, town, country)
values (:customer, :subject, :name, :email, :street, :town, :country)";

/// Everything of the customer is forgotten, or the telephone number alone.
const FORGET: [&str; 2] = [
    "update customers set name = null, email = null, street = null, town = null, phone = null
     where subject = :subject",
    "update customers set phone = null where subject = :subject",
];

/// The purpose for which telephone numbers are kept.
const MARKETING: &str = "marketing";

/// A row per customer. What changes is tagged `customer:<number>`, for caches.
///
/// # Errors
/// Where the declaration cannot work.
pub fn customers() -> Result<TypedProjection<CustomerEvent>, DefinitionError> {
    let projection = TypedProjection::new("customers", TABLES, |event, _, model| apply(event, model))?;
    let projection = projection.declared(|own| own.source(include_str!("customers.rs")));
    Ok(projection.forgets(forget))
}

fn apply(event: &CustomerEvent, model: &mut Model<'_>) -> Result<(), ApplyError> {
    let (number, mut change, statement) = match event {
        CustomerEvent::CustomerRegistered { customer, name, email, address } => {
            let subject = name.subject().map(|subject| subject.to_string());
            let mut row = vec![("subject", subject.into()), ("name", cell(name)?), ("email", cell(email)?)];
            row.extend(cells(address)?);
            (customer, row, REGISTER)
        }
        CustomerEvent::CustomerMoved { customer, address } => {
            let change = "update customers set street = :street, town = :town, country = :country
                          where customer = :customer";
            (customer, cells(address)?.into(), change)
        }
        CustomerEvent::EmailChanged { customer, email } => {
            let change = "update customers set email = :email where customer = :customer";
            (customer, vec![("email", cell(email)?)], change)
        }
        CustomerEvent::MarketingAllowed { customer, phone } => {
            let change = "update customers set phone = :phone where customer = :customer";
            (customer, vec![("phone", cell(phone)?)], change)
        }
        CustomerEvent::MarketingEnded { customer } => {
            (customer, vec![], "update customers set phone = null where customer = :customer")
        }
    };
    change.push(("customer", number.to_string().into()));
    model.changed(format!("customer:{number}"));
    Ok(model.execute(statement, &change)?)
}

/// The value, or null where it is erased. One that cannot be opened now is waited for.
fn cell(value: &Personal<String>) -> Result<Value<'static>, ApplyError> {
    Ok(value.value()?.cloned().into())
}

fn cells(address: &Personal<Address>) -> Result<[(&'static str, Value<'static>); 3], ApplyError> {
    let known = address.value()?.cloned();
    let (street, town) = known.map(|Address { street, town, .. }| (street, town)).unzip();
    let country = address.partial().and_then(|country| country.as_str()).map(str::to_owned);
    Ok([("street", street.into()), ("town", town.into()), ("country", country.into())])
}

fn forget(erased: &KeysDestroyed, model: &mut Model<'_>) -> Result<(), ApplyError> {
    let [everything, phone] = FORGET;
    let statement = match &erased.purpose {
        None => everything,
        Some(purpose) if purpose.as_str() == MARKETING => phone,
        // Nothing else is kept for a purpose of its own.
        Some(_) => return Ok(()),
    };
    let subject = [("subject", erased.subject.to_string().into())];
    model.execute(statement, &subject)?;
    // Caches hold what they have read: they forget too.
    for row in model.query("select customer from customers where subject = :subject", &subject)?.rows {
        model.changed(format!("customer:{}", row.first().cloned().unwrap_or_default()));
    }
    Ok(())
}

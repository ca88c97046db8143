//! The rules of a customer's record, one sentence each.

use bank::{
    Address, CustomerCommand, CustomerEvent, CustomerId, CustomerRefusal, Customers, FORMER_CUSTOMER,
};
use factum::{ErasureId, Event, Given, Personal, Unavailable, given};

pub(crate) fn id() -> CustomerId {
    CustomerId::new("c-7")
}

fn text(text: &str) -> Personal<String> {
    Personal::new(text.to_owned())
}

fn address(street: &str) -> Personal<Address> {
    let (street, town, country) = (street.to_owned(), "8010 Graz".to_owned(), "AT".to_owned());
    Personal::new(Address { street, town, country })
}

fn registered() -> CustomerEvent {
    let (name, email, address) = (text("Ada Lovelace"), text("ada@example.org"), address("Ring 1"));
    CustomerEvent::CustomerRegistered { customer: id(), name, email, address }
}

/// As it reads once its keys are destroyed.
fn forgotten() -> CustomerEvent {
    let erasure = ErasureId::generate();
    let (name, email) = (Personal::erased(erasure), Personal::erased(erasure));
    CustomerEvent::CustomerRegistered { customer: id(), name, email, address: Personal::erased(erasure) }
}

fn register(name: &str, email: &str) -> CustomerCommand {
    CustomerCommand::Register { name: text(name), email: text(email), address: address("Ring 1") }
}

fn customer(events: impl IntoIterator<Item = CustomerEvent>) -> Given<Customers> {
    given(Customers, events)
}

fn asked(command: CustomerCommand) -> (CustomerId, CustomerCommand) {
    (id(), command)
}

#[test]
fn a_customer_registers_once_with_a_name_and_an_address() {
    customer([]).when(asked(register("Ada Lovelace", "ada@example.org"))).then([registered()]);
    let again = || asked(register("Ada Lovelace", "ada@example.org"));
    customer([registered()]).when(again()).then_rejected(CustomerRefusal::AlreadyRegistered);
    customer([forgotten()]).when(again()).then_rejected(CustomerRefusal::AlreadyRegistered);
    customer([]).when(asked(register(" ", "ada@example.org"))).then_rejected(CustomerRefusal::NoName);
    customer([]).when(asked(register("Ada", "example.org"))).then_rejected(CustomerRefusal::NoEmail);
    let nobody = (CustomerId::new(" "), register("Ada", "ada@example.org"));
    customer([]).when(nobody).then_rejected(CustomerRefusal::NoNumber);
}

#[test]
fn what_was_not_given_is_not_written() {
    for name in [Personal::erased(ErasureId::generate()), Personal::unavailable(Unavailable::VaultDown)] {
        let (email, address) = (text("ada@example.org"), address("Ring 1"));
        let register = CustomerCommand::Register { name, email, address };
        customer([]).when(asked(register)).then_rejected(CustomerRefusal::NoName);
    }
}

#[test]
fn a_customer_moves_and_changes_the_address_of_mail() {
    let moved = || CustomerEvent::CustomerMoved { customer: id(), address: address("Park 2") };
    customer([registered()]).when(asked(CustomerCommand::Move(address("Park 2")))).then([moved()]);
    customer([registered(), moved()]).when(asked(CustomerCommand::Move(address("Park 2")))).then_nothing();
    let changed = CustomerEvent::EmailChanged { customer: id(), email: text("ada@example.com") };
    let change = |email| asked(CustomerCommand::ChangeEmail(text(email)));
    customer([registered()]).when(change("ada@example.com")).then([changed]);
    customer([registered()]).when(change("ada@example.org")).then_nothing();
    customer([registered()]).when(change("nowhere")).then_rejected(CustomerRefusal::NoEmail);
    customer([]).when(change("ada@example.com")).then_rejected(CustomerRefusal::NotRegistered);
}

#[test]
fn marketing_is_allowed_and_ended() {
    let allowed = || CustomerEvent::MarketingAllowed { customer: id(), phone: text("+43 1") };
    let allow = || asked(CustomerCommand::AllowMarketing(text("+43 1")));
    let ended = CustomerEvent::MarketingEnded { customer: id() };
    customer([registered()]).when(allow()).then([allowed()]);
    customer([registered(), allowed()]).when(allow()).then_nothing();
    customer([registered(), allowed()]).when(asked(CustomerCommand::EndMarketing)).then([ended.clone()]);
    customer([registered(), allowed(), ended]).when(asked(CustomerCommand::EndMarketing)).then_nothing();
}

#[test]
fn who_was_forgotten_has_no_record_to_change() {
    for command in [
        CustomerCommand::Move(address("Park 2")),
        CustomerCommand::ChangeEmail(text("ada@example.com")),
        CustomerCommand::AllowMarketing(text("+43 1")),
        CustomerCommand::EndMarketing,
    ] {
        customer([forgotten()]).when(asked(command)).then_rejected(CustomerRefusal::Forgotten);
    }
    assert!(customer([forgotten()]).state().is_forgotten());
    assert!(!customer([registered()]).state().is_forgotten());
}

#[test]
fn nothing_personal_is_shown_by_accident_and_all_of_it_is_marked() {
    let shown = format!("{:?} {:?}", registered(), register("Ada Lovelace", "ada@example.org"));
    assert!(!shown.contains("Ada") && !shown.contains("Ring") && !shown.contains("example"), "{shown}");
    let marks = CustomerEvent::kinds().iter().flat_map(|kind| kind.personal);
    let marks: Vec<_> = marks.map(|mark| (mark.field, mark.subject, mark.purpose)).collect();
    let whose = Some("/customer");
    assert_eq!(
        marks,
        [
            ("/name", whose, None),
            ("/email", whose, None),
            ("/address", whose, None),
            ("/address", whose, None),
            ("/email", whose, None),
            ("/phone", whose, Some("marketing")),
        ]
    );
    assert_eq!(FORMER_CUSTOMER, "Former customer");
}

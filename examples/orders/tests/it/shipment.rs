//! The rules of a shipment, one sentence each.

use factum::{Given, given};
use orders::{
    Country, MAX_PARCELS, NoShipment, OrderId, PARCEL_GRAMS, ShipmentCommand, ShipmentEvent, ShipmentRefusal,
    Shipments,
};

fn id() -> OrderId {
    OrderId::new("17")
}

fn shipped(parcels: u64) -> ShipmentEvent {
    ShipmentEvent::OrderShipped { order: id(), country: Country::NL, parcels }
}

fn refused(reason: NoShipment) -> ShipmentEvent {
    ShipmentEvent::ShipmentRefused { order: id(), reason }
}

fn shipment(events: impl IntoIterator<Item = ShipmentEvent>) -> Given<Shipments> {
    given(Shipments, events)
}

fn ship(country: Country, grams: u64) -> (OrderId, ShipmentCommand) {
    (id(), ShipmentCommand::Ship { country, grams })
}

#[test]
fn an_order_leaves_in_as_many_parcels_as_it_needs() {
    for (grams, parcels) in
        [(1, 1), (PARCEL_GRAMS, 1), (PARCEL_GRAMS + 1, 2), (MAX_PARCELS * PARCEL_GRAMS, MAX_PARCELS)]
    {
        shipment([]).when(ship(Country::NL, grams)).then([shipped(parcels)]);
    }
}

#[test]
fn no_carrier_takes_more_than_five_parcels() {
    let grams = MAX_PARCELS * PARCEL_GRAMS + 1;
    shipment([]).when(ship(Country::NL, grams)).then([refused(NoShipment::TooHeavy { grams })]);
}

#[test]
fn no_carrier_goes_to_antarctica() {
    let country = Country::AQ;
    shipment([]).when(ship(country, 5)).then([refused(NoShipment::NotServed { country })]);
}

#[test]
fn a_parcel_has_something_in_it() {
    shipment([]).when(ship(Country::NL, 0)).then_rejected(ShipmentRefusal::Nothing);
}

#[test]
fn an_order_leaves_once() {
    shipment([shipped(1)]).when(ship(Country::NL, 5)).then_nothing();
    shipment([shipped(1)]).when(ship(Country::AQ, 5)).then_nothing();
}

#[test]
fn what_was_refused_may_be_tried_again() {
    let before = refused(NoShipment::NotServed { country: Country::AQ });
    shipment([before]).when(ship(Country::NL, 5)).then([shipped(1)]);
}

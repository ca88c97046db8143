//! When does an order leave the house, and when can it not?

use std::fmt;

use factum::{Context, Decider, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OrderId;

/// What one parcel holds at most, in grams.
pub const PARCEL_GRAMS: u64 = 30_000;

/// How many parcels of one order are carried at most.
pub const MAX_PARCELS: u64 = 5;

/// Where parcels are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Country {
    /// Austria.
    AT,
    /// Germany.
    DE,
    /// The Netherlands.
    NL,
    /// Antarctica: no carrier goes there.
    AQ,
}

impl Country {
    fn is_served(self) -> bool {
        self != Country::AQ
    }
}

/// Why an order cannot leave the house: a fact to live with, not a mistake of the one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum NoShipment {
    /// No carrier goes there.
    NotServed {
        /// Where to.
        country: Country,
    },
    /// It is more than the carriers take of one order.
    TooHeavy {
        /// What it weighs.
        grams: u64,
    },
}

impl fmt::Display for NoShipment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoShipment::NotServed { country } => write!(f, "no carrier goes to {country:?}"),
            NoShipment::TooHeavy { grams } => write!(f, "{grams} g are more than {MAX_PARCELS} parcels hold"),
        }
    }
}

/// What happened to the shipment of an order.
#[derive(Clone, Debug, PartialEq, Event)]
pub enum ShipmentEvent {
    /// It has left the house, for good.
    OrderShipped {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// Where to.
        country: Country,
        /// In how many parcels.
        parcels: u64,
    },
    /// No carrier takes it.
    ShipmentRefused {
        /// The order.
        #[event(tag = "order")]
        order: OrderId,
        /// Why not.
        reason: NoShipment,
    },
}

/// What the events of a shipment come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shipment {
    /// In how many parcels it left the house, if it did.
    pub parcels: Option<u64>,
    /// How often no carrier took it.
    pub refused: u32,
}

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShipmentCommand {
    /// Hand it to a carrier.
    Ship {
        /// Where to.
        country: Country,
        /// What it weighs.
        grams: u64,
    },
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShipmentRefusal {
    /// There is nothing in the parcel.
    #[error("a shipment that weighs nothing has nothing in it")]
    Nothing,
}

/// The rules of the shipment of one order. The command names the order, the stream is its shipment's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shipments;

impl Decider for Shipments {
    type State = Shipment;
    type Command = (OrderId, ShipmentCommand);
    type Event = ShipmentEvent;
    type Rejection = ShipmentRefusal;

    fn initial_state(&self) -> Shipment {
        Shipment::default()
    }

    fn evolve(&self, state: &mut Shipment, event: &ShipmentEvent) {
        match event {
            ShipmentEvent::OrderShipped { parcels, .. } => state.parcels = Some(*parcels),
            ShipmentEvent::ShipmentRefused { .. } => state.refused += 1,
        }
    }

    fn decide(
        &self,
        state: &Shipment,
        (order, command): &(OrderId, ShipmentCommand),
        _: &Context,
    ) -> Result<Vec<ShipmentEvent>, ShipmentRefusal> {
        let order = order.clone();
        let &ShipmentCommand::Ship { country, grams } = command;
        let parcels = grams.div_ceil(PARCEL_GRAMS);
        if state.parcels.is_some() {
            return Ok(vec![]);
        }
        if grams == 0 {
            return Err(ShipmentRefusal::Nothing);
        }
        let refused = |reason| ShipmentEvent::ShipmentRefused { order: order.clone(), reason };
        Ok(vec![if !country.is_served() {
            refused(NoShipment::NotServed { country })
        } else if parcels > MAX_PARCELS {
            refused(NoShipment::TooHeavy { grams })
        } else {
            ShipmentEvent::OrderShipped { order, country, parcels }
        }])
    }
}

//! Who carries the steps of a checkout out, and what is an answer of the shop rather than a fault?

use std::sync::Arc;

use factum::{CommandMetadata, Delivery, Dispatched, Outcome, ProcessError, ProcessRunner};
use factum_core::ErrorKind;

use crate::{
    Checkout, CheckoutStep, OrderCommand, PaymentCommand, PaymentEvent, ShipmentCommand, ShipmentEvent, Shop,
    ShopError, StockCommand,
};

impl Shop {
    /// Carries checkouts out, step by step. One runner at a time: a second one takes over from the first.
    ///
    /// # Errors
    /// Where the store cannot run processes.
    pub fn checkout_runner(
        self: &Arc<Self>,
        checkout: Checkout,
    ) -> Result<ProcessRunner<Checkout>, ProcessError> {
        let shop = Arc::clone(self);
        let desk = move |delivery: Delivery<CheckoutStep>| {
            let shop = Arc::clone(&shop);
            async move { shop.carry_out(&delivery).await }
        };
        ProcessRunner::new(Arc::clone(self.store()), checkout, desk)
    }

    /// Carries one step out. The delivery's metadata has the command's id: a repetition has no second effect.
    pub async fn carry_out(&self, delivery: &Delivery<CheckoutStep>) -> Dispatched {
        self.take_step(delivery.command.clone(), &delivery.metadata).await
    }

    async fn take_step(&self, step: CheckoutStep, metadata: &CommandMetadata) -> Dispatched {
        match step {
            CheckoutStep::Reserve { order, lines } => {
                answer(self.stock(StockCommand::Reserve { order, lines }, metadata).await, |_| None)
            }
            CheckoutStep::Release(order) => {
                answer(self.stock(StockCommand::Release { order }, metadata).await, |_| None)
            }
            CheckoutStep::HandOut(order) => {
                answer(self.stock(StockCommand::Ship { order }, metadata).await, |_| None)
            }
            CheckoutStep::TakePayment { order, amount, card } => {
                let take = PaymentCommand::Take { amount, card };
                answer(self.payment(&order, take, metadata).await, |event| match event {
                    PaymentEvent::PaymentDeclined { reason, .. } => Some(reason.to_string()),
                    _ => None,
                })
            }
            CheckoutStep::Refund(order) => {
                answer(self.payment(&order, PaymentCommand::Refund, metadata).await, |_| None)
            }
            CheckoutStep::Ship { order, country, grams } => {
                let ship = ShipmentCommand::Ship { country, grams };
                answer(self.shipment(&order, ship, metadata).await, |event| match event {
                    ShipmentEvent::ShipmentRefused { reason, .. } => Some(reason.to_string()),
                    ShipmentEvent::OrderShipped { .. } => None,
                })
            }
            CheckoutStep::Complete(order) => {
                answer(self.order(&order, OrderCommand::Complete, metadata).await, |_| None)
            }
            CheckoutStep::GiveUp { order, reason } => {
                answer(self.order(&order, OrderCommand::GiveUp { reason }, metadata).await, |_| None)
            }
        }
    }
}

/// A rule that is against it is an answer, and so is an event that says no.
fn answer<E, R: std::error::Error + 'static>(
    outcome: Result<Outcome<E>, ShopError<R>>,
    says_no: impl Fn(&E) -> Option<String>,
) -> Dispatched {
    match outcome {
        Ok(outcome) => {
            outcome.events().iter().find_map(says_no).map_or_else(Dispatched::done, Dispatched::rejected)
        }
        Err(ShopError::Refused(refusal)) => Dispatched::rejected(refusal.to_string()),
        Err(error) => match error.kind() {
            ErrorKind::Conflict | ErrorKind::Unavailable => Dispatched::failed(error),
            _ => Dispatched::hopeless(error),
        },
    }
}

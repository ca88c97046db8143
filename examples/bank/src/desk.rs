//! Who carries the steps of transfers out, and what is an answer of the bank rather than a fault?

use std::sync::Arc;

use factum::{CommandMetadata, Delivery, Dispatched, ProcessError, ProcessRunner};
use factum_core::ErrorKind;

use crate::{AccountCommand, Bank, BankError, TransferCommand, TransferSaga, TransferStep};

impl Bank {
    /// Carries transfers out, step by step. One runner at a time: a second one takes over from the first.
    ///
    /// # Errors
    /// Where the store cannot run processes.
    pub fn transfer_runner(
        self: &Arc<Self>,
        saga: TransferSaga,
    ) -> Result<ProcessRunner<TransferSaga>, ProcessError> {
        let bank = Arc::clone(self);
        let desk = move |delivery: Delivery<TransferStep>| {
            let bank = Arc::clone(&bank);
            async move { bank.carry_out(&delivery).await }
        };
        ProcessRunner::new(Arc::clone(self.store()), saga, desk)
    }

    /// Carries one step out. The delivery's metadata has the command's id: a repetition has no second effect.
    pub async fn carry_out(&self, delivery: &Delivery<TransferStep>) -> Dispatched {
        match self.take_step(&delivery.command, &delivery.metadata).await {
            Ok(()) => Dispatched::done(),
            Err(error @ (BankError::Refused(_) | BankError::TransferRefused(_))) => {
                Dispatched::rejected(error.to_string())
            }
            Err(error) => match error.kind() {
                ErrorKind::Conflict | ErrorKind::Unavailable => Dispatched::failed(error),
                _ => Dispatched::hopeless(error),
            },
        }
    }

    async fn take_step(&self, step: &TransferStep, metadata: &CommandMetadata) -> Result<(), BankError> {
        match step {
            TransferStep::Withdraw(order) => {
                let send = AccountCommand::SendTo { to: order.to.clone(), amount: order.amount };
                self.ask(&order.from, send, metadata).await?;
            }
            TransferStep::Deposit(order) => {
                let receive = AccountCommand::ReceiveFrom { from: order.from.clone(), amount: order.amount };
                self.ask(&order.to, receive, metadata).await?;
            }
            TransferStep::GiveBack(order) => {
                let take_back = AccountCommand::TakeBack { to: order.to.clone(), amount: order.amount };
                self.ask(&order.from, take_back, metadata).await?;
            }
            TransferStep::Begin(transfer) => {
                self.ask_transfer(transfer, TransferCommand::Begin, metadata).await?;
            }
            TransferStep::Complete(transfer) => {
                self.ask_transfer(transfer, TransferCommand::Complete, metadata).await?;
            }
            TransferStep::Fail { transfer, reason } => {
                let fail = TransferCommand::Fail { reason: reason.clone() };
                self.ask_transfer(transfer, fail, metadata).await?;
            }
        }
        Ok(())
    }
}

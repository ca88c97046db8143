//! Whether money may move between two accounts: one decision over both, without a lock on either.

use factum::{Context, Decider};

use crate::{Account, AccountEvent, AccountId, Money, Refusal};

/// Moves money from one account to another, both or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// How much.
    pub amount: Money,
}

/// The rules of a transfer between these two accounts.
#[derive(Clone, Debug)]
pub struct Transfers {
    /// From where.
    pub from: AccountId,
    /// To where.
    pub to: AccountId,
}

/// The two accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferState {
    /// From where.
    pub from: Account,
    /// To where.
    pub to: Account,
}

impl Decider for Transfers {
    type State = TransferState;
    type Command = Transfer;
    type Event = AccountEvent;
    type Rejection = Refusal;

    fn initial_state(&self) -> TransferState {
        TransferState::default()
    }

    fn evolve(&self, state: &mut TransferState, event: &AccountEvent) {
        if *event.account() == self.from {
            state.from.evolve(event);
        } else if *event.account() == self.to {
            state.to.evolve(event);
        }
    }

    fn decide(
        &self,
        state: &TransferState,
        &Transfer { amount }: &Transfer,
        _: &Context,
    ) -> Result<Vec<AccountEvent>, Refusal> {
        if self.from == self.to {
            return Err(Refusal::SameAccount);
        }
        state.from.check_withdrawal(amount)?;
        state.to.check_deposit(amount)?;
        Ok(vec![
            AccountEvent::FundsWithdrawn { account: self.from.clone(), amount, to: Some(self.to.clone()) },
            AccountEvent::FundsDeposited { account: self.to.clone(), amount, from: Some(self.from.clone()) },
        ])
    }
}

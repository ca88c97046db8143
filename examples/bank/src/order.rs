//! What is a transfer that takes its time: asked for, perhaps approved, and then done or not?

use std::fmt;

use factum::{Context, Decider, Event};
use factum_core::{NameError, StreamName, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountId, Money};

/// Longest number of a transfer, in bytes: processes are named after it.
pub const MAX_TRANSFER_ID_BYTES: usize = 64;

/// The number of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct TransferId(String);

impl TransferId {
    /// A transfer's number. One that is empty or too long shows when it is used.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The stream of the transfer's events.
    ///
    /// # Errors
    /// Where the number is too long for a stream's name.
    pub fn stream(&self) -> Result<StreamName, NameError> {
        StreamName::new(format!("transfer-{self}"))
    }

    /// The tag of the transfer's events.
    ///
    /// # Errors
    /// Where the number is too long for a tag.
    pub fn tag(&self) -> Result<Tag, NameError> {
        Tag::new(format!("transfer:{self}"))
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is to be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferOrder {
    /// From where.
    pub from: AccountId,
    /// To where.
    pub to: AccountId,
    /// How much, above zero.
    pub amount: Money,
}

/// What happened to a transfer. Where its money is, the accounts say.
#[derive(Clone, Debug, PartialEq, Event)]
pub enum TransferEvent {
    /// Somebody wants it.
    TransferRequested {
        /// The transfer.
        #[event(tag = "transfer")]
        transfer: TransferId,
        /// What is to be moved.
        order: TransferOrder,
    },
    /// A second person agrees: large ones wait for that.
    TransferApproved {
        /// The transfer.
        #[event(tag = "transfer")]
        transfer: TransferId,
        /// Who.
        by: String,
    },
    /// The bank is at it: money may be on its way.
    TransferBegun {
        /// The transfer.
        #[event(tag = "transfer")]
        transfer: TransferId,
    },
    /// The money has arrived.
    TransferCompleted {
        /// The transfer.
        #[event(tag = "transfer")]
        transfer: TransferId,
    },
    /// It did not work out. The money is where it was.
    TransferFailed {
        /// The transfer.
        #[event(tag = "transfer")]
        transfer: TransferId,
        /// Why.
        reason: String,
    },
}

impl TransferEvent {
    /// The transfer that it happened to.
    pub fn transfer(&self) -> &TransferId {
        match self {
            TransferEvent::TransferRequested { transfer, .. }
            | TransferEvent::TransferApproved { transfer, .. }
            | TransferEvent::TransferBegun { transfer }
            | TransferEvent::TransferCompleted { transfer }
            | TransferEvent::TransferFailed { transfer, .. } => transfer,
        }
    }
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum TransferStatus {
    /// Nobody has asked for it.
    #[default]
    NotRequested,
    /// Somebody wants it.
    Requested,
    /// The bank is at it.
    Begun,
    /// The money has arrived.
    Completed,
    /// The money is where it was.
    Failed,
}

/// What the events of a transfer come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransferRecord {
    /// How far it has come.
    pub status: TransferStatus,
    /// What is to be moved; `None` until it is requested.
    pub order: Option<TransferOrder>,
    /// Who agreed, if somebody did.
    pub approved_by: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// What may be asked of a transfer. The last three are for the bank itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferCommand {
    /// Do it.
    Request(TransferOrder),
    /// Agree to it, in the name of whoever asks.
    Approve,
    /// The bank begins.
    Begin,
    /// The money has arrived.
    Complete,
    /// It did not work out.
    Fail {
        /// Why.
        reason: String,
    },
}

/// Why a transfer does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferRefusal {
    /// Money moves between two accounts.
    #[error("a transfer needs two accounts")]
    SameAccount,
    /// The number is not one.
    #[error("a transfer's number has between 1 and {MAX_TRANSFER_ID_BYTES} bytes")]
    Number,
    /// Only amounts above zero move.
    #[error("{0} is not an amount that can move: it must be above zero")]
    NotPositive(Money),
    /// The number is taken by a transfer of something else.
    #[error("the transfer was requested before, for something else: give each transfer its own number")]
    OtherOrder,
    /// Nobody has asked for it.
    #[error("the transfer was never requested")]
    NotRequested,
    /// Someone must say who agrees.
    #[error("the approval needs a name")]
    NoApprover,
    /// It is over.
    #[error("the transfer is over: it is {0:?}")]
    Over(TransferStatus),
}

/// The rules of a transfer itself. The command names it, the stream is its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransferOrders;

impl Decider for TransferOrders {
    type State = TransferRecord;
    type Command = (TransferId, TransferCommand);
    type Event = TransferEvent;
    type Rejection = TransferRefusal;

    fn initial_state(&self) -> TransferRecord {
        TransferRecord::default()
    }

    fn evolve(&self, state: &mut TransferRecord, event: &TransferEvent) {
        match event {
            TransferEvent::TransferRequested { order, .. } => {
                state.status = TransferStatus::Requested;
                state.order = Some(order.clone());
            }
            TransferEvent::TransferApproved { by, .. } => state.approved_by = Some(by.clone()),
            TransferEvent::TransferBegun { .. } => state.status = TransferStatus::Begun,
            TransferEvent::TransferCompleted { .. } => state.status = TransferStatus::Completed,
            TransferEvent::TransferFailed { reason, .. } => {
                state.status = TransferStatus::Failed;
                state.failure = Some(reason.clone());
            }
        }
    }

    fn decide(
        &self,
        state: &TransferRecord,
        (transfer, command): &(TransferId, TransferCommand),
        context: &Context,
    ) -> Result<Vec<TransferEvent>, TransferRefusal> {
        use TransferStatus::{Begun, Completed, Failed, NotRequested, Requested};
        let transfer = transfer.clone();
        let event = match (command, state.status) {
            (TransferCommand::Request(order), NotRequested) => {
                if transfer.0.is_empty() || transfer.0.len() > MAX_TRANSFER_ID_BYTES {
                    return Err(TransferRefusal::Number);
                }
                if order.from == order.to {
                    return Err(TransferRefusal::SameAccount);
                }
                if order.amount.minor <= 0 {
                    return Err(TransferRefusal::NotPositive(order.amount));
                }
                TransferEvent::TransferRequested { transfer, order: order.clone() }
            }
            (TransferCommand::Request(order), _) if state.order.as_ref() == Some(order) => return Ok(vec![]),
            (TransferCommand::Request(_), _) => return Err(TransferRefusal::OtherOrder),
            (_, NotRequested) => return Err(TransferRefusal::NotRequested),
            (TransferCommand::Approve, Requested | Begun) if state.approved_by.is_some() => {
                return Ok(vec![]);
            }
            (TransferCommand::Approve, Requested | Begun) => {
                let by = context.actor().ok_or(TransferRefusal::NoApprover)?.to_owned();
                TransferEvent::TransferApproved { transfer, by }
            }
            (TransferCommand::Begin, Requested) => TransferEvent::TransferBegun { transfer },
            (TransferCommand::Complete, Requested | Begun) => TransferEvent::TransferCompleted { transfer },
            (TransferCommand::Fail { reason }, Requested | Begun) => {
                TransferEvent::TransferFailed { transfer, reason: reason.clone() }
            }
            (TransferCommand::Begin, Begun)
            | (TransferCommand::Complete, Completed)
            | (TransferCommand::Fail { .. }, Failed) => return Ok(vec![]),
            (_, status) => return Err(TransferRefusal::Over(status)),
        };
        Ok(vec![event])
    }
}

//! How does a transfer that takes its time come about? Withdraw, deposit; give back what cannot be delivered.

use std::time::Duration;

use factum::{Dispatch, Effect, EventSource, ProcessInput, ProcessManager};
use serde::{Deserialize, Serialize};

use crate::{TransferEvent, TransferId, TransferOrder};

/// The timer that ends the waiting.
const DEADLINE: &str = "deadline";

/// What the saga asks of the bank, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferStep {
    /// Tell the transfer that the bank is at it.
    Begin(TransferId),
    /// Take the money out.
    Withdraw(TransferOrder),
    /// Put it in at the other end.
    Deposit(TransferOrder),
    /// Put it back where it came from.
    GiveBack(TransferOrder),
    /// Tell the transfer that the money has arrived.
    Complete(TransferId),
    /// Tell the transfer that it did not work out.
    Fail {
        /// Which.
        transfer: TransferId,
        /// Why.
        reason: String,
    },
}

/// How far a transfer has come, as the saga sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferProgress {
    transfer: Option<TransferId>,
    order: Option<TransferOrder>,
    approved: bool,
    withdrawn: bool,
    /// Whether the deposit is on its way: from then on only its answer counts.
    delivering: bool,
    /// Whether it was the last input that let it go out.
    goes_out: bool,
}

/// The process manager of transfers between accounts.
///
/// ```text
/// begin --> withdraw --> (approval of a large one) --> deposit --> complete
/// fails <-- gives back <-- the deposit is refused, or the deadline is over before it went out
/// ```
/// Once the deposit is out, the deadline no longer counts: money that may have arrived is not given back.
#[derive(Clone, Debug)]
pub struct TransferSaga {
    /// How long a transfer may take until its deposit goes out.
    pub deadline: Duration,
    /// From this many minor units on, a transfer waits until a second person approves of it.
    pub approval_from: i64,
}

impl Default for TransferSaga {
    /// A day; from ten thousand euros, or a million yen, on.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(24 * 3_600), approval_from: 1_000_000 }
    }
}

impl TransferSaga {
    fn may_go_out(&self, state: &TransferProgress) -> bool {
        let large = state.order.as_ref().is_some_and(|order| order.amount.minor >= self.approval_from);
        state.withdrawn && (state.approved || !large)
    }

    /// The first step is undone last: then the money is back, and the transfer may say so.
    fn give_up(state: &TransferProgress, reason: &str) -> Vec<Effect<TransferStep>> {
        let told = state.transfer.clone().map(|transfer| Effect::SetUndo {
            step: "begin".to_owned(),
            command: TransferStep::Fail { transfer, reason: reason.to_owned() },
        });
        told.into_iter().chain([Effect::fail(reason)]).collect()
    }
}

impl ProcessManager for TransferSaga {
    type State = TransferProgress;
    type Event = TransferEvent;
    type Command = TransferStep;

    fn name(&self) -> &'static str {
        "transfer_saga"
    }

    fn steps(&self) -> &'static [&'static str] {
        &["begin", "withdraw", "deposit", "complete"]
    }

    fn correlate(&self, event: &TransferEvent, _: &EventSource) -> Option<String> {
        match event {
            TransferEvent::TransferRequested { transfer, .. }
            | TransferEvent::TransferApproved { transfer, .. } => Some(transfer.to_string()),
            // What the saga itself made happen: it knows.
            TransferEvent::TransferBegun { .. }
            | TransferEvent::TransferCompleted { .. }
            | TransferEvent::TransferFailed { .. } => None,
        }
    }

    fn starts_on(&self, event: &TransferEvent) -> bool {
        matches!(event, TransferEvent::TransferRequested { .. })
    }

    fn initial_state(&self, _: &str) -> TransferProgress {
        TransferProgress::default()
    }

    fn evolve(&self, state: &mut TransferProgress, input: &ProcessInput<TransferEvent>) {
        match input {
            ProcessInput::Event(TransferEvent::TransferRequested { transfer, order }) => {
                state.transfer = Some(transfer.clone());
                state.order = Some(order.clone());
            }
            ProcessInput::Event(TransferEvent::TransferApproved { .. }) => state.approved = true,
            ProcessInput::StepDone { step, .. } if step == "withdraw" => state.withdrawn = true,
            _ => {}
        }
        state.goes_out = !state.delivering && self.may_go_out(state);
        state.delivering |= state.goes_out;
    }

    fn react(
        &self,
        state: &TransferProgress,
        input: &ProcessInput<TransferEvent>,
    ) -> Vec<Effect<TransferStep>> {
        let (Some(transfer), Some(order)) = (state.transfer.clone(), state.order.clone()) else {
            return vec![];
        };
        match input {
            _ if state.goes_out => deposit(order),
            ProcessInput::Event(TransferEvent::TransferRequested { .. }) => vec![
                Dispatch::new("begin", TransferStep::Begin(transfer.clone()))
                    .undo(TransferStep::Fail { transfer, reason: "cancelled".to_owned() })
                    .into(),
                Effect::start_timer(DEADLINE, self.deadline),
            ],
            ProcessInput::StepDone { step, .. } if step == "begin" => {
                let undo = TransferStep::GiveBack(order.clone());
                vec![Dispatch::new("withdraw", TransferStep::Withdraw(order)).undo(undo).into()]
            }
            ProcessInput::StepDone { step, .. } if step == "deposit" => vec![
                Effect::cancel_timer(DEADLINE),
                Effect::dispatch("complete", TransferStep::Complete(transfer)),
                Effect::Complete,
            ],
            ProcessInput::StepRejected { reason, .. } => Self::give_up(state, reason),
            ProcessInput::Timeout { .. } if !state.delivering => {
                Self::give_up(state, &format!("it did not go out within {:?}", self.deadline))
            }
            _ => vec![],
        }
    }
}

/// The point of no return: what has arrived may be spent at once.
fn deposit(order: TransferOrder) -> Vec<Effect<TransferStep>> {
    vec![Dispatch::new("deposit", TransferStep::Deposit(order)).pivot().into()]
}

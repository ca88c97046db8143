//! How far has a projection come, and what stopped it?

use crate::{Checkpoint, EventId, Position, Timestamp};

/// How far one partition of a version has come. Written in the same transaction as its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Every event before this place has been applied, or does not concern the projection.
    pub applied: Checkpoint,
    /// When the last event before that place which was looked at was recorded; `None` before the first.
    pub recorded_at: Option<Timestamp>,
    /// How many events have been applied.
    pub events: u64,
    /// What it stands still at, if it does.
    pub fault: Option<Fault>,
}

impl Progress {
    /// Nothing has been applied.
    pub fn start(applied: Checkpoint) -> Self {
        Self { applied, recorded_at: None, events: 0, fault: None }
    }
}

/// An event that could not be applied. The rows are as they were before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The event's place.
    pub position: Position,
    /// Its id.
    pub event: EventId,
    /// Its stream.
    pub stream: String,
    /// Its type.
    pub event_type: String,
    /// Every attempt, the oldest first; beyond [`Fault::MAX_ATTEMPTS`] the ones after the first are dropped.
    pub attempts: Vec<Attempt>,
}

impl Fault {
    /// Most attempts that are kept: the first and the latest ones.
    pub const MAX_ATTEMPTS: usize = 100;

    /// One more attempt failed. The first is always kept: it says since when.
    pub fn failed_again(&mut self, attempt: Attempt) {
        if self.attempts.len() >= Self::MAX_ATTEMPTS {
            self.attempts.remove(1);
        }
        self.attempts.push(attempt);
    }
}

/// One attempt to apply an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// Why it failed, with every cause.
    pub error: String,
}

/// An event that an operator decided to pass over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The event's place.
    pub position: Position,
    /// Who decided it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Fault};
    use crate::{EventId, Position, Timestamp};

    #[test]
    fn the_first_attempt_and_the_latest_ones_are_kept() {
        let mut fault = Fault {
            position: Position(4),
            event: EventId::generate(),
            stream: "account-1".to_owned(),
            event_type: "FundsDeposited".to_owned(),
            attempts: Vec::new(),
        };
        for n in 0..250 {
            fault.failed_again(Attempt { at: Timestamp(n), error: format!("try {n}") });
        }
        assert_eq!(fault.attempts.len(), Fault::MAX_ATTEMPTS);
        assert_eq!(fault.attempts[0].error, "try 0");
        assert_eq!(fault.attempts[99].error, "try 249");
    }
}

//! How do a process's commands reach their targets, and what may come back?

use std::fmt;
use std::future::Future;
use std::time::Duration;

use factum_core::BoxFuture;
use serde_json::Value;

use crate::{CommandMetadata, ExecuteError, Outcome};

/// One command on its way to its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<C> {
    /// The process.
    pub process: String,
    /// The instance.
    pub instance: String,
    /// The step, or the step that is undone.
    pub step: String,
    /// Whether this undoes the step.
    pub undo: bool,
    /// The command.
    pub command: C,
    /// The command's identity, the same for every attempt; the record that issued it as the cause; the instance's
    /// correlation. Pass it to [`Executor::execute`](crate::Executor::execute) and a repetition has no second effect.
    pub metadata: CommandMetadata,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Dispatched {
    /// It took effect, now or at an earlier attempt.
    Done {
        /// What the process is told; `Null` for nothing.
        result: Value,
    },
    /// The target's domain refused it: the process is told, and nothing is tried again.
    Rejected {
        /// Why.
        reason: String,
    },
    /// It may or may not have taken effect. It is tried again with the same identity, until the budget is spent.
    Failed {
        /// Why.
        error: String,
        /// Whether trying again may help; if not, the instance waits for an operator at once.
        retry: bool,
    },
}

impl Dispatched {
    /// It took effect.
    pub fn done() -> Self {
        Dispatched::Done { result: Value::Null }
    }

    /// The target refused it.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Dispatched::Rejected { reason: reason.into() }
    }

    /// It did not work out this time.
    pub fn failed(error: impl fmt::Display) -> Self {
        Dispatched::Failed { error: error.to_string(), retry: true }
    }

    /// It cannot work out.
    pub fn hopeless(error: impl fmt::Display) -> Self {
        Dispatched::Failed { error: error.to_string(), retry: false }
    }
}

impl<E, R: fmt::Debug> From<Result<Outcome<E>, ExecuteError<R>>> for Dispatched {
    /// A rejection is an answer, with the domain's reason as `Debug` shows it; what cannot be encoded, decoded or has an
    /// id of another command is hopeless; conflicts and the store's faults are tried again.
    fn from(result: Result<Outcome<E>, ExecuteError<R>>) -> Self {
        match result {
            Ok(_) => Dispatched::done(),
            Err(ExecuteError::Rejected(reason)) => Dispatched::rejected(format!("{reason:?}")),
            Err(
                error @ (ExecuteError::Encode(_)
                | ExecuteError::Decode(_)
                | ExecuteError::CommandIdReused { .. }),
            ) => Dispatched::hopeless(error),
            Err(error) => Dispatched::failed(error),
        }
    }
}

/// Carries commands out. Any closure from a [`Delivery`] to a future is one: `move |delivery| async move { .. }`.
///
/// Called at least once for each command, with the same identity each time; several at once, for different steps.
pub trait Dispatcher<C>: Send + Sync + 'static {
    /// Carries one command out.
    fn dispatch(&self, delivery: Delivery<C>) -> BoxFuture<'static, Dispatched>;
}

impl<C, F, Fut> Dispatcher<C> for F
where
    F: Fn(Delivery<C>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Dispatched> + Send + 'static,
{
    fn dispatch(&self, delivery: Delivery<C>) -> BoxFuture<'static, Dispatched> {
        Box::pin(self(delivery))
    }
}

/// How long a failing command is tried again, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// The pause after the first attempt; it doubles with each.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long after the command was issued, or resumed by an operator, the last attempt may begin. Then the instance is
    /// quarantined: time decides, not the kind of error.
    pub total: Duration,
}

impl Default for RetryBudget {
    /// From 100 ms to a minute apart, for an hour.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(60),
            total: Duration::from_secs(3_600),
        }
    }
}

impl RetryBudget {
    /// The pause after this many attempts.
    pub fn pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(30);
        self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let budget = RetryBudget::default();
        let pauses: Vec<_> = [1, 2, 3, 10, 11, u32::MAX].map(|n| budget.pause(n).as_millis()).into();
        assert_eq!(pauses, [100, 200, 400, 51_200, 60_000, 60_000]);
    }
}

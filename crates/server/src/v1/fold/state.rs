//! A state on its way through a stream's events, whichever fold it is of.

use factum::{Blame, FoldState, JsonState, Skipped};
use factum_core::{RecordedEvent, Revision, Timestamp};
use serde_json::value::RawValue;

use super::rows::Rows;
use super::which::Which;
use crate::shared::Shared;
use crate::v1::problem::Problem;

/// The event that a fold has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) revision: Revision,
    pub(crate) time: Timestamp,
    pub(crate) event_type: String,
}

impl Reached {
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        let event_type = event.event_type().to_owned();
        Self { revision: event.revision(), time: event.recorded_at(), event_type }
    }
}

/// An event that could not be folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) revision: Revision,
    pub(crate) event_type: String,
    pub(crate) why: String,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the state.
    Folded,
    /// It is left out, as if it had not happened.
    LeftOut,
    /// It has nothing that could be merged.
    Skipped(Skipped),
    /// The fold fails at it, and goes on with the state before it.
    Failed(String),
}

/// A state, and how far it has come.
pub(crate) struct Fold {
    state: State,
    /// The last event in it; `None` before the first one.
    pub(crate) at: Option<Reached>,
    /// Events in it.
    pub(crate) folded: u64,
    /// Events that have nothing that could be merged.
    pub(crate) skipped: u64,
    /// Events that it fails at.
    pub(crate) failed: u64,
    /// The first of them.
    pub(crate) first_failure: Option<Failure>,
}

enum State {
    Merge(Box<JsonState>),
    Aggregate(Box<dyn FoldState>),
    Rows(Box<Rows>),
}

impl Fold {
    /// Before any event.
    ///
    /// # Errors
    /// What refuses the fold.
    pub(crate) async fn begin(shared: &Shared, which: &Which) -> Result<Self, Problem> {
        let state = match which {
            Which::Merge => State::Merge(Box::default()),
            Which::Aggregate { fold, .. } => State::Aggregate(fold.begin()),
            Which::Rows { of, .. } => State::Rows(Box::new(Rows::begin(shared, of).await?)),
        };
        Ok(Self { state, at: None, folded: 0, skipped: 0, failed: 0, first_failure: None })
    }

    /// A second one like it; `None` for rows.
    pub(super) fn copy(&self) -> Option<Self> {
        let state = match &self.state {
            State::Merge(state) => State::Merge(state.clone()),
            State::Aggregate(state) => State::Aggregate(state.copy()),
            State::Rows(_) => return None,
        };
        let Self { at, folded, skipped, failed, first_failure, .. } = self;
        Some(Self {
            state,
            at: at.clone(),
            folded: *folded,
            skipped: *skipped,
            failed: *failed,
            first_failure: first_failure.clone(),
        })
    }

    /// Folds an event.
    ///
    /// # Errors
    /// What refuses the fold.
    pub(super) async fn apply(&mut self, event: &RecordedEvent) -> Result<Outcome, Problem> {
        let outcome = match &mut self.state {
            State::Merge(state) => match state.apply(event) {
                Ok(()) => Outcome::Folded,
                Err(skipped) => Outcome::Skipped(skipped),
            },
            State::Aggregate(state) => match state.apply(event) {
                Ok(()) => Outcome::Folded,
                Err(error) => Outcome::Failed(error.to_string()),
            },
            State::Rows(rows) => match rows.apply(event).await? {
                Ok(()) => Outcome::Folded,
                Err(why) => Outcome::Failed(why),
            },
        };
        self.at = Some(Reached::of(event));
        match &outcome {
            Outcome::Folded => self.folded += 1,
            Outcome::Skipped(_) => self.skipped += 1,
            Outcome::Failed(why) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| Failure {
                    revision: event.revision(),
                    event_type: event.event_type().to_owned(),
                    why: why.clone(),
                });
            }
            Outcome::LeftOut => {}
        }
        Ok(outcome)
    }

    /// The state as JSON, or why it has none.
    ///
    /// # Errors
    /// What refuses the fold.
    pub(crate) async fn json(&mut self) -> Result<Result<Box<RawValue>, String>, Problem> {
        match &mut self.state {
            State::Merge(state) => Ok(Ok(RawValue::from_string(state.to_json()).unwrap_or_default())),
            State::Aggregate(state) => Ok(state.json().map_err(|error| error.to_string())),
            State::Rows(rows) => rows.json().await.map(Ok),
        }
    }

    /// Which event set what, where the state itself knows.
    pub(crate) fn blame(&self, pointer: &str) -> Option<Vec<Blame>> {
        match &self.state {
            State::Merge(state) => Some(state.blame(pointer)),
            State::Aggregate(_) | State::Rows(_) => None,
        }
    }
}

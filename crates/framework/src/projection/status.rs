//! What is a projection doing? Derived from its progress, not from what it says of itself.

use std::fmt;
use std::time::Duration;

use factum_core::read_model::{Fault, ProjectionName, Role, VersionNumber};
use factum_core::{Checkpoint, EventStore, EventStoreExt, Position, ReadError, Timestamp};

use super::board::{Board, Condition};

/// Events that have been there for so long without any progress mean that the projection has stalled.
pub const STALLED_AFTER: Duration = Duration::from_secs(10);

/// What a projection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It follows the log.
    Running,
    /// It reads history and has not come to the end of the log yet.
    CatchingUp,
    /// There are events, and no progress.
    Stalled,
    /// An event cannot be applied.
    Faulted,
    /// It does not run.
    Stopped,
    /// It is being built beside the version that serves.
    Rebuilding,
}

impl Status {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::CatchingUp => "catching up",
            Status::Stalled => "stalled",
            Status::Faulted => "faulted",
            Status::Stopped => "stopped",
            Status::Rebuilding => "rebuilding",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How one version of a projection is.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusReport {
    /// The projection.
    pub name: ProjectionName,
    /// The version.
    pub version: VersionNumber,
    /// What the version is for.
    pub role: Role,
    /// What it is doing.
    pub status: Status,
    /// How far all of its partitions have come.
    pub applied: Checkpoint,
    /// Where the log ends: the next position to be written.
    pub end: Position,
    /// How many positions are missing.
    pub lag: u64,
    /// How much younger the log's last event is than the last one that was looked at; nothing where none is missing.
    pub lag_time: Duration,
    /// How many events have been applied.
    pub events: u64,
    /// Positions a second, of late.
    pub rate: Option<f64>,
    /// When it will have caught up, at that rate.
    pub eta: Option<Duration>,
    /// What it stands still at: one event per partition.
    pub faults: Vec<Fault>,
    /// Why it is stopped or stalled, where that is known.
    pub why: Option<String>,
}

/// The end of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// The next position to be written.
    pub(crate) position: Position,
    /// When the last event was recorded.
    pub(crate) recorded_at: Option<Timestamp>,
}

impl LogEnd {
    /// Where the log ends now.
    pub(crate) async fn of(store: &dyn EventStore) -> Result<Self, ReadError> {
        let newest = store.head().await?;
        Ok(newest.map_or_else(Self::default, |event| Self {
            position: event.position().next(),
            recorded_at: Some(event.recorded_at()),
        }))
    }
}

/// Derives the report from what the board shows, at this moment.
pub(crate) fn report(
    (name, version, role): (&ProjectionName, VersionNumber, Role),
    board: &Board,
    end: LogEnd,
    now: Timestamp,
) -> StatusReport {
    let shown = board.shown();
    let applied = board.applied();
    let lag = end.position.0.saturating_sub(applied.next_position().unwrap_or_default().0);
    let behind_since = board.behind_since(end.position);
    let faults: Vec<Fault> = shown.iter().filter_map(|shown| shown.progress.fault.clone()).collect();
    let has = |test: fn(&Condition) -> bool| shown.iter().any(|shown| test(&shown.condition));
    let stalled = lag > 0 && behind_since.is_some_and(|since| since.saturating_add(STALLED_AFTER) <= now);
    let status = if !faults.is_empty() {
        Status::Faulted
    } else if has(|c| matches!(c, Condition::Stopped(_) | Condition::Superseded(_))) {
        Status::Stopped
    } else if stalled {
        Status::Stalled
    } else if role == Role::Building {
        Status::Rebuilding
    } else if has(|c| !matches!(c, Condition::Live)) && lag > 0 {
        Status::CatchingUp
    } else {
        Status::Running
    };
    let why = shown.iter().find_map(|shown| match &shown.condition {
        Condition::Stopped(why) | Condition::Unavailable(why) => Some(why.clone()),
        Condition::Superseded(version) => {
            Some(format!("its declaration or code changed; {version} is built from the new one"))
        }
        _ => None,
    });
    let seen = shown.iter().filter_map(|shown| shown.progress.recorded_at).min();
    let lag_time = match (end.recorded_at, seen) {
        (Some(newest), Some(seen)) if lag > 0 && newest > seen => {
            Duration::from_nanos(u64::try_from(newest.0 - seen.0).unwrap_or_default().saturating_mul(100))
        }
        _ => Duration::ZERO,
    };
    let rate = board.rate();
    StatusReport {
        name: name.clone(),
        version,
        role,
        status,
        end: end.position,
        lag,
        lag_time,
        events: shown.iter().map(|shown| shown.progress.events).sum(),
        rate,
        eta: rate.and_then(|rate| Duration::try_from_secs_f64(lag as f64 / rate).ok()),
        faults,
        why,
        applied,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use factum_core::read_model::Progress;
    use factum_core::{Clock, ManualClock, StoreId};

    use super::*;

    struct Fixture {
        board: Arc<Board>,
        clock: Arc<ManualClock>,
        start: Checkpoint,
    }

    fn fixture(condition: &Condition) -> Fixture {
        let start = Checkpoint::before(StoreId::generate(), 0, Position(0));
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1_000)));
        let progress = vec![Progress::start(start.clone())];
        let board = Board::new(progress, condition, Arc::clone(&clock) as Arc<dyn Clock>);
        Fixture { board, clock, start }
    }

    impl Fixture {
        fn status(&self, role: Role, end: u64) -> Status {
            let name = ProjectionName::new("balances").unwrap();
            let end = LogEnd { position: Position(end), recorded_at: None };
            report((&name, VersionNumber(1), role), &self.board, end, self.clock.now()).status
        }

        fn advance(&self, position: u64, condition: &Condition) {
            let progress = Progress::start(self.start.at(Position(position)));
            self.board.advance(0, &progress, condition);
        }
    }

    #[test]
    fn it_catches_up_then_runs_and_stalls_only_where_events_wait_without_progress() {
        let f = fixture(&Condition::CatchingUp);
        assert_eq!(f.status(Role::Serving, 10), Status::CatchingUp);
        f.advance(10, &Condition::Live);
        assert_eq!(f.status(Role::Serving, 10), Status::Running);
        f.clock.advance(STALLED_AFTER * 5);
        assert_eq!(f.status(Role::Serving, 10), Status::Running, "there is nothing to do");
        assert_eq!(f.status(Role::Serving, 11), Status::Running, "the event has just come");
        f.clock.advance(STALLED_AFTER);
        assert_eq!(f.status(Role::Serving, 11), Status::Stalled);
        f.advance(11, &Condition::Live);
        assert_eq!(f.status(Role::Serving, 11), Status::Running);
    }

    #[test]
    fn a_slow_catch_up_that_moves_has_not_stalled() {
        let f = fixture(&Condition::CatchingUp);
        for position in 1..10 {
            f.clock.advance(STALLED_AFTER / 2);
            f.advance(position, &Condition::CatchingUp);
            assert_eq!(f.status(Role::Serving, 100), Status::CatchingUp);
        }
        f.clock.advance(STALLED_AFTER);
        assert_eq!(f.status(Role::Serving, 100), Status::Stalled);
        // A database that is tried again and again without any progress.
        f.advance(9, &Condition::CatchingUp);
        assert_eq!(f.status(Role::Serving, 100), Status::Stalled);
    }

    #[test]
    fn a_version_beside_the_serving_one_is_rebuilding() {
        let f = fixture(&Condition::CatchingUp);
        assert_eq!(f.status(Role::Building, 10), Status::Rebuilding);
        f.board.condition(0, Condition::Stopped("by ada".to_owned()));
        assert_eq!(f.status(Role::Building, 10), Status::Stopped);
    }
}

//! Which parked events are delivered again, at whose wish, and what came of them?
//!
//! A replay is over when each of its events was acknowledged, dropped or parked again, was not there any more, or was left
//! parked because somebody stopped it. What is known here ends with the run of the group; what is parked does not.

use std::collections::VecDeque;

use factum_core::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::group::Outcome;
use super::ranges::Ranges;
use crate::operations::{self, Ending, Recorded};
use crate::shared::Shared;

/// Most replays of a group that are under way.
const MAX_REPLAYS: usize = 16;
/// How many replays that are over are still known.
const REMEMBERED: usize = 16;

/// Which parked events somebody means. Those that are being replayed already are nobody's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The oldest so many; `None`: all of them.
    Oldest(Option<u64>),
    /// All up to this number among the parked ones, with it.
    UpTo(u64),
    /// These numbers.
    These(Vec<u64>),
}

/// Who wants something, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// Who.
    pub(crate) by: String,
    /// Why, in their words; empty where they gave no reason.
    pub(crate) reason: String,
    /// The operation that the log has of it, where it has one: it is told the end too.
    pub(crate) recorded: Option<Recorded>,
}

/// A number that is not among the parked ones, or is being replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("number {0} is not parked: it was replayed, skipped or never there; look again")]
pub(crate) struct NotParked(u64);

impl Chosen {
    /// Those of `parked` that are meant.
    ///
    /// # Errors
    /// `NotParked` with the first number that is not there.
    pub(crate) fn among(&self, parked: &Ranges) -> Result<Ranges, NotParked> {
        match self {
            Chosen::Oldest(None) => Ok(parked.clone()),
            Chosen::Oldest(Some(count)) => Ok(parked.first(*count)),
            Chosen::UpTo(last) => {
                if !parked.contains(*last) {
                    return Err(NotParked(*last));
                }
                let mut meant = parked.clone();
                meant.remove(last.saturating_add(1)..u64::MAX);
                Ok(meant)
            }
            Chosen::These(numbers) => {
                let mut meant = Ranges::default();
                for number in numbers {
                    if !parked.contains(*number) {
                        return Err(NotParked(*number));
                    }
                    meant.add(*number);
                }
                Ok(meant)
            }
        }
    }
}

/// How a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayState {
    /// Events are delivered, or wait for a consumer.
    Running,
    /// It was stopped, and consumers still have some of it.
    Stopping,
    /// Every event of it was handled.
    Completed,
    /// It was stopped, and what was not delivered is parked as before.
    Stopped,
}

/// A replay.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    /// Which.
    pub(crate) id: Uuid,
    /// Who asked for it, and why.
    pub(crate) wish: Wish,
    /// When it began.
    pub(crate) started: Timestamp,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
    /// How it stands.
    pub(crate) state: ReplayState,
    /// How many events it was to deliver.
    pub(crate) total: u64,
    /// Those that consumers have handled.
    pub(crate) acked: u64,
    /// Those that consumers dropped.
    pub(crate) dropped: u64,
    /// Those that were parked again.
    pub(crate) parked_again: u64,
    /// Those that were not there any more.
    pub(crate) gone: u64,
    /// Those that stayed parked, since it was stopped.
    pub(crate) left: u64,
    /// What nothing is known of yet.
    open: Ranges,
}

impl Replay {
    /// Tells the log what came of it.
    pub(super) async fn tell(self, shared: &Shared) {
        let Some(recorded) = &self.wish.recorded else { return };
        let ending = if self.state == ReplayState::Stopped { Ending::Stopped } else { Ending::Done };
        let details = json!({
            "events": self.total, "acked": self.acked, "dropped": self.dropped, "parkedAgain": self.parked_again,
            "gone": self.gone, "left": self.left,
        });
        operations::ended(shared, recorded, ending, details).await;
    }

    /// How many events nothing is known of yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.open.count()
    }
}

/// There are as many replays as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyReplays;

impl std::fmt::Display for TooManyReplays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{MAX_REPLAYS} replays are under way, as many as a group has: wait for one, or stop it")
    }
}

/// The replays of a group.
#[derive(Debug, Default)]
pub(super) struct Replays {
    running: Vec<Replay>,
    over: VecDeque<Replay>,
    /// Those that ended since somebody asked.
    ended: Vec<Replay>,
}

impl Replays {
    /// Begins one.
    ///
    /// # Errors
    /// `TooManyReplays`.
    pub(super) fn begin(
        &mut self,
        events: Ranges,
        wish: Wish,
        now: Timestamp,
    ) -> Result<Replay, TooManyReplays> {
        if self.running.len() >= MAX_REPLAYS {
            return Err(TooManyReplays);
        }
        let replay = Replay {
            id: Uuid::new_v4(),
            wish,
            started: now,
            ended: None,
            state: ReplayState::Running,
            total: events.count(),
            acked: 0,
            dropped: 0,
            parked_again: 0,
            gone: 0,
            left: 0,
            open: events,
        };
        self.running.push(replay.clone());
        Ok(replay)
    }

    /// An event of a replay has come to its end.
    pub(super) fn came_to(&mut self, revision: u64, outcome: Outcome, now: Timestamp) {
        let ours = |replay: &&mut Replay| replay.open.contains(revision);
        let Some(replay) = self.running.iter_mut().find(ours) else { return };
        replay.open.take(revision);
        match outcome {
            Outcome::Acked => replay.acked += 1,
            Outcome::Skipped => replay.dropped += 1,
            Outcome::Parked => replay.parked_again += 1,
        }
        self.settle(now);
    }

    /// Events of a replay are not there any more.
    pub(super) fn are_gone(&mut self, events: &Ranges, now: Timestamp) {
        for replay in &mut self.running {
            replay.gone += take_from(&mut replay.open, events);
        }
        self.settle(now);
    }

    /// The events that nothing is known of, of one that runs; `None` where none of this id runs.
    pub(super) fn open_of(&self, id: Uuid) -> Option<Ranges> {
        self.running.iter().find(|replay| replay.id == id).map(|replay| replay.open.clone())
    }

    /// Stops one: these of its events stay parked, and the others come to their ends.
    pub(super) fn stop(&mut self, id: Uuid, left: &Ranges, now: Timestamp) {
        if let Some(replay) = self.running.iter_mut().find(|replay| replay.id == id) {
            replay.left += take_from(&mut replay.open, left);
            replay.state = ReplayState::Stopping;
        }
        self.settle(now);
    }

    /// Stops them all, since the group ends: what nothing is known of stays parked.
    pub(super) fn stop_all(&mut self, now: Timestamp) {
        for replay in &mut self.running {
            replay.left += replay.waiting();
            replay.open = Ranges::default();
            replay.state = ReplayState::Stopping;
        }
        self.settle(now);
    }

    /// Those that ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<Replay> {
        std::mem::take(&mut self.ended)
    }

    fn settle(&mut self, now: Timestamp) {
        let mut index = 0;
        while let Some(replay) = self.running.get_mut(index) {
            if !replay.open.is_empty() {
                index += 1;
                continue;
            }
            replay.ended = Some(now);
            let stopped = replay.state == ReplayState::Stopping;
            replay.state = if stopped { ReplayState::Stopped } else { ReplayState::Completed };
            let over = self.running.remove(index);
            self.ended.push(over.clone());
            self.over.push_back(over);
            if self.over.len() > REMEMBERED {
                self.over.pop_front();
            }
        }
    }

    /// All that are known, the oldest first.
    pub(super) fn list(&self) -> Vec<Replay> {
        let mut all: Vec<Replay> = self.over.iter().chain(&self.running).cloned().collect();
        all.sort_by_key(|replay| replay.started);
        all
    }
}

/// Takes out what is in both, and says how many that were.
fn take_from(open: &mut Ranges, events: &Ranges) -> u64 {
    let before = open.count();
    open.subtract(events);
    before - open.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000)
    }

    #[test]
    fn what_is_meant_is_among_the_parked_ones() {
        let mut parked = Ranges::from(2..6);
        parked.add(9);
        let count = |chosen: Chosen| chosen.among(&parked).map(|meant| meant.count());
        assert_eq!(count(Chosen::Oldest(None)), Ok(5));
        assert_eq!(count(Chosen::Oldest(Some(99))), Ok(5));
        assert_eq!(count(Chosen::UpTo(4)), Ok(3));
        assert_eq!(count(Chosen::UpTo(7)), Err(NotParked(7)));
        assert_eq!(count(Chosen::These(vec![9, 2, 9])), Ok(2));
        assert_eq!(count(Chosen::These(vec![2, 6])), Err(NotParked(6)));
    }

    #[test]
    fn a_replay_says_what_came_of_each_event() {
        let mut replays = Replays::default();
        let replay = replays.begin(Ranges::from(0..5), Wish::default(), at(1)).expect("room");
        assert_eq!((replay.total, replay.waiting()), (5, 5));
        replays.came_to(0, Outcome::Acked, at(2));
        replays.came_to(0, Outcome::Acked, at(2));
        replays.came_to(3, Outcome::Parked, at(2));
        replays.came_to(4, Outcome::Skipped, at(2));
        replays.are_gone(&Ranges::from(1..2), at(2));
        assert_eq!(replays.list()[0].waiting(), 1);
        replays.came_to(2, Outcome::Acked, at(3));
        let over = &replays.list()[0];
        assert_eq!((over.acked, over.parked_again, over.dropped, over.gone, over.left), (2, 1, 1, 1, 0));
        assert_eq!((over.state, over.ended), (ReplayState::Completed, Some(at(3))));
    }

    #[test]
    fn one_that_is_stopped_waits_for_what_consumers_have() {
        let mut replays = Replays::default();
        let id = replays.begin(Ranges::from(0..5), Wish::default(), at(1)).expect("room").id;
        assert_eq!(replays.open_of(id), Some(Ranges::from(0..5)));
        replays.stop(id, &Ranges::from(2..5), at(2));
        assert_eq!((replays.list()[0].state, replays.list()[0].waiting()), (ReplayState::Stopping, 2));
        replays.came_to(0, Outcome::Acked, at(3));
        replays.came_to(1, Outcome::Acked, at(3));
        assert_eq!((replays.list()[0].state, replays.list()[0].left), (ReplayState::Stopped, 3));
        assert_eq!(replays.open_of(id), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let mut replays = Replays::default();
        for n in 0..MAX_REPLAYS as u64 {
            assert!(replays.begin(Ranges::from(n..n + 1), Wish::default(), at(1)).is_ok());
        }
        assert!(replays.begin(Ranges::from(90..91), Wish::default(), at(1)).is_err());
        for n in 0..100 {
            replays.came_to(n, Outcome::Acked, at(2));
            if n >= MAX_REPLAYS as u64 {
                replays.begin(Ranges::from(n + 1..n + 2), Wish::default(), at(3)).expect("room");
            }
        }
        assert!(replays.list().len() <= REMEMBERED + 1);
    }
}

//! How far has a projection come, and who waits for it to come further?

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use factum_core::read_model::{Fault, Progress, VersionNumber};
use factum_core::{Checkpoint, CheckpointError, Clock, Position, Timestamp};
use tokio::sync::oneshot;

/// What a wait for a token came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The rows hold everything up to the token.
    Ready {
        /// How far they are.
        applied: Checkpoint,
    },
    /// The time was over first.
    Behind {
        /// How far the rows are.
        applied: Checkpoint,
        /// How many positions are missing.
        lag: u64,
        /// When they will be there, at the rate of late; `None` where nothing moves.
        eta: Option<Duration>,
    },
    /// The projection stands still at an event before the token: waiting longer would not help.
    Faulted {
        /// The event's place.
        position: Position,
        /// The last attempt's error.
        error: String,
    },
    /// The projection is stopped, or cannot run, before the token.
    Stopped {
        /// How far the rows are.
        applied: Checkpoint,
        /// Why.
        why: String,
    },
    /// What serves is not applied any more: another version is being built from changed code.
    Rebuilding {
        /// The version in the making.
        version: VersionNumber,
        /// How far the rows are that serve.
        serves: Checkpoint,
    },
}

/// What a partition is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It reads history.
    CatchingUp,
    /// It has seen the end of the log and follows.
    Live,
    /// An event cannot be applied.
    Faulted(Fault),
    /// The database or the log cannot be reached; it tries again.
    Unavailable(String),
    /// It does not run, and nothing will change that but a person.
    Stopped(String),
    /// It is not applied any more in favour of that version.
    Superseded(VersionNumber),
}

impl Condition {
    fn ends_waits(&self) -> bool {
        matches!(self, Condition::Faulted(_) | Condition::Stopped(_) | Condition::Superseded(_))
    }
}

/// One partition as the board shows it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) progress: Progress,
    pub(crate) condition: Condition,
}

type Wake = Box<dyn FnOnce(Waited) + Send>;

struct Waiter {
    /// Which partition must come so far; `None`: all.
    partition: Option<u16>,
    wake: Wake,
}

struct Inner {
    partitions: Vec<Shown>,
    /// By the position that is waited for, so that a commit looks at those only whom it can wake.
    waiters: BTreeMap<(Position, u64), Waiter>,
    next_waiter: u64,
    /// Since when there have been events that are not applied; `None` where it was seen to have applied all.
    behind_since: Option<Timestamp>,
    /// When and where the measuring of the rate began, and where and when it was last.
    rate_from: (Timestamp, Position),
    rate_to: (Timestamp, Position),
}

/// The progress of one version, for everyone in this process.
pub(crate) struct Board {
    inner: Mutex<Inner>,
    clock: Arc<dyn Clock>,
}

/// The rate is measured over the last so long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

fn next(checkpoint: &Checkpoint) -> Position {
    checkpoint.next_position().unwrap_or_default()
}

impl Inner {
    fn lowest(&self) -> &Shown {
        let lowest = self.partitions.iter().min_by_key(|shown| next(&shown.progress.applied));
        // A board is made with at least one partition.
        lowest.unwrap_or_else(|| unreachable!("a version has at least one partition"))
    }

    fn shown(&self, partition: Option<u16>) -> &Shown {
        partition.and_then(|index| self.partitions.get(usize::from(index))).unwrap_or_else(|| self.lowest())
    }

    /// The answer that can be given at once, if there is one.
    fn answer(&self, partition: Option<u16>, wanted: Position) -> Option<Waited> {
        let shown = self.shown(partition);
        let applied = &shown.progress.applied;
        if next(applied) >= wanted {
            return Some(Waited::Ready { applied: applied.clone() });
        }
        let late = match partition {
            Some(_) => std::slice::from_ref(shown).iter(),
            None => self.partitions.iter(),
        };
        // Of several partitions, one that stands still before the token keeps all from being ready.
        let mut stuck = late.filter(|shown| next(&shown.progress.applied) < wanted);
        stuck.find_map(|shown| {
            let applied = shown.progress.applied.clone();
            match &shown.condition {
                Condition::Faulted(fault) => Some(Waited::Faulted {
                    position: fault.position,
                    error: fault.attempts.last().map_or_else(String::new, |attempt| attempt.error.clone()),
                }),
                Condition::Superseded(version) => {
                    Some(Waited::Rebuilding { version: *version, serves: applied })
                }
                Condition::Stopped(why) => Some(Waited::Stopped { applied, why: why.clone() }),
                Condition::CatchingUp | Condition::Live | Condition::Unavailable(_) => None,
            }
        })
    }

    fn behind(&self, partition: Option<u16>, wanted: Position, now: Timestamp) -> Waited {
        let applied = self.shown(partition).progress.applied.clone();
        let lag = wanted.0.saturating_sub(next(&applied).0);
        Waited::Behind { eta: self.eta(lag, now), applied, lag }
    }

    /// Positions a second, of late; `None` where nothing has moved of late.
    fn rate(&self, now: Timestamp) -> Option<f64> {
        if self.rate_to.0.saturating_add(RATE_WINDOW) < now {
            return None;
        }
        let seconds = (self.rate_to.0.0 - self.rate_from.0.0) as f64 / 1e7;
        let positions = self.rate_to.1.0.saturating_sub(self.rate_from.1.0);
        (seconds > 0.0 && positions > 0).then(|| positions as f64 / seconds)
    }

    fn eta(&self, lag: u64, now: Timestamp) -> Option<Duration> {
        let seconds = lag as f64 / self.rate(now)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// There was progress: it is not stalled, and the rate is measured on, or anew after a pause.
    fn moved(&mut self, now: Timestamp) {
        if let Some(since) = &mut self.behind_since {
            *since = now;
        }
        if self.rate_from.0.saturating_add(RATE_WINDOW) < now {
            let paused = self.rate_to.0.saturating_add(RATE_WINDOW) < now;
            self.rate_from = if paused { (now, self.rate_to.1) } else { self.rate_to };
        }
        self.rate_to = (now, next(&self.lowest().progress.applied));
    }

    /// Takes out those whose wait is over: by position only as far as the rows have come, unless all must be looked at.
    fn take_answered(&mut self, all: bool) -> Vec<(Wake, Waited)> {
        let reached =
            self.partitions.iter().map(|shown| next(&shown.progress.applied)).max().unwrap_or_default();
        let end = if all { Position(u64::MAX) } else { reached };
        let answered: Vec<_> = self
            .waiters
            .range(..=(end, u64::MAX))
            .filter_map(|(key, waiter)| Some((*key, self.answer(waiter.partition, key.0)?)))
            .collect();
        let take = |(key, waited)| Some((self.waiters.remove(&key)?.wake, waited));
        answered.into_iter().filter_map(take).collect()
    }
}

impl Board {
    pub(crate) fn new(partitions: Vec<Progress>, condition: &Condition, clock: Arc<dyn Clock>) -> Arc<Self> {
        let shown = |progress| Shown { progress, condition: condition.clone() };
        let partitions: Vec<_> = partitions.into_iter().map(shown).collect();
        let now = clock.now();
        let mut inner = Inner {
            partitions,
            waiters: BTreeMap::new(),
            next_waiter: 0,
            behind_since: Some(now),
            rate_from: (now, Position::START),
            rate_to: (now, Position::START),
        };
        let start = next(&inner.lowest().progress.applied);
        inner.rate_from.1 = start;
        inner.rate_to.1 = start;
        Arc::new(Self { inner: Mutex::new(inner), clock })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partition has come further. Wakes those who waited for it.
    pub(crate) fn advance(&self, partition: u16, progress: &Progress, condition: &Condition) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let Some(shown) = inner.partitions.get_mut(usize::from(partition)) else { return };
        let all = shown.condition != *condition && condition.ends_waits();
        let moved = next(&progress.applied) > next(&shown.progress.applied);
        shown.progress = progress.clone();
        if shown.condition != *condition {
            shown.condition = condition.clone();
        }
        if moved {
            inner.moved(now);
        }
        let answered = inner.take_answered(all);
        drop(inner);
        for (wake, waited) in answered {
            wake(waited);
        }
    }

    /// A partition is doing something else.
    pub(crate) fn condition(&self, partition: u16, condition: Condition) {
        let mut inner = self.lock();
        let Some(shown) = inner.partitions.get_mut(usize::from(partition)) else { return };
        if shown.condition == condition {
            return;
        }
        let all = condition.ends_waits();
        shown.condition = condition;
        let answered = if all { inner.take_answered(true) } else { Vec::new() };
        drop(inner);
        for (wake, waited) in answered {
            wake(waited);
        }
    }

    /// What stands still is about to be tried again.
    pub(crate) fn expect_attempt(&self, partition: u16) {
        let mut inner = self.lock();
        if let Some(shown) = inner.partitions.get_mut(usize::from(partition))
            && shown.condition.ends_waits()
        {
            shown.condition = Condition::CatchingUp;
        }
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.lock().partitions.clone()
    }

    /// The progress of the partition that is furthest behind.
    pub(crate) fn progress(&self) -> Progress {
        self.lock().lowest().progress.clone()
    }

    /// How far all partitions have come.
    pub(crate) fn applied(&self) -> Checkpoint {
        self.lock().lowest().progress.applied.clone()
    }

    /// Positions a second, of late; `None` where nothing has moved of late.
    pub(crate) fn rate(&self) -> Option<f64> {
        let now = self.clock.now();
        self.lock().rate(now)
    }

    /// Since when there have been events that are not applied, now that the log is known to end at `end`.
    pub(crate) fn behind_since(&self, end: Position) -> Option<Timestamp> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if next(&inner.lowest().progress.applied) >= end {
            inner.behind_since = None;
        } else if inner.behind_since.is_none() {
            inner.behind_since = Some(now);
        }
        inner.behind_since
    }

    /// Shows another version from now on, which has at least come as far. Those who wait go on waiting.
    pub(crate) fn show_instead(&self, partitions: Vec<Progress>) {
        let shown = |progress| Shown { progress, condition: Condition::CatchingUp };
        let mut inner = self.lock();
        inner.partitions = partitions.into_iter().map(shown).collect();
        let answered = inner.take_answered(true);
        drop(inner);
        for (wake, waited) in answered {
            wake(waited);
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiters.len()
    }

    fn enter(
        &self,
        partition: Option<u16>,
        token: &Checkpoint,
        wake: Wake,
    ) -> Result<Entered, CheckpointError> {
        let wanted = next(token);
        let mut inner = self.lock();
        let here = &inner.lowest().progress.applied;
        token.check(here.store(), here.epoch())?;
        if let Some(waited) = inner.answer(partition, wanted) {
            return Ok(Entered::Answered(waited));
        }
        let key = (wanted, inner.next_waiter);
        inner.next_waiter += 1;
        inner.waiters.insert(key, Waiter { partition, wake });
        Ok(Entered::Waiting(key))
    }

    fn leave(&self, key: (Position, u64)) -> Option<Waited> {
        let mut inner = self.lock();
        let waiter = inner.waiters.remove(&key)?;
        Some(inner.behind(waiter.partition, key.0, self.clock.now()))
    }

    /// Waits until the rows hold everything up to `token`, at most so long. Nothing runs while it waits.
    pub(crate) fn wait(
        self: &Arc<Self>,
        partition: Option<u16>,
        token: &Checkpoint,
        at_most: Duration,
    ) -> impl Future<Output = Result<Waited, CheckpointError>> + Send + use<> {
        let board = Arc::clone(self);
        let token = token.clone();
        async move {
            let (sender, receiver) = oneshot::channel();
            // One who has gone away need not be woken.
            let wake: Wake = Box::new(move |waited| drop(sender.send(waited)));
            let key = match board.enter(partition, &token, wake)? {
                Entered::Answered(waited) => return Ok(waited),
                Entered::Waiting(key) => key,
            };
            let place = Place { board: Arc::clone(&board), key };
            let woken = tokio::time::timeout(at_most, receiver).await;
            let left = place.board.leave(key);
            Ok(match (woken, left) {
                (Ok(Ok(waited)), _) | (_, Some(waited)) => waited,
                // Taken out by a commit at the very end of the time: the rows are there.
                (_, None) => Waited::Ready { applied: board.applied() },
            })
        }
    }

    /// As `wait`, for a thread without a runtime.
    pub(crate) fn wait_blocking(
        &self,
        partition: Option<u16>,
        token: &Checkpoint,
        at_most: Duration,
    ) -> Result<Waited, CheckpointError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let wake: Wake = Box::new(move |waited| drop(sender.try_send(waited)));
        let key = match self.enter(partition, token, wake)? {
            Entered::Answered(waited) => return Ok(waited),
            Entered::Waiting(key) => key,
        };
        let woken = receiver.recv_timeout(at_most).ok();
        let left = self.leave(key);
        Ok(woken.or(left).unwrap_or_else(|| Waited::Ready { applied: self.applied() }))
    }
}

enum Entered {
    Answered(Waited),
    Waiting((Position, u64)),
}

/// A place among those who wait, given up when the wait is dropped.
struct Place {
    board: Arc<Board>,
    key: (Position, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        self.board.leave(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{ManualClock, StoreId};

    const LONG: Duration = Duration::from_secs(3_600);

    struct Fixture {
        board: Arc<Board>,
        clock: Arc<ManualClock>,
        start: Checkpoint,
    }

    fn fixture(partitions: usize) -> Fixture {
        let start = Checkpoint::before(StoreId::generate(), 0, Position(0));
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1_000)));
        let progress = vec![Progress::start(start.clone()); partitions];
        let board = Board::new(progress, &Condition::CatchingUp, Arc::clone(&clock) as Arc<dyn Clock>);
        Fixture { board, clock, start }
    }

    impl Fixture {
        fn at(&self, position: u64) -> Checkpoint {
            self.start.at(Position(position))
        }

        fn advance(&self, partition: u16, position: u64) {
            let progress = Progress { applied: self.at(position), ..Progress::start(self.at(0)) };
            self.board.advance(partition, &progress, &Condition::Live);
        }
    }

    async fn until_waiting(board: &Board, count: usize) {
        while board.waiting() < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_commit_that_reaches_its_token_and_not_before() {
        let f = fixture(1);
        let wait = tokio::spawn(f.board.wait(None, &f.at(5), LONG));
        until_waiting(&f.board, 1).await;
        f.advance(0, 4);
        assert_eq!(f.board.waiting(), 1);
        f.advance(0, 7);
        assert_eq!(wait.await.unwrap().unwrap(), Waited::Ready { applied: f.at(7) });
        assert_eq!(f.board.waiting(), 0);
    }

    #[tokio::test]
    async fn a_thousand_waiters_are_woken_each_by_its_own_commit() {
        let f = fixture(1);
        let waits: Vec<_> = (1..=1_000).map(|n| tokio::spawn(f.board.wait(None, &f.at(n), LONG))).collect();
        until_waiting(&f.board, 1_000).await;
        for n in 1..=1_000 {
            f.advance(0, n);
            assert_eq!(f.board.waiting(), 1_000 - n as usize);
        }
        for (wait, n) in waits.into_iter().zip(1..) {
            assert_eq!(wait.await.unwrap().unwrap(), Waited::Ready { applied: f.at(n) });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_runs_out_says_how_far_behind_and_when() {
        let f = fixture(1);
        f.clock.advance(Duration::from_secs(1));
        f.advance(0, 10);
        let waited = f.board.wait(None, &f.at(30), Duration::from_secs(2)).await.unwrap();
        let eta = Some(Duration::from_secs(2));
        assert_eq!(waited, Waited::Behind { applied: f.at(10), lag: 20, eta });
        assert_eq!(f.board.waiting(), 0, "nothing is left behind");
    }

    #[test]
    fn the_rate_is_of_late_and_a_pause_does_not_count() {
        let f = fixture(1);
        assert_eq!(f.board.rate(), None);
        f.clock.advance(Duration::from_secs(1));
        f.advance(0, 100);
        assert_eq!(f.board.rate(), Some(100.0));
        f.clock.advance(RATE_WINDOW * 100);
        assert_eq!(f.board.rate(), None, "nothing moves");
        f.advance(0, 101);
        f.clock.advance(Duration::from_secs(1));
        f.advance(0, 301);
        assert_eq!(f.board.rate(), Some(201.0));
    }

    #[tokio::test]
    async fn a_dropped_wait_leaves_its_place() {
        let f = fixture(1);
        let wait = tokio::spawn(f.board.wait(None, &f.at(5), LONG));
        until_waiting(&f.board, 1).await;
        wait.abort();
        assert!(wait.await.unwrap_err().is_cancelled());
        assert_eq!(f.board.waiting(), 0);
    }

    #[tokio::test]
    async fn a_fault_answers_those_who_wait_and_those_who_come() {
        let f = fixture(1);
        let wait = tokio::spawn(f.board.wait(None, &f.at(5), LONG));
        until_waiting(&f.board, 1).await;
        let fault = Fault {
            position: Position(3),
            event: factum_core::EventId::generate(),
            stream: "a-1".to_owned(),
            event_type: "A".to_owned(),
            attempts: Vec::new(),
        };
        f.board.condition(0, Condition::Faulted(fault));
        let faulted = Waited::Faulted { position: Position(3), error: String::new() };
        assert_eq!(wait.await.unwrap().unwrap(), faulted);
        assert_eq!(f.board.wait_blocking(None, &f.at(5), LONG).unwrap(), faulted);
        let before = f.board.wait_blocking(None, &f.at(0), LONG).unwrap();
        assert_eq!(before, Waited::Ready { applied: f.at(0) }, "what is there is there");
    }

    #[test]
    fn of_several_partitions_the_slowest_counts_unless_one_is_named() {
        let f = fixture(2);
        f.advance(0, 10);
        let now = Duration::ZERO;
        assert!(matches!(f.board.wait_blocking(None, &f.at(5), now).unwrap(), Waited::Behind { lag: 5, .. }));
        assert!(matches!(f.board.wait_blocking(Some(0), &f.at(5), now).unwrap(), Waited::Ready { .. }));
        assert!(matches!(f.board.wait_blocking(Some(1), &f.at(5), now).unwrap(), Waited::Behind { .. }));
        f.board.condition(1, Condition::Stopped("by hand".to_owned()));
        assert!(matches!(f.board.wait_blocking(None, &f.at(5), LONG).unwrap(), Waited::Stopped { .. }));
    }

    #[test]
    fn a_token_of_another_store_is_an_error() {
        let f = fixture(1);
        let other = Checkpoint::before(StoreId::generate(), 0, Position(1));
        assert!(f.board.wait_blocking(None, &other, LONG).is_err());
    }
}

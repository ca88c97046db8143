//! What can be asked of a running projection, and what can be done with it?

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use factum_core::read_model::{
    Action, CompareOptions, Fault, Progress, ProjectionName, ReadModelError, ReadModelReader, Role, Rows,
    TableDifference, VersionNumber,
};
use factum_core::{Checkpoint, CheckpointError, Position};

use super::board::{Board, Waited};
use super::changes::Changes;
use super::definition::partition_of;
use super::projections::{Entry, ProjectionError, Running, Shared};
use super::status::{StatusReport, report};
use super::worker::Wish;

/// Readers that are kept open between queries, for each projection.
const IDLE_READERS: usize = 8;

/// How often a promotion is tried while the serving version goes on between two looks.
const PROMOTE_TRIES: usize = 100;

/// A projection that runs in this process. A clone is cheap.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
}

/// The version that serves, as one waits on it.
struct Served {
    version: VersionNumber,
    board: Arc<Board>,
    partition: Option<u16>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<Entry>) -> Self {
        Self { shared, entry }
    }

    /// Its name.
    pub fn name(&self) -> &ProjectionName {
        &self.entry.name
    }

    /// How its versions are, by number.
    ///
    /// # Errors
    /// Where the end of the log cannot be read.
    pub async fn status(&self) -> Result<Vec<StatusReport>, ProjectionError> {
        let end = self.shared.log_end().await?;
        let now = self.shared.clock.now();
        let of = |running: &Running| {
            report((&self.entry.name, running.version.number, running.version.role), &running.board, end, now)
        };
        Ok(self.entry.lock().values().map(of).collect())
    }

    /// Waits until the serving rows hold everything up to `token`, at most so long. It is woken by the commit; a
    /// projection that stands still before the token answers at once. Needs a tokio runtime with a timer.
    ///
    /// # Errors
    /// Where the token is of another store, or of another epoch of it.
    pub async fn wait(&self, token: &Checkpoint, at_most: Duration) -> Result<Waited, CheckpointError> {
        self.wait_serving(None, token, at_most).await
    }

    /// A version that takes the place of the one that was waited on is waited on in turn.
    async fn wait_serving(
        &self,
        stream: Option<&str>,
        token: &Checkpoint,
        at_most: Duration,
    ) -> Result<Waited, CheckpointError> {
        let waiting = async {
            loop {
                let Some(served) = self.served(stream) else { return Ok(self.not_here()) };
                let waited = served.board.wait(served.partition, token, Duration::MAX).await?;
                if !self.was_replaced(&served, &waited) {
                    return Ok(waited);
                }
            }
        };
        match tokio::time::timeout(at_most, waiting).await {
            Ok(waited) => waited,
            Err(_) => match self.served(stream) {
                Some(served) => served.board.wait_blocking(served.partition, token, Duration::ZERO),
                None => Ok(self.not_here()),
            },
        }
    }

    /// Whether a version stopped because another one serves now.
    fn was_replaced(&self, served: &Served, waited: &Waited) -> bool {
        if !matches!(waited, Waited::Stopped { .. }) {
            return false;
        }
        drop(self.entry.swapping.lock().unwrap_or_else(PoisonError::into_inner));
        self.served(None).is_some_and(|now| now.version != served.version)
    }

    fn served(&self, stream: Option<&str>) -> Option<Served> {
        self.with(Role::Serving, |running| Served {
            version: running.version.number,
            board: Arc::clone(&running.board),
            partition: stream.map(|stream| partition_of(stream, running.version.partitions)),
        })
    }

    /// As [`wait`](Self::wait), for the rows that one stream's events make: only its partition must come so far.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn wait_for_stream(
        &self,
        stream: &str,
        token: &Checkpoint,
        at_most: Duration,
    ) -> Result<Waited, CheckpointError> {
        self.wait_serving(Some(stream), token, at_most).await
    }

    /// As [`wait`](Self::wait), on a thread without a runtime.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_blocking(&self, token: &Checkpoint, at_most: Duration) -> Result<Waited, CheckpointError> {
        loop {
            let Some(served) = self.served(None) else { return Ok(self.not_here()) };
            let waited = served.board.wait_blocking(None, token, at_most)?;
            if !self.was_replaced(&served, &waited) {
                return Ok(waited);
            }
        }
    }

    /// Waits until the version in the making holds everything up to `token`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); `ReadModel` where none is in the making.
    pub async fn wait_building(
        &self,
        token: &Checkpoint,
        at_most: Duration,
    ) -> Result<Waited, ProjectionError> {
        let board = self.board(Role::Building).ok_or_else(|| self.unknown("version in the making"))?;
        board.wait(None, token, at_most).await.map_err(|error| ProjectionError::Log(error.into()))
    }

    /// What the serving version's commits change, from now on.
    pub fn changes(&self) -> Changes {
        self.entry.subscribers.subscribe()
    }

    /// Reads the serving rows, with how far they had come.
    ///
    /// # Errors
    /// Where the statement is wrong, or the database fails.
    pub fn query(
        &self,
        statement: &str,
        parameters: &factum_core::read_model::Parameters<'_>,
    ) -> Result<(Rows, Progress), ProjectionError> {
        let serving = self.number(Role::Serving)?;
        let mut reader = self.reader(serving)?;
        // A reader that failed is not used again.
        let (rows, mut progress) = reader.query(statement, parameters)?;
        let mut idle = self.entry.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push((serving, reader));
        }
        drop(idle);
        let progress = progress.pop().ok_or_else(|| self.unknown("progress"))?;
        Ok((rows, progress))
    }

    /// A reader of that version that is not in use, or a new one. Those of versions that serve no more are dropped.
    fn reader(&self, version: VersionNumber) -> Result<Box<dyn ReadModelReader>, ReadModelError> {
        let mut idle = self.entry.readers.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(of, _)| *of == version);
        let kept = idle.pop();
        drop(idle);
        match kept {
            Some((_, reader)) => Ok(reader),
            None => self.shared.read_models.reader(&[(self.entry.name.clone(), version)]),
        }
    }

    /// Tries the events again at which the projection stands still.
    pub fn retry(&self) {
        for running in self.entry.lock().values() {
            for (index, worker) in (0..).zip(&running.workers) {
                // Who waits from now on waits for this attempt.
                running.board.expect_attempt(index);
                worker.wish(Wish::Retry);
            }
        }
    }

    /// Passes an event over at which a version stands still, and goes on after it. Kept with actor and reason.
    ///
    /// # Errors
    /// `NoReason` where none is given, `NotFaulted` where no version stands still there.
    pub fn skip(&self, position: Position, actor: &str, reason: &str) -> Result<Fault, ProjectionError> {
        if reason.trim().is_empty() {
            return Err(ProjectionError::NoReason);
        }
        let mut skipped = None;
        for running in self.entry.lock().values() {
            let stands = |shown: &super::board::Shown| {
                shown.progress.fault.as_ref().is_some_and(|fault| fault.position == position)
            };
            let shown = running.board.shown();
            for (worker, _) in running.workers.iter().zip(&shown).filter(|(_, shown)| stands(shown)) {
                let (done, answer) = sync_channel(1);
                let (actor, reason) = (actor.to_owned(), reason.to_owned());
                worker.wish(Wish::Skip { position, actor, reason, done });
                let fault = answer.recv().unwrap_or(Ok(None))?;
                skipped = skipped.or(fault.map(|fault| (running.version.number, fault)));
            }
        }
        let (version, fault) =
            skipped.ok_or_else(|| ProjectionError::NotFaulted { name: self.entry.name.clone(), position })?;
        self.record(version, "skipped", actor, &format!("position {position}: {reason}"))?;
        Ok(fault)
    }

    /// Stops all versions, also after a restart of the process, until [`start`](Self::start).
    ///
    /// # Errors
    /// Where the database fails.
    pub fn stop(&self, actor: &str, reason: &str) -> Result<(), ProjectionError> {
        let mut versions = self.entry.lock();
        for (number, running) in versions.iter_mut() {
            self.shared.read_models.set_stopped(&self.entry.name, *number, true)?;
            running.version.stopped = true;
            running.stop(&format!("stopped by {actor}"));
            self.record(*number, "stopped", actor, reason)?;
        }
        Ok(())
    }

    /// Lets all versions run that were stopped.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn start(&self, actor: &str, reason: &str) -> Result<(), ProjectionError> {
        let mut versions = self.entry.lock();
        for (number, running) in versions.iter_mut().filter(|(_, running)| running.version.stopped) {
            self.shared.read_models.set_stopped(&self.entry.name, *number, false)?;
            running.version.stopped = false;
            if running.version.role != Role::Previous {
                running.start(&self.shared, &self.entry.subscribers)?;
            }
            self.record(*number, "started", actor, reason)?;
        }
        Ok(())
    }

    /// How the rows in the making differ from those that serve, or those that served from those that do.
    ///
    /// # Errors
    /// `ReadModel` where there are no two versions.
    pub fn compare(&self, options: CompareOptions) -> Result<Vec<TableDifference>, ProjectionError> {
        let old = self.number(Role::Serving)?;
        let new = self.number(Role::Building).or_else(|_| self.number(Role::Previous))?;
        Ok(self.shared.read_models.compare(&self.entry.name, (old, new), options)?)
    }

    /// Lets the version in the making serve, once it has caught up with the end of the log as it is now. What served
    /// is kept, stopped, for [`rollback`](Self::rollback).
    ///
    /// # Errors
    /// `NotCaughtUp` where it has not within that time.
    pub async fn promote(
        &self,
        at_most: Duration,
        actor: &str,
        reason: &str,
    ) -> Result<VersionNumber, ProjectionError> {
        let building = self.number(Role::Building)?;
        self.swap(building, at_most, "promoted", (actor, reason)).await
    }

    /// Lets the version that served before serve again: it is applied up to the end of the log first.
    ///
    /// # Errors
    /// `ReadModel` where there is none, or `NotCaughtUp` where it has not come so far within that time.
    pub async fn rollback(
        &self,
        at_most: Duration,
        actor: &str,
        reason: &str,
    ) -> Result<VersionNumber, ProjectionError> {
        let previous = self.number(Role::Previous)?;
        if let Some(running) = self.entry.lock().get_mut(&previous) {
            running.start(&self.shared, &self.entry.subscribers)?;
        }
        self.swap(previous, at_most, "rolled back", (actor, reason)).await
    }

    async fn swap(
        &self,
        version: VersionNumber,
        at_most: Duration,
        what: &str,
        (actor, reason): (&str, &str),
    ) -> Result<VersionNumber, ProjectionError> {
        let end = self.shared.log_end().await?.position;
        self.reach(version, &self.shared.origin.at(end), at_most).await?;
        for tries in 1.. {
            match self.let_serve(version) {
                Ok(()) => break,
                // The serving one came further in between: come as far, and try again.
                Err(ProjectionError::ReadModel(ReadModelError::NotCaughtUp { serving, .. }))
                    if tries < PROMOTE_TRIES =>
                {
                    self.must_be_in_the_log(&serving).await?;
                    self.reach(version, &serving, at_most).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.record(version, what, actor, reason)?;
        Ok(version)
    }

    /// In the database first, then here.
    fn let_serve(&self, version: VersionNumber) -> Result<(), ProjectionError> {
        let swapping = self.entry.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.read_models.promote(&self.entry.name, version)?;
        let gone = self.adopt_roles()?;
        drop(swapping);
        // Its workers are waited for outside of the lock.
        drop(gone);
        Ok(())
    }

    /// What serves may be ahead of the log: waiting for events that are gone would be in vain.
    async fn must_be_in_the_log(&self, serving: &Checkpoint) -> Result<(), ProjectionError> {
        let end = self.shared.origin.at(self.shared.log_end().await?.position);
        if end.reaches(serving).is_ok_and(|reaches| !reaches) {
            let (name, applied) = (self.entry.name.clone(), Box::new(serving.clone()));
            return Err(ProjectionError::AheadOfLog { name, applied, end: Box::new(end) });
        }
        Ok(())
    }

    async fn reach(
        &self,
        version: VersionNumber,
        token: &Checkpoint,
        at_most: Duration,
    ) -> Result<(), ProjectionError> {
        let board = self.entry.lock().get(&version).map(|running| Arc::clone(&running.board));
        let board = board.ok_or_else(|| self.unknown(&version.to_string()))?;
        let waited =
            board.wait(None, token, at_most).await.map_err(|error| ProjectionError::Log(error.into()))?;
        if matches!(waited, Waited::Ready { .. }) {
            return Ok(());
        }
        let (applied, serving) = (Box::new(board.applied()), Box::new(token.clone()));
        let name = self.entry.name.clone();
        Err(ReadModelError::NotCaughtUp { name, version, applied, serving }.into())
    }

    /// Takes the roles from the database after they changed there; gives back what does not run any more.
    fn adopt_roles(&self) -> Result<Vec<Running>, ProjectionError> {
        let stored = self.shared.read_models.versions()?;
        let mut versions = self.entry.lock();
        let mut gone = Vec::new();
        let numbers: Vec<VersionNumber> = versions.keys().copied().collect();
        for number in numbers {
            let now = stored.iter().find(|known| known.name == self.entry.name && known.number == number);
            match (now, versions.get_mut(&number)) {
                (Some(now), Some(running)) => {
                    running.version.role = now.role;
                    match now.role {
                        Role::Previous => running.stop("another version took its place"),
                        Role::Serving => {
                            let applied = running.board.applied();
                            self.entry.subscribers.serve(number, &self.entry.name, applied);
                        }
                        Role::Building => {}
                    }
                }
                _ => gone.extend(versions.remove(&number)),
            }
        }
        Ok(gone)
    }

    /// Drops the version in the making; where there is none, the one that served before.
    ///
    /// # Errors
    /// `ReadModel` where there is neither.
    pub fn discard(&self, actor: &str, reason: &str) -> Result<VersionNumber, ProjectionError> {
        let number = self.number(Role::Building).or_else(|_| self.number(Role::Previous))?;
        // It stops before its tables go.
        let running = self.entry.lock().remove(&number);
        drop(running);
        self.shared.read_models.discard(&self.entry.name, number)?;
        self.record(number, "discarded", actor, reason)?;
        Ok(number)
    }

    fn record(
        &self,
        version: VersionNumber,
        what: &str,
        actor: &str,
        reason: &str,
    ) -> Result<(), ReadModelError> {
        self.shared.read_models.record(&Action {
            name: self.entry.name.clone(),
            version,
            what: what.to_owned(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            at: self.shared.clock.now(),
        })
    }

    fn with<T>(&self, role: Role, look: impl FnOnce(&Running) -> T) -> Option<T> {
        self.entry.lock().values().find(|running| running.version.role == role).map(look)
    }

    fn board(&self, role: Role) -> Option<Arc<Board>> {
        self.with(role, |running| Arc::clone(&running.board))
    }

    fn number(&self, role: Role) -> Result<VersionNumber, ReadModelError> {
        self.with(role, |running| running.version.number)
            .ok_or_else(|| self.unknown_version(&format!("{} version", role.as_str())))
    }

    fn unknown_version(&self, wanted: &str) -> ReadModelError {
        ReadModelError::UnknownVersion { name: self.entry.name.clone(), wanted: wanted.to_owned() }
    }

    fn unknown(&self, wanted: &str) -> ProjectionError {
        self.unknown_version(wanted).into()
    }

    fn not_here(&self) -> Waited {
        Waited::Stopped {
            applied: self.shared.origin.at(Position::START),
            why: "its serving version does not run in this process".to_owned(),
        }
    }
}

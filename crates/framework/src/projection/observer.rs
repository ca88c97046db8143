//! How does a process that does not apply a projection learn how far it has come?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use factum_core::read_model::{
    Progress, ProjectionName, ReadModelError, ReadModels, Role, Version, VersionNumber,
};
use factum_core::{Checkpoint, CheckpointError, Clock, SystemClock};

use super::board::{Board, Condition, Waited};

/// An observer looks this often whether another version serves, or the projection was stopped: what no commit tells. A
/// commit wakes it at once.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// The progress of a projection that another process applies. Any number of readers wait on one observer; it is woken by
/// the commits.
pub struct Observer {
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn serving(read_models: &dyn ReadModels, name: &ProjectionName) -> Result<Version, ReadModelError> {
    let versions = read_models.versions()?;
    let mut ours = versions.into_iter().filter(|version| version.name == *name).peekable();
    if ours.peek().is_none() {
        return Err(ReadModelError::UnknownProjection { name: name.clone() });
    }
    ours.find(|version| version.role == Role::Serving).ok_or_else(|| ReadModelError::UnknownVersion {
        name: name.clone(),
        wanted: "serving version".to_owned(),
    })
}

fn condition(version: &Version, progress: &Progress) -> Condition {
    match &progress.fault {
        Some(fault) => Condition::Faulted(fault.clone()),
        None if version.stopped => Condition::Stopped("an operator stopped it".to_owned()),
        None => Condition::Live,
    }
}

fn show(board: &Board, version: &Version, progress: &[Progress]) {
    for (index, progress) in (0..).zip(progress) {
        board.advance(index, progress, &condition(version, progress));
    }
}

impl Observer {
    /// Watches a projection's serving version, and whichever serves after it.
    ///
    /// # Errors
    /// `UnknownProjection` where it is not there, or what the database says.
    pub fn start(read_models: Arc<dyn ReadModels>, name: &ProjectionName) -> Result<Self, ReadModelError> {
        let version = serving(&*read_models, name)?;
        let mut watch = read_models.watch(name, version.number)?;
        let progress = read_models.progress(name, version.number)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let board = Board::new(progress.clone(), &Condition::CatchingUp, Arc::clone(&clock));
        show(&board, &version, &progress);
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped, name) = (Arc::clone(&board), Arc::clone(&stop), name.clone());
        let watched = move || {
            let mut number: VersionNumber = version.number;
            while !stopped.load(Ordering::SeqCst) {
                // A watch that fails is made anew: until then this looks around.
                if watch.wait(LOOK_AROUND).is_err() {
                    std::thread::park_timeout(LOOK_AROUND);
                }
                let Ok(version) = serving(&*read_models, &name) else { continue };
                if version.number != number {
                    let Ok(next) = read_models.watch(&name, version.number) else { continue };
                    watch = next;
                    number = version.number;
                    let Ok(progress) = read_models.progress(&name, number) else { continue };
                    shared.show_instead(progress);
                }
                if let Ok(progress) = read_models.progress(&name, number) {
                    show(&shared, &version, &progress);
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("observe".to_owned()).spawn(watched).map_err(|error| {
                ReadModelError::Failed { database: "the observer".to_owned(), why: error.to_string() }
            })?;
        Ok(Self { board, stop, thread: Some(thread) })
    }

    /// Waits until the serving rows hold everything up to `token`, at most so long. Needs a tokio runtime with a timer.
    ///
    /// # Errors
    /// Where the token is of another store, or of another epoch of it.
    pub async fn wait(&self, token: &Checkpoint, at_most: Duration) -> Result<Waited, CheckpointError> {
        self.board.wait(None, token, at_most).await
    }

    /// As [`wait`](Self::wait), on a thread without a runtime.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_blocking(&self, token: &Checkpoint, at_most: Duration) -> Result<Waited, CheckpointError> {
        self.board.wait_blocking(None, token, at_most)
    }

    /// How far the serving rows are.
    pub fn applied(&self) -> Checkpoint {
        self.board.applied()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in it has been reported where it happened.
            let _ = thread.join();
        }
    }
}

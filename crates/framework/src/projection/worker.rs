//! Who applies a partition? One thread: it owns the writer, survives failures of database and log, and obeys operators.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use factum_core::read_model::{Fault, Partition, ReadModelError, ReadModels};
use factum_core::{Clock, EventStore, Position, ReadError};

use super::Projection;
use super::applier::{Applier, Batch, Stopped};
use super::board::{Board, Condition};
use super::changes::{Changed, Subscribers};
use super::reader::{Message, Reader};

/// Most events of one transaction: more would save little and keep other partitions of the same file waiting.
const MAX_BATCH_EVENTS: usize = 8_192;

/// How long a worker waits before it tries a database or a log again that could not be reached: doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// What an operator wants of a worker.
pub(crate) enum Wish {
    /// To try the event again at which it stands still.
    Retry,
    /// To pass that event over.
    Skip {
        position: Position,
        actor: String,
        reason: String,
        done: SyncSender<Result<Option<Fault>, ReadModelError>>,
    },
    /// To end.
    Stop(String),
}

#[derive(Default)]
struct Desk {
    wishes: Mutex<VecDeque<Wish>>,
    came: Condvar,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Wish>> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Wish> {
        self.lock().pop_front()
    }

    /// Waits for a wish, at most so long.
    fn wait(&self, at_most: Option<Duration>) -> Option<Wish> {
        let wishes = self.lock();
        let mut wishes = match at_most {
            Some(at_most) => {
                let waited = self.came.wait_timeout_while(wishes, at_most, |wishes| wishes.is_empty());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.came.wait_while(wishes, |wishes| wishes.is_empty());
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        wishes.pop_front()
    }
}

/// Makes a waiting worker look at its wishes.
type WakeUp = Box<dyn Fn() + Send>;

/// A running worker. Dropped, it stops and is waited for.
pub(crate) struct Worker {
    desk: Arc<Desk>,
    wake: Arc<Mutex<Option<WakeUp>>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Asks it for something.
    pub(crate) fn wish(&self, wish: Wish) {
        self.desk.lock().push_back(wish);
        self.desk.came.notify_all();
        if let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }

    /// Stops it and waits until it has.
    pub(crate) fn stop(&mut self, why: &str) {
        self.wish(Wish::Stop(why.to_owned()));
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop("the process ends");
        }
    }
}

/// What a worker needs.
pub(crate) struct Work<P> {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) read_models: Arc<dyn ReadModels>,
    pub(crate) projection: Arc<P>,
    pub(crate) partition: Partition,
    pub(crate) board: Arc<Board>,
    /// Those who are told of changes.
    pub(crate) subscribers: Arc<Subscribers>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why a session with database and log ended.
enum End {
    /// By wish.
    Stopped(String),
    /// At an event; its fault is on the board.
    Faulted,
    /// The database or the log cannot be reached now.
    Again(String),
    /// Nothing can be done until a person has done something.
    Refused(String),
}

impl From<ReadModelError> for End {
    fn from(error: ReadModelError) -> Self {
        if error.is_transient() { End::Again(error.to_string()) } else { End::Refused(error.to_string()) }
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Checkpoint(_) | ReadError::BeyondEnd { .. } => End::Refused(format!(
                "the read model is of another history than the log: {error}; was the log restored from a backup? \
                 delete the projection and create it again"
            )),
            ReadError::Closed => End::Stopped("the store was closed".to_owned()),
            other if other.kind() == factum_core::ErrorKind::Unavailable => End::Again(other.to_string()),
            other => End::Refused(other.to_string()),
        }
    }
}

impl<P: Projection> Work<P> {
    /// Starts the thread.
    pub(crate) fn start(self) -> std::io::Result<Worker> {
        let desk = Arc::new(Desk::default());
        let wake = Arc::new(Mutex::new(None));
        let name = format!("apply {}", self.partition.name);
        let (its_desk, its_wake) = (Arc::clone(&desk), Arc::clone(&wake));
        let thread = std::thread::Builder::new().name(name).spawn(move || self.run(&its_desk, &its_wake))?;
        Ok(Worker { desk, wake, thread: Some(thread) })
    }

    fn run(self, desk: &Desk, wake: &Mutex<Option<WakeUp>>) {
        let mut retry_after = FIRST_RETRY;
        loop {
            let mut advanced = false;
            let end = self.session(desk, wake, &mut advanced);
            *wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if advanced {
                retry_after = FIRST_RETRY;
            }
            let wait = match &end {
                End::Stopped(why) => {
                    self.show(Condition::Stopped(why.clone()));
                    return;
                }
                End::Faulted => None,
                End::Refused(why) => {
                    self.show(Condition::Stopped(why.clone()));
                    None
                }
                End::Again(why) => {
                    self.show(Condition::Unavailable(why.clone()));
                    let wait = retry_after;
                    retry_after = (retry_after * 2).min(LAST_RETRY);
                    Some(wait)
                }
            };
            match desk.wait(wait) {
                None | Some(Wish::Retry) => {}
                Some(Wish::Stop(why)) => {
                    self.show(Condition::Stopped(why));
                    return;
                }
                Some(Wish::Skip { position, actor, reason, done }) => {
                    let skipped = self.skip(position, &actor, &reason);
                    if matches!(skipped, Ok(Some(_))) {
                        self.show(Condition::CatchingUp);
                    }
                    // Whoever asked may have gone.
                    let _ = done.send(skipped);
                }
            }
        }
    }

    fn show(&self, condition: Condition) {
        self.board.condition(self.partition.index, condition);
    }

    fn applier(&self) -> Result<Applier<P>, ReadModelError> {
        let writer = self.read_models.writer(&self.partition)?;
        let skips = self.read_models.skips(&self.partition.name, self.partition.version)?;
        Ok(Applier::new(Arc::clone(&self.projection), writer, skips, Arc::clone(&self.clock)))
    }

    fn skip(&self, position: Position, actor: &str, reason: &str) -> Result<Option<Fault>, ReadModelError> {
        self.applier()?.skip(position, actor, reason)
    }

    /// Opens database and log, and applies until something ends it.
    fn session(&self, desk: &Desk, wake: &Mutex<Option<WakeUp>>, advanced: &mut bool) -> End {
        let mut applier = match self.applier() {
            Ok(applier) => applier,
            Err(error) => return error.into(),
        };
        let start = applier.progress().applied.clone();
        self.board.advance(self.partition.index, applier.progress(), &Condition::CatchingUp);
        let reader =
            Reader::start(Arc::clone(&self.store), Arc::clone(&self.projection), self.partition.index, start);
        let (reader, waker) = match reader {
            Ok(started) => started,
            Err(error) => return End::Again(format!("no thread could be started: {error}")),
        };
        // Where there is no room, the worker is busy and will look by itself.
        let waker: WakeUp = Box::new(move || drop(waker.try_send(Message::Wake)));
        *wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
        let mut session = Session { work: self, applier: &mut applier, reader: &reader, live: false };
        let end = session.run(desk, advanced);
        // The sender for wishes keeps the channel open: let go of it before the reader is waited for.
        *wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        end
    }
}

struct Session<'a, P: Projection> {
    work: &'a Work<P>,
    applier: &'a mut Applier<P>,
    reader: &'a Reader<P::Event>,
    live: bool,
}

impl<P: Projection> Session<'_, P> {
    fn run(&mut self, desk: &Desk, advanced: &mut bool) -> End {
        loop {
            while let Some(wish) = desk.take() {
                match wish {
                    Wish::Stop(why) => return End::Stopped(why),
                    Wish::Retry => {}
                    Wish::Skip { position, actor, reason, done } => {
                        let _ = done.send(self.applier.skip(position, &actor, &reason));
                    }
                }
            }
            let Some(message) = self.reader.next() else {
                return End::Again("the thread that reads the log ended".to_owned());
            };
            if let Err(end) = self.handle(message, advanced) {
                return end;
            }
        }
    }

    fn handle(&mut self, message: Message<P::Event>, advanced: &mut bool) -> Result<(), End> {
        match message {
            Message::Wake => Ok(()),
            Message::Failed(error) => Err(error.into()),
            Message::CaughtUp => {
                self.live = true;
                self.work.show(Condition::Live);
                Ok(())
            }
            Message::Batch(mut batch) => {
                let after = self.gather(&mut batch);
                self.apply(&batch)?;
                *advanced = true;
                after.map_or(Ok(()), |message| self.handle(message, advanced))
            }
        }
    }

    /// Adds what has been read already: fewer, larger transactions while there is much to do. Gives back a message that
    /// is none of events.
    fn gather(&self, batch: &mut Batch<P::Event>) -> Option<Message<P::Event>> {
        while batch.items.len() < MAX_BATCH_EVENTS {
            match self.reader.try_next()? {
                Message::Batch(more) => {
                    batch.items.extend(more.items);
                    batch.next = more.next;
                }
                Message::Wake => {}
                other => return Some(other),
            }
        }
        None
    }

    fn apply(&mut self, batch: &Batch<P::Event>) -> Result<(), End> {
        let result = self.applier.apply(batch);
        let condition = match (&result, self.live) {
            (Err(Stopped::Fault), _) => match &self.applier.progress().fault {
                Some(fault) => Condition::Faulted(fault.clone()),
                None => Condition::Stopped("an event could not be applied".to_owned()),
            },
            (_, true) => Condition::Live,
            (_, false) => Condition::CatchingUp,
        };
        // What was committed before something went wrong has been committed. The board moves and the change is told in
        // one step: no other partition may tell of this place before this one has told what it changed.
        let partition = &self.work.partition;
        let tags = self.applier.take_changed();
        self.work.subscribers.publish(partition.version, || {
            self.work.board.advance(partition.index, self.applier.progress(), &condition);
            Changed { name: partition.name.clone(), applied: self.work.board.applied(), tags }
        });
        match result {
            Ok(()) => Ok(()),
            Err(Stopped::Fault) => Err(End::Faulted),
            Err(Stopped::ReadModel(error)) => Err(error.into()),
            Err(Stopped::Vault(reason)) => Err(End::Again(reason.to_string())),
        }
    }
}

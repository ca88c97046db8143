//! The handle that users hold: a queue before the writer, readers beside it.
//!
//! Whoever appends puts its work into the queue. A blocking caller that finds the writer free does the queue's work itself,
//! its own and what others put there: no hand-over between threads, which would cost as much as a tenth of a sync. An
//! async caller never blocks: the engine's thread does it.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::thread::JoinHandle;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Capability, CatchUp, Checkpoint, Clock, Delete,
    Deleted, Durability, EventReader, EventStore, Position, Read, ReadError, Redact, RedactError, Redacted,
    SchemaRegistry, Subscribe, Subscription, block_on, check_limits,
};
use tokio::sync::oneshot;

use crate::identity::{Identity, write_tail};
use crate::index::Index;
use crate::log::Log;
use crate::open::{Opened, open};
use crate::options::{OpenError, Options, Upkeep};
use crate::reader::{EngineReader, Snapshot};
use crate::spare::Spare;
use crate::upkeep::{self, UpkeepQueue, UpkeepWork, rebuild_damaged};
use crate::vfs::Vfs;
use crate::writer::{Outcome, Proposal, RememberedHeads, Work, Writer};

/// Most appends that wait in the queue; beyond it `append` waits with them outside.
const MAX_QUEUED: usize = 64 * 1024;

/// An open store. A clone is another handle on it; the store closes with the last one.
#[derive(Clone)]
pub struct Engine {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: Identity,
    pub(crate) log: Arc<Log>,
    pub(crate) index: Arc<Index>,
    pub(crate) upkeep: Arc<UpkeepWork>,
    pub(crate) recovered: Option<String>,
    /// The store's format: goes up with the first redaction.
    pub(crate) format: AtomicU32,
    /// Held while an event is redacted, and while what a crash left of it is finished.
    pub(crate) redacting: Mutex<()>,
    /// Why a redaction that is recorded is not finished, if one is not.
    pub(crate) redaction_failure: Mutex<Option<String>>,
    schemas: Arc<RwLock<SchemaRegistry>>,
    queue: Mutex<Vec<Pending>>,
    /// Wakes the thread that does the queue's work.
    pub(crate) wake: Condvar,
    /// The one owner of the log's end: whoever holds the lock leads. `None` once the store is closed.
    pub(crate) writer: Mutex<Option<Writer>>,
    pub(crate) closing: AtomicBool,
    lock: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

struct Pending {
    work: Work,
    reply: oneshot::Sender<Outcome>,
}

impl Engine {
    /// Opens the store in `dir`, after a crash as well.
    ///
    /// # Errors
    /// `OpenError` says what is in the way; damage before the end of the log is reported, never cut off.
    ///
    /// ```
    /// use factum_core::{EventType, ExpectedRevision, NewEvent, StreamName};
    /// # let dir = tempfile::tempdir()?;
    /// let engine = factum_engine::Engine::open(dir.path(), factum_engine::Options::default())?;
    /// let event = NewEvent::json(EventType::new("AccountOpened")?, "{}");
    /// let appended = engine.append_blocking(factum_core::Append::to(
    ///     StreamName::new("account-7")?,
    ///     ExpectedRevision::NoStream,
    ///     vec![event],
    /// ))?;
    /// assert_eq!(appended.last, Some(factum_core::Position(0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let dir = dir.as_ref().to_owned();
        let Opened { identity, log, index, open, last_recorded, schemas, lock, recovered } =
            open(&dir, &options)?;
        let Options { segment_bytes, upkeep: kind, clock, vfs, create: _ } = options;
        let spare = Arc::new(Spare::new(&dir.join("log"), segment_bytes));
        let (log_handle, index_handle) = (Arc::clone(&log), Arc::clone(&index));
        let work = Arc::new(UpkeepWork::new(Arc::clone(&vfs), log_handle, index_handle, Arc::clone(&spare)));
        let failed = |source| OpenError::Io { action: "starting a thread for", path: dir.clone(), source };
        let mut threads = Vec::new();
        let queue = match kind {
            Upkeep::Inline => UpkeepQueue::Inline(Arc::clone(&work)),
            Upkeep::Thread => {
                let (queue, thread) = upkeep::start(Arc::clone(&work)).map_err(failed)?;
                threads.push(thread);
                queue
            }
        };
        queue.request();
        let shared_schemas = Arc::new(RwLock::new(schemas.clone()));
        let writer = Writer {
            vfs: Arc::clone(&vfs),
            dir: dir.clone(),
            identity,
            segment_bytes,
            clock: Arc::clone(&clock),
            log: Arc::clone(&log),
            index: Arc::clone(&index),
            upkeep: queue,
            open,
            last_recorded,
            shared_schemas: Arc::clone(&shared_schemas),
            schemas,
            buffer: Vec::new(),
            spare: Some(spare).filter(|_| kind == Upkeep::Thread),
            heads: RememberedHeads::default(),
            stopped: None,
        };
        let shared = Arc::new(Shared {
            dir: dir.clone(),
            vfs,
            clock,
            identity,
            log,
            index,
            upkeep: work,
            recovered,
            format: AtomicU32::new(identity.format),
            redacting: Mutex::new(()),
            redaction_failure: Mutex::new(None),
            schemas: shared_schemas,
            queue: Mutex::new(Vec::new()),
            wake: Condvar::new(),
            writer: Mutex::new(Some(writer)),
            closing: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        });
        if kind == Upkeep::Thread {
            let leader = Arc::clone(&shared);
            let named = std::thread::Builder::new().name("factum-writer".to_owned());
            threads.push(named.spawn(move || leader.lead_until_closed()).map_err(failed)?);
        }
        let engine = Self { handle: Arc::new(Handle { shared, threads: Mutex::new(threads) }) };
        engine.resume_redactions();
        Ok(engine)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// What recovery cut off when the store was opened: appends that were never acknowledged.
    pub fn recovered(&self) -> Option<&str> {
        self.shared().recovered.as_deref()
    }

    /// Appends, and blocks until it is safe on disk.
    ///
    /// # Errors
    /// As [`EventStore::append`].
    pub fn append_blocking(&self, append: Append) -> Result<Appended, AppendError> {
        let work = self.shared().propose(append)?;
        block_on(self.shared().submit_and_lead(work)?).unwrap_or(Err(AppendError::Closed))
    }

    /// Reads a page at a time, without a runtime.
    ///
    /// # Errors
    /// As [`EventStore::read`].
    pub fn read_blocking(&self, read: Read) -> Result<Box<dyn EventReader>, ReadError> {
        Ok(Box::new(self.shared().read(read)?))
    }

    /// Waits for what is under way, notes how far the log is safe, and releases the directory. Subscriptions end with
    /// `Closed`, and so does whatever is asked of other handles. Without it the store closes with its last handle.
    pub fn close(&self) {
        self.handle.close();
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn start(&self) -> Checkpoint {
        Checkpoint::before(self.identity.id, self.identity.epoch, Position::START)
    }

    pub(crate) fn read(&self, read: Read) -> Result<EngineReader, ReadError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(ReadError::Closed);
        }
        let snapshot = || Snapshot::take(&self.log, &self.index, &self.start());
        rebuild_damaged(&self.log, &self.index)?;
        match EngineReader::new(snapshot(), read.clone(), &*self.clock) {
            Err(_) if self.index.is_damaged() => {
                rebuild_damaged(&self.log, &self.index)?;
                EngineReader::new(snapshot(), read, &*self.clock)
            }
            reader => reader,
        }
    }

    /// All that can be done for an append outside the writer's lock.
    fn propose(&self, append: Append) -> Result<Work, AppendError> {
        check_limits(&append)?;
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Work::Append(Proposal::new(append, &schemas)))
    }

    fn submit(&self, work: Work) -> Result<oneshot::Receiver<Outcome>, AppendError> {
        let (reply, outcome) = oneshot::channel();
        let mut queue = locked(&self.queue);
        if self.closing.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        if queue.len() >= MAX_QUEUED {
            return Err(AppendError::Busy { waiting: queue.len() });
        }
        queue.push(Pending { work, reply });
        Ok(outcome)
    }

    /// For async callers: the engine's thread leads. Without a thread, the caller does.
    fn submit_to_thread(
        &self,
        work: Work,
        has_thread: bool,
    ) -> Result<oneshot::Receiver<Outcome>, AppendError> {
        if !has_thread {
            return self.submit_and_lead(work);
        }
        let outcome = self.submit(work)?;
        self.wake.notify_one();
        Ok(outcome)
    }

    /// For blocking callers: whoever finds the writer free leads.
    pub(crate) fn submit_and_lead(&self, work: Work) -> Result<oneshot::Receiver<Outcome>, AppendError> {
        let outcome = self.submit(work)?;
        match self.writer.try_lock() {
            Ok(mut writer) => {
                self.commit_queued(&mut writer);
                drop(writer);
                // Work that came meanwhile found the writer taken: somebody must do it.
                if !locked(&self.queue).is_empty() {
                    self.wake.notify_one();
                }
            }
            Err(TryLockError::WouldBlock) => self.wake.notify_one(),
            Err(TryLockError::Poisoned(writer)) => self.commit_queued(&mut writer.into_inner()),
        }
        Ok(outcome)
    }

    fn commit_queued(&self, writer: &mut Option<Writer>) {
        let pending = std::mem::take(&mut *locked(&self.queue));
        let (works, replies): (Vec<_>, Vec<_>) = pending.into_iter().map(|p| (p.work, p.reply)).unzip();
        let mut replies: Vec<_> = replies.into_iter().map(Some).collect();
        let Some(writer) = writer else { return };
        writer.commit(works, |index, outcome| {
            if let Some(reply) = replies.get_mut(index).and_then(Option::take) {
                // Whoever no longer waits loses the answer, not the append.
                drop(reply.send(outcome));
            }
        });
    }

    fn lead_until_closed(&self) {
        loop {
            let mut queue = locked(&self.queue);
            while queue.is_empty() {
                if self.closing.load(Ordering::Acquire) {
                    return;
                }
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            drop(queue);
            self.commit_queued(&mut locked(&self.writer));
        }
    }
}

impl Handle {
    fn close(&self) {
        let shared = &self.shared;
        {
            let _queue = locked(&shared.queue);
            shared.closing.store(true, Ordering::Release);
        }
        shared.wake.notify_all();
        let writer = {
            let mut writer = locked(&shared.writer);
            shared.commit_queued(&mut writer);
            writer.take()
        };
        if let Some(writer) = writer
            && writer.stopped.is_none()
        {
            // Only a lower bound, and only a help to notice later damage: a failure loses nothing.
            drop(write_tail(&*shared.vfs, &shared.dir, shared.log.committed()));
        }
        // Whoever writes a segment anew is waited for: the directory is somebody else's as soon as it is free.
        drop(shared.redact_alone());
        shared.index.stop();
        shared.upkeep.stop();
        for thread in locked(&self.threads).drain(..) {
            drop(thread.join());
        }
        shared.log.close();
        *locked(&shared.lock) = None;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl EventStore for Engine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            supported: vec![
                Capability::MultiStreamAppend,
                Capability::QueryConditions,
                Capability::StreamChecks,
                Capability::GlobalOrder,
                Capability::ServerSideFilter,
                Capability::AppendIds,
                Capability::PhysicalDelete,
                Capability::SchemaEnforcement,
                Capability::Redaction,
            ],
            durability: Durability::Disk,
        }
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let work = self.shared().propose(append)?;
            let outcome = self.shared().submit_to_thread(work, self.has_thread())?;
            outcome.await.unwrap_or(Err(AppendError::Closed))
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        let reader = self.shared().read(read).map(|reader| Box::new(reader) as Box<dyn EventReader>);
        Box::pin(std::future::ready(reader))
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        let subscription = match self.shared().log.watch() {
            Some(head) => CatchUp::new(Arc::new(self.clone()), head, self.shared().start(), subscribe)
                .map(|subscription| Box::new(subscription) as Box<dyn Subscription>),
            None => Err(ReadError::Closed),
        };
        Box::pin(std::future::ready(subscription))
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        Box::pin(async move {
            let outcome = self.shared().submit_to_thread(Work::Delete(delete), self.has_thread())?;
            let appended = outcome.await.unwrap_or(Err(AppendError::Closed))?;
            Ok(Deleted { position: appended.last, token: appended.token })
        })
    }

    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        self.redact_aside(redact)
    }
}

impl Engine {
    pub(crate) fn has_thread(&self) -> bool {
        !locked(&self.handle.threads).is_empty()
    }

    /// The first failure that stopped the writer, if one did.
    pub fn stopped(&self) -> Option<Arc<io::Error>> {
        locked(&self.shared().writer).as_ref().and_then(|writer| writer.stopped.clone())
    }
}

//! Work that appends need not wait for: offset tables of sealed segments, index runs, merges of runs.
//!
//! Nothing here is the truth, so a failure is kept to be shown, and tried again the next time.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use factum_core::{ReadError, RecordedEvent};

use crate::index::{Index, Rebuild};
use crate::log::Log;
use crate::segment::Segment;
use crate::segment::format::Record;
use crate::segment::offsets::{Offsets, open_table, write_table};
use crate::spare::Spare;
use crate::vfs::Vfs;

/// What upkeep works on.
pub(crate) struct UpkeepWork {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) log: Arc<Log>,
    pub(crate) index: Arc<Index>,
    /// Held while segments are replaced, here and by a scavenge, so that neither undoes the other's work.
    pub(crate) replacing: Mutex<()>,
    /// Zeros for the next segment.
    pub(crate) spare: Arc<Spare>,
    /// Set when the store closes, so that nobody waits for what is of no use any more.
    stopping: AtomicBool,
    /// The newest failure, for people.
    failure: Mutex<Option<String>>,
}

impl UpkeepWork {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, log: Arc<Log>, index: Arc<Index>, spare: Arc<Spare>) -> Self {
        let (replacing, failure) = (Mutex::new(()), Mutex::new(None));
        Self { vfs, log, index, replacing, spare, stopping: AtomicBool::new(false), failure }
    }

    /// Ends what can be left undone.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Takes the right to replace segments.
    pub(crate) fn replace(&self) -> MutexGuard<'_, ()> {
        self.replacing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What went wrong last, if the last round did not end well.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does all that there is to do.
    pub(crate) fn run(&self) {
        let stopping = || self.stopping.load(Ordering::Acquire);
        let done = self
            .spare
            .make(&*self.vfs, stopping)
            .map_err(|error| format!("making zeros for the next segment: {error}"))
            .and_then(|()| self.write_tables().map_err(|error| format!("writing an offset table: {error}")))
            .and_then(|()| self.keep_index().map_err(|error| error.to_string()));
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = done.err();
    }

    fn keep_index(&self) -> Result<(), ReadError> {
        while self.index.write_frozen()? {}
        rebuild_damaged(&self.log, &self.index)?;
        while self.index.merge_step()? {}
        Ok(())
    }

    fn write_tables(&self) -> std::io::Result<()> {
        for base in self.log.segments().iter().map(|segment| segment.base()).collect::<Vec<_>>() {
            let _replacing = self.replace();
            // Looked up under the lock: a scavenge may have put another file in its place since.
            let segments = self.log.segments();
            let Some(segment) = segments.iter().find(|segment| segment.base() == base) else { continue };
            let (Some(seal), Offsets::Memory(offsets)) = (segment.seal, &segment.offsets) else { continue };
            let offsets = offsets.read().unwrap_or_else(PoisonError::into_inner).clone();
            write_table(&*self.vfs, &segment.path, &segment.header, &offsets)?;
            let count = seal.end.0 - segment.base().0;
            if let Some(offsets) = open_table(&*self.vfs, &segment.path, &segment.header, count) {
                self.log.put_segment(Arc::new(Segment {
                    path: segment.path.clone(),
                    header: segment.header,
                    file: Arc::clone(&segment.file),
                    offsets,
                    seal: segment.seal,
                }));
            }
        }
        Ok(())
    }
}

/// Builds those index runs again that were found damaged. Until that is done they answer with an error, never wrongly.
///
/// # Errors
/// Where the log cannot be read or a run cannot be written.
pub(crate) fn rebuild_damaged(log: &Log, index: &Index) -> Result<(), ReadError> {
    if !index.is_damaged() {
        return Ok(());
    }
    while let Some(rebuild) = index.rebuild_damaged() {
        rebuild_from_log(log, rebuild)?;
    }
    Ok(())
}

/// Gives the index the events that it lacks.
///
/// # Errors
/// Where the log cannot be read or a run cannot be written.
pub(crate) fn rebuild_from_log(log: &Log, mut rebuild: Rebuild<'_>) -> Result<(), ReadError> {
    let Range { start: mut from, end } = rebuild.range();
    while from < end {
        let block = log.block_forwards(from, end)?;
        from += block.len() as u64;
        rebuild.insert(&events_of(&block))?;
    }
    Ok(rebuild.finish()?)
}

/// The events among these records.
pub(crate) fn events_of(records: &[Record]) -> Vec<RecordedEvent> {
    let events = records.iter().filter_map(|record| match record {
        Record::Event(event) => Some(event.clone()),
        Record::Removed { .. } => None,
    });
    events.collect()
}

/// How the writer asks for upkeep.
pub(crate) enum UpkeepQueue {
    /// A thread does it. One request that waits stands for all.
    Thread(SyncSender<()>),
    /// It is done at once.
    Inline(Arc<UpkeepWork>),
}

impl UpkeepQueue {
    pub(crate) fn request(&self) {
        match self {
            UpkeepQueue::Thread(sender) => match sender.try_send(()) {
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            },
            UpkeepQueue::Inline(work) => work.run(),
        }
    }
}

/// Starts the thread that does upkeep until its queue is dropped.
pub(crate) fn start(work: Arc<UpkeepWork>) -> std::io::Result<(UpkeepQueue, JoinHandle<()>)> {
    let (sender, receiver): (_, Receiver<()>) = sync_channel(1);
    let thread = std::thread::Builder::new().name("factum-upkeep".to_owned()).spawn(move || {
        while receiver.recv().is_ok() {
            work.run();
        }
    })?;
    Ok((UpkeepQueue::Thread(sender), thread))
}

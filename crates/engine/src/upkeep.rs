//! Work that appends need not wait for: offset tables of sealed segments, index runs, merges of runs.
//!
//! Nothing here is the truth, so a failure is kept to be shown, and tried again the next time.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::index::Index;
use crate::log::Log;
use crate::segment::Segment;
use crate::segment::offsets::{Offsets, open_table, write_table};
use crate::vfs::Vfs;

/// What upkeep works on.
pub(crate) struct UpkeepWork {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) log: Arc<Log>,
    pub(crate) index: Arc<Index>,
    /// Held while segments are replaced, here and by a scavenge, so that neither undoes the other's work.
    pub(crate) replacing: Mutex<()>,
    /// The newest failure, for people.
    failure: Mutex<Option<String>>,
}

impl UpkeepWork {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, log: Arc<Log>, index: Arc<Index>) -> Self {
        Self { vfs, log, index, replacing: Mutex::new(()), failure: Mutex::new(None) }
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
        let done =
            self.write_tables().map_err(|error| format!("writing an offset table: {error}")).and_then(|()| {
                while self.index.write_frozen().map_err(|error| error.to_string())? {}
                Ok(())
            });
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = done.err();
    }

    fn write_tables(&self) -> std::io::Result<()> {
        for segment in self.log.segments().iter() {
            let (Some(seal), Offsets::Memory(offsets)) = (segment.seal, &segment.offsets) else { continue };
            let _replacing = self.replace();
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

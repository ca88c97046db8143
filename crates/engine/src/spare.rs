//! The next segment's zeros, written and synced before they are needed.
//!
//! Overwriting zeros of a file that does not grow is what makes a sync cheap. A segment that is half full is followed by one, so
//! making a spare then costs appends nothing but their share of the disk.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::vfs::{OpenMode, Vfs};

const NONE: u8 = 0;
const WANTED: u8 = 1;
const READY: u8 = 2;

/// Bytes that one write of zeros takes from.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A file of zeros as long as a segment.
pub(crate) struct Spare {
    path: PathBuf,
    bytes: u64,
    /// The writer wants, upkeep makes, the writer takes: each alone moves it on from where the other left it.
    state: AtomicU8,
}

impl Spare {
    /// No spare yet. Its name ends like that of every unfinished file: opening a store removes what a crash left.
    pub(crate) fn new(log_dir: &std::path::Path, bytes: u64) -> Self {
        Self { path: log_dir.join("spare.tmp"), bytes, state: AtomicU8::new(NONE) }
    }

    /// Asks for one; whether that was news.
    pub(crate) fn want(&self) -> bool {
        self.state.compare_exchange(NONE, WANTED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Makes one if it is wanted. A failure leaves none: the writer then makes its own zeros.
    pub(crate) fn make(&self, vfs: &dyn Vfs, stopping: impl Fn() -> bool) -> io::Result<()> {
        if self.state.load(Ordering::Acquire) != WANTED {
            return Ok(());
        }
        let made = self.write(vfs, stopping);
        let ready = matches!(made, Ok(true));
        if !ready {
            drop(vfs.remove(&self.path));
        }
        self.state.store(if ready { READY } else { NONE }, Ordering::Release);
        made.map(|_| ())
    }

    fn write(&self, vfs: &dyn Vfs, stopping: impl Fn() -> bool) -> io::Result<bool> {
        match vfs.remove(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = vfs.open(&self.path, OpenMode::CreateNew)?;
        let mut at = 0;
        while at < self.bytes {
            if stopping() {
                return Ok(false);
            }
            let take = (self.bytes - at).min(ZEROS.len() as u64);
            file.write_all_at(&ZEROS[..take as usize], at)?;
            at += take;
        }
        file.sync_data()?;
        Ok(true)
    }

    /// Takes the spare, if there is one of at least `bytes`: its path and length.
    pub(crate) fn take(&self, bytes: u64) -> Option<(PathBuf, u64)> {
        let fits = bytes <= self.bytes;
        let taken =
            fits && self.state.compare_exchange(READY, NONE, Ordering::AcqRel, Ordering::Acquire).is_ok();
        taken.then(|| (self.path.clone(), self.bytes))
    }
}

//! What the hardware allows: loops that do nothing but write and sync, or copy.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::BenchResult;

/// Bytes of a frame and a record around the body of one measured event, as `docs/format.md` draws them, with names.
pub(super) const RECORD_OVERHEAD: usize = 48 + 68 + 20;

/// A file of zeros that is overwritten a piece at a time, each piece synced.
pub(super) struct RawLoop {
    file: File,
    at: u64,
    end: u64,
    piece: Vec<u8>,
}

impl RawLoop {
    /// A loop over pieces of `bytes` bytes, with room for `pieces`.
    pub(super) fn new(dir: &Path, bytes: usize, pieces: usize) -> BenchResult<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(dir.join("raw"))?;
        let end = (bytes * pieces) as u64;
        let zeros = vec![0; 1024 * 1024];
        let mut at = 0;
        while at < end {
            let take = (end - at).min(zeros.len() as u64);
            file.write_all_at(&zeros[..take as usize], at)?;
            at += take;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0, end, piece: vec![7; bytes] })
    }

    /// Writes and syncs so many pieces; the time of each.
    pub(super) fn run(&mut self, pieces: usize) -> BenchResult<Vec<Duration>> {
        let mut times = Vec::with_capacity(pieces);
        for _ in 0..pieces {
            if self.at + self.piece.len() as u64 > self.end {
                self.at = 0;
            }
            let start = Instant::now();
            self.file.write_all_at(&self.piece, self.at)?;
            self.file.sync_data()?;
            times.push(start.elapsed());
            self.at += self.piece.len() as u64;
        }
        Ok(times)
    }
}

/// Copies events in memory, the way a log without any work would: events per second.
pub(super) fn memory_copy(bytes: usize) -> f64 {
    const COUNT: usize = 200_000;
    let from = vec![7u8; bytes * COUNT];
    let mut to = vec![0u8; bytes * COUNT];
    // Once before, so that the pages exist.
    to.copy_from_slice(&from);
    let start = Instant::now();
    for (from, to) in from.chunks_exact(bytes).zip(to.chunks_exact_mut(bytes)) {
        to.copy_from_slice(from);
    }
    let seconds = start.elapsed().as_secs_f64();
    std::hint::black_box(&to);
    COUNT as f64 / seconds
}

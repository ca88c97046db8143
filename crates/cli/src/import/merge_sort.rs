//! How records are put in order when they do not all fit in memory: sorted runs in temporary files, then a merge.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Runs that are open at once; more are merged into one first, so that file handles stay few.
const MAX_RUNS: usize = 64;
const BUFFER_BYTES: usize = 64 * 1024;

/// The order: first number, then second. Give the second a count, and equal first numbers keep their order.
pub(super) type Key = (i64, u64);

/// Takes records in any order and gives them back in the order of their keys, with bounded memory.
pub(super) struct Sorter {
    dir: PathBuf,
    run_bytes: usize,
    entries: Vec<(Key, usize, usize)>,
    arena: Vec<u8>,
    runs: Vec<File>,
}

impl Sorter {
    /// Keeps up to about `run_bytes` in memory, the rest in unnamed files in `dir`.
    pub(super) fn new(dir: &Path, run_bytes: usize) -> Self {
        Self { dir: dir.to_owned(), run_bytes, entries: Vec::new(), arena: Vec::new(), runs: Vec::new() }
    }

    pub(super) fn push(&mut self, key: Key, record: &[u8]) -> io::Result<()> {
        self.entries.push((key, self.arena.len(), record.len()));
        self.arena.extend_from_slice(record);
        if self.arena.len() + self.entries.len() * size_of::<(Key, usize, usize)>() >= self.run_bytes {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.entries.sort_unstable_by_key(|entry| entry.0);
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(&self.dir)?);
        for (key, at, length) in &self.entries {
            write_record(&mut out, *key, &self.arena[*at..at + length])?;
        }
        self.runs.push(finish_run(out)?);
        self.entries.clear();
        self.arena.clear();
        if self.runs.len() >= MAX_RUNS {
            let mut merged = Sorted::new(std::mem::take(&mut self.runs), Vec::new(), Vec::new())?;
            let mut out = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(&self.dir)?);
            while let Some((key, record)) = merged.next_record()? {
                write_record(&mut out, key, &record)?;
            }
            self.runs.push(finish_run(out)?);
        }
        Ok(())
    }

    /// Everything that was pushed, in order.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        self.entries.sort_unstable_by_key(|entry| Reverse(entry.0));
        Sorted::new(self.runs, self.entries, self.arena)
    }
}

fn write_record(out: &mut impl Write, key: Key, record: &[u8]) -> io::Result<()> {
    out.write_all(&key.0.to_le_bytes())?;
    out.write_all(&key.1.to_le_bytes())?;
    out.write_all(&(record.len() as u32).to_le_bytes())?;
    out.write_all(record)
}

fn finish_run(out: BufWriter<File>) -> io::Result<File> {
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// Sorted records, one at a time.
pub(super) struct Sorted {
    runs: Vec<BufReader<File>>,
    /// The next record of each run that has one, and the run's number; the smallest key on top.
    heads: BinaryHeap<Reverse<(Key, usize, Vec<u8>)>>,
    /// The last run never leaves memory: its entries, the smallest key last.
    entries: Vec<(Key, usize, usize)>,
    arena: Vec<u8>,
}

impl Sorted {
    fn new(runs: Vec<File>, entries: Vec<(Key, usize, usize)>, arena: Vec<u8>) -> io::Result<Self> {
        let runs = runs.into_iter().map(|run| BufReader::with_capacity(BUFFER_BYTES, run)).collect();
        let mut sorted = Self { runs, heads: BinaryHeap::new(), entries, arena };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        let reader = &mut self.runs[run];
        let mut head = [0; 20];
        // A run ends between records, and only there.
        match reader.read(&mut head[..1])? {
            0 => return Ok(()),
            _ => reader.read_exact(&mut head[1..])?,
        }
        let mut take = head.as_slice();
        let mut word = || {
            let mut bytes = [0; 8];
            take.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        let key = (word()?.cast_signed(), word()?);
        let mut length = [0; 4];
        take.read_exact(&mut length)?;
        let mut record = vec![0; u32::from_le_bytes(length) as usize];
        reader.read_exact(&mut record)?;
        self.heads.push(Reverse((key, run, record)));
        Ok(())
    }

    pub(super) fn next_record(&mut self) -> io::Result<Option<(Key, Vec<u8>)>> {
        let in_memory = self.entries.last().map(|entry| entry.0);
        let on_disk = self.heads.peek().map(|Reverse(head)| head.0);
        match (in_memory, on_disk) {
            (Some(memory), disk) if disk.is_none_or(|disk| memory <= disk) => {
                Ok(self.entries.pop().map(|(key, at, length)| (key, self.arena[at..at + length].to_vec())))
            }
            (_, Some(_)) => {
                let Some(Reverse((key, run, record))) = self.heads.pop() else { return Ok(None) };
                self.refill(run)?;
                Ok(Some((key, record)))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(run_bytes: usize, count: u64) -> (Vec<Key>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), run_bytes);
        for n in 0..count {
            // A few first numbers many times, in no order.
            let key = ((n.wrapping_mul(2_654_435_761) % 97) as i64 - 48, n);
            sorter.push(key, format!("{key:?}").as_bytes()).unwrap();
        }
        let runs = sorter.runs.len();
        let mut sorted = sorter.finish().unwrap();
        let mut keys = Vec::new();
        while let Some((key, record)) = sorted.next_record().unwrap() {
            assert_eq!(record, format!("{key:?}").as_bytes());
            keys.push(key);
        }
        (keys, runs)
    }

    #[test]
    fn any_number_of_runs_gives_the_same_order() {
        let (in_memory, runs) = sorted(usize::MAX, 5_000);
        assert_eq!(runs, 0);
        assert!(in_memory.is_sorted());
        assert_eq!(in_memory.len(), 5_000);
        let (few, runs) = sorted(40_000, 5_000);
        assert!((2..MAX_RUNS).contains(&runs), "{runs}");
        assert_eq!(few, in_memory);
        // More runs than may be open at once.
        let (many, _) = sorted(1_000, 5_000);
        assert_eq!(many, in_memory);
        assert_eq!(sorted(10, 0).0, []);
    }
}

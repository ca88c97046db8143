//! At which positions are the events of a stream, a category, a type, a tag, an id?
//!
//! The index is built while events are appended: into a table in memory for the open segment, which is frozen when the
//! segment is sealed and then written as a run, an immutable file. Runs are merged eight at a time, so that their number
//! grows with the logarithm of the log's length. Each layer (run or table) holds a range of positions of its own; a lookup asks them
//! from the newest or the oldest on.
//!
//! The index is never the source of truth. Keys are 64-bit hashes: whoever gets a candidate checks the event itself. A
//! run that is missing or damaged is built again from the log.
//!
//! How it grows. Memory: about 11 bits for each distinct key of each run (an event has one or two keys of its own, its id and its
//! append's; a stream or a tag has one per run in which it occurs), so 10 million events in 1 million streams with a tag each
//! take about 60 MB; and 16 to 40 MB for each table of a segment of 180,000 events. Nothing is kept per stream. Opening reads
//! what stays in memory and nothing else: its time grows in the same way. On disk, about 80 bytes per event.

mod bloom;
mod build;
mod check;
mod cursor;
mod error;
mod format;
mod key;
mod layers;
mod list;
mod memory;
mod merge;
mod plan;
mod run;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use factum_core::RecordedEvent;

pub(crate) use check::{RunSums, verify_runs};
pub(crate) use cursor::Cursor;
pub(crate) use error::IndexError;
pub(crate) use key::KeyHash;
pub(crate) use layers::IndexSnapshot;
pub(crate) use plan::Plan;

use crate::vfs::Vfs;
use build::{RunWriter, UNFINISHED, parse_file_name};
use key::event_keys;
use layers::{Layer, Layers, Source};
use memory::{Batch, Memtable};
use run::Run;

/// Events after which a rebuild writes a run: about a segment's worth.
const REBUILD_EVENTS: u64 = 262_144;

/// The index of a log.
///
/// One thread inserts and freezes; any thread reads through snapshots; one thread at a time writes, merges and rebuilds.
pub(crate) struct Index {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    /// Replaced as a whole by each change, so that a reader holds the lock only to take a handle.
    layers: RwLock<Arc<Layers>>,
    writer: Mutex<Inserter>,
    /// Held by whoever writes frozen tables.
    tables: Mutex<()>,
    /// Held by whoever merges or rebuilds runs: may take long, so frozen tables are written meanwhile.
    runs: Mutex<()>,
    stopped: AtomicBool,
}

/// An index that was opened, and what it lacks.
pub(crate) struct OpenedIndex {
    pub(crate) index: Index,
    /// Ranges of positions, in order, whose events have to be read from the log and given to `Index::rebuild`.
    pub(crate) missing: Vec<Range<u64>>,
    /// Runs that were dropped since they are damaged or cannot be read: they are among what is missing.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for people, and the engine has nowhere to show it yet")
    )]
    pub(crate) dropped: Vec<IndexError>,
}

/// What the inserting thread keeps between batches.
struct Inserter {
    table: Arc<Memtable>,
    /// The next position.
    next: u64,
    scratch: Scratch,
}

/// Buffers for the keys of a batch.
#[derive(Default)]
struct Scratch {
    keys: Vec<KeyHash>,
    batch: Batch,
}

impl Scratch {
    fn insert(&mut self, table: &Memtable, events: &[RecordedEvent]) {
        for event in events {
            self.keys.clear();
            event_keys(event, &mut self.keys);
            let posting = (event.position().0 - table.from()) as u32;
            for key in &self.keys {
                self.batch.add(*key, posting);
            }
        }
        table.insert(&mut self.batch);
    }
}

impl Index {
    /// Opens the index in a directory of its own, which is created if need be.
    ///
    /// Runs cover the positions below `tail`, which are sealed; the caller inserts the events from `tail` on. What the runs do
    /// not cover, since they were never written or are damaged, is returned as missing.
    ///
    /// # Errors
    /// Only where the directory cannot be made or listed. A run that cannot be used is dropped.
    pub(crate) fn open(vfs: Arc<dyn Vfs>, dir: &Path, tail: u64) -> Result<OpenedIndex, IndexError> {
        let io = |error| IndexError::io(dir, error);
        vfs.create_dir_all(dir).map_err(io)?;
        let names = vfs.list(dir).map_err(io)?;
        let mut found = names.iter().filter_map(|name| parse_file_name(name)).collect::<Vec<_>>();
        // The longest first: it replaces those that it was merged from.
        found.sort_by_key(|(from, to)| (std::cmp::Reverse(to - from), *from));
        let (mut layers, mut dropped) = (Layers::new(), Vec::new());
        let mut leftovers = names
            .iter()
            .filter(|name| name.ends_with(UNFINISHED))
            .map(|name| dir.join(name))
            .collect::<Vec<_>>();
        for (from, to) in found {
            let path = dir.join(build::file_name(from, to));
            if to > tail || layers.iter().any(|layer: &Layer| layer.from < to && from < layer.to) {
                leftovers.push(path);
                continue;
            }
            match Run::open(&*vfs, &path) {
                Ok(run) if (run.header().from, run.header().to) == (from, to) => layers.push(Layer::run(run)),
                Ok(run) => {
                    dropped.push(run.damaged(16, "its name and its header speak of different positions"));
                    leftovers.push(path);
                }
                Err(error) => {
                    // One that merely could not be read is left alone: what is built in its place has its name, or overlaps it.
                    if matches!(error, IndexError::Damaged { .. }) {
                        leftovers.push(path);
                    }
                    dropped.push(error);
                }
            }
        }
        for path in leftovers {
            // A leftover that stays costs space, no more; it is tried again at the next opening.
            let _ = vfs.remove(&path);
        }
        layers.sort_by_key(|layer| layer.from);
        let missing = gaps(&layers, tail);
        let table = Arc::new(Memtable::new(tail));
        layers.push(Layer { from: tail, to: u64::MAX, source: Source::Memory(Arc::clone(&table)) });
        let index = Index {
            vfs,
            dir: dir.to_owned(),
            layers: RwLock::new(Arc::new(layers)),
            writer: Mutex::new(Inserter { table, next: tail, scratch: Scratch::default() }),
            tables: Mutex::new(()),
            runs: Mutex::new(()),
            stopped: AtomicBool::new(false),
        };
        Ok(OpenedIndex { index, missing, dropped })
    }

    /// Inserts events that follow those inserted before. To be called before their commit is published.
    pub(crate) fn insert(&self, events: &[RecordedEvent]) {
        let mut writer = lock(&self.writer);
        let Inserter { table, next, scratch } = &mut *writer;
        for event in events {
            debug_assert!(event.position().0 >= *next, "events are inserted in the order of the log");
            *next = event.position().0 + 1;
        }
        scratch.insert(table, events);
    }

    /// Freezes the open table: what was inserted so far goes into one run. For when a segment is sealed.
    pub(crate) fn freeze(&self) {
        let mut writer = lock(&self.writer);
        let at = writer.next;
        if writer.table.from() == at {
            return;
        }
        let table = Arc::new(writer.table.next(at));
        self.change(|layers| {
            if let Some(open) = layers.last_mut() {
                open.to = at;
            }
            layers.push(Layer { from: at, to: u64::MAX, source: Source::Memory(Arc::clone(&table)) });
        });
        writer.table = table;
    }

    /// The index as it is below `upto`, which everything inserted so far may exceed.
    pub(crate) fn snapshot(&self, upto: u64) -> IndexSnapshot {
        IndexSnapshot { layers: self.current(), upto }
    }

    fn current(&self) -> Arc<Layers> {
        Arc::clone(&self.layers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the oldest frozen table as a run; `false`: there was none. For a background thread.
    ///
    /// # Errors
    /// Where the disk refuses. The table then stays in memory, and nothing is lost by trying again or not.
    pub(crate) fn write_frozen(&self) -> Result<bool, IndexError> {
        let _tables = lock(&self.tables);
        let layers = self.current();
        let frozen = layers.iter().find_map(|layer| match &layer.source {
            Source::Memory(table) if layer.to != u64::MAX => Some((Arc::clone(table), layer.to)),
            _ => None,
        });
        let Some((table, to)) = frozen else { return Ok(false) };
        let run = self.write_run(&table, to)?;
        self.replace(table.from()..to, vec![Layer::run(run)]);
        Ok(true)
    }

    /// Merges the runs of which there are enough; `false`: there was nothing to do, or the index was stopped meanwhile.
    /// For a background thread, which calls it until then. Memory is bounded: a few megabytes beside what the new run keeps open.
    ///
    /// # Errors
    /// Where a run cannot be written or is damaged: then see `rebuild_damaged`.
    pub(crate) fn merge_step(&self) -> Result<bool, IndexError> {
        let _runs = lock(&self.runs);
        let Some(runs) = merge::choose(&self.current()) else { return Ok(false) };
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Ok(false) };
        let (from, to, level) = (first.header().from, last.header().to, first.header().level + 1);
        let keys = runs.iter().map(|run| run.header().keys).sum();
        let mut into = RunWriter::create(&*self.vfs, &self.dir, (from, to), level, keys)?;
        // A merge may take long, and tables must not pile up in memory meanwhile.
        let mut goes_on = || {
            while self.write_frozen()? {}
            Ok(!self.stopped.load(Ordering::Relaxed))
        };
        match merge::merge(&runs, &mut into, &mut goes_on) {
            Ok(true) => {
                let merged = into.finish()?;
                self.replace(from..to, vec![Layer::run(merged)]);
                Ok(true)
            }
            stopped => {
                into.abandon();
                stopped
            }
        }
    }

    /// Makes a merge that is under way, and every later one, end at once with nothing done. For when the log is closed.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Begins to build the index again for a range of positions that it lacks.
    pub(crate) fn rebuild(&self, range: Range<u64>) -> Rebuild<'_> {
        Rebuild::begin(self, lock(&self.runs), range)
    }

    /// The runs as they are now; a merge that comes after does not take them away from whoever has them.
    pub(crate) fn runs(&self) -> Vec<RunSums> {
        self.current().iter().filter_map(RunSums::of).collect()
    }

    /// Whether a read or a merge has found a damaged run since the last rebuild.
    pub(crate) fn is_damaged(&self) -> bool {
        self.current().iter().any(Layer::is_damaged)
    }

    /// Begins to build a damaged run again; `None`: none is known to be damaged. Appends and reads may go on.
    pub(crate) fn rebuild_damaged(&self) -> Option<Rebuild<'_>> {
        let runs = lock(&self.runs);
        let range =
            self.current().iter().find(|layer| layer.is_damaged()).map(|layer| layer.from..layer.to)?;
        Some(Rebuild::begin(self, runs, range))
    }

    /// About how many bytes of memory the index takes.
    pub(crate) fn bytes(&self) -> usize {
        self.current().iter().map(Layer::bytes).sum()
    }

    /// Number of layers that a lookup may have to ask.
    pub(crate) fn layers(&self) -> usize {
        self.current().len()
    }

    fn write_run(&self, table: &Memtable, to: u64) -> Result<Run, IndexError> {
        let mut run = RunWriter::create(&*self.vfs, &self.dir, (table.from(), to), 0, table.keys())?;
        let written = table.try_for_each(|key, postings| {
            run.key(key)?;
            postings.iter().try_for_each(|posting| run.posting(*posting))
        });
        match written {
            Ok(()) => run.finish(),
            Err(error) => {
                run.abandon();
                Err(error)
            }
        }
    }

    /// Puts runs in the place of the layers in a range, and removes the files of those.
    ///
    /// Where a larger layer has come to cover the range meanwhile, it stays: a merge reads and checks all that it takes over.
    fn replace(&self, range: Range<u64>, runs: Vec<Layer>) {
        let names = |layers: &[Layer]| layers.iter().filter_map(Layer::path).map(Path::to_owned).collect();
        let mut kept: Vec<PathBuf> = names(&runs);
        let mut replaced = Vec::new();
        self.change(|layers| {
            let inside = |layer: &Layer| range.start <= layer.from && layer.to <= range.end;
            let overlaps = |layer: &Layer| layer.from < range.end && range.start < layer.to;
            if layers.iter().any(|layer| overlaps(layer) && !inside(layer)) {
                kept.clear();
                replaced = runs;
            } else {
                replaced.extend(layers.extract_if(.., |layer| inside(layer)));
                let place = layers.partition_point(|layer| layer.from < range.start);
                layers.splice(place..place, runs);
            }
        });
        let replaced: Vec<PathBuf> = names(&replaced);
        for path in replaced.iter().filter(|path| !kept.contains(path)) {
            // A file that stays lies inside the range of another, and is removed at the next opening.
            let _ = self.vfs.remove(path);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Layers)) {
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut layers));
    }
}

/// Builds a range of positions again. What it builds is used when all of it is finished: until then a damaged run goes on
/// giving its error, rather than too few positions.
pub(crate) struct Rebuild<'a> {
    index: &'a Index,
    range: Range<u64>,
    next: u64,
    table: Memtable,
    scratch: Scratch,
    built: Vec<Layer>,
    /// No merge and no other rebuild comes between.
    _runs: MutexGuard<'a, ()>,
}

impl<'a> Rebuild<'a> {
    fn begin(index: &'a Index, runs: MutexGuard<'a, ()>, range: Range<u64>) -> Self {
        Self {
            index,
            next: range.start,
            table: Memtable::new(range.start),
            range,
            scratch: Scratch::default(),
            built: Vec::new(),
            _runs: runs,
        }
    }

    /// The positions whose events are to be inserted.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Inserts the next events of the range, in order. Writes a run where enough has come together.
    ///
    /// # Errors
    /// Where a run cannot be written.
    pub(crate) fn insert(&mut self, events: &[RecordedEvent]) -> Result<(), IndexError> {
        self.scratch.insert(&self.table, events);
        if let Some(last) = events.last() {
            self.next = last.position().0 + 1;
        }
        if self.next - self.table.from() >= REBUILD_EVENTS { self.write(self.next) } else { Ok(()) }
    }

    /// Writes what is left. The range then counts as covered to its end, even where a scavenge has removed its last events.
    ///
    /// # Errors
    /// Where a run cannot be written.
    pub(crate) fn finish(mut self) -> Result<(), IndexError> {
        if self.table.from() < self.range.end {
            self.write(self.range.end)?;
        }
        self.index.replace(self.range, self.built);
        Ok(())
    }

    fn write(&mut self, to: u64) -> Result<(), IndexError> {
        let run = self.index.write_run(&self.table, to)?;
        self.built.push(Layer::run(run));
        self.table = Memtable::new(to);
        Ok(())
    }
}

/// The ranges of positions below `end` that no layer covers.
fn gaps(layers: &Layers, end: u64) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut covered = 0;
    for (from, to) in layers.iter().map(|layer| (layer.from, layer.to)).chain([(end, end)]) {
        if covered < from {
            gaps.push(covered..from);
        }
        covered = to;
    }
    gaps
}

// What the locks guard is replaced in one step, so a thread that panicked has left nothing half-done behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

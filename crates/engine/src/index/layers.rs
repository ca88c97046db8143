//! Of which parts is the index made, and what do they know together about a key below a position?

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use factum_core::Direction;

use super::cursor::KeyCursor;
use super::error::IndexError;
use super::key::KeyHash;
use super::list::List;
use super::memory::Memtable;
use super::run::Run;

/// One range of positions and where their postings are.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The first position.
    pub(super) from: u64,
    /// The position after the last one; `u64::MAX` while the layer is open.
    pub(super) to: u64,
    pub(super) source: Source,
}

/// Where a layer's postings are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Memory(Arc<Memtable>),
    Run(Arc<Run>),
}

impl Layer {
    pub(super) fn run(run: Run) -> Self {
        let (from, to) = (run.header().from, run.header().to);
        Self { from, to, source: Source::Run(Arc::new(run)) }
    }

    /// The file, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Memory(_) => None,
            Source::Run(run) => Some(run.path()),
        }
    }

    /// The postings of a key, if it has any here.
    pub(super) fn find(&self, key: KeyHash) -> Result<Option<List>, IndexError> {
        match &self.source {
            Source::Memory(table) => Ok(List::in_memory(table, key)),
            Source::Run(run) => List::in_run(run, key),
        }
    }

    /// Whether a read has found damage in it.
    pub(super) fn is_damaged(&self) -> bool {
        matches!(&self.source, Source::Run(run) if run.is_damaged())
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        match &self.source {
            Source::Memory(table) => table.bytes(),
            Source::Run(run) => run.bytes(),
        }
    }
}

/// All layers, by position, without overlap. A change makes a new list; readers go on with the one that they have.
pub(super) type Layers = Vec<Layer>;

/// The index as a reader sees it: what was inserted below a position. Nothing that is inserted or merged later changes it.
#[derive(Clone, Debug)]
pub(crate) struct IndexSnapshot {
    pub(super) layers: Arc<Layers>,
    pub(super) upto: u64,
}

impl IndexSnapshot {
    /// The position that all answers are below.
    #[cfg(test)]
    pub(crate) fn upto(&self) -> u64 {
        self.upto
    }

    /// The newest posting of a key below `before`.
    pub(crate) fn last(&self, key: KeyHash, before: u64) -> Result<Option<u64>, IndexError> {
        let before = before.min(self.upto);
        for layer in self.layers.iter().rev().filter(|layer| layer.from < before) {
            if let Some(mut list) = layer.find(key)?
                && let Some(posting) = list.before(before)?
            {
                return Ok(Some(posting));
            }
        }
        Ok(None)
    }

    /// How many postings a key has, without walking over them. Exact but for what a scavenge has removed since, and for keys that share a hash.
    #[cfg_attr(not(test), expect(dead_code, reason = "nothing in the engine shows counters yet"))]
    pub(crate) fn count(&self, key: KeyHash) -> Result<u64, IndexError> {
        let mut count = 0;
        for layer in self.layers.iter().filter(|layer| layer.from < self.upto) {
            if let Some(mut list) = layer.find(key)? {
                count += list.count_before(self.upto)?;
            }
        }
        Ok(count)
    }

    /// The posting of a key that has `n` postings before it. For a stream whose events are all there, the position of revision `n`.
    pub(crate) fn nth(&self, key: KeyHash, n: u64) -> Result<Option<u64>, IndexError> {
        let mut before = 0;
        for layer in self.layers.iter().filter(|layer| layer.from < self.upto) {
            let Some(mut list) = layer.find(key)? else { continue };
            let here = list.count_before(layer.to.min(self.upto))?;
            if n < before + here {
                return list.nth(n - before);
            }
            before += here;
        }
        Ok(None)
    }

    /// The postings of a key in a range of positions, in this direction.
    pub(crate) fn cursor(&self, key: KeyHash, range: Range<u64>, direction: Direction) -> KeyCursor {
        let range = range.start..range.end.min(self.upto);
        KeyCursor::new(Arc::clone(&self.layers), key, range, direction)
    }
}

//! Which postings does one layer have for one key, next to a given position?
//!
//! A run's list is decoded a block at a time, and that block is kept: reading on in either direction costs one read for some
//! hundred postings, a jump costs a binary search over blocks. A memtable is asked anew each time.

use std::sync::Arc;

use super::error::IndexError;
use super::format::{BlockHead, Found, ListPlace};
use super::key::KeyHash;
use super::memory::Memtable;
use super::run::Run;

/// The postings of one key in one layer: never none.
#[derive(Debug)]
pub(super) struct List {
    from: u64,
    source: Source,
    block: Block,
}

#[derive(Debug)]
enum Source {
    Single(u32),
    Memory { table: Arc<Memtable>, key: KeyHash },
    Run { run: Arc<Run>, place: ListPlace },
}

/// The block that was read last. Empty before the first one.
#[derive(Debug, Default)]
struct Block {
    number: u32,
    ordinal: u32,
    postings: Vec<u32>,
    /// Place of the posting that was found last: reading on, the next one is beside it.
    found: usize,
}

impl List {
    /// The list of a key in a memtable, if it has one.
    pub(super) fn in_memory(table: &Arc<Memtable>, key: KeyHash) -> Option<Self> {
        table.with(key, |_| ())?;
        let source = Source::Memory { table: Arc::clone(table), key };
        Some(Self { from: table.from(), source, block: Block::default() })
    }

    /// The list of a key in a run, if it has one.
    pub(super) fn in_run(run: &Arc<Run>, key: KeyHash) -> Result<Option<Self>, IndexError> {
        Ok(run.find(key)?.map(|found| {
            let source = match found {
                Found::Single(posting) => Source::Single(posting),
                Found::Many(place) => Source::Run { run: Arc::clone(run), place },
            };
            Self { from: run.header().from, source, block: Block::default() }
        }))
    }

    /// The first posting at or after `position`.
    pub(super) fn ceiling(&mut self, position: u64) -> Result<Option<u64>, IndexError> {
        let Ok(at) = u32::try_from(position.saturating_sub(self.from)) else { return Ok(None) };
        let posting = match &self.source {
            Source::Single(posting) => (*posting >= at).then_some(*posting),
            Source::Memory { table, key } => table
                .with(*key, |postings| {
                    postings.get(postings.partition_point(|posting| *posting < at)).copied()
                })
                .flatten(),
            Source::Run { place, .. } if place.last < at => None,
            Source::Run { run, place } => self.block.ceiling(&Blocks { run, place: *place }, at)?,
        };
        Ok(posting.map(|posting| self.from + u64::from(posting)))
    }

    /// The last posting before `position`.
    pub(super) fn before(&mut self, position: u64) -> Result<Option<u64>, IndexError> {
        let Some(at) = self.offset_before(position) else { return Ok(None) };
        let posting = match &self.source {
            Source::Single(posting) => (*posting <= at).then_some(*posting),
            Source::Memory { table, key } => table
                .with(*key, |postings| match postings.last() {
                    Some(last) if *last <= at => Some(*last),
                    _ => {
                        let below = postings.partition_point(|posting| *posting <= at);
                        below.checked_sub(1).map(|i| postings[i])
                    }
                })
                .flatten(),
            // The bucket holds the last posting: most questions for the newest event end here.
            Source::Run { place, .. } if place.last <= at => Some(place.last),
            Source::Run { run, place } => self.block.floor(&Blocks { run, place: *place }, at)?,
        };
        Ok(posting.map(|posting| self.from + u64::from(posting)))
    }

    /// How many postings there are before `position`.
    pub(super) fn count_before(&mut self, position: u64) -> Result<u64, IndexError> {
        let Some(at) = self.offset_before(position) else { return Ok(0) };
        match &self.source {
            Source::Single(posting) => Ok(u64::from(*posting <= at)),
            Source::Memory { table, key } => Ok(table.rank(*key, at) as u64),
            Source::Run { place, .. } if place.last <= at => Ok(u64::from(place.count)),
            Source::Run { run, place } => self.block.count_to(&Blocks { run, place: *place }, at),
        }
    }

    /// The posting with this ordinal, from 0.
    pub(super) fn nth(&mut self, ordinal: u64) -> Result<Option<u64>, IndexError> {
        let Ok(ordinal) = u32::try_from(ordinal) else { return Ok(None) };
        let posting = match &self.source {
            Source::Single(posting) => (ordinal == 0).then_some(*posting),
            Source::Memory { table, key } => {
                table.with(*key, |postings| postings.get(ordinal as usize).copied()).flatten()
            }
            Source::Run { run, place } => self.block.nth(&Blocks { run, place: *place }, ordinal)?,
        };
        Ok(posting.map(|posting| self.from + u64::from(posting)))
    }

    /// The last offset that lies before `position`; `None`: it lies before the whole layer.
    fn offset_before(&self, position: u64) -> Option<u32> {
        let at = position.checked_sub(self.from)?.checked_sub(1)?;
        Some(u32::try_from(at).unwrap_or(u32::MAX))
    }
}

/// The blocks of a run's list.
struct Blocks<'a> {
    run: &'a Run,
    place: ListPlace,
}

impl Blocks<'_> {
    /// The last block, from `floor` on, whose first posting is at or below `at`; `None`: not even `floor`'s is.
    fn locate(&self, at: u32, floor: u32) -> Result<Option<u32>, IndexError> {
        self.search(floor, |head| head.first <= at)
    }

    /// The last block from `floor` on for which `holds`: true for some blocks from `floor` on, then false for the rest.
    fn search(&self, floor: u32, holds: impl Fn(&BlockHead<'_>) -> bool) -> Result<Option<u32>, IndexError> {
        let (mut low, mut high) = (floor, self.place.blocks);
        while low < high {
            let middle = low.midpoint(high);
            if self.run.with_block(&self.place, middle, |head| Ok(holds(head)))? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1).filter(|number| *number >= floor))
    }
}

impl Block {
    /// Reads a block, unless it is the one that is there; `false`: there is no such block.
    fn load(&mut self, blocks: &Blocks<'_>, number: u32) -> Result<bool, IndexError> {
        if number >= blocks.place.blocks {
            return Ok(false);
        }
        if self.number == number && !self.postings.is_empty() {
            return Ok(true);
        }
        let mut postings = std::mem::take(&mut self.postings);
        postings.clear();
        self.ordinal = blocks.run.with_block(&blocks.place, number, |head| {
            head.postings(blocks.place.last, &mut postings)?;
            Ok(head.ordinal)
        })?;
        (self.number, self.postings, self.found) = (number, postings, 0);
        Ok(true)
    }

    fn spans(&self) -> Option<(u32, u32)> {
        Some((*self.postings.first()?, *self.postings.last()?))
    }

    /// The first posting at or above `at`.
    fn ceiling(&mut self, blocks: &Blocks<'_>, at: u32) -> Result<Option<u32>, IndexError> {
        let mut number = match self.spans() {
            Some((first, last)) if first <= at && at <= last => self.number,
            // Reading on: what follows the block is most often in the next one.
            Some((_, last)) if last < at => {
                let next = self.number + 1;
                if !self.load(blocks, next)? {
                    return Ok(None);
                }
                if self.spans().is_some_and(|(_, last)| last >= at) {
                    next
                } else {
                    blocks.locate(at, next)?.unwrap_or(next)
                }
            }
            _ => blocks.locate(at, 0)?.unwrap_or(0),
        };
        while self.load(blocks, number)? {
            let postings = self.postings.as_slice();
            let above = match (postings.get(self.found), postings.get(self.found + 1)) {
                (Some(here), Some(next)) if *here < at && at <= *next => self.found + 1,
                _ => postings.partition_point(|posting| *posting < at),
            };
            if let Some(posting) = postings.get(above) {
                self.found = above;
                return Ok(Some(*posting));
            }
            number += 1;
        }
        Ok(None)
    }

    /// The last posting at or below `at`.
    fn floor(&mut self, blocks: &Blocks<'_>, at: u32) -> Result<Option<u32>, IndexError> {
        let number = match self.spans() {
            Some((first, last)) if first <= at && at <= last => Some(self.number),
            // Reading on, backwards: what precedes the block is most often in the one before.
            Some((first, _)) if at < first => match self.number.checked_sub(1) {
                None => None,
                Some(previous) => {
                    self.load(blocks, previous)?;
                    match self.spans() {
                        Some((first, _)) if first <= at => Some(previous),
                        _ => blocks.locate(at, 0)?,
                    }
                }
            },
            _ => blocks.locate(at, 0)?,
        };
        let Some(number) = number else { return Ok(None) };
        self.load(blocks, number)?;
        let postings = self.postings.as_slice();
        let below = match (self.found.checked_sub(1).map(|i| postings[i]), postings.get(self.found)) {
            (Some(previous), Some(here)) if previous <= at && at < *here => self.found,
            _ => postings.partition_point(|posting| *posting <= at),
        };
        self.found = below.saturating_sub(1);
        Ok(below.checked_sub(1).map(|i| postings[i]))
    }

    /// How many postings are at or below `at`.
    fn count_to(&mut self, blocks: &Blocks<'_>, at: u32) -> Result<u64, IndexError> {
        let Some(number) = blocks.locate(at, 0)? else { return Ok(0) };
        self.load(blocks, number)?;
        let below = self.postings.partition_point(|posting| *posting <= at);
        Ok(u64::from(self.ordinal) + below as u64)
    }

    /// The posting with this ordinal.
    fn nth(&mut self, blocks: &Blocks<'_>, ordinal: u32) -> Result<Option<u32>, IndexError> {
        if ordinal >= blocks.place.count {
            return Ok(None);
        }
        let Some(number) = blocks.search(0, |head| head.ordinal <= ordinal)? else { return Ok(None) };
        self.load(blocks, number)?;
        let within = ordinal.checked_sub(self.ordinal);
        Ok(within.and_then(|i| self.postings.get(i as usize).copied()))
    }
}

//! How do eight runs become one? Key by key in the order of the hashes, with a fixed window of each run in memory.

use std::sync::Arc;

use super::build::RunWriter;
use super::error::IndexError;
use super::format::{BLOCK_BYTES, Bucket, Found, HEADER_BYTES, bucket_of};
use super::key::KeyHash;
use super::layers::{Layer, Source};
use super::run::Run;

/// How many runs of a level become one of the next: with `n` runs written there are at most 7 on each of log8(n) levels.
pub(super) const FAN_IN: usize = 8;
/// Bytes of each run that a merge keeps in memory.
const WINDOW_BYTES: u64 = 256 * 1024;
/// Keys between two questions whether to go on: some milliseconds.
const KEYS_BETWEEN: u64 = 16 * 1024;

/// The runs to merge next: neighbours of one level, the lowest level first.
pub(super) fn choose(layers: &[Layer]) -> Option<Vec<Arc<Run>>> {
    let mut best: Option<Vec<Arc<Run>>> = None;
    for neighbours in layers.windows(FAN_IN) {
        let runs = neighbours.iter().filter_map(|layer| match &layer.source {
            Source::Run(run) => Some(Arc::clone(run)),
            Source::Memory(_) => None,
        });
        let runs = runs.collect::<Vec<_>>();
        if runs.len() < FAN_IN {
            continue;
        }
        let level = runs[0].header().level;
        let alike = runs.iter().all(|run| run.header().level == level);
        let touching = neighbours.windows(2).all(|pair| pair[0].to == pair[1].from);
        // Postings are kept as `u32` distances from the first position.
        let fits = neighbours[FAN_IN - 1].to - neighbours[0].from <= u64::from(u32::MAX);
        if alike && touching && fits && best.as_ref().is_none_or(|best| level < best[0].header().level) {
            best = Some(runs);
        }
    }
    best
}

/// Writes the postings of `runs`, which are neighbours in order; `false`: `goes_on`, which is asked now and then, said so.
pub(super) fn merge(
    runs: &[Arc<Run>],
    into: &mut RunWriter<'_>,
    mut goes_on: impl FnMut() -> Result<bool, IndexError>,
) -> Result<bool, IndexError> {
    let from = runs.first().map_or(0, |run| run.header().from);
    let mut scans = Vec::with_capacity(runs.len());
    for run in runs {
        scans.push(Scan::begin(run, from)?);
    }
    let mut keys = 0_u64;
    while let Some(key) = scans.iter().filter_map(Scan::key).min() {
        if keys.is_multiple_of(KEYS_BETWEEN) && !goes_on()? {
            return Ok(false);
        }
        keys += 1;
        into.key(key)?;
        for scan in scans.iter_mut().filter(|scan| scan.key() == Some(key)) {
            scan.each_posting(|posting| into.posting(posting))?;
            scan.advance()?;
        }
    }
    Ok(true)
}

/// Reads all of a run, as a merge would, and shows `each` the postings of each key: distances from the run's first position.
pub(super) fn check(run: &Run, mut each: impl FnMut(KeyHash, u32)) -> Result<(), IndexError> {
    let mut scan = Scan::begin(run, run.header().from)?;
    let (mut keys, mut postings) = (0, 0);
    while let Some((key, found)) = scan.keys.get(scan.next) {
        let key = *key;
        keys += 1;
        postings += match found {
            Found::Single(_) => 1,
            Found::Many(place) => u64::from(place.count),
        };
        scan.each_posting(|posting| {
            each(key, posting);
            Ok(())
        })?;
        scan.advance()?;
    }
    if (keys, postings) == (run.header().keys, run.header().postings) {
        Ok(())
    } else {
        Err(run.damaged(32, "it holds not as many keys or postings as its header says"))
    }
}

/// Walks over a run, key by key.
struct Scan<'a> {
    run: &'a Run,
    /// What to add to the run's postings.
    shift: u32,
    window: Window<'a>,
    /// The keys of the bucket that is being read, and which of them comes next.
    keys: Vec<(KeyHash, Found)>,
    next: usize,
    /// The bucket to read after it, and where its lists begin.
    bucket: usize,
    lists_at: u64,
    postings: Vec<u32>,
}

impl<'a> Scan<'a> {
    fn begin(run: &'a Run, from: u64) -> Result<Self, IndexError> {
        let mut scan = Scan {
            run,
            // The runs together cover less than 2^32 positions.
            shift: (run.header().from - from) as u32,
            window: Window { run, at: 0, bytes: Vec::new() },
            keys: Vec::new(),
            next: 0,
            bucket: 0,
            lists_at: HEADER_BYTES as u64,
            postings: Vec::new(),
        };
        scan.read_buckets()?;
        Ok(scan)
    }

    fn key(&self) -> Option<KeyHash> {
        self.keys.get(self.next).map(|(key, _)| *key)
    }

    fn advance(&mut self) -> Result<(), IndexError> {
        self.next += 1;
        self.read_buckets()
    }

    /// Reads buckets until there is a key, or no bucket.
    fn read_buckets(&mut self) -> Result<(), IndexError> {
        while self.next >= self.keys.len() && self.bucket < self.run.buckets() {
            self.keys.clear();
            self.next = 0;
            let (at, len) = self.run.bucket_place(self.bucket);
            if len > 0 {
                let end = at + u64::from(len);
                let separate;
                let bytes = if end - self.lists_at <= WINDOW_BYTES {
                    self.window.get(self.lists_at, end)?.split_at((at - self.lists_at) as usize).1
                } else {
                    // Long lists come before the bucket: the window is for them.
                    let mut bytes = vec![0; len as usize];
                    self.run.read(at, &mut bytes)?;
                    separate = bytes;
                    &separate
                };
                let bucket = Bucket::decode(bytes).map_err(|what| self.run.damaged(at, what))?;
                bucket.sorted(&mut self.keys);
                let bits = self.run.header().bits;
                let ascending = self.keys.is_sorted_by(|a, b| a.0 < b.0);
                if !ascending || self.keys.iter().any(|(key, _)| bucket_of(*key, bits) != self.bucket) {
                    return Err(self.run.damaged(at, "a bucket holds a key twice, or one of another bucket"));
                }
                for (_, found) in &self.keys {
                    self.run.check(at, *found)?;
                }
                self.lists_at = end;
            }
            self.bucket += 1;
        }
        Ok(())
    }

    /// Calls `each` with the postings of the key that comes next, as they are in the merged run.
    fn each_posting(
        &mut self,
        mut each: impl FnMut(u32) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let place = match self.keys.get(self.next) {
            None => return Ok(()),
            Some((_, Found::Single(posting))) => return each(posting + self.shift),
            Some((_, Found::Many(place))) => *place,
        };
        let mut before = None;
        for number in 0..place.blocks {
            let at = place.at + u64::from(number) * BLOCK_BYTES as u64;
            let end = (at + BLOCK_BYTES as u64).min(self.run.header().fanout_at);
            let head = self.run.check_block(&place, number, self.window.get(at, end)?)?;
            self.postings.clear();
            head.postings(place.last, &mut self.postings).map_err(|what| self.run.damaged(at, what))?;
            if before.is_some_and(|before| before >= head.first) {
                return Err(self.run.damaged(at, "a block begins before the end of the one before"));
            }
            before = self.postings.last().copied();
            for posting in &self.postings {
                each(posting + self.shift)?;
            }
        }
        Ok(())
    }
}

/// A part of a run's file in memory.
struct Window<'a> {
    run: &'a Run,
    at: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The bytes from `from` to `to`, which lie in the file before the fanout.
    fn get(&mut self, from: u64, to: u64) -> Result<&[u8], IndexError> {
        if from < self.at || to > self.at + self.bytes.len() as u64 {
            let len = (self.run.header().fanout_at - from).min(WINDOW_BYTES.max(to - from));
            self.bytes.resize(len as usize, 0);
            self.at = from;
            if let Err(error) = self.run.read(from, &mut self.bytes) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let start = (from - self.at) as usize;
        Ok(&self.bytes[start..start + (to - from) as usize])
    }
}

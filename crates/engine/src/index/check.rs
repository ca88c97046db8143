//! Are the runs whole, and do they say what the log says? For `verify`: a run that is not whole is built again.

use std::path::Path;
use std::sync::Arc;

use factum_core::RecordedEvent;

use super::build::{file_name, parse_file_name};
use super::error::IndexError;
use super::key::{KeyHash, event_keys};
use super::layers::{Layer, Source};
use super::merge::check;
use super::run::Run;
use crate::vfs::Vfs;

/// Reads every run in `dir`, and tells `damage` the place and the fault of each that is not whole.
pub(crate) fn verify_runs(vfs: &dyn Vfs, dir: &Path, mut damage: impl FnMut(String, String)) {
    // No directory, no runs: they are built at the next opening.
    let names = vfs.list(dir).unwrap_or_default();
    for (from, to) in names.iter().filter_map(|name| parse_file_name(name)) {
        let path = dir.join(file_name(from, to));
        match Run::open(vfs, &path).and_then(|run| check(&run, |_, _| {})) {
            Ok(()) => {}
            Err(IndexError::Damaged { offset, what, .. }) => {
                damage(format!("{} at byte {offset}", path.display()), what.to_owned());
            }
            Err(IndexError::Io { source, .. }) => damage(path.display().to_string(), source.to_string()),
        }
    }
}

/// What is in a run, and what should be, as sums over all pairs of a key and a position. Two sums that are equal by accident are
/// as likely as two equal hashes of 64 bits.
pub(crate) struct RunSums {
    run: Arc<Run>,
    expected: Sum,
    /// Whether the log has less than what the run was made of: a scavenge or a redaction came between.
    may_have_more: bool,
    keys: Vec<KeyHash>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    pairs: u64,
    sum: u64,
}

impl Sum {
    fn add(&mut self, key: KeyHash, position: u64) {
        self.pairs += 1;
        self.sum = self.sum.wrapping_add(mixed(key.0 ^ mixed(position)));
    }
}

/// Spreads a number over all its bits (the last step of splitmix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

impl RunSums {
    pub(super) fn of(layer: &Layer) -> Option<Self> {
        match &layer.source {
            Source::Run(run) => Some(Self {
                run: Arc::clone(run),
                expected: Sum::default(),
                may_have_more: false,
                keys: Vec::new(),
            }),
            Source::Memory(_) => None,
        }
    }

    /// The first position that it covers, and the one after its last.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.run.header().from, self.run.header().to)
    }

    /// An event of its range, which it has to have.
    pub(crate) fn expect(&mut self, event: &RecordedEvent) {
        self.keys.clear();
        event_keys(event, &mut self.keys);
        self.keys.sort_unstable_by_key(|key| key.0);
        self.keys.dedup();
        for key in &self.keys {
            self.expected.add(*key, event.position().0);
        }
    }

    /// An event of its range that is not as it was: what the run has of it cannot be told any more.
    pub(crate) fn expect_something(&mut self) {
        self.may_have_more = true;
    }

    /// Reads the run; the place and the fault where it is not whole, or does not say what the log says.
    pub(crate) fn fault(&self) -> Option<(String, String)> {
        let mut found = Sum::default();
        let from = self.run.header().from;
        let path = self.run.path().display();
        match check(&self.run, |key, posting| found.add(key, from + u64::from(posting))) {
            Err(IndexError::Damaged { offset, what, .. }) => {
                Some((format!("{path} at byte {offset}"), what.to_owned()))
            }
            Err(IndexError::Io { source, .. }) => Some((path.to_string(), source.to_string())),
            Ok(()) => {
                let agrees = match self.may_have_more {
                    true => found.pairs >= self.expected.pairs,
                    false => found == self.expected,
                };
                (!agrees).then(|| (path.to_string(), "the index does not say what the log says".to_owned()))
            }
        }
    }
}

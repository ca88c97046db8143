//! What the writer remembers of streams, so that an append to a stream in use reads nothing.

use std::collections::HashMap;

use factum_core::{METASTREAM_PREFIX, Revision, StreamFacts, StreamName};

/// Most streams remembered. Beyond it everything is forgotten and learned again from the index.
const MAX_HEADS: usize = 64 * 1_024;

/// Facts of streams, as of the last event that was admitted.
#[derive(Default)]
pub(super) struct Heads(HashMap<StreamName, StreamFacts>);

impl Heads {
    pub(super) fn get(&self, stream: &StreamName) -> Option<&StreamFacts> {
        self.0.get(stream)
    }

    /// Remembers what was read.
    pub(super) fn learn(&mut self, stream: &StreamName, facts: &StreamFacts) {
        if self.0.len() >= MAX_HEADS {
            self.0.clear();
        }
        self.0.insert(stream.clone(), facts.clone());
    }

    /// Takes in an event that was admitted: the newest of its stream.
    pub(super) fn wrote(&mut self, stream: &StreamName, revision: Revision) {
        if let Some(described) = stream.described() {
            // Metadata changes what is true of the stream that it describes.
            self.0.remove(described);
            self.0.remove(stream.as_str());
        } else if revision == Revision::TOMBSTONE {
            self.0.remove(stream.as_str());
            self.0.remove(format!("{METASTREAM_PREFIX}{stream}").as_str());
        } else if let Some(facts) = self.0.get_mut(stream.as_str()) {
            facts.last = Some(revision);
        }
    }
}

//! Reclaiming the bytes of events that nobody can read any more, while appends and reads go on.
//!
//! A sealed segment is written anew without them and takes the old one's place in one step, so that a crash at any point
//! leaves either. Each removed event keeps its place and its leaf: positions, revisions and the proof stay valid. The last
//! event of a stream stays, since numbering goes on from it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use factum_core::{
    EventType, METADATA_TYPE, PRIVACY_STREAM, REDACTIONS_STREAM, Read, ReadError, RecordedEvent, Revision,
    SCHEMAS_STREAM, STREAM_DELETED_TYPE, Selector, StreamFacts, StreamName, StreamState, VisibleRange,
};

use crate::engine::{Engine, Shared};
use crate::reader::{EngineReader, Snapshot, facts_of};
use crate::rewrite::{Change, rewrite};
use crate::segment::Segment;
use crate::segment::format::{Record, encode_removed};

/// Whether a scavenge does it, or only says what it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScavengeMode {
    /// Reclaim.
    Reclaim,
    /// Only count.
    Estimate,
}

/// What a scavenge did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scavenged {
    /// Sealed segments looked at. The open one is left alone.
    pub segments: u64,
    /// Segments written anew.
    pub rewritten: u64,
    /// Events removed.
    pub events: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// What may go of one stream.
enum Removable {
    /// All but its tombstone.
    AllButTombstone,
    /// All but the last event.
    AllButLast(Revision),
    /// What is not visible, but never the last event.
    Hidden { visible: VisibleRange, last: Revision },
}

impl Removable {
    fn includes(&self, event: &RecordedEvent) -> bool {
        match self {
            Removable::AllButTombstone => event.revision() != Revision::TOMBSTONE,
            Removable::AllButLast(last) => event.revision() != *last,
            Removable::Hidden { visible, last } => {
                event.revision() != *last && !visible.shows(event.revision(), event.recorded_at())
            }
        }
    }
}

impl Engine {
    /// Reclaims what deletes, `$tb`, `$maxCount` and `$maxAge` have hidden, in all sealed segments. May run while appends and
    /// reads go on; one scavenge runs at a time. `progress` is told the segments done, and their number.
    ///
    /// Memory grows with the number of streams that have metadata or a tombstone, and with the size of one segment.
    ///
    /// # Errors
    /// `ReadError::Damaged` or `Io`; what was reclaimed before stays so, and the store goes on.
    pub fn scavenge(
        &self,
        mode: ScavengeMode,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Scavenged, ReadError> {
        self.scavenge_while(mode, |done, all| {
            progress(done, all);
            ControlFlow::Continue(())
        })
    }

    /// The same, and it ends after the segment at which `progress` breaks off: a later one goes on from there.
    ///
    /// # Errors
    /// As of [`scavenge`](Engine::scavenge).
    pub fn scavenge_while(
        &self,
        mode: ScavengeMode,
        mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Scavenged, ReadError> {
        let shared = self.shared();
        let removable = removable_streams(shared)?;
        let mut done = Scavenged::default();
        let sealed: Vec<_> =
            shared.log.segments().iter().filter(|s| s.seal.is_some()).map(|s| s.base()).collect();
        for base in &sealed {
            if !removable.is_empty() {
                let _replacing = shared.upkeep.replace();
                // Upkeep may have put another handle in its place since.
                let segments = shared.log.segments();
                if let Some(segment) = segments.iter().find(|segment| segment.base() == *base) {
                    scavenge_segment(shared, segment, &removable, mode, &mut done)?;
                }
            }
            done.segments += 1;
            if progress(done.segments, sealed.len() as u64).is_break() {
                break;
            }
        }
        Ok(done)
    }
}

/// Every stream of which something may go. Only a stream with metadata or a tombstone can be one.
fn removable_streams(shared: &Shared) -> Result<HashMap<String, Removable>, ReadError> {
    let snapshot = || Snapshot::take(&shared.log, &shared.index, &shared.start());
    let view = snapshot();
    let mut removable = HashMap::new();
    for event_type in [METADATA_TYPE, STREAM_DELETED_TYPE] {
        let Ok(event_type) = EventType::new(event_type) else { continue };
        let read = Read::forwards(Selector::event_type(event_type));
        let mut reader = EngineReader::new(snapshot(), read, &*shared.clock)?;
        while let Some(page) = reader.page()? {
            for event in page.events {
                let stream = event.stream().strip_prefix("$$").unwrap_or(event.stream()).to_owned();
                // The registered schemas are enforced for ever, whatever anybody writes into their metadata. What was
                // redacted, and who was erased, is told for ever.
                let kept = [SCHEMAS_STREAM, REDACTIONS_STREAM, PRIVACY_STREAM].contains(&stream.as_str());
                if removable.contains_key(&stream) || kept {
                    continue;
                }
                let Ok(name) = StreamName::new(stream.as_str()) else { continue };
                let facts = facts_of(&name, |name| view.last_of(name))?;
                if let Some(metastream) = name.metastream() {
                    let last = view.last_of(&metastream)?.map(|event| event.revision());
                    let rule = match (facts.tombstoned, last) {
                        (true, _) => Some(Removable::AllButTombstone),
                        (false, last) => last.map(Removable::AllButLast),
                    };
                    removable.extend(rule.map(|rule| (metastream.as_str().to_owned(), rule)));
                }
                removable.extend(rule_for(&facts, shared).map(|rule| (stream, rule)));
            }
        }
    }
    Ok(removable)
}

fn rule_for(facts: &StreamFacts, shared: &Shared) -> Option<Removable> {
    match facts.state() {
        StreamState::Tombstoned => Some(Removable::AllButTombstone),
        StreamState::SoftDeleted { last: Some(last) } => Some(Removable::AllButLast(last)),
        StreamState::Live { last } => {
            let visible = facts.metadata.as_ref()?.visible(last, shared.clock.now());
            Some(Removable::Hidden { visible, last })
        }
        StreamState::Missing | StreamState::MetadataOnly | StreamState::SoftDeleted { last: None } => None,
    }
}

fn scavenge_segment(
    shared: &Shared,
    segment: &Arc<Segment>,
    removable: &HashMap<String, Removable>,
    mode: ScavengeMode,
    done: &mut Scavenged,
) -> Result<(), ReadError> {
    let rewritten = rewrite(segment, segment.header.format, |step, out| match &step.record {
        Record::Event(event) if removable.get(event.stream()).is_some_and(|rule| rule.includes(event)) => {
            encode_removed(event.position(), event.recorded_at(), step.record.leaf(&step.bytes), out);
            Change::Changed
        }
        _ => Change::None,
    })?;
    if rewritten.changed == 0 {
        return Ok(());
    }
    done.rewritten += 1;
    done.events += rewritten.changed;
    done.bytes += rewritten.bytes_before.saturating_sub(rewritten.bytes.len() as u64);
    match mode {
        ScavengeMode::Estimate => Ok(()),
        ScavengeMode::Reclaim => rewritten.put_in_place(&*shared.vfs, &shared.log, segment),
    }
}

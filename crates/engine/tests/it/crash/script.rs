//! What is done to a store whose disk fails, and what was the store's answer each time?

use std::path::Path;
use std::sync::Arc;

use factum_core::{
    Append, AppendCondition, AppendError, AppendId, Delete, DeleteMode, EventId, EventStore, EventStoreExt,
    EventType, ExpectedRevision, ManualClock, NewEvent, Position, Query, QueryItem, Redact, Revision,
    StreamMetadata, StreamName, Tag, Timestamp,
};
use factum_engine::{Engine, OpenError, Options, ScavengeMode, Upkeep};

use crate::basics::{now, stream};
use crate::fake_disk::FakeDisk;

pub(super) const STORE: &str = "/store";
pub(super) const BACKUP: &str = "/backup";

/// The streams that a scavenge takes events from.
pub(super) const DOOMED: &[&str] = &["doomed-soft", "doomed-hard", "doomed-count"];

/// What the store said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is kept.
    Acknowledged { first: Position, last: Position },
    /// Nothing of it is kept.
    Refused,
    /// Nobody knows until the store is opened again.
    Unknown,
}

/// One append, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) append: Append,
    pub(super) answer: Answer,
}

/// One redaction that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Redacting {
    pub(super) position: Position,
    pub(super) event: EventId,
    /// The append that the event is of.
    pub(super) append: usize,
    /// How the event's data begins: no other event's does.
    pub(super) mark: Vec<u8>,
    /// Whether it was said to be done. If not, it may be.
    pub(super) acknowledged: bool,
}

/// All that was tried. Its appends are numbered, and their events carry the number.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) attempts: Vec<Attempt>,
    /// Streams whose delete was acknowledged.
    pub(super) deleted: Vec<(StreamName, DeleteMode)>,
    /// Whether a scavenge was begun, so that hidden events may be gone.
    pub(super) scavenged: bool,
    /// Events that were to be redacted.
    pub(super) redactions: Vec<Redacting>,
    /// How many appends had been tried when a backup was finished.
    pub(super) backed_up: Option<usize>,
}

/// Options for a store on `disk` that does everything in the caller's thread, in an order that repeats.
pub(super) fn options(disk: &FakeDisk) -> Options {
    Options {
        segment_bytes: 4 * 1024,
        upkeep: Upkeep::Inline,
        clock: Arc::new(ManualClock::new(Timestamp(1_000_000))),
        vfs: Arc::new(disk.clone()),
        ..Options::default()
    }
}

pub(super) fn open(disk: &FakeDisk) -> Result<Engine, OpenError> {
    Engine::open(STORE, options(disk))
}

/// Events that say which append they are of, and are too large for one sector.
pub(super) fn events(number: usize, stream: &str, count: usize) -> Vec<NewEvent> {
    let made = (0..count).map(|index| {
        let pad = "x".repeat(40 + (number * 97 + index * 31) % 600);
        let data =
            format!("{{\"append\":{number},\"event\":{index},\"stream\":\"{stream}\",\"pad\":\"{pad}\"}}");
        let event_type = EventType::new(["Opened", "Changed", "Closed"][number % 3]).unwrap();
        NewEvent::json(event_type, data).with_tag(Tag::new(format!("parity:{}", number % 2)).unwrap())
    });
    made.collect()
}

/// Tells what the store's answer to an append means.
pub(super) fn answer(result: &Result<factum_core::Appended, AppendError>) -> Answer {
    match result {
        Ok(appended) => match (appended.first, appended.last) {
            (Some(first), Some(last)) => Answer::Acknowledged { first, last },
            _ => Answer::Refused,
        },
        Err(AppendError::Stopped { .. } | AppendError::Closed) => Answer::Unknown,
        Err(_) => Answer::Refused,
    }
}

impl History {
    /// Appends `count` events to each of `streams`, in one append with an id.
    pub(super) fn append(&mut self, engine: &Engine, streams: &[&str], count: usize) {
        self.append_if(engine, streams, count, ExpectedRevision::Any);
    }

    fn append_if(&mut self, engine: &Engine, streams: &[&str], count: usize, expected: ExpectedRevision) {
        let number = self.attempts.len();
        let mut append = Append::default().with_id(AppendId(uuid::Uuid::from_u128(number as u128 + 1)));
        for name in streams {
            append = append.and(stream(name), expected, events(number, name, count));
        }
        self.attempt(engine, append);
    }

    fn attempt(&mut self, engine: &Engine, append: Append) {
        let result = engine.append_blocking(append.clone());
        self.attempts.push(Attempt { append, answer: answer(&result) });
    }

    fn append_on_condition(&mut self, engine: &Engine, name: &str, after: Option<Position>) {
        let number = self.attempts.len();
        let query = Query::item(QueryItem::tags([Tag::new("parity:0").unwrap()]));
        let append = Append::to(stream(name), ExpectedRevision::Any, events(number, name, 1))
            .with_id(AppendId(uuid::Uuid::from_u128(number as u128 + 1)))
            .on_condition(AppendCondition::FailIfEventsMatch { query, after });
        self.attempt(engine, append);
    }

    fn delete(&mut self, engine: &Engine, name: &str, mode: DeleteMode) {
        let delete = Delete { stream: stream(name), expected: ExpectedRevision::Any, mode };
        if now(engine.delete(delete)).is_ok() {
            self.deleted.push((stream(name), mode));
        }
    }

    fn scavenge(&mut self, engine: &Engine) {
        self.scavenged = true;
        // A scavenge that fails leaves the log as it was, or with some of the hidden events gone.
        let _ = engine.scavenge(ScavengeMode::Reclaim, |_, _| {});
    }

    /// Redacts an event of an append that was acknowledged.
    fn redact(&mut self, engine: &Engine, append: usize, index: usize) {
        let attempt = &self.attempts[append];
        let Answer::Acknowledged { first, .. } = attempt.answer else { return };
        let mut events = attempt.append.writes.iter().flat_map(|write| &write.events);
        let event = events.nth(index).unwrap();
        let end = event.data.windows(5).position(|bytes| bytes == b"\"pad\"").unwrap();
        let mut redacting = Redacting {
            position: Position(first.0 + index as u64),
            event: event.id,
            append,
            mark: event.data[..end].to_vec(),
            acknowledged: false,
        };
        redacting.ask(engine);
        self.redactions.push(redacting);
    }

    fn backup(&mut self, engine: &Engine) {
        if engine.backup(Path::new(BACKUP), |_, _| {}).is_ok() {
            self.backed_up = Some(self.attempts.len());
        }
    }

    /// The number of the last position that was acknowledged.
    fn last_position(&self) -> Option<Position> {
        self.attempts.iter().rev().find_map(|attempt| match attempt.answer {
            Answer::Acknowledged { last, .. } => Some(last),
            _ => None,
        })
    }
}

impl History {
    /// Whether the redaction of this event was said to be done.
    pub(super) fn is_redacted(&self, event: EventId) -> bool {
        self.redactions.iter().any(|redacting| redacting.event == event && redacting.acknowledged)
    }
}

impl Redacting {
    /// Asks for it, perhaps once more.
    pub(super) fn ask(&mut self, engine: &Engine) {
        let redact = Redact::at(self.position, "asked for by the crash test");
        self.acknowledged |= engine.redact_blocking(&redact).is_ok();
    }
}

/// A script that redacts: in a sealed segment, in the open one, next to each other, twice, and after another opening.
pub(super) fn run_redactions(disk: &FakeDisk) -> (History, Option<Engine>) {
    let mut history = History::default();
    let Ok(engine) = open(disk) else { return (history, None) };
    for _ in 0..3 {
        history.append(&engine, &["account-1", "account-2"], 2);
    }
    history.redact(&engine, 0, 1);
    history.append(&engine, &["account-3"], 2);
    history.redact(&engine, 3, 0);
    history.redact(&engine, 0, 2);
    history.redact(&engine, 0, 1);
    history.append(&engine, &["account-1"], 1);
    engine.close();
    let Ok(engine) = open(disk) else { return (history, None) };
    history.append(&engine, &["account-2"], 1);
    history.redact(&engine, 4, 0);
    history.append(&engine, &["account-2"], 1);
    (history, Some(engine))
}

/// A script that seals so many segments that their index runs are merged.
pub(super) fn run_until_merged(disk: &FakeDisk) -> (History, Option<Engine>) {
    let mut history = History::default();
    let Ok(engine) = open(disk) else { return (history, None) };
    for number in 0..10 {
        // Each asks for more room than the one before left, so that each seals a segment.
        history.append(&engine, &[["account-1", "account-2", "account-3"][number % 3]], 1);
    }
    (history, Some(engine))
}

/// The whole script: appends of every kind, rolls, index runs, deletes, a scavenge, a backup, and a second opening.
/// Gives what was tried, and the store while it is still open.
pub(super) fn run(disk: &FakeDisk) -> (History, Option<Engine>) {
    let mut history = History::default();
    let Ok(engine) = open(disk) else { return (history, None) };
    for round in 0..4 {
        history.append(&engine, &["account-1"], 1);
        history.append(&engine, &["account-2", "account-3", "account-1"], 2);
        history.append(&engine, &[DOOMED[round % 3]], 3);
        history.append_if(&engine, &["account-1"], 1, ExpectedRevision::Exact(Revision(999)));
        history.append_on_condition(&engine, "account-4", None);
        let after = history.last_position();
        history.append_on_condition(&engine, "account-4", after);
    }
    history.append(&engine, &["batch-1"], 20);
    let keep_one = StreamMetadata { max_count: Some(1), ..StreamMetadata::default() };
    // Whether it was taken does not matter here: what it hides may be gone after a scavenge, or not.
    let _ = now(engine.set_stream_metadata(stream("doomed-count"), &keep_one));
    history.delete(&engine, "doomed-soft", DeleteMode::Soft);
    history.delete(&engine, "doomed-hard", DeleteMode::Tombstone);
    history.append(&engine, &["account-5", "doomed-hard"], 1);
    history.append(&engine, &["account-1"], 6);
    history.scavenge(&engine);
    history.append(&engine, &["account-2"], 1);
    history.backup(&engine);
    history.append(&engine, &["account-3"], 1);
    engine.close();
    let Ok(engine) = open(disk) else { return (history, None) };
    for _ in 0..3 {
        history.append(&engine, &["account-1", "account-6"], 2);
    }
    (history, Some(engine))
}

//! Does a store keep its promises after its disk failed? Everything acknowledged is there, and nothing in part.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use factum_core::{
    DeleteMode, EventStoreExt, Leaf, Position, Read, ReadError, RecordedEvent, RedactionRequest, Selector,
    StreamName, StreamView, Tag,
};
use factum_engine::{Engine, restore, verify, verify_backup};
use memchr::memmem;

use super::script::{Answer, Attempt, BACKUP, DOOMED, History, STORE, answer, open};
use crate::basics::{now, stream};
use crate::fake_disk::FakeDisk;

const RESTORED: &str = "/restored";

/// Opens the store on `disk` and checks it against what was tried before, then goes on with it.
pub(super) fn check(disk: &FakeDisk, mut history: History) {
    assert_whole(disk, STORE, "before it is opened");
    let engine = open(disk).expect("the store opens after a crash");
    check_content(&engine, &history);
    check_redactions(disk, &engine, &history);
    check_backup(disk, &history);
    // Something small first: whatever the crash left behind the tail is not covered by it.
    history.append(&engine, &["between-1"], 1);
    engine.close();
    let engine = open(disk).expect("the store opens again");
    assert_eq!(engine.recovered(), None, "it was closed");
    check_content(&engine, &history);
    retry_unknown(&engine, &mut history);
    for redacting in &mut history.redactions {
        redacting.ask(&engine);
        assert!(redacting.acknowledged, "asked again it is done: {redacting:?}");
    }
    check_redactions(disk, &engine, &history);
    for name in ["account-1", "after-1"] {
        let before = history.attempts.len();
        history.append(&engine, &[name], 4);
        let is_acknowledged = matches!(history.attempts[before].answer, Answer::Acknowledged { .. });
        assert!(is_acknowledged, "appending goes on: {:?}", history.attempts[before].answer);
    }
    check_content(&engine, &history);
    engine.close();
    assert_whole(disk, STORE, "after it went on");
}

/// Sends what nobody knew the outcome of once more: with its append id it is kept once, whether it was kept before or not.
fn retry_unknown(engine: &Engine, history: &mut History) {
    for attempt in &mut history.attempts {
        if attempt.answer == Answer::Unknown {
            attempt.answer = answer(&engine.append_blocking(attempt.append.clone()));
            assert!(attempt.answer != Answer::Unknown, "the store works");
        }
    }
}

/// What is recorded is finished, and what those events said is in no file of the store.
fn check_redactions(disk: &FakeDisk, engine: &Engine, history: &History) {
    assert_eq!(engine.info().redaction_failure, None);
    let all = now(engine.read_all(Read::forwards(Selector::All))).expect("the log can be read");
    let requests: Vec<_> = all.iter().filter_map(RedactionRequest::parse).collect();
    let redacted = all.iter().filter(|event| event.is_redacted());
    assert_eq!(redacted.count(), requests.len(), "one record for each redacted event");
    for request in requests {
        let event = all.iter().find(|event| event.id() == request.event).expect("its place is there");
        assert_eq!((event.redaction(), event.position()), (Some(&request.redaction), request.position));
        let redacting = history.redactions.iter().find(|redacting| redacting.event == event.id());
        let mark = &redacting.expect("it was asked for").mark;
        for path in disk.paths().iter().filter(|path| path.starts_with(STORE)) {
            let found = memmem::find(&disk.content(path), mark);
            assert_eq!(found, None, "{} still says what was redacted", path.display());
        }
    }
}

/// `verify` finds nothing that opening would not mend.
fn assert_whole(disk: &FakeDisk, dir: &str, when: &str) {
    match verify(Path::new(dir), disk, |_, _| {}) {
        Ok(verified) => {
            let damage: Vec<_> = verified.damage.iter().filter(|damage| !damage.rebuilt_on_open).collect();
            assert!(damage.is_empty(), "{when}: {damage:?}");
        }
        Err(factum_engine::OpenError::NotFound { .. }) => {}
        Err(error) => panic!("{when}: {error}"),
    }
}

/// Whether the log, read in every way, holds what `history` says.
pub(super) fn check_content(engine: &Engine, history: &History) {
    let all = now(engine.read_all(Read::forwards(Selector::All))).expect("the log can be read");
    check_positions(&all, history.scavenged);
    let kept = group_by_append(&all, history);
    for (number, attempt) in history.attempts.iter().enumerate() {
        let found = kept.get(&number).map_or(&[][..], Vec::as_slice);
        check_attempt(number, attempt, found, history);
    }
    let last = kept.keys().next_back().copied().unwrap_or(0);
    assert!(last < history.attempts.len().max(1), "append {last} was never tried");
    let backwards =
        now(engine.read_all(Read::backwards(Selector::All))).expect("the log can be read backwards");
    assert!(backwards.iter().eq(all.iter().rev()), "backwards is forwards, reversed");
    check_indexes(engine, &all);
    for (name, mode) in &history.deleted {
        check_deleted(engine, name, *mode);
    }
}

fn check_positions(all: &[RecordedEvent], scavenged: bool) {
    for pair in all.windows(2) {
        let (this, next) = (pair[0].position().0, pair[1].position().0);
        assert!(next == this + 1 || scavenged && next > this, "position {next} follows {this}");
    }
}

/// The user's events by the number of the append that they say they are of.
fn group_by_append<'a>(
    all: &'a [RecordedEvent],
    history: &History,
) -> BTreeMap<usize, Vec<&'a RecordedEvent>> {
    let mut groups: BTreeMap<usize, Vec<&RecordedEvent>> = BTreeMap::new();
    for event in all.iter().filter(|event| !event.event_type().starts_with('$')) {
        if event.is_redacted() {
            let asked = history.redactions.iter().find(|redacting| redacting.event == event.id());
            groups.entry(asked.expect("it was asked for").append).or_default().push(event);
            continue;
        }
        let data: serde_json::Value = serde_json::from_slice(event.data_slice()).expect("the data is whole");
        let number = data["append"].as_u64().expect("the data is ours") as usize;
        groups.entry(number).or_default().push(event);
    }
    groups
}

fn check_attempt(number: usize, attempt: &Attempt, found: &[&RecordedEvent], history: &History) {
    let what = || format!("append {number}, {:?}, {} events found", attempt.answer, found.len());
    let mut expected = Vec::new();
    for write in &attempt.append.writes {
        expected.extend(write.events.iter().map(|event| (&write.stream, event)));
    }
    let same = |event: &RecordedEvent, (stream, new): &(&StreamName, &factum_core::NewEvent)| {
        let says = match event.redaction() {
            // All that is left of what it said is its leaf.
            Some(redaction) => {
                event.data().is_empty()
                    && event.tags().count() == 0
                    && redaction.leaf == Leaf::of(&RecordedEvent::record(*event.header(), stream, new))
            }
            None => event.data_slice() == &new.data[..] && !history.is_redacted(event.id()),
        };
        event.stream() == stream.as_str() && event.id() == new.id && says
    };
    let is_doomed = attempt.append.writes.iter().any(|write| DOOMED.contains(&write.stream.as_str()));
    if history.scavenged && is_doomed && attempt.answer != Answer::Refused {
        let mut rest = expected.iter();
        assert!(found.iter().all(|event| rest.any(|new| same(event, new))), "others than sent: {}", what());
        return;
    }
    let whole =
        found.len() == expected.len() && found.iter().zip(&expected).all(|(event, new)| same(event, new));
    match attempt.answer {
        Answer::Acknowledged { first, last } => {
            assert!(whole, "acknowledged and not there: {}", what());
            let ends = (found[0].position(), found[found.len() - 1].position());
            assert_eq!(ends, (first, last), "elsewhere than acknowledged: {}", what());
        }
        Answer::Refused => assert!(found.is_empty(), "refused and there: {}", what()),
        Answer::Unknown => assert!(found.is_empty() || whole, "half of an append: {}", what()),
    }
    let dense = found.windows(2).all(|pair| pair[1].position() == Position(pair[0].position().0 + 1));
    assert!(dense, "other events in the middle: {}", what());
}

/// Indexes answer as a scan of the log does.
fn check_indexes(engine: &Engine, all: &[RecordedEvent]) {
    let streams: BTreeSet<&str> = all.iter().map(RecordedEvent::stream).collect();
    for name in streams {
        let read = Read::stream(stream(name)).view(StreamView::Recorded);
        let found = now(engine.read_all(read)).unwrap_or_else(|error| panic!("stream {name}: {error}"));
        assert_same(&found, all.iter().filter(|event| event.stream() == name), name);
    }
    for tag in ["parity:0", "parity:1"] {
        let selector = Selector::tag(Tag::new(tag).unwrap());
        let found = now(engine.read_all(Read::forwards(selector))).expect("a tag can be read");
        assert_same(&found, all.iter().filter(|event| event.tags().any(|other| other == tag)), tag);
    }
}

fn assert_same<'a>(found: &[RecordedEvent], scanned: impl Iterator<Item = &'a RecordedEvent>, what: &str) {
    let scanned: Vec<_> = scanned.map(RecordedEvent::position).collect();
    let found: Vec<_> = found.iter().map(RecordedEvent::position).collect();
    assert_eq!(found, scanned, "the index of {what} differs from the log");
}

fn check_deleted(engine: &Engine, name: &StreamName, mode: DeleteMode) {
    let answer = now(engine.read_all(Read::stream(name.clone())));
    match mode {
        DeleteMode::Soft => {
            assert!(matches!(answer, Err(ReadError::StreamNotFound { .. })), "{name}: {answer:?}");
        }
        DeleteMode::Tombstone => {
            assert!(matches!(answer, Err(ReadError::StreamDeleted { .. })), "{name}: {answer:?}");
        }
    }
}

/// A backup that was acknowledged is whole; one that was not is either whole or none.
fn check_backup(disk: &FakeDisk, history: &History) {
    let checked = verify_backup(disk, Path::new(BACKUP));
    if let Some(tried) = history.backed_up {
        let info = checked.as_ref().unwrap_or_else(|error| panic!("the backup is lost: {error}"));
        let before = &history.attempts[..tried];
        let acknowledged = before.iter().rev().find_map(|attempt| match attempt.answer {
            Answer::Acknowledged { last, .. } => Some(last),
            _ => None,
        });
        assert!(acknowledged.is_none_or(|last| last < info.end), "the backup ends at {}", info.end);
    }
    if checked.is_ok() {
        restore(disk, Path::new(BACKUP), Path::new(RESTORED), |_, _| {}).expect("a whole backup is restored");
        assert_whole(disk, RESTORED, "restored");
    }
}

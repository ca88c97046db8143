//! Is what was redacted in no file any more, and everything else as it was?

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum_core::{
    Append, Delete, DeleteMode, EventId, EventStore, EventStoreExt, ExpectedRevision, Leaf, NewEvent,
    Position, REDACTIONS_STREAM, Read, ReadError, RecordedEvent, Redact, RedactError, RedactOutcome,
    Selector, StreamView, Tag,
};
use factum_engine::{Engine, Options, OsVfs, ScavengeMode, Upkeep, Verified, restore, verify};
use memchr::memmem;
use sha2::{Digest, Sha256};

use crate::basics::{event, now, options, stream};
use crate::fake_disk::{FakeDisk, Fault};

/// What must not be found.
const SECRET: &str = "Ada-Lovelace-1815";

fn secret() -> NewEvent {
    event("Registered", &format!(r#"{{"name":"{SECRET}","age":36}}"#))
        .with_metadata(format!(r#"{{"$correlationId":"c-{SECRET}","actor":"{SECRET}"}}"#))
        .with_tag(Tag::new(format!("person:{SECRET}")).unwrap())
}

fn append(engine: &Engine, name: &str, events: Vec<NewEvent>) -> Position {
    let append = Append::to(stream(name), ExpectedRevision::Any, events);
    engine.append_blocking(append).unwrap().first.unwrap()
}

fn fill(engine: &Engine, count: usize) {
    for n in 0..count {
        let data = format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(200));
        append(engine, &format!("account-{}", n % 3), vec![event("Deposited", &data)]);
    }
}

fn redact(engine: &Engine, position: Position) -> RecordedEvent {
    let redacted = engine.redact_blocking(&Redact::at(position, "asked for").by("ops")).unwrap();
    assert_eq!(redacted.outcome, RedactOutcome::Done);
    redacted.event
}

fn read(engine: &Engine, read: Read) -> Vec<RecordedEvent> {
    now(engine.read_all(read)).unwrap()
}

fn all(engine: &Engine) -> Vec<RecordedEvent> {
    read(engine, Read::forwards(Selector::All))
}

fn check(dir: &Path) -> Verified {
    let verified = verify(dir, &OsVfs, |_, _| {}).unwrap();
    assert_eq!(verified.damage, []);
    verified
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files that hold the secret, looked for byte by byte.
fn holders(dir: &Path) -> Vec<PathBuf> {
    // An index run may be merged and removed meanwhile.
    let bytes = |path: &PathBuf| fs::read(path).unwrap_or_default();
    let holds = |path: &PathBuf| memmem::find(&bytes(path), SECRET.as_bytes()).is_some();
    files(dir).into_iter().filter(holds).collect()
}

/// The root of the proof over these events, computed from what a reader sees.
fn root(events: &[RecordedEvent]) -> [u8; 32] {
    events.iter().fold([0; 32], |root, event| {
        Sha256::new().chain_update(root).chain_update(Leaf::of(event).0).finalize().into()
    })
}

fn format_of(path: &Path) -> u32 {
    u32::from_le_bytes(fs::read(path).unwrap()[8..12].try_into().unwrap())
}

#[test]
fn no_file_of_the_directory_holds_it_and_the_proof_is_the_same() {
    for upkeep in [Upkeep::Thread, Upkeep::Inline] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { upkeep, ..options() };
        let engine = Engine::open(dir.path(), options.clone()).unwrap();
        fill(&engine, 100);
        let sealed = append(&engine, "person-1", vec![event("Other", "{}"), secret(), event("Other", "{}")]);
        fill(&engine, 100);
        let open = append(&engine, "person-1", vec![secret()]);
        let before = all(&engine);
        assert!(!holders(dir.path()).is_empty());
        let sealed = redact(&engine, Position(sealed.0 + 1));
        let open = redact(&engine, open);
        assert_eq!((sealed.revision().0, open.revision().0), (1, 3));
        // While the store is open, its index runs are written, and once it is closed.
        assert_eq!(holders(dir.path()), [""; 0].map(PathBuf::from));
        let after = all(&engine);
        assert_eq!(after.len(), before.len() + 2);
        for (before, after) in before.iter().zip(&after) {
            let same = before == after || after.is_redacted() && before.header() == after.header();
            assert!(same && Leaf::of(before) == Leaf::of(after), "{before:?} and {after:?}");
        }
        engine.close();
        assert_eq!(holders(dir.path()), [""; 0].map(PathBuf::from));
        let verified = check(dir.path());
        assert_eq!((verified.redacted, verified.events, verified.removed), (2, after.len() as u64, 0));
        assert_eq!(verified.root, root(&after));
        let engine = Engine::open(dir.path(), options).unwrap();
        assert_eq!(all(&engine), after);
    }
}

#[test]
fn an_index_that_is_built_again_gives_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, 60);
    let first = append(&engine, "person-1", vec![secret(), secret()]);
    fill(&engine, 120);
    redact(&engine, first);
    let answers = |engine: &Engine| {
        let tag = Selector::tag(Tag::new(format!("person:{SECRET}")).unwrap());
        let selectors = [
            tag,
            Selector::tag(Tag::new("all:1").unwrap()),
            Selector::Correlation(format!("c-{SECRET}")),
            Selector::event_type("Registered".parse().unwrap()),
            Selector::Stream(stream("person-1")),
            Selector::StreamStarts,
        ];
        selectors.map(|selector| read(engine, Read::forwards(selector)))
    };
    let before = answers(&engine);
    assert_eq!(before[0].len(), 1);
    assert_eq!((before[3].len(), before[4].len()), (2, 2));
    engine.close();
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(answers(&engine), before);
    assert_eq!(holders(dir.path()).len(), 1, "the other event of that person");
}

#[test]
fn the_format_goes_up_with_the_first_redaction_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, 200);
    let segments = || {
        let mut segments = files(&dir.path().join("log"));
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
        segments.sort();
        segments.iter().map(|path| format_of(path)).collect::<Vec<_>>()
    };
    assert_eq!((engine.info().format, format_of(&dir.path().join("store"))), (1, 1));
    assert!(segments().len() > 3 && segments().iter().all(|format| *format == 1));
    redact(&engine, Position(0));
    assert_eq!((engine.info().format, format_of(&dir.path().join("store"))), (2, 2));
    let formats = segments();
    assert_eq!((formats[0], formats[1..].iter().all(|format| *format == 1)), (2, true));
    engine.close();
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(engine.info().format, 2);
    let places = tempfile::tempdir().unwrap();
    engine.backup(&places.path().join("backup"), |_, _| {}).unwrap();
    assert_eq!(format_of(&places.path().join("backup/store")), 2);
}

#[test]
fn a_scavenge_takes_what_is_left_of_it_and_leaves_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    let first = append(&engine, "person-1", vec![secret(), secret()]);
    fill(&engine, 100);
    redact(&engine, first);
    let before = all(&engine);
    let tombstone =
        Delete { stream: stream("person-1"), expected: ExpectedRevision::Any, mode: DeleteMode::Tombstone };
    now(engine.delete(tombstone)).unwrap();
    fill(&engine, 100);
    let done = engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap();
    assert_eq!(done.events, 2);
    assert_eq!(holders(dir.path()), [""; 0].map(PathBuf::from));
    for position in [first, first.next()] {
        let refused = engine.redact_blocking(&Redact::at(position, "r")).unwrap_err();
        assert!(matches!(refused, RedactError::Removed { position: at } if at == position), "{refused:?}");
    }
    assert_eq!(read(&engine, Read::stream(stream(REDACTIONS_STREAM))).len(), 1);
    let rest = all(&engine);
    engine.close();
    let verified = check(dir.path());
    assert_eq!((verified.redacted, verified.removed), (0, 2));
    assert_eq!(verified.root, root(&[&before[..2], &rest].concat()));
}

#[test]
fn a_backup_made_before_brings_it_back_without_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let places = tempfile::tempdir().unwrap();
    let (backup, restored) = (places.path().join("backup"), places.path().join("restored"));
    let engine = Engine::open(dir.path(), options()).unwrap();
    let position = append(&engine, "person-1", vec![secret()]);
    engine.backup(&backup, |_, _| {}).unwrap();
    redact(&engine, position);
    assert_eq!(holders(dir.path()), [""; 0].map(PathBuf::from));
    restore(&OsVfs, &backup, &restored, |_, _| {}).unwrap();
    let copy = Engine::open(&restored, options()).unwrap();
    assert!(!all(&copy)[0].is_redacted());
    let records = now(copy.read_all(Read::stream(stream(REDACTIONS_STREAM))));
    assert!(matches!(records, Err(ReadError::StreamNotFound { .. })));
    // One made afterwards does not.
    let later = places.path().join("later");
    engine.backup(&later, |_, _| {}).unwrap();
    assert_eq!(holders(&later), [""; 0].map(PathBuf::from));
}

#[test]
fn it_may_run_while_appends_reads_and_scavenges_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, 200);
    append(&engine, "account-0", vec![event("Deposited", "{}")]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                fill(&engine, 10);
            }
        });
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let kept = read(&engine, Read::stream(stream("account-1")));
                let dense = kept.iter().enumerate().all(|(at, event)| event.revision().0 == at as u64);
                assert!(dense && kept.len() >= 60, "{} events", kept.len());
            }
        });
        let scavenger = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap();
            }
        });
        let halves = [0, 1].map(|half| {
            let engine = &engine;
            scope.spawn(move || (0..20).for_each(|n| drop(redact(engine, Position(n * 7 + half)))))
        });
        for half in halves {
            half.join().unwrap();
        }
        done.store(true, Ordering::Release);
        for thread in [writer, reader, scavenger] {
            thread.join().unwrap();
        }
    });
    let log = all(&engine);
    assert_eq!(log.iter().filter(|event| event.is_redacted()).count(), 40);
    engine.close();
    let verified = check(dir.path());
    assert_eq!((verified.redacted, verified.root), (40, root(&log)));
}

#[test]
fn a_closed_store_redacts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    let position = append(&engine, "person-1", vec![secret()]);
    engine.close();
    let refused = engine.redact_blocking(&Redact::at(position, "r")).unwrap_err();
    assert!(matches!(refused, RedactError::Read(ReadError::Closed)), "{refused:?}");
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(all(&engine).len(), 1);
}

#[test]
fn an_async_caller_gets_its_answer_when_the_store_can_be_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for round in 0..3 {
            let engine = Engine::open(dir.path(), options()).unwrap();
            let position = append(&engine, "person-1", vec![secret()]);
            let redacted = engine.redact(Redact::at(position, "r")).await.unwrap();
            assert_eq!((redacted.event.revision().0, redacted.outcome), (round, RedactOutcome::Done));
            drop(engine);
        }
    });
    assert_eq!(holders(dir.path()), [""; 0].map(PathBuf::from));
}

fn on(disk: &FakeDisk) -> Options {
    Options {
        segment_bytes: 4 * 1024,
        upkeep: Upkeep::Inline,
        vfs: Arc::new(disk.clone()),
        ..Options::default()
    }
}

fn secret_on(disk: &FakeDisk) -> bool {
    disk.paths().iter().any(|path| memmem::find(&disk.content(path), SECRET.as_bytes()).is_some())
}

#[test]
fn what_could_not_be_finished_is_said_and_finished_when_there_is_space() {
    let disk = FakeDisk::new();
    let engine = Engine::open("/store", on(&disk)).unwrap();
    let position = append(&engine, "person-1", vec![secret(), event("Other", "{}")]);
    disk.fill();
    let unfinished = engine.redact_blocking(&Redact::at(position, "r")).unwrap_err();
    assert!(matches!(unfinished, RedactError::Unfinished { recorded: Position(2), .. }), "{unfinished:?}");
    assert!(unfinished.to_string().contains("redact it again"), "{unfinished}");
    // Whatever else is asked for waits for it, and nothing more is recorded.
    let other = engine.redact_blocking(&Redact::at(position.next(), "r")).unwrap_err();
    assert!(matches!(other, RedactError::Unfinished { position: at, .. } if at == position), "{other:?}");
    assert!(engine.info().redaction_failure.is_some());
    assert_eq!(all(&engine).len(), 3);
    drop(engine);
    // The store opens all the same, and says so.
    let engine = Engine::open("/store", on(&disk)).unwrap();
    assert!(engine.info().redaction_failure.unwrap().contains("position 0"));
    assert!(!all(&engine)[0].is_redacted() && secret_on(&disk));
    disk.free_space();
    let again = engine.redact_blocking(&Redact::at(position, "other reason")).unwrap();
    assert_eq!((again.outcome, again.redaction.reason.as_str()), (RedactOutcome::DoneBefore, "r"));
    assert_eq!(engine.info().redaction_failure, None);
    assert!(all(&engine)[0].is_redacted() && !secret_on(&disk));
}

#[test]
fn a_store_that_has_stopped_writing_records_nothing() {
    let disk = FakeDisk::new();
    let engine = Engine::open("/store", on(&disk)).unwrap();
    let position = append(&engine, "person-1", vec![secret()]);
    disk.plan(disk.points() + 1, Fault::SyncError);
    let lost = Append::to(stream("s"), ExpectedRevision::Any, vec![event("Lost", "{}")]);
    assert!(engine.append_blocking(lost).is_err());
    let refused = engine.redact_blocking(&Redact::at(position, "r")).unwrap_err();
    assert!(matches!(refused, RedactError::Record(_)), "{refused:?}");
    assert!(refused.to_string().contains("reopen"), "{refused}");
    assert_eq!(all(&engine).len(), 1);
}

#[test]
fn a_reader_under_way_goes_on_over_the_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    for _ in 0..20 {
        let events = (0..100).map(|_| event("Deposited", &format!(r#"{{"pad":"{}"}}"#, "x".repeat(200))));
        append(&engine, "account-1", events.collect());
    }
    let mut reader = now(engine.read(Read::stream(stream("account-1")).view(StreamView::Recorded))).unwrap();
    let mut seen = now(reader.next_page()).unwrap().unwrap().events;
    redact(&engine, Position(1));
    redact(&engine, Position(1_990));
    while let Some(page) = now(reader.next_page()).unwrap() {
        seen.extend(page.events);
    }
    assert_eq!(
        seen.iter().map(|event| event.revision().0).collect::<Vec<_>>(),
        (0..2_000).collect::<Vec<_>>()
    );
    assert_eq!((seen[1].is_redacted(), seen[1_990].is_redacted()), (false, true));
}

#[test]
fn events_without_ids_of_their_own_append_keep_their_flags() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    let binary = NewEvent::binary("Scanned".parse().unwrap(), SECRET.as_bytes().to_vec())
        .with_id(EventId::generate())
        .with_occurred_at(factum_core::Timestamp(-5));
    let append = Append::to(stream("s"), ExpectedRevision::Any, vec![binary]);
    let position =
        engine.append_blocking(append.with_id(factum_core::AppendId::generate())).unwrap().first.unwrap();
    let before = all(&engine)[0].clone();
    redact(&engine, position);
    engine.close();
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(all(&engine)[0].header(), before.header());
    assert_eq!(holders(dir.path()), [""; 0].map(PathBuf::from));
}

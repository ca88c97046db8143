//! Do yesterday's files open? A log that each released format wrote is kept under `tests/fixtures`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum_core::{
    Append, AppendId, Delete, DeleteMode, EventId, EventStore, EventStoreExt, ExpectedRevision, Leaf,
    ManualClock, Read, ReadFrom, Redact, Revision, Selector, StreamMetadata, StreamView, Timestamp,
};
use factum_engine::{Engine, Options, OsVfs, ScavengeMode, verify};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::basics::{event, now, stream};

/// The root of the proof over the log of format 1.
const ROOT_V1: &str = include_str!("../fixtures/v1.root");

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn options() -> Options {
    let clock = ManualClock::new(Timestamp::parse("2026-11-22T20:00:00Z").unwrap());
    Options { segment_bytes: 72 * 1024, clock: Arc::new(clock), ..Options::default() }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_log_of_format_1_opens_and_says_what_it_said() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    let report = verify(dir.path(), &OsVfs, |_, _| {}).unwrap();
    assert_eq!(report.damage, []);
    assert_eq!(report.root_hex(), ROOT_V1.trim());
    assert!(report.removed > 0 && report.segments > 2, "{report:?}");
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(engine.recovered(), None);
    let log = now(engine.read_all(Read::forwards(Selector::All))).unwrap();
    assert_eq!(log.len() as u64, report.events);
    let binary = log.iter().find(|event| event.event_type() == "Scanned").unwrap();
    assert_eq!((binary.data_slice(), binary.happened_at()), ([0u8, 255, 7].as_slice(), Timestamp(12_345)));
    assert_eq!(binary.append_id(), Some(AppendId(Uuid::from_u128(77))));
    let kept = now(engine.read_all(Read::stream(stream("account-2")))).unwrap();
    assert_eq!(kept.iter().map(|event| event.revision().0).collect::<Vec<_>>(), [18, 19]);
    let deleted = now(engine.read_all(Read::stream(stream("account-1")).view(StreamView::Recorded))).unwrap();
    assert_eq!(deleted.last().unwrap().revision(), Revision::TOMBSTONE);
    let next = Append::to(
        stream("account-2"),
        ExpectedRevision::Exact(Revision(19)),
        vec![event("Deposited", "{}")],
    );
    assert_eq!(engine.append_blocking(next).unwrap().first.unwrap().0, report.end.0);
}

#[test]
fn an_event_of_a_log_of_format_1_can_be_redacted() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(engine.info().format, 1);
    let log = now(engine.read_all(Read::forwards(Selector::All))).unwrap();
    let binary = log.iter().find(|event| event.event_type() == "Scanned").unwrap();
    let redacted = engine.redact_blocking(&Redact::at(binary.position(), "asked for")).unwrap();
    assert_eq!((redacted.event.header(), redacted.redaction.leaf), (binary.header(), Leaf::of(binary)));
    let rest = Read::forwards(Selector::All).from(ReadFrom::Position(redacted.redaction.recorded));
    let records = now(engine.read_all(rest)).unwrap();
    engine.close();
    let report = verify(dir.path(), &OsVfs, |_, _| {}).unwrap();
    assert_eq!((report.damage, report.redacted), (vec![], 1));
    // The root of the fixture, and the record of the redaction after it.
    let before: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&ROOT_V1[2 * at..2 * at + 2], 16).unwrap()).collect();
    let root: [u8; 32] =
        Sha256::new().chain_update(before).chain_update(Leaf::of(&records[0]).0).finalize().into();
    assert_eq!(report.root, root);
}

/// Writes the fixture anew: only for a format that was never released.
#[test]
#[ignore = "writes the fixture: run it by hand, before a format is released"]
fn write_the_fixture() {
    let dir = fixture();
    drop(fs::remove_dir_all(&dir));
    let engine = Engine::open(&dir, options()).unwrap();
    for n in 0..60u64 {
        let data = format!(r#"{{"amount":{n},"note":"{}"}}"#, "é".repeat(60));
        let deposited = event("Deposited", &data).with_id(EventId(Uuid::from_u128(u128::from(n) + 1)));
        let name = stream(&format!("account-{}", n % 3));
        engine.append_blocking(Append::to(name, ExpectedRevision::Any, vec![deposited])).unwrap();
    }
    let scanned = factum_core::NewEvent::binary("Scanned".parse().unwrap(), vec![0, 255, 7])
        .with_id(EventId(Uuid::from_u128(1_000)))
        .with_occurred_at(Timestamp(12_345))
        .with_metadata(r#"{"$correlationId":"c-1","actor":"ada"}"#);
    let several = Append::to(stream("scan-1"), ExpectedRevision::NoStream, vec![scanned]);
    engine.append_blocking(several.with_id(AppendId(Uuid::from_u128(77)))).unwrap();
    let two = StreamMetadata { max_count: Some(2), ..StreamMetadata::default() };
    now(engine.set_stream_metadata(stream("account-2"), &two)).unwrap();
    let tombstone =
        Delete { stream: stream("account-1"), expected: ExpectedRevision::Any, mode: DeleteMode::Tombstone };
    now(engine.delete(tombstone)).unwrap();
    engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap();
    engine.close();
    let report = verify(&dir, &OsVfs, |_, _| {}).unwrap();
    fs::write(dir.with_extension("root"), format!("{}\n", report.root_hex())).unwrap();
}

//! Verify, scavenge, backup and restore on a real directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use factum_core::{
    Append, Delete, DeleteMode, EventId, EventStore, EventStoreExt, EventType, ExpectedRevision, NewEvent,
    Position, Read, ReadError, RecordedEvent, Revision, Selector, StreamMetadata, StreamName, StreamView,
};
use factum_engine::{
    BackupError, Engine, LedgerEnd, OpenError, Options, OsVfs, ScavengeMode, Verified, restore, verify,
    verify_backup,
};

use crate::basics::{event, now, options, stream};

fn fill(engine: &Engine, streams: u64, events: u64) {
    for n in 0..events {
        let name = stream(&format!("account-{}", n % streams));
        let data = format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(200));
        engine
            .append_blocking(Append::to(name, ExpectedRevision::Any, vec![event("Deposited", &data)]))
            .unwrap();
    }
}

fn check(dir: &Path) -> Verified {
    verify(dir, &OsVfs, |_, _| {}).unwrap()
}

fn read(engine: &Engine, read: Read) -> Vec<RecordedEvent> {
    now(engine.read_all(read)).unwrap()
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    files
}

#[test]
fn a_scavenge_reclaims_what_is_hidden_and_keeps_positions_revisions_and_the_proof() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, 4, 400);
    let delete = |name: &str, mode| {
        let delete = Delete { stream: stream(name), expected: ExpectedRevision::Any, mode };
        now(engine.delete(delete)).unwrap();
    };
    delete("account-0", DeleteMode::Tombstone);
    delete("account-1", DeleteMode::Soft);
    let keep_three = StreamMetadata { max_count: Some(3), ..StreamMetadata::default() };
    now(engine.set_stream_metadata(stream("account-2"), &keep_three)).unwrap();
    fill(&engine, 1, 0);
    for n in 0..100 {
        let append = Append::to(
            stream("other-1"),
            ExpectedRevision::Any,
            vec![event("Pad", &format!("{{\"n\":{n}}}"))],
        );
        engine.append_blocking(append).unwrap();
    }
    engine.close();
    let before = check(dir.path());
    assert_eq!(before.damage, []);

    let engine = Engine::open(dir.path(), options()).unwrap();
    let estimate = engine.scavenge(ScavengeMode::Estimate, |_, _| {}).unwrap();
    let old_reader = now(engine.read(Read::forwards(Selector::All))).unwrap();
    let done = engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap();
    assert_eq!(estimate, done);
    assert!(done.events >= 250 && done.bytes > 250 * 150, "{done:?}");
    drop(old_reader);
    // Once more finds nothing more.
    assert_eq!(engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap().events, 0);

    let kept = read(&engine, Read::stream(stream("account-2")));
    assert_eq!(kept.iter().map(RecordedEvent::revision).collect::<Vec<_>>(), [97, 98, 99].map(Revision));
    assert_eq!(read(&engine, Read::stream(stream("account-3"))).len(), 100);
    let gone = now(engine.read_all(Read::stream(stream("account-1"))));
    assert!(matches!(gone, Err(ReadError::StreamNotFound { .. })), "{gone:?}");
    let recorded = read(&engine, Read::stream(stream("account-0")).view(StreamView::Recorded));
    assert_eq!(recorded.len(), 1, "only the tombstone is left");
    // Numbering goes on where it was, and the index leads to what is left and nothing else.
    let revived = Append::to(stream("account-1"), ExpectedRevision::Any, vec![event("Deposited", "{}")]);
    assert_eq!(engine.append_blocking(revived).unwrap().streams[0].first, Some(Revision(100)));
    let tagged = read(&engine, Read::forwards(Selector::tag("all:1".parse().unwrap())));
    let scanned: Vec<_> = read(&engine, Read::forwards(Selector::All))
        .into_iter()
        .filter(|event| event.tags().any(|tag| tag == "all:1"))
        .collect();
    assert_eq!(tagged, scanned);
    engine.close();

    let after = check(dir.path());
    assert_eq!(after.damage, []);
    assert_eq!(after.removed, done.events);
    assert_eq!(after.events + after.removed, after.end.0);
}

#[test]
fn the_root_of_the_proof_survives_a_scavenge() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, 2, 300);
    let tombstone =
        Delete { stream: stream("account-0"), expected: ExpectedRevision::Any, mode: DeleteMode::Tombstone };
    now(engine.delete(tombstone)).unwrap();
    engine.close();
    let before = check(dir.path());
    let engine = Engine::open(dir.path(), options()).unwrap();
    let done = engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap();
    assert!(done.events > 100, "{done:?}");
    engine.close();
    let after = check(dir.path());
    assert_eq!((after.damage.as_slice(), after.root, after.end), ([].as_slice(), before.root, before.end));
}

#[test]
fn a_backup_of_a_store_in_use_is_restored_in_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let places = tempfile::tempdir().unwrap();
    let (backup, restored) = (places.path().join("backup"), places.path().join("restored"));
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, 3, 150);
    let writer = {
        let engine = engine.clone();
        std::thread::spawn(move || fill(&engine, 5, 150))
    };
    let info = engine.backup(&backup, |_, _| {}).unwrap();
    writer.join().unwrap();
    assert!(info.end >= Position(150));
    assert!(matches!(engine.backup(&backup, |_, _| {}), Err(BackupError::NotEmpty { .. })));
    assert_eq!(verify_backup(&OsVfs, &backup).unwrap(), info);
    let copied = restore(&OsVfs, &backup, &restored, |_, _| {}).unwrap();
    assert_eq!((copied.end, copied.epoch), (info.end, info.epoch + 1));
    let copy = Engine::open(&restored, options()).unwrap();
    let original = read(&engine, Read::forwards(Selector::All).limit(info.end.0));
    assert_eq!(read(&copy, Read::forwards(Selector::All)), original);
    let token =
        engine.append_blocking(Append::to(stream("t"), ExpectedRevision::Any, vec![event("T", "{}")]));
    let newer = copy.append_blocking(Append::to(stream("t"), ExpectedRevision::Any, vec![event("T", "{}")]));
    assert!(
        token.unwrap().token.reaches(&newer.unwrap().token).is_err(),
        "tokens of two futures are told apart"
    );
    copy.close();
    assert_eq!(check(&restored).damage, []);
    // A damaged backup is not restored.
    let file = &segment_files(&backup)[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[100] ^= 1;
    fs::write(file, bytes).unwrap();
    let target = places.path().join("again");
    assert!(matches!(restore(&OsVfs, &backup, &target, |_, _| {}), Err(BackupError::Damaged { .. })));
    fs::remove_file(backup.join("backup.json")).unwrap();
    assert!(matches!(restore(&OsVfs, &backup, &target, |_, _| {}), Err(BackupError::NoBackup { .. })));
}

/// A vault's log that is put back has to be told what was erased since: the manifest says how far it knows.
#[test]
fn a_manifest_says_how_far_the_record_of_erasures_goes() {
    let dir = tempfile::tempdir().unwrap();
    let places = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, 1, 3);
    let backup = |name: &str| {
        let info = engine.backup(&places.path().join(name), |_, _| {}).unwrap();
        assert_eq!(verify_backup(&OsVfs, &places.path().join(name)).unwrap(), info);
        info.ledger
    };
    assert_eq!(backup("none"), None);
    let told = |n: u64| {
        let event = event("$told", &format!("{{\"n\":{n}}}"));
        let append = Append::to(stream("$privacy"), ExpectedRevision::Any, vec![event]);
        engine.append_blocking(append).unwrap();
        fill(&engine, 1, 2);
    };
    told(1);
    assert_eq!(backup("one"), Some(LedgerEnd { events: 1, last: Position(3) }));
    told(2);
    assert_eq!(backup("two"), Some(LedgerEnd { events: 2, last: Position(6) }));
    let restored = places.path().join("restored");
    let info = restore(&OsVfs, &places.path().join("one"), &restored, |_, _| {}).unwrap();
    assert_eq!(info.ledger, Some(LedgerEnd { events: 1, last: Position(3) }));
    // A manifest from before it had this member is read.
    let file = places.path().join("one").join("backup.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest.as_object_mut().unwrap().remove("ledger").unwrap();
    fs::write(&file, manifest.to_string()).unwrap();
    assert_eq!(verify_backup(&OsVfs, &places.path().join("one")).unwrap().ledger, None);
}

#[test]
fn every_flipped_byte_of_a_small_log_is_noticed_and_never_read_wrongly() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { segment_bytes: 4 * 1024, ..options() };
    let engine = Engine::open(dir.path(), small.clone()).unwrap();
    for n in 0..20 {
        let name = stream(&format!("s-{}", n % 3));
        let append = Append::to(name, ExpectedRevision::Any, vec![event("T", &format!("{{\"n\":{n}}}"))]);
        engine.append_blocking(append).unwrap();
    }
    let whole = read(&engine, Read::forwards(Selector::All));
    engine.close();
    assert_eq!(check(dir.path()).damage, []);
    let mut files = segment_files(dir.path());
    assert!(files.len() >= 2, "the log has more than one segment");
    files.extend(["store", "tail"].map(|name| dir.path().join(name)));
    let end_of_use = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    for file in &files {
        let good = fs::read(file).unwrap();
        for at in 0..end_of_use(&good) {
            let mut bad = good.clone();
            bad[at] ^= 0x21;
            fs::write(file, &bad).unwrap();
            let place = format!("{} byte {at}", file.display());
            match verify(dir.path(), &OsVfs, |_, _| {}) {
                Ok(report) => assert!(!report.damage.is_empty(), "{place}: unnoticed"),
                Err(OpenError::Damaged(_) | OpenError::NewerFormat { .. }) => {}
                Err(other) => panic!("{place}: {other}"),
            }
            if at % 7 == 0
                && let Ok(engine) = Engine::open(dir.path(), small.clone())
            {
                match now(engine.read_all(Read::forwards(Selector::All))) {
                    Ok(events) => assert!(
                        whole.starts_with(&events) && events.len() == whole.len(),
                        "{place}: read wrongly"
                    ),
                    Err(error) => assert!(matches!(error, ReadError::Damaged { .. }), "{place}: {error}"),
                }
                drop(engine);
                fs::write(file, &good).unwrap();
            }
        }
        fs::write(file, &good).unwrap();
    }
    assert_eq!(check(dir.path()).damage, []);
}

#[test]
fn a_directory_of_a_newer_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    Engine::open(dir.path(), options()).unwrap().close();
    let path = dir.path().join("store");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 3;
    let checksum = crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let refused = Engine::open(dir.path(), options()).err().unwrap();
    assert!(matches!(refused, OpenError::NewerFormat { found: 3, known: 2, .. }), "{refused}");
}

/// Bit by bit, so that the test does not rest on the code that it tests.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

#[test]
fn names_and_events_over_their_limits_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    let large = NewEvent::json(EventType::new("Large").unwrap(), vec![b' '; 17 * 1024 * 1024]);
    assert!(engine.append_blocking(Append::to(stream("s"), ExpectedRevision::Any, vec![large])).is_err());
    assert!(StreamName::new("x".repeat(2_000)).is_err());
    assert_eq!(engine.info().end, Position::START);
    // One event larger than a segment gets a segment of its own size.
    let larger = NewEvent::json(EventType::new("Large").unwrap(), vec![b' '; 64 * 1024]);
    for _ in 0..2 {
        let event = larger.clone().with_id(EventId::generate());
        engine.append_blocking(Append::to(stream("s"), ExpectedRevision::Any, vec![event])).unwrap();
    }
    assert_eq!(read(&engine, Read::stream(stream("s"))).len(), 2);
}

#[test]
fn a_scavenge_may_run_while_appends_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    let keep_two = StreamMetadata { max_count: Some(2), ..StreamMetadata::default() };
    now(engine.set_stream_metadata(stream("account-0"), &keep_two)).unwrap();
    fill(&engine, 2, 200);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            fill(&engine, 2, 200);
            done.store(true, Ordering::Release);
        });
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let kept = read(&engine, Read::stream(stream("account-1")));
                let dense =
                    kept.iter().enumerate().all(|(at, event)| event.revision() == Revision(at as u64));
                assert!(dense && kept.len() >= 100, "{} events", kept.len());
            }
        });
        let mut removed = 0;
        while !writer.is_finished() {
            removed += engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap().events;
        }
        assert!(removed > 0, "nothing was removed while appends went on");
        writer.join().unwrap();
        reader.join().unwrap();
    });
    assert_eq!(read(&engine, Read::stream(stream("account-0"))).len(), 2);
    assert_eq!(read(&engine, Read::stream(stream("account-1"))).len(), 200);
    engine.close();
    assert_eq!(check(dir.path()).damage, []);
}

#[test]
fn a_large_event_of_the_stores_own_is_not_zeroed_by_the_next_append() {
    let dir = tempfile::tempdir().unwrap();
    let large = Options { segment_bytes: 64 * 1024 * 1024, ..options() };
    let engine = Engine::open(dir.path(), large.clone()).unwrap();
    fill(&engine, 1, 2);
    let soft =
        Delete { stream: stream("account-0"), expected: ExpectedRevision::Any, mode: DeleteMode::Soft };
    now(engine.delete(soft)).unwrap();
    // Metadata over a soft delete makes the store write it once more, with what keeps the deleted events hidden.
    let mut metadata = StreamMetadata::default();
    metadata.user.insert("note".to_owned(), "x".repeat(3 * 1024 * 1024).into());
    now(engine.set_stream_metadata(stream("account-0"), &metadata)).unwrap();
    fill(&engine, 3, 30);
    let before = read(&engine, Read::forwards(Selector::All));
    engine.close();
    assert_eq!(check(dir.path()).damage, []);
    let engine = Engine::open(dir.path(), large).unwrap();
    assert_eq!(read(&engine, Read::forwards(Selector::All)), before);
}

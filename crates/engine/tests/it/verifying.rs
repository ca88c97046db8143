//! A store that is open is verified: damage is named, and nothing that goes on meanwhile is taken for damage.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use factum_core::{
    Append, Delete, DeleteMode, EventStore, EventStoreExt, ExpectedRevision, Position, Redact, StreamMetadata,
};
use factum_engine::{Engine, Options, OsVfs, ScavengeMode, Upkeep, Verified, verify};

use crate::basics::{event, now, options, stream};

/// Runs and tables are written as soon as they can be.
fn at_once() -> Options {
    Options { upkeep: Upkeep::Inline, ..options() }
}

fn fill(engine: &Engine, name: &str, events: u64) {
    for n in 0..events {
        let data = format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(200));
        let append =
            Append::to(stream(&format!("{name}-{}", n % 5)), ExpectedRevision::Any, vec![event("T", &data)]);
        engine.append_blocking(append).unwrap();
    }
}

fn check(engine: &Engine) -> Verified {
    engine.verify_while(|_, _| ControlFlow::Continue(())).unwrap().unwrap()
}

fn files(dir: &Path, folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|of| of == extension)).collect();
    files.sort();
    files
}

/// Flips one bit in place, as a disk would.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_open_store_has_the_proof_that_it_has_when_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), at_once()).unwrap();
    let empty = check(&engine);
    assert_eq!((empty.end, empty.events, empty.damage), (Position(0), 0, vec![]));
    fill(&engine, "a", 300);
    engine.redact_blocking(&Redact::at(Position(7), "asked for")).unwrap();
    let mut told = Vec::new();
    let open = engine.verify_while(|done, all| {
        told.push((done, all));
        ControlFlow::Continue(())
    });
    let open = open.unwrap().unwrap();
    assert_eq!((open.damage.as_slice(), open.redacted), ([].as_slice(), 1));
    assert!(open.segments > 2 && told.len() as u64 >= open.segments, "{open:?} {told:?}");
    assert!(told.is_sorted() && told.last().is_some_and(|(done, all)| done == all), "{told:?}");
    engine.close();
    let closed = verify(dir.path(), &OsVfs, |_, _| {}).unwrap();
    assert_eq!((closed.root, closed.end, closed.events), (open.root, open.end, open.events));
}

#[test]
fn a_bit_that_flips_while_the_store_is_open_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), at_once()).unwrap();
    fill(&engine, "a", 200);
    let segments = files(dir.path(), "log", "seg");
    assert!(segments.len() > 3);
    // The first one, and the last one that is sealed.
    for path in [&segments[0], &segments[segments.len() - 2]] {
        let length = fs::metadata(path).unwrap().len() as usize;
        // The header, a frame's header, a record, the seal.
        for at in [20, 70, length / 2, length - 30] {
            flip(path, at);
            let found = check(&engine);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                found.damage.iter().any(|damage| damage.place.contains(name) && !damage.rebuilt_on_open),
                "byte {at} of {name}: {:?}",
                found.damage
            );
            flip(path, at);
        }
        assert_eq!(check(&engine).damage, []);
    }
    // And in what is committed of the open one.
    let open = segments.last().unwrap();
    flip(open, 90);
    assert!(!check(&engine).damage.is_empty());
    flip(open, 90);
    assert_eq!(check(&engine).damage, []);
    // A file that is gone is read to its end, and missed all the same.
    fs::rename(&segments[1], segments[1].with_extension("away")).unwrap();
    assert!(check(&engine).damage.iter().any(|damage| damage.what.contains("not there")));
    fs::rename(segments[1].with_extension("away"), &segments[1]).unwrap();
}

#[test]
fn an_index_that_says_something_else_than_the_log_is_found() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stores = [&one, &other].map(|dir| {
        let engine = Engine::open(dir.path(), at_once()).unwrap();
        fill(&engine, "a", 150);
        engine
    });
    assert_eq!(check(&stores[0]).damage, []);
    stores.iter().for_each(Engine::close);
    // Every event has an id of its own, so the same run of the other store is whole, and wrong.
    let run = |dir: &Path| {
        let mut runs: Vec<_> =
            fs::read_dir(dir.join("index")).unwrap().map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs.swap_remove(0)
    };
    assert_eq!(run(one.path()).file_name(), run(other.path()).file_name());
    fs::copy(run(other.path()), run(one.path())).unwrap();
    let engine = Engine::open(one.path(), at_once()).unwrap();
    let found = check(&engine);
    let places: Vec<_> =
        found.damage.iter().map(|damage| (damage.what.as_str(), damage.rebuilt_on_open)).collect();
    assert_eq!(places, [("the index does not say what the log says", true)]);
}

#[test]
fn a_damaged_run_and_a_damaged_table_are_found_and_are_no_damage_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), at_once()).unwrap();
    fill(&engine, "a", 150);
    let table = files(dir.path(), "log", "off").swap_remove(0);
    flip(&table, 66);
    let found = check(&engine);
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
    assert!(found.damage[0].place.contains(".off") && found.damage[0].rebuilt_on_open);
    flip(&table, 66);
    let run = fs::read_dir(dir.path().join("index")).unwrap().next().unwrap().unwrap().path();
    flip(&run, 100);
    let found = check(&engine);
    assert!(found.damage.iter().all(|damage| damage.rebuilt_on_open), "{:?}", found.damage);
    assert_eq!(found.damage.len(), 1);
}

#[test]
fn what_goes_on_meanwhile_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, "a", 200);
    let done = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        let (engine, done) = (&engine, &done);
        let writer = scope.spawn(move || {
            for round in 0..6 {
                fill(engine, &format!("r{round}"), 80);
                let metadata = StreamMetadata { max_count: Some(2), ..StreamMetadata::default() };
                let limited = stream(&format!("r{round}-0"));
                now(engine.set_stream_metadata(limited, &metadata)).unwrap();
                let delete = Delete {
                    stream: stream(&format!("r{round}-1")),
                    expected: ExpectedRevision::Any,
                    mode: if round % 2 == 0 { DeleteMode::Soft } else { DeleteMode::Tombstone },
                };
                now(engine.delete(delete)).unwrap();
                engine.scavenge(ScavengeMode::Reclaim, |_, _| {}).unwrap();
                drop(engine.redact_blocking(&Redact::at(Position(round * 60 + 3), "asked for")));
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut rounds = 0;
        while !done.load(Ordering::SeqCst) || rounds == 0 {
            let found = check(engine);
            assert_eq!(found.damage, [], "round {rounds}");
            rounds += 1;
        }
        writer.join().unwrap();
        rounds
    });
    assert!(rounds > 1, "it never ran beside the writer");
    let open = check(&engine);
    assert!(open.removed > 0 && open.redacted > 0, "{open:?}");
    assert_eq!(open.damage, []);
    engine.close();
    let closed = verify(dir.path(), &OsVfs, |_, _| {}).unwrap();
    assert_eq!((closed.root, closed.damage.as_slice()), (open.root, [].as_slice()));
}

#[test]
fn it_can_be_broken_off() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), options()).unwrap();
    fill(&engine, "a", 200);
    let mut looks = 0;
    let broken = engine.verify_while(|_, _| {
        looks += 1;
        if looks == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((broken.unwrap(), looks), (None, 2));
    let places = tempfile::tempdir().unwrap();
    let to = places.path().join("backup");
    assert_eq!(engine.backup_while(&to, |_, _| ControlFlow::Break(())).unwrap(), None);
    assert!(factum_engine::look_at_backup(&OsVfs, &to).is_err());
}

//! Does a damaged index run ever cost more than a rebuild? Bits are flipped in runs on a real directory.

use std::path::Path;

use factum_core::{Append, ExpectedRevision, Read, RecordedEvent, Selector, StreamWrite, Tag};
use factum_engine::{Engine, Options, Upkeep};

use crate::basics::{all, event, options, stream};

const ROUNDS: u64 = 20;
const EVENTS: u64 = ROUNDS * 35;

/// Runs are written and merged as soon as they can be.
fn at_once() -> Options {
    Options { upkeep: Upkeep::Inline, ..options() }
}

/// One append with an event for each of seven streams.
fn append_round(engine: &Engine) {
    let data = format!("{{\"pad\":\"{}\"}}", "x".repeat(150));
    let to = |n| StreamWrite {
        stream: stream(&format!("account-{n}")),
        expected: ExpectedRevision::Any,
        events: vec![event("Deposited", &data); 5],
    };
    engine.append_blocking(Append { writes: (0..7).map(to).collect(), ..Append::default() }).unwrap();
}

/// Flips a bit in every bucket and list of every run, where opening does not look.
fn damage_runs(dir: &Path) -> usize {
    let mut runs = 0;
    for entry in std::fs::read_dir(dir.join("index")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let fanout_at = u64::from_le_bytes(bytes[48..56].try_into().unwrap()) as usize;
        bytes[88..fanout_at].iter_mut().step_by(16).for_each(|byte| *byte ^= 1);
        std::fs::write(path, bytes).unwrap();
        runs += 1;
    }
    runs
}

fn check(engine: &Engine, expected: &[RecordedEvent]) {
    let tagged =
        all(engine.read_blocking(Read::forwards(Selector::tag(Tag::new("all:1").unwrap()))).unwrap());
    assert_eq!(tagged, expected);
    let one = all(engine.read_blocking(Read::stream(stream("account-3"))).unwrap());
    assert!(one.iter().eq(expected.iter().filter(|event| event.stream() == "account-3")));
}

#[test]
fn a_log_with_damaged_runs_opens_answers_and_appends_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), at_once()).unwrap();
    (0..ROUNDS).for_each(|_| append_round(&engine));
    let layers = engine.info().index_layers;
    assert!(layers > 1 && layers < ROUNDS / 2, "{layers} layers: runs are merged");
    let expected = all(engine.read_blocking(Read::forwards(Selector::All)).unwrap());
    assert_eq!(expected.len() as u64, EVENTS);
    check(&engine, &expected);
    engine.close();

    assert!(damage_runs(dir.path()) > 1);
    let engine = Engine::open(dir.path(), at_once()).unwrap();
    check(&engine, &expected);
    engine.close();
    let engine = Engine::open(dir.path(), at_once()).unwrap();
    check(&engine, &expected);

    // Damage that comes while the log is open: the append may be refused once, never wrongly accepted.
    damage_runs(dir.path());
    let last = expected.iter().rfind(|event| event.stream() == "account-3").unwrap().revision();
    let again = |expected| Append::to(stream("account-3"), expected, vec![event("Deposited", "{}")]);
    let refused = engine.append_blocking(again(ExpectedRevision::NoStream));
    assert!(refused.is_err(), "{refused:?}");
    engine.append_blocking(again(ExpectedRevision::Exact(last))).unwrap();
}

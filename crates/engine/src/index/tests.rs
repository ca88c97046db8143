//! Does the index say what a plain walk over the events says? Random logs, damaged and cut files, crash leftovers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum_core::{
    AppendId, Category, ContentType, Direction, ErrorKind, EventId, EventType, NewEvent, Position, Query,
    QueryItem, ReadError, RecordedEvent, RecordedHeader, Revision, SchemaVersion, Selector, StreamName, Tag,
    Timestamp,
};

use super::key::event_keys;
use super::{Index, IndexError, IndexSnapshot, KeyHash, OpenedIndex, Plan};
use crate::vfs::OsVfs;

/// Numbers that look random and come again with the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A log in memory, and the index over it.
struct World {
    dir: tempfile::TempDir,
    index: Index,
    events: Vec<RecordedEvent>,
    /// What the index should know.
    postings: BTreeMap<KeyHash, Vec<u64>>,
    /// Positions below this are frozen.
    sealed: u64,
    revisions: BTreeMap<String, u64>,
    dice: Dice,
}

fn open(dir: &Path, tail: u64) -> OpenedIndex {
    Index::open(Arc::new(OsVfs), dir, tail).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path(), 0).index;
        let (events, postings, revisions) = Default::default();
        World { dir, index, events, postings, sealed: 0, revisions, dice: Dice(seed) }
    }

    fn event(&mut self) -> RecordedEvent {
        let stream = match self.dice.roll(4) {
            0 => "ledger".to_owned(),
            _ => format!("{}-{}", ["account", "loan"][self.dice.roll(2) as usize], self.dice.roll(40)),
        };
        let mut new = NewEvent::json(self.event_type(), "{}");
        for _ in 0..self.dice.roll(4) {
            new = new.with_tag(self.tag());
        }
        if self.dice.roll(3) == 0 {
            let id = self.dice.roll(9);
            new = new.with_metadata(format!("{{\"$correlationId\":\"c{id}\",\"$causationId\":\"k{id}\"}}"));
        }
        let revision = self.revisions.entry(stream.clone()).or_default();
        let header = RecordedHeader {
            position: Position(self.events.len() as u64),
            revision: Revision(*revision),
            id: EventId::generate(),
            append_id: revision.is_multiple_of(2).then(AppendId::generate),
            recorded_at: Timestamp(0),
            occurred_at: None,
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
        };
        *revision += 1;
        RecordedEvent::record(header, &StreamName::new(stream).unwrap(), &new)
    }

    fn event_type(&mut self) -> EventType {
        EventType::new(format!("Type{}", self.dice.roll(5))).unwrap()
    }

    fn tag(&mut self) -> Tag {
        // Some tags are on nearly every event, some on very few.
        let spread = [1, 6, 400][self.dice.roll(3) as usize];
        Tag::new(format!("tag:{}", self.dice.roll(spread))).unwrap()
    }

    fn append(&mut self, count: u64) {
        let from = self.events.len();
        for _ in 0..count {
            let event = self.event();
            let mut keys = Vec::new();
            event_keys(&event, &mut keys);
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                self.postings.entry(key).or_default().push(event.position().0);
            }
            self.events.push(event);
        }
        self.index.insert(&self.events[from..]);
    }

    fn freeze(&mut self) {
        self.index.freeze();
        self.sealed = self.events.len() as u64;
    }

    /// Opens the index again, as after a crash, and gives it what it lacks. Returns what that was.
    fn reopen(&mut self) -> (Vec<Range<u64>>, Vec<IndexError>) {
        let OpenedIndex { index, missing, dropped } = open(self.dir.path(), self.sealed);
        for range in &missing {
            let mut rebuild = index.rebuild(range.clone());
            for events in self.events[range.start as usize..range.end as usize].chunks(100) {
                rebuild.insert(events).unwrap();
            }
            rebuild.finish().unwrap();
        }
        index.insert(&self.events[self.sealed as usize..]);
        self.index = index;
        (missing, dropped)
    }

    fn selector(&mut self) -> Selector {
        let stream = format!("account-{}", self.dice.roll(45));
        match self.dice.roll(9) {
            0 => Selector::Stream(StreamName::new(stream).unwrap()),
            1 => Selector::Category(Category::new("loan").unwrap()),
            2 => Selector::Correlation(format!("c{}", self.dice.roll(10))),
            3 => Selector::Causation(format!("k{}", self.dice.roll(10))),
            4 => Selector::StreamStarts,
            5 if !self.events.is_empty() => {
                let any = self.dice.roll(self.events.len() as u64);
                let event = &self.events[any as usize];
                event.append_id().map_or(Selector::Event(event.id()), Selector::Append)
            }
            _ => {
                let items = (0..=self.dice.roll(3)).map(|_| QueryItem {
                    types: (0..self.dice.roll(3)).map(|_| self.event_type()).collect(),
                    tags: (0..self.dice.roll(3)).map(|_| self.tag()).collect(),
                });
                Selector::Query(Query { items: items.collect() })
            }
        }
    }

    /// Asks the index and the events, and compares.
    fn check(&mut self, questions: usize) {
        for _ in 0..questions {
            let end = self.events.len() as u64;
            let upto = if self.dice.roll(2) == 0 { end } else { self.dice.roll(end + 1) };
            let snapshot = self.index.snapshot(upto);
            let (low, high) = match self.dice.roll(2) {
                0 => (0, u64::MAX),
                _ => (self.dice.roll(end + 1), self.dice.roll(end + 2)),
            };
            let direction = [Direction::Forwards, Direction::Backwards][self.dice.roll(2) as usize];
            let selector = self.selector();
            self.check_plan(&snapshot, &selector, low..high, direction);
            let event = self.event();
            let mut keys = Vec::new();
            event_keys(&event, &mut keys);
            let key = keys[self.dice.roll(keys.len() as u64) as usize];
            let before = self.dice.roll(end + 2);
            self.check_key(&snapshot, key, before);
        }
    }

    fn check_plan(
        &mut self,
        snapshot: &IndexSnapshot,
        selector: &Selector,
        range: Range<u64>,
        direction: Direction,
    ) {
        let high = range.end.min(snapshot.upto());
        let mut wanted = self.events.iter().filter(|event| selector.matches(event));
        let mut wanted = wanted.by_ref().map(|event| event.position().0).collect::<Vec<_>>();
        wanted.retain(|position| (range.start..high).contains(position));
        let jumps = self.dice.roll(2) == 0;
        if direction == Direction::Backwards {
            wanted.reverse();
        }
        let Plan::Candidates(mut cursor) = snapshot.plan(selector, range, direction) else {
            assert!(matches!(selector, Selector::Query(query) if query.is_all()));
            return;
        };
        let mut wanted = wanted.as_slice();
        loop {
            if jumps && self.dice.roll(3) == 0 {
                let target = self.dice.roll(self.events.len() as u64 + 1);
                cursor.seek(target);
                let skipped = wanted.partition_point(|position| match direction {
                    Direction::Forwards => *position < target,
                    Direction::Backwards => *position > target,
                });
                wanted = &wanted[skipped..];
            }
            // A candidate may be too many, where a type and a tag are looked up apart; here none is.
            assert_eq!(cursor.next().unwrap(), wanted.first().copied(), "{selector:?} {direction:?}");
            let Some(rest) = wanted.get(1..) else { break };
            wanted = rest;
        }
        assert_eq!(cursor.next().unwrap(), None, "a cursor that has ended stays so");
    }

    fn check_key(&self, snapshot: &IndexSnapshot, key: KeyHash, before: u64) {
        let all = self.postings.get(&key).map_or(&[][..], Vec::as_slice);
        let seen = &all[..all.partition_point(|position| *position < snapshot.upto())];
        let last = seen.iter().rev().find(|position| **position < before);
        assert_eq!(snapshot.last(key, before).unwrap(), last.copied());
        assert_eq!(snapshot.count(key).unwrap(), seen.len() as u64);
        for n in [0, 1, seen.len() / 2, seen.len().saturating_sub(1), seen.len()] {
            assert_eq!(
                snapshot.nth(key, n as u64).unwrap(),
                seen.get(n).copied(),
                "posting {n} of {}",
                seen.len()
            );
        }
    }
}

fn once(range: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(range).collect()
}

fn run_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    files.sort();
    files
}

#[test]
fn random_logs_are_answered_as_a_walk_over_the_events_answers() {
    for seed in 1..=8 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..60 {
            match world.dice.roll(7) {
                0 | 1 => world.freeze(),
                2 => while world.index.write_frozen().unwrap() {},
                3 => while world.index.merge_step().unwrap() {},
                4 => drop(world.reopen()),
                _ => {
                    let count = world.dice.roll(60);
                    world.append(count);
                }
            }
            world.check(4);
        }
        world.append(1);
        world.check(100);
    }
}

#[test]
fn long_lists_are_searched_in_both_directions() {
    let mut world = World::new(11);
    for _ in 0..3 {
        world.append(3_000);
        world.freeze();
    }
    world.append(500);
    while world.index.write_frozen().unwrap() {}
    assert_eq!(world.index.layers(), 4);
    world.check(300);
}

#[test]
fn a_snapshot_goes_on_while_tables_become_runs() {
    let mut world = World::new(5);
    world.append(400);
    let snapshot = world.index.snapshot(300);
    let ledger = KeyHash::stream("ledger");
    let all = world.postings[&ledger].clone();
    let mut cursor = snapshot.cursor(ledger, 0..u64::MAX, Direction::Forwards);
    assert_eq!(cursor.next().unwrap(), Some(all[0]));
    world.append(100);
    world.freeze();
    assert!(world.index.write_frozen().unwrap());
    assert!(!world.index.write_frozen().unwrap());
    world.append(100);
    world.check_key(&snapshot, ledger, 250);
    assert_eq!(cursor.next().unwrap(), Some(all[1]));
    assert_eq!(run_files(world.dir.path()).len(), 1);
}

#[test]
fn runs_are_merged_eight_at_a_time() {
    let mut world = World::new(21);
    for _ in 0..70 {
        let count = 1 + world.dice.roll(60);
        world.append(count);
        world.freeze();
        assert!(world.index.write_frozen().unwrap());
        while world.index.merge_step().unwrap() {}
    }
    // 70 in base 8 is 106, and the open table.
    assert_eq!(world.index.layers(), 1 + 6 + 1);
    assert_eq!(run_files(world.dir.path()).len(), 7);
    world.check(200);
    assert_eq!(world.reopen().0, []);
    world.check(50);
}

#[test]
fn long_lists_are_merged() {
    let mut world = World::new(22);
    for _ in 0..8 {
        world.append(1_500);
        world.freeze();
        world.index.write_frozen().unwrap();
    }
    let before = world.index.snapshot(u64::MAX);
    let ledger = KeyHash::stream("ledger");
    let mut cursor = before.cursor(ledger, 0..u64::MAX, Direction::Backwards);
    assert_eq!(cursor.next().unwrap(), world.postings[&ledger].last().copied());
    assert!(world.index.merge_step().unwrap());
    assert_eq!(world.index.layers(), 2);
    world.check(200);
    let mut count = 1;
    while cursor.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, world.postings[&ledger].len(), "a cursor goes on in runs that were removed");
}

#[test]
fn a_stopped_index_leaves_a_merge_undone() {
    let mut world = World::new(23);
    for _ in 0..8 {
        world.append(20);
        world.freeze();
        world.index.write_frozen().unwrap();
    }
    world.index.stop();
    assert!(!world.index.merge_step().unwrap());
    assert_eq!(run_files(world.dir.path()).len(), 8);
    world.check(20);
}

#[test]
fn a_merge_names_the_run_that_is_damaged_and_goes_on_once_it_is_rebuilt() {
    let mut world = World::new(24);
    for _ in 0..8 {
        world.append(30);
        world.freeze();
        world.index.write_frozen().unwrap();
    }
    let file = run_files(world.dir.path()).remove(3);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let error = world.index.merge_step().unwrap_err();
    assert_eq!((ReadError::from(error.clone()).kind(), error.path()), (ErrorKind::Damaged, &*file));
    let mut rebuild = world.index.rebuild_damaged().unwrap();
    assert_eq!(rebuild.range(), 90..120);
    rebuild.insert(&world.events[90..120]).unwrap();
    rebuild.finish().unwrap();
    assert!(world.index.merge_step().unwrap());
    assert!(world.index.rebuild_damaged().is_none());
    // A rebuild that comes too late changes nothing.
    world.index.rebuild(90..120).finish().unwrap();
    assert_eq!(run_files(world.dir.path()).len(), 1);
    world.check(100);
}

#[test]
fn opening_says_what_is_missing_and_clears_up() {
    let mut world = World::new(6);
    for _ in 0..3 {
        world.append(50);
        world.freeze();
        world.index.write_frozen().unwrap();
    }
    world.append(50);
    world.freeze();
    world.append(20);
    let files = run_files(world.dir.path());
    std::fs::remove_file(&files[1]).unwrap();
    std::fs::write(world.dir.path().join("00000000000000000200-00000000000000000250.run.tmp"), "x").unwrap();
    // A run beyond the sealed part of the log speaks of events that a crash has taken back.
    std::fs::copy(&files[0], world.dir.path().join(super::build::file_name(200, 290))).unwrap();
    let (missing, dropped) = world.reopen();
    assert_eq!(missing, [50..100, 150..200]);
    assert!(dropped.is_empty());
    assert_eq!(run_files(world.dir.path()).len(), 4, "three old ranges and the new one, nothing else");
    world.check(100);
    assert_eq!(world.reopen().0, [], "what was rebuilt is there");
}

#[test]
fn a_run_under_a_wrong_name_is_dropped() {
    let mut world = World::new(7);
    world.append(50);
    world.freeze();
    world.index.write_frozen().unwrap();
    let files = run_files(world.dir.path());
    std::fs::rename(&files[0], world.dir.path().join(super::build::file_name(0, 49))).unwrap();
    let (missing, dropped) = world.reopen();
    assert_eq!((missing, dropped.len()), (once(0..50), 1));
    world.check(50);
}

/// Answers of the index to many questions, or the first error.
fn answers(index: &Index, events: &[RecordedEvent]) -> Result<Vec<Option<u64>>, IndexError> {
    let snapshot = index.snapshot(events.len() as u64);
    let (mut keys, mut answers) = (Vec::new(), Vec::new());
    events.iter().for_each(|event| event_keys(event, &mut keys));
    keys.push(KeyHash::tag("absent"));
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        answers.push(snapshot.last(key, u64::MAX)?);
        answers.push(Some(snapshot.count(key)?));
        answers.push(snapshot.nth(key, 1)?);
        let mut cursor = snapshot.cursor(key, 0..u64::MAX, Direction::Forwards);
        while let Some(position) = cursor.next()? {
            answers.push(Some(position));
        }
    }
    Ok(answers)
}

/// Opens what `damage` made of a run and checks: the same answers, or an error that names the file and can be repaired.
fn check_damaged(world: &World, file: &Path, bytes: &[u8], expected: &[Option<u64>], repair: bool) {
    std::fs::write(file, bytes).unwrap();
    let mut found = Vec::new();
    super::verify_runs(&OsVfs, world.dir.path(), |place, what| found.push((place, what)));
    let opened = open(world.dir.path(), world.sealed);
    if let Some(error) = opened.dropped.first() {
        assert_eq!(error.path(), file);
        assert!(!found.is_empty());
        assert_eq!(opened.missing, once(0..world.sealed));
        return;
    }
    match answers(&opened.index, &world.events) {
        Ok(answers) => {
            assert_eq!(answers, expected, "wrong and not noticed");
            assert_eq!(found, [], "every byte that means something is read to answer these questions");
        }
        Err(error) => {
            assert!(!found.is_empty());
            assert_eq!((ReadError::from(error.clone()).kind(), error.path()), (ErrorKind::Damaged, file));
            if repair {
                let mut rebuild = opened.index.rebuild_damaged().unwrap();
                assert_eq!(rebuild.range(), 0..world.sealed);
                rebuild.insert(&world.events).unwrap();
                rebuild.finish().unwrap();
                assert!(!opened.index.is_damaged());
                assert_eq!(answers(&opened.index, &world.events).unwrap(), expected);
            }
        }
    }
}

#[test]
fn every_flipped_byte_is_noticed_or_harmless() {
    let mut world = World::new(3);
    world.append(15);
    world.freeze();
    world.index.write_frozen().unwrap();
    let expected = answers(&world.index, &world.events).unwrap();
    let file = run_files(world.dir.path()).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        println!("byte {at}");
        check_damaged(&world, &file, &damaged, &expected, at % 97 == 0);
    }
}

#[test]
fn every_cut_off_run_is_noticed() {
    let mut world = World::new(4);
    world.append(25);
    world.freeze();
    world.index.write_frozen().unwrap();
    let expected = answers(&world.index, &world.events).unwrap();
    let file = run_files(world.dir.path()).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    for len in (0..bytes.len()).step_by(11) {
        std::fs::write(&file, &bytes[..len]).unwrap();
        let opened = open(world.dir.path(), world.sealed);
        assert_eq!((opened.dropped.len(), opened.missing), (1, once(0..world.sealed)), "cut at {len}");
    }
    check_damaged(&world, &file, &bytes, &expected, false);
}

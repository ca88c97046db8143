//! Is an acknowledged append kept, and nothing half-written shown, when the disk fails at any point in any way?
//!
//! The matrix runs one script with a fault at each effect in turn, once per mode, starts the machine anew with what is left,
//! and checks everything. `docs/testing.md` lists the modes.

mod check;
mod script;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use factum_core::{Append, AppendError, AppendId, EventType, ExpectedRevision, NewEvent};
use factum_engine::{Engine, Options, Upkeep};

use crate::basics::stream;
use crate::fake_disk::{FakeDisk, Fault, Survival, count_points};
use check::{check, check_content};
use script::{
    Answer, Attempt, History, STORE, answer, events, open, options, run, run_redactions, run_until_merged,
};

/// A script: what it tried, and the store while it is still open.
type Script = fn(&FakeDisk) -> (History, Option<Engine>);

/// Runs the script with `fault` at every point in turn.
fn matrix(script: Script, fault: impl Fn(usize) -> Fault) {
    let points = count_points(|disk| drop(script(disk)));
    // One point more than there are: the machine stops after the script.
    for point in 0..=points {
        let disk = FakeDisk::new();
        let fault = fault(point);
        disk.plan(point, fault);
        let context = Context { point, fault, disk: disk.clone() };
        let (history, engine) = script(&disk);
        if let Some(engine) = &engine
            && !disk.has_crashed()
        {
            // Whatever failed, reads go on.
            check_content(engine, &history);
        }
        if let Fault::Crash(survival) = fault {
            disk.crash(survival);
        }
        let left = disk.reboot();
        drop(engine);
        check(&left, history);
        drop(context);
    }
}

/// Names the point when a check fails.
struct Context {
    point: usize,
    fault: Fault,
    disk: FakeDisk,
}

impl Drop for Context {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("at point {} ({}), fault {:?}", self.point, self.disk.point(self.point), self.fault);
        }
    }
}

#[test]
fn a_crash_that_loses_all_that_was_not_synced() {
    matrix(run, |_| Fault::Crash(Survival::Lost));
}

#[test]
fn a_crash_that_keeps_all_that_was_not_synced() {
    matrix(run, |_| Fault::Crash(Survival::Kept));
}

#[test]
fn a_crash_that_keeps_the_first_half() {
    matrix(run, |_| Fault::Crash(Survival::FirstHalf));
}

#[test]
fn a_crash_that_tears_in_any_way() {
    matrix(run, |point| Fault::Crash(Survival::Random(point as u64)));
}

#[test]
fn a_crash_that_tears_in_any_other_way() {
    matrix(run, |point| Fault::Crash(Survival::Random(!(point as u64))));
}

#[test]
fn a_write_that_stops_half_way() {
    matrix(run, |_| Fault::Short);
}

#[test]
fn a_disk_that_fills_up() {
    matrix(run, |_| Fault::Full);
}

#[test]
fn a_sync_that_fails() {
    matrix(run, |_| Fault::SyncError);
}

#[test]
fn index_runs_that_are_merged() {
    let disk = FakeDisk::new();
    drop(run_until_merged(&disk));
    let removed = (0..disk.points()).map(|point| disk.point(point));
    let removed =
        removed.filter(|effect| effect.starts_with("remove /store/index") && effect.ends_with(".run"));
    assert!(removed.count() >= 8, "a merge of eight runs");
    matrix(run_until_merged, |_| Fault::Crash(Survival::Lost));
    matrix(run_until_merged, |_| Fault::Crash(Survival::Kept));
    matrix(run_until_merged, |point| Fault::Crash(Survival::Random(point as u64)));
    matrix(run_until_merged, |_| Fault::Short);
    matrix(run_until_merged, |_| Fault::Full);
    matrix(run_until_merged, |_| Fault::SyncError);
}

#[test]
fn a_redaction_is_done_or_not_done_whatever_the_disk_does() {
    let disk = FakeDisk::new();
    let (history, engine) = run_redactions(&disk);
    drop(engine);
    assert!(history.redactions.iter().all(|redacting| redacting.acknowledged), "{history:?}");
    let effects: Vec<_> = (0..disk.points()).map(|point| disk.point(point)).collect();
    let rewritten = effects.iter().filter(|effect| {
        effect.starts_with("rename /store/log/0") && effect.contains(".tmp") && effect.ends_with(".seg")
    });
    assert!(rewritten.count() == 4, "one segment for each event that is redacted");
    matrix(run_redactions, |_| Fault::Crash(Survival::Lost));
    matrix(run_redactions, |_| Fault::Crash(Survival::Kept));
    matrix(run_redactions, |_| Fault::Crash(Survival::FirstHalf));
    matrix(run_redactions, |point| Fault::Crash(Survival::Random(point as u64)));
    matrix(run_redactions, |point| Fault::Crash(Survival::Random(!(point as u64))));
    matrix(run_redactions, |_| Fault::Short);
    matrix(run_redactions, |_| Fault::Full);
    matrix(run_redactions, |_| Fault::SyncError);
}

#[test]
fn the_script_reaches_everything_that_is_promised() {
    let disk = FakeDisk::new();
    drop(run(&disk));
    let effects: Vec<_> = (0..disk.points()).map(|point| disk.point(point)).collect();
    let count = |start: &str, end: &str| {
        effects.iter().filter(|effect| effect.starts_with(start) && effect.ends_with(end)).count()
    };
    assert!(count("rename /store/log/next.tmp", ".seg") >= 4, "segments are sealed");
    assert!(count("rename /store/log/0", ".seg") >= 2, "a scavenge puts segments in place of others");
    assert!(count("rename /store/index/", ".run") >= 3, "index runs are written");
    assert!(count("rename /backup/", "backup.json") == 1, "a backup is finished");
    assert!(count("rename /store/tail.tmp", "tail") >= 5, "the store is closed and sealed");
}

#[test]
fn a_crash_while_recovering_from_a_crash() {
    // Every eleventh point leaves every kind of rubbish behind somewhere, in a tenth of the time.
    crash_while_recovering(run, 11);
}

#[test]
fn a_crash_while_a_redaction_is_finished() {
    crash_while_recovering(run_redactions, 5);
}

fn crash_while_recovering(script: Script, step: usize) {
    let points = count_points(|disk| drop(script(disk)));
    for point in (0..points).step_by(step) {
        let disk = FakeDisk::new();
        disk.plan(point, Fault::Crash(Survival::Random(point as u64)));
        let (history, engine) = script(&disk);
        drop(engine);
        for again in 0.. {
            let left = disk.reboot();
            let fault = Fault::Crash(Survival::Random((point * 1_000 + again) as u64));
            left.plan(again, fault);
            let context = Context { point: again, fault, disk: left.clone() };
            let opened = open(&left);
            if !left.has_crashed() {
                assert!(opened.is_ok(), "{:?}", opened.err());
                break;
            }
            drop(opened);
            check(&left.reboot(), history.clone());
            drop(context);
        }
    }
}

/// A store with some appends in it.
fn store(disk: &FakeDisk) -> (Engine, History) {
    let engine = open(disk).unwrap();
    let mut history = History::default();
    for _ in 0..5 {
        history.append(&engine, &["account-1", "account-2"], 1);
    }
    (engine, history)
}

fn append(engine: &Engine, bytes: usize) -> Result<(), AppendError> {
    let event = crate::basics::event("Padded", &format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes)));
    engine.append_blocking(Append::to(stream("pad-1"), ExpectedRevision::Any, vec![event])).map(|_| ())
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_space_and_reads_go_on() {
    let disk = FakeDisk::new();
    let (engine, mut history) = store(&disk);
    disk.fill();
    // Larger than what is left of the open segment: needs a new one.
    let refused = append(&engine, 1024 * 1024).unwrap_err();
    assert!(matches!(refused, AppendError::DiskFull), "{refused}");
    check_content(&engine, &history);
    disk.free_space();
    history.append(&engine, &["account-1"], 20);
    check_content(&engine, &history);
    drop(engine);
    check(&disk.reboot(), history);
}

#[test]
fn a_failed_sync_stops_the_writer_and_opening_again_recovers() {
    let disk = FakeDisk::new();
    let (engine, mut history) = store(&disk);
    // The next append writes once, then syncs.
    disk.plan(disk.points() + 1, Fault::SyncError);
    history.append(&engine, &["account-1"], 1);
    assert_eq!(history.attempts[5].answer, Answer::Unknown);
    for _ in 0..3 {
        let stopped = append(&engine, 10).unwrap_err();
        assert!(matches!(stopped, AppendError::Stopped { .. }), "{stopped}");
    }
    assert!(engine.stopped().is_some());
    check_content(&engine, &history);
    drop(engine);
    check(&disk.reboot(), history);
}

#[test]
fn a_failed_write_stops_the_writer_too() {
    let disk = FakeDisk::new();
    let (engine, mut history) = store(&disk);
    disk.plan(disk.points(), Fault::Short);
    history.append(&engine, &["account-1"], 1);
    assert_eq!(history.attempts[5].answer, Answer::Unknown);
    assert!(engine.stopped().is_some());
    check_content(&engine, &history);
    // The process ends and the machine goes on: the half that was written is on disk.
    drop(engine);
    disk.crash(Survival::Kept);
    check(&disk.reboot(), history);
}

#[test]
fn a_torn_append_that_holds_a_segment_of_another_store_is_cut_off() {
    let other = FakeDisk::new();
    let (history, engine) = run(&other);
    assert!(history.attempts.len() > 20);
    drop(engine);
    let cargo = other.content(Path::new("/store/log/00000000000000000034.seg"));
    for seed in 0..64 {
        let disk = FakeDisk::new();
        let (engine, _) = store(&disk);
        let pad = NewEvent::binary(EventType::new("Copied").unwrap(), vec![7; 1024]);
        let copy = NewEvent::binary(EventType::new("Copied").unwrap(), cargo.clone());
        let append = Append::to(stream("backup-1"), ExpectedRevision::Any, vec![pad, copy]);
        let before = disk.points();
        engine.append_blocking(append.clone()).unwrap();
        let writes = disk.points() - before;
        drop(engine);
        let disk = FakeDisk::new();
        let (engine, history) = store(&disk);
        // The sync that would have kept it.
        disk.plan(before + writes - 1, Fault::Crash(Survival::Random(seed)));
        assert!(engine.append_blocking(append).is_err());
        drop(engine);
        check(&disk.reboot(), history);
    }
}

/// Clients that append side by side, so that commits share a sync; the engine's threads do the rest.
fn run_side_by_side(disk: &FakeDisk) -> History {
    const CLIENTS: usize = 4;
    const APPENDS: usize = 8;
    let options = Options { segment_bytes: 256 * 1024, upkeep: Upkeep::Thread, ..options(disk) };
    let Ok(engine) = Engine::open(STORE, options) else { return History::default() };
    let client = |client: usize| {
        let mut attempts = Vec::new();
        for turn in 0..APPENDS {
            let number = turn * CLIENTS + client;
            let name = format!("client-{client}");
            let append = Append::to(stream(&name), ExpectedRevision::Any, events(number, &name, 2))
                .with_id(AppendId(uuid::Uuid::from_u128(number as u128 + 1)));
            let result = engine.append_blocking(append.clone());
            attempts.push((number, Attempt { append, answer: answer(&result) }));
        }
        attempts
    };
    let mut attempts: Vec<(usize, Attempt)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    attempts.sort_by_key(|(number, _)| *number);
    History { attempts: attempts.into_iter().map(|(_, attempt)| attempt).collect(), ..History::default() }
}

#[test]
fn commits_that_share_a_sync_are_each_kept_whole_or_not_at_all() {
    let slow = || {
        let disk = FakeDisk::new();
        disk.slow_syncs();
        disk
    };
    let disk = slow();
    let history = run_side_by_side(&disk);
    assert!(history.attempts.iter().all(|attempt| matches!(attempt.answer, Answer::Acknowledged { .. })));
    let points = disk.points();
    let is_commit = |effect: &str| effect.starts_with("write") && effect.ends_with(".seg");
    let commits = (0..points).filter(|point| is_commit(&disk.point(*point))).count();
    assert!(
        commits < history.attempts.len(),
        "some of {} appends share {commits} writes",
        history.attempts.len()
    );
    for point in 0..points {
        let survivals = [Survival::Lost, Survival::Kept, Survival::Random(point as u64)];
        let fault = Fault::Crash(survivals[point % survivals.len()]);
        let disk = slow();
        disk.plan(point, fault);
        let context = Context { point, fault, disk: disk.clone() };
        let history = run_side_by_side(&disk);
        check(&disk.reboot(), history);
        drop(context);
    }
}

#[test]
fn two_runs_of_the_script_have_the_same_effects() {
    let effects = || {
        let disk = FakeDisk::new();
        drop(run(&disk));
        disk
    };
    let (one, other) = (effects(), effects());
    assert_eq!(one.points(), other.points());
    // The backup's manifest holds checksums of random ids, whose decimal length varies.
    for point in (0..one.points()).filter(|point| !one.point(*point).contains("backup.tmp")) {
        assert_eq!(one.point(point), other.point(point), "effect {point}");
    }
}

#[test]
fn a_store_on_a_disk_that_never_fails_keeps_everything() {
    let disk = Arc::new(FakeDisk::new());
    let (history, engine) = run(&disk);
    let acknowledged = |attempt: &&Attempt| matches!(attempt.answer, Answer::Acknowledged { .. });
    assert!(history.attempts.iter().filter(acknowledged).count() >= 20);
    assert_eq!((history.deleted.len(), history.backed_up.is_some()), (2, true));
    drop(engine);
    disk.crash(Survival::Kept);
    check(&disk.reboot(), history);
}

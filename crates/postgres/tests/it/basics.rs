//! Are rows and progress kept together, by one owner?

use factum_core::read_model::{Attempt, Fault, Progress, ReadModelError, ReadModels, Skip, Value, Woken};
use factum_core::{EventId, Position, Timestamp};
use std::time::Duration;

use crate::fixture::{ADD, Fixture, TABLES, V1, at, name, new_version, partition, progress};

const SUM: &str = "SELECT sum(amount) FROM accounts";

#[test]
fn rows_and_progress_are_committed_together() {
    let Some(f) = Fixture::new("rows_and_progress_are_committed_together") else { return };
    assert_eq!(f.create("balances", TABLES), V1);
    let mut writer = f.writer("balances", V1);
    assert_eq!(*writer.progress(), Progress::start(at(0)));
    writer.begin().unwrap();
    for n in 0..1_000_i64 {
        writer.execute(ADD, &[("account", format!("a{}", n % 10).into()), ("amount", n.into())]).unwrap();
    }
    let seen = writer.query(SUM, &[]).unwrap();
    assert_eq!(seen.first_value(), Some(&Value::Integer(499_500)));
    assert_eq!(f.read(V1, SUM), [[Value::Null]], "nobody else sees it yet");
    writer.commit(&progress(1_000)).unwrap();
    assert_eq!(*writer.progress(), progress(1_000));
    assert_eq!(f.read_models.progress(&name("balances"), V1).unwrap(), [progress(1_000)]);

    let mut reader = f.read_models.reader(&[(name("balances"), V1)]).unwrap();
    let (rows, applied) = reader.query(SUM, &[]).unwrap();
    assert_eq!((rows.first_value(), &applied[..]), (Some(&Value::Integer(499_500)), &[progress(1_000)][..]));
    assert_eq!(rows.columns, ["sum"]);
}

#[test]
fn what_is_rolled_back_or_dropped_leaves_nothing() {
    let Some(f) = Fixture::new("what_is_rolled_back_or_dropped_leaves_nothing") else { return };
    f.create("balances", TABLES);
    let mut writer = f.writer("balances", V1);
    writer.begin().unwrap();
    writer.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]).unwrap();
    writer.rollback().unwrap();
    writer.rollback().unwrap();
    writer.begin().unwrap();
    writer.execute(ADD, &[("account", "a".into()), ("amount", 2.into())]).unwrap();
    drop(writer);
    let writer = f.writer("balances", V1);
    assert_eq!(*writer.progress(), Progress::start(at(0)));
    assert_eq!(f.read(V1, "SELECT * FROM accounts"), [[]; 0]);
}

#[test]
fn the_error_of_a_statement_sent_ahead_comes_at_the_latest_with_the_commit() {
    let Some(f) = Fixture::new("the_error_of_a_statement_sent_ahead_comes_at_the_latest_with_the_commit")
    else {
        return;
    };
    f.create("balances", TABLES);
    let mut writer = f.writer("balances", V1);
    writer.begin().unwrap();
    let insert = "INSERT INTO accounts (account, amount) VALUES (:account, :amount)";
    for account in ["a", "a", "b"] {
        writer.execute(insert, &[("account", account.into()), ("amount", 1.into())]).unwrap();
    }
    let Err(ReadModelError::Statement { statement, why }) = writer.commit(&progress(3)) else {
        panic!("the second row has the first one's key")
    };
    assert_eq!(statement, insert);
    assert!(why.contains("accounts_pkey") && why.contains("23505") && !why.contains("(a)"), "{why}");
    assert_eq!(*writer.progress(), Progress::start(at(0)));

    // The writer goes on.
    writer.begin().unwrap();
    writer.execute(insert, &[("account", "c".into()), ("amount", 1.into())]).unwrap();
    writer.commit(&progress(1)).unwrap();
    assert_eq!(f.read(V1, "SELECT account FROM accounts"), [[Value::from("c")]]);
}

#[test]
fn an_old_owner_is_fenced() {
    let Some(f) = Fixture::new("an_old_owner_is_fenced") else { return };
    f.create("balances", TABLES);
    let mut old = f.writer("balances", V1);
    old.begin().unwrap();
    old.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]).unwrap();
    old.query(SUM, &[]).unwrap();
    // It holds the row of `a` locked; the new owner does not wait for it.
    f.add(V1, "a", 10, 1);
    let fenced = ReadModelError::Fenced { partition: partition("balances", V1, 0) };
    assert_eq!(old.commit(&progress(7)), Err(fenced.clone()));
    assert_eq!(old.begin(), Err(fenced.clone()));
    assert_eq!(old.set_fault(None), Err(fenced));
    assert_eq!(f.read(V1, SUM), [[Value::Integer(10)]]);
    assert_eq!(f.read_models.progress(&name("balances"), V1).unwrap(), [progress(1)]);
}

#[test]
fn an_old_owner_whose_session_cannot_be_ended_is_fenced_too() {
    let Some(f) = Fixture::new("an_old_owner_whose_session_cannot_be_ended_is_fenced_too") else { return };
    f.create("balances", TABLES);
    let mut old = f.writer("balances", V1);
    // As if it were another user's.
    f.database.sql("UPDATE factum.partitions SET owner_pid = NULL");
    old.begin().unwrap();
    old.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]).unwrap();
    f.add(V1, "b", 10, 1);
    assert!(matches!(old.commit(&progress(7)), Err(ReadModelError::Fenced { .. })));
    assert!(matches!(old.begin(), Err(ReadModelError::Fenced { .. })));
    assert_eq!(f.read(V1, SUM), [[Value::Integer(10)]]);
}

#[test]
fn faults_and_skips_are_kept() {
    let Some(f) = Fixture::new("faults_and_skips_are_kept") else { return };
    f.create("balances", TABLES);
    f.add(V1, "a", 1, 5);
    let mut writer = f.writer("balances", V1);
    let attempt = Attempt { at: Timestamp(9), error: "no such row: 'x'".to_owned() };
    let fault = Fault {
        position: Position(5),
        event: EventId::generate(),
        stream: "account-1".to_owned(),
        event_type: "FundsDeposited".to_owned(),
        attempts: vec![attempt],
    };
    writer.set_fault(Some(&fault)).unwrap();
    let faulted = Progress { fault: Some(fault), ..progress(5) };
    assert_eq!(*writer.progress(), faulted);
    assert_eq!(*f.writer("balances", V1).progress(), faulted);
    let mut writer = f.writer("balances", V1);
    let skip = Skip {
        position: Position(5),
        actor: "ada".to_owned(),
        reason: "a test's".to_owned(),
        at: Timestamp(10),
    };
    writer.skip(&skip).unwrap();
    writer.set_fault(None).unwrap();
    assert_eq!(f.read_models.skips(&name("balances"), V1).unwrap(), [skip]);
    assert_eq!(f.read_models.progress(&name("balances"), V1).unwrap(), [progress(5)]);
}

#[test]
fn a_watch_is_woken_by_the_commit() {
    let Some(f) = Fixture::new("a_watch_is_woken_by_the_commit") else { return };
    f.create("balances", TABLES);
    let mut watch = f.read_models.watch(&name("balances"), V1).unwrap();
    assert_eq!(watch.wait(Duration::from_millis(1)).unwrap(), Woken::TimedOut);
    f.add(V1, "a", 1, 1);
    assert_eq!(watch.wait(Duration::from_secs(20)).unwrap(), Woken::Committed);
    // A commit before the wait is not lost.
    f.add(V1, "a", 1, 2);
    assert_eq!(watch.wait(Duration::from_secs(20)).unwrap(), Woken::Committed);
    assert_eq!(watch.wait(Duration::from_millis(1)).unwrap(), Woken::TimedOut);
}

#[test]
fn a_scratch_leaves_nothing() {
    let Some(f) = Fixture::new("a_scratch_leaves_nothing") else { return };
    let mut scratch = f.read_models.scratch(&new_version("balances", TABLES)).unwrap();
    for n in 1..=3 {
        scratch.begin().unwrap();
        scratch.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]).unwrap();
        if n == 2 {
            scratch.rollback().unwrap();
        } else {
            scratch.commit(&progress(n)).unwrap();
        }
    }
    scratch.begin().unwrap();
    let bad = scratch.query("SELECT no_such_column FROM accounts", &[]);
    assert!(matches!(bad, Err(ReadModelError::Statement { .. })), "{bad:?}");
    scratch.rollback().unwrap();
    scratch.begin().unwrap();
    assert_eq!(scratch.query(SUM, &[]).unwrap().first_value(), Some(&Value::Integer(2)));
    drop(scratch);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'factum\\_scratch%'";
    assert_eq!(f.database.sql(left), "0");
}

#[tokio::test]
async fn calls_work_within_a_runtime_too() {
    let Some(f) = Fixture::new("calls_work_within_a_runtime_too") else { return };
    f.create("balances", TABLES);
    f.add(V1, "a", 1, 1);
    assert_eq!(f.read(V1, SUM), [[Value::Integer(1)]]);
}

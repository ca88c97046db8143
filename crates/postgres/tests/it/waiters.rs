//! Do a thousand who wait cost the server nothing until something is committed?

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use factum_core::read_model::{ReadModels, Woken};
use factum_postgres::PostgresReadModels;

use crate::fixture::{Fixture, TABLES, V1, name};

const WAITERS: usize = 1_000;

#[test]
fn a_thousand_waiters_are_woken_by_one_commit_of_another_process_and_ask_nothing() {
    let test = "a_thousand_waiters_are_woken_by_one_commit_of_another_process_and_ask_nothing";
    let Some(f) = Fixture::new(test) else { return };
    f.create("balances", TABLES);
    // Another handle has connections of its own, as another process has.
    let waiting = Arc::new(PostgresReadModels::open(f.database.url()).unwrap());
    let watches: Vec<_> = (0..WAITERS).map(|_| waiting.watch(&name("balances"), V1).unwrap()).collect();
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND application_name = 'factum'";
    let open: u32 = f.database.sql(sessions).parse().unwrap();
    assert!(open <= 4, "{open} sessions for {WAITERS} waiters");

    let (woken, answers) = mpsc::channel();
    let threads: Vec<_> = watches
        .into_iter()
        .map(|mut watch| {
            let woken = woken.clone();
            let thread = std::thread::Builder::new().stack_size(64 * 1024);
            thread.spawn(move || woken.send(watch.wait(Duration::from_secs(120)))).unwrap()
        })
        .collect();
    // Nobody is woken, and the sessions that Factum has open are asked nothing meanwhile.
    let busy = "SELECT coalesce(max(state_change), 'epoch') FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'factum'";
    let before = f.database.sql(busy);
    assert!(answers.recv_timeout(Duration::from_millis(500)).is_err());
    assert_eq!(f.database.sql(busy), before, "a query was made while all only waited");

    f.add(V1, "a", 1, 1);
    for _ in 0..WAITERS {
        let answer = answers.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(answer.unwrap(), Woken::Committed);
    }
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
}

#[test]
fn a_commit_wakes_those_of_its_own_version_only() {
    let Some(f) = Fixture::new("a_commit_wakes_those_of_its_own_version_only") else { return };
    f.create("balances", TABLES);
    f.create("other", TABLES);
    let mut other = f.read_models.watch(&name("other"), V1).unwrap();
    let mut balances = f.read_models.watch(&name("balances"), V1).unwrap();
    f.add(V1, "a", 1, 1);
    assert_eq!(balances.wait(Duration::from_secs(60)).unwrap(), Woken::Committed);
    assert_eq!(other.wait(Duration::from_millis(1)).unwrap(), Woken::TimedOut);
}

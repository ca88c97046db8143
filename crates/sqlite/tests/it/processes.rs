//! Do two processes on one directory see and fence each other?

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use factum_core::read_model::{ReadModelError, ReadModels, Woken};
use factum_sqlite::SqliteReadModels;

use crate::fixture::{Fixture, V1, add, name, partition};

/// The directory that the other process is to write to.
const DIRECTORY: &str = "FACTUM_TEST_SQLITE_DIRECTORY";

fn other_process(fixture: &Fixture) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::a_process_takes_over_and_adds", "--nocapture"]);
    command.env(DIRECTORY, fixture.path("")).stdout(Stdio::null());
    command
}

/// Also what the other process does, in the directory that it is given.
#[test]
fn a_process_takes_over_and_adds() {
    let own = Fixture::with_balances();
    let directory = std::env::var_os(DIRECTORY).map_or_else(|| own.path(""), PathBuf::from);
    let models = SqliteReadModels::open_existing(directory).unwrap();
    let mut writer = models.writer(&partition("balances", V1)).unwrap();
    let next = writer.progress().events + 1;
    add(&mut *writer, next).unwrap();
    assert_eq!(models.progress(&name("balances"), V1).unwrap()[0].events, next);
}

#[test]
fn another_processs_commit_wakes_and_its_ownership_fences() {
    let fixture = Fixture::with_balances();
    let mut writer = fixture.writer(V1);
    add(&mut *writer, 2).unwrap();
    let mut watch = fixture.models.watch(&name("balances"), V1).unwrap();
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), Woken::TimedOut);
    let mut other = other_process(&fixture).spawn().unwrap();
    assert_eq!(watch.wait(Duration::from_secs(60)).unwrap(), Woken::Committed);
    assert_eq!(fixture.models.progress(&name("balances"), V1).unwrap()[0].events, 3);
    let fenced = add(&mut *writer, 4).unwrap_err();
    assert!(matches!(fenced, ReadModelError::Fenced { .. }), "{fenced}");
    assert!(other.wait().unwrap().success());
    // And back again.
    assert_eq!(fixture.writer(V1).progress().events, 3);
}

#[test]
fn who_watches_a_version_learns_that_it_goes_or_serves() {
    let fixture = Fixture::with_balances();
    let long = Duration::from_secs(60);
    let second =
        fixture.models.create(&crate::fixture::new_version("balances", crate::fixture::TABLES)).unwrap();
    fixture.add(second.number, 1);
    let mut watch = fixture.models.watch(&name("balances"), V1).unwrap();
    fixture.models.promote(&name("balances"), second.number).unwrap();
    assert_eq!(watch.wait(long).unwrap(), Woken::Committed);
    fixture.models.discard(&name("balances"), V1).unwrap();
    assert_eq!(watch.wait(long).unwrap(), Woken::Committed);
}

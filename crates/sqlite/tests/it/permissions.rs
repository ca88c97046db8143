//! A directory that may only be read, or not even that: is it told, and can what may be read be read?
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use factum_core::read_model::{ReadModelError, ReadModels, Value};
use factum_sqlite::SqliteReadModels;

use crate::fixture::{Closed, Fixture, TABLES, V1, name, new_version, partition};

/// The user without rights, on Linux.
const NOBODY: u32 = 65_534;

pub(crate) fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether permissions hold for this process. For root they do not: then the test, named with its module, runs once more, as
/// nobody.
pub(crate) fn they_hold(test: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    set(directory.path(), 0o555);
    let root = fs::write(directory.path().join("file"), "").is_ok();
    set(directory.path(), 0o755);
    if root {
        // Where the build lies nobody may have no access.
        let program = directory.path().join("tests");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let mut command = Command::new(&program);
        command.args(["--exact", test, "--nocapture"]);
        let done = command.uid(NOBODY).gid(NOBODY).current_dir("/").output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(
            done.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    !root
}

/// Read models of which nothing can be written, until this is dropped.
struct Sealed(Closed);

impl Sealed {
    fn new() -> Self {
        let sealed = Self(Fixture::with_balances().close());
        for (path, mode) in [
            ("catalog.sqlite", 0o444),
            ("balances/v1.sqlite", 0o444),
            ("balances/v1.applied", 0o444),
            ("balances", 0o555),
            ("", 0o555),
        ] {
            set(&sealed.0.path(path), mode);
        }
        sealed
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        set(&self.0.path(""), 0o755);
        set(&self.0.path("balances"), 0o755);
    }
}

#[test]
fn what_may_only_be_read_is_read() {
    if !they_hold("permissions::what_may_only_be_read_is_read") {
        return;
    }
    let sealed = Sealed::new();
    let models = SqliteReadModels::open_existing(sealed.0.path("")).unwrap();
    assert_eq!(models.versions().unwrap().len(), 1);
    assert_eq!(models.progress(&name("balances"), V1).unwrap()[0].events, 1);
    let mut reader = models.reader(&[(name("balances"), V1)]).unwrap();
    let (rows, _) = reader.query("SELECT amount FROM accounts", &[]).unwrap();
    assert_eq!(rows.first_value(), Some(&Value::Integer(1)));
    for refused in [
        models.create(&new_version("balances", TABLES)).unwrap_err(),
        models.writer(&partition("balances", V1)).err().unwrap(),
        models.delete(&name("balances")).unwrap_err(),
    ] {
        assert!(matches!(refused, ReadModelError::ReadOnly { .. }), "{refused:?}");
        assert!(refused.to_string().contains("make it writable"), "{refused}");
    }
    let refused = sealed.0.open().unwrap_err();
    assert!(matches!(refused, ReadModelError::ReadOnly { .. }), "{refused:?}");
}

#[test]
fn what_cannot_be_made_is_told() {
    if !they_hold("permissions::what_cannot_be_made_is_told") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    set(directory.path(), 0o555);
    let refused = SqliteReadModels::open(directory.path().join("models")).unwrap_err();
    assert!(matches!(refused, ReadModelError::ReadOnly { .. }), "{refused:?}");
    let refused = SqliteReadModels::open(directory.path()).unwrap_err();
    assert!(matches!(refused, ReadModelError::ReadOnly { .. }), "{refused:?}");
    set(directory.path(), 0o755);
}

#[test]
fn what_may_not_be_read_is_told_by_name() {
    if !they_hold("permissions::what_may_not_be_read_is_told_by_name") {
        return;
    }
    let closed = Fixture::with_balances().close();
    set(&closed.path("balances/v1.sqlite"), 0o000);
    let models = closed.open().unwrap();
    for refused in [
        models.progress(&name("balances"), V1).unwrap_err(),
        models.writer(&partition("balances", V1)).err().unwrap(),
    ] {
        let text = refused.to_string();
        assert!(text.contains("v1.sqlite") && text.contains("unable to open"), "{text}");
    }
    set(&closed.path("catalog.sqlite"), 0o000);
    let refused = SqliteReadModels::open_existing(closed.path("")).unwrap_err().to_string();
    assert!(refused.contains("catalog.sqlite") && refused.contains("unable to open"), "{refused}");
}

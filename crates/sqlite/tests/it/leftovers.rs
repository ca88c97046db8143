//! A crash between two steps leaves files and entries that do not fit: is that put right?

use std::fs;

use factum_core::read_model::{ReadModels, Role, Value, Woken};
use factum_sqlite::SqliteReadModels;

use crate::fixture::{Fixture, TABLES, V1, V2, add, name, new_version, partition, progress};

const ONE: [&str; 2] = ["v1.applied", "v1.sqlite"];

/// Keeps the files of `balances` as they are now, to put them back as if their removal had not been reached.
fn put_back_after(fixture: &Fixture, change: impl FnOnce()) {
    let kept = fixture.directory.path().join("kept");
    fs::create_dir(&kept).unwrap();
    for file in fixture.files() {
        fs::copy(fixture.path("balances").join(&file), kept.join(&file)).unwrap();
    }
    change();
    fs::create_dir_all(fixture.path("balances")).unwrap();
    for entry in fs::read_dir(&kept).unwrap() {
        let entry = entry.unwrap();
        let target = fixture.path("balances").join(entry.file_name());
        if !target.exists() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_file_made_and_never_named_is_made_anew() {
    let fixture = Fixture::with_balances();
    // The crash came after version 2's file was filled, and before the catalog named it.
    fs::copy(fixture.path("balances/v1.sqlite"), fixture.path("balances/v2.sqlite")).unwrap();
    fs::write(fixture.path("balances/v2.sqlite-wal"), "left").unwrap();
    let models = fixture.again().unwrap();
    assert_eq!(models.versions().unwrap().len(), 1);
    assert_eq!(models.create(&new_version("balances", TABLES)).unwrap().number, V2);
    assert_eq!(fixture.amount(V2).unwrap(), Value::Null, "it is empty");
    add(&mut *models.writer(&partition("balances", V2)).unwrap(), 1).unwrap();
}

#[test]
fn half_a_file_of_a_first_version_is_made_anew() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("balances")).unwrap();
    fs::write(fixture.path("balances/v1.sqlite"), "SQLite format 3\0and no more").unwrap();
    fixture.models.create(&new_version("balances", TABLES)).unwrap();
    assert_eq!(fixture.files(), ONE);
}

#[test]
fn files_that_outlived_their_discard_are_removed() {
    let fixture = Fixture::with_balances();
    fixture.models.create(&new_version("balances", TABLES)).unwrap();
    put_back_after(&fixture, || fixture.models.discard(&name("balances"), V2).unwrap());
    assert_eq!(fixture.files(), ["v1.applied", "v1.sqlite", "v2.applied", "v2.sqlite"]);
    let models = fixture.again().unwrap();
    assert_eq!((fixture.files(), models.versions().unwrap().len()), (ONE.map(String::from).to_vec(), 1));
    assert_eq!(fixture.amount(V1).unwrap(), Value::Integer(1));
}

#[test]
fn files_that_outlived_a_promotion_are_removed() {
    let fixture = Fixture::with_balances();
    for number in [2, 3] {
        let version = fixture.models.create(&new_version("balances", TABLES)).unwrap();
        assert_eq!(version.number.0, number);
        fixture.add(version.number, 1);
        put_back_after(&fixture, || fixture.models.promote(&name("balances"), version.number).unwrap());
        fs::remove_dir_all(fixture.directory.path().join("kept")).unwrap();
    }
    assert!(fixture.files().contains(&"v1.sqlite".to_owned()), "it was put back");
    fixture.again().unwrap();
    assert!(!fixture.files().iter().any(|file| file.starts_with("v1.")), "{:?}", fixture.files());
    assert_eq!(fixture.amount(V2).unwrap(), Value::Integer(1));
}

#[test]
fn files_that_outlived_their_projection_are_removed_and_do_not_come_back() {
    let fixture = Fixture::with_balances();
    put_back_after(&fixture, || fixture.models.delete(&name("balances")).unwrap());
    let models = fixture.again().unwrap();
    assert!(fixture.files().is_empty() && models.versions().unwrap().is_empty());
    assert_eq!(models.create(&new_version("balances", TABLES)).unwrap().number, V2);
}

/// A killed process leaves its commits in the write-ahead log. Who only reads may be the first to look.
#[test]
fn what_a_kill_left_in_the_log_is_read() {
    let fixture = Fixture::with_balances();
    let mut writer = fixture.writer(V1);
    for position in 2..=40 {
        add(&mut *writer, position).unwrap();
    }
    // As they lie on the disk within a transaction.
    writer.begin().unwrap();
    writer.execute("DELETE FROM accounts", &[]).unwrap();
    let copy = fixture.directory.path().join("copy");
    fs::create_dir_all(copy.join("balances")).unwrap();
    for file in ["catalog.sqlite", "catalog.sqlite-wal", "balances/v1.sqlite", "balances/v1.sqlite-wal"] {
        fs::copy(fixture.path(file), copy.join(file)).unwrap();
    }
    let models = SqliteReadModels::open_existing(&copy).unwrap();
    assert_eq!(models.progress(&name("balances"), V1).unwrap(), [progress(40)]);
    let mut reader = models.reader(&[(name("balances"), V1)]).unwrap();
    let (rows, _) = reader.query("SELECT amount FROM accounts", &[]).unwrap();
    assert_eq!(rows.first_value(), Some(&Value::Integer(40)));
    // The file that is touched was not copied: it is made by whoever needs it.
    let mut watch = models.watch(&name("balances"), V1).unwrap();
    add(&mut *models.writer(&partition("balances", V1)).unwrap(), 41).unwrap();
    assert_eq!(watch.wait(std::time::Duration::from_secs(60)).unwrap(), Woken::Committed);
}

#[test]
fn a_refused_create_leaves_no_file() {
    let fixture = Fixture::new();
    fixture.models.create(&new_version("balances", "CREATE TABLE t (a); nonsense")).unwrap_err();
    assert!(!fixture.path("balances").exists());
}

#[test]
fn an_empty_catalog_was_never_begun() {
    let fixture = Fixture::new();
    let empty = fixture.directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("catalog.sqlite"), "").unwrap();
    let models = SqliteReadModels::open(&empty).unwrap();
    models.create(&new_version("balances", TABLES)).unwrap();
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let fixture = Fixture::with_balances();
    for other in ["balances/v1.sqlite.bak", "balances/notes.txt", "balances/v07.sqlite", "other.sqlite"] {
        fs::write(fixture.path(other), "mine").unwrap();
    }
    fs::create_dir(fixture.path("totals")).unwrap();
    fs::write(fixture.path("totals/v1.sqlite"), "of a catalog that is gone").unwrap();
    let models = fixture.again().unwrap();
    models.delete(&name("balances")).unwrap();
    assert_eq!(fixture.files(), ["notes.txt", "v07.sqlite", "v1.sqlite.bak"]);
    assert!(fixture.path("other.sqlite").exists() && fixture.path("totals/v1.sqlite").exists());
}

#[test]
fn a_version_whose_file_is_gone_is_replaced_by_a_rebuild() {
    let fixture = Fixture::with_balances();
    fs::remove_file(fixture.path("balances/v1.sqlite")).unwrap();
    assert_eq!(fixture.roles(), [(V1, Role::Serving)]);
    for error in [
        fixture.amount(V1).unwrap_err(),
        fixture.models.writer(&partition("balances", V1)).err().unwrap(),
        fixture.models.progress(&name("balances"), V1).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains("its file is gone") && text.contains("rebuild"), "{text}");
    }
    assert!(!fixture.path("balances/v1.sqlite").exists(), "nothing makes an empty one");
    fixture.models.create(&new_version("balances", TABLES)).unwrap();
    fixture.models.promote(&name("balances"), V2).unwrap();
    fixture.models.discard(&name("balances"), V1).unwrap();
    assert_eq!(fixture.roles(), [(V2, Role::Serving)]);
}

//! A database that is missing, damaged, foreign, newer or locked: is it told, before anything is written?

use std::fs;

use factum_core::ErrorKind;
use factum_core::read_model::{CompareOptions, ReadModelError, ReadModels, Role, Value};
use factum_sqlite::SqliteReadModels;
use rusqlite::Connection;

use crate::fixture::{Fixture, TABLES, V1, V2, add, name, new_version, partition};

#[test]
fn what_must_be_there_is_not_made() {
    let fixture = Fixture::new();
    let nowhere = fixture.directory.path().join("nowhere");
    let missing = SqliteReadModels::open_existing(&nowhere).unwrap_err();
    assert!(matches!(missing, ReadModelError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("nowhere") && missing.kind() == ErrorKind::NotFound);
    fs::create_dir(&nowhere).unwrap();
    let missing = SqliteReadModels::open_existing(&nowhere).unwrap_err();
    assert!(matches!(missing, ReadModelError::Missing { .. }), "{missing}");
    assert_eq!(fs::read_dir(&nowhere).unwrap().count(), 0);
    let file = fixture.path("catalog.sqlite");
    let not_a_directory = SqliteReadModels::open(&file).unwrap_err();
    assert!(not_a_directory.to_string().contains("catalog.sqlite"), "{not_a_directory}");
    // What is there is opened, and can be written to.
    let models = SqliteReadModels::open_existing(fixture.path("")).unwrap();
    models.create(&new_version("balances", TABLES)).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_damage() {
    let closed = Fixture::with_balances().close();
    for (file, bytes) in [
        ("catalog.sqlite", &b"this is a text and not a database, whatever it is called"[..]),
        ("balances/v1.sqlite", &[0x5f; 8_192]),
    ] {
        let path = closed.path(file);
        let kept = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let damaged = closed.use_it().unwrap_err();
        assert!(matches!(damaged, ReadModelError::Damaged { .. }), "{damaged}");
        assert!(damaged.to_string().contains(file) && damaged.kind() == ErrorKind::Damaged, "{damaged}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was written");
        fs::write(&path, kept).unwrap();
    }
    closed.use_it().unwrap();
}

#[test]
fn a_damaged_page_is_told_when_it_is_read() {
    let closed = Fixture::with_balances().close();
    let path = closed.path("balances/v1.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    // The first page holds what there is; the others hold the rows.
    bytes[4_096..].fill(0x5f);
    fs::write(&path, bytes).unwrap();
    let models = closed.open().unwrap();
    let damaged = models.progress(&name("balances"), V1).unwrap_err();
    assert!(matches!(damaged, ReadModelError::Damaged { .. }), "{damaged}");
    let mut reader = models.reader(&[(name("balances"), V1)]).unwrap();
    let damaged = reader.query("SELECT * FROM accounts", &[]).unwrap_err();
    assert!(matches!(damaged, ReadModelError::Damaged { .. }), "{damaged}");
}

#[test]
fn another_programs_database_is_left_alone() {
    let closed = Fixture::with_balances().close();
    for file in ["catalog.sqlite", "balances/v1.sqlite"] {
        let path = closed.path(file);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        let foreign = closed.use_it().unwrap_err();
        let text = foreign.to_string();
        assert!(matches!(foreign, ReadModelError::Damaged { .. }), "{text}");
        assert!(text.contains("not one of read models"), "{text}");
        let tables: i64 = Connection::open(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 1, "nothing was made in it");
        fs::write(&path, kept).unwrap();
    }
    closed.use_it().unwrap();
}

#[test]
fn a_newer_layout_is_refused() {
    let closed = Fixture::with_balances().close();
    for file in ["balances/v1.sqlite", "catalog.sqlite"] {
        let file = Connection::open(closed.path(file)).unwrap();
        file.pragma_update(None, "user_version", 2).unwrap();
        let newer = closed.use_it().unwrap_err();
        assert!(matches!(newer, ReadModelError::NewerLayout { found: 2, known: 1, .. }), "{newer}");
        assert_eq!(newer.kind(), ErrorKind::Unsupported);
    }
}

/// What is broken must not stand in the way of what takes its place.
#[test]
fn a_damaged_version_is_replaced_by_a_rebuild() {
    let fixture = Fixture::with_balances();
    fs::write(fixture.path("balances/v1.sqlite"), [0x5f; 8_192]).unwrap();
    fixture.models.create(&new_version("balances", TABLES)).unwrap();
    let compared = fixture.models.compare(&name("balances"), (V1, V2), CompareOptions { examples: 1 });
    assert!(matches!(compared, Err(ReadModelError::Damaged { .. })));
    fixture.models.promote(&name("balances"), V2).unwrap();
    assert_eq!(fixture.roles(), [(V1, Role::Previous), (V2, Role::Serving)]);
    fixture.models.discard(&name("balances"), V1).unwrap();
}

#[test]
fn while_another_writes_it_is_told_and_reading_goes_on() {
    let fixture = Fixture::with_balances();
    let mut writer = fixture.writer(V1);
    let other = Connection::open(fixture.path("balances/v1.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = writer.begin().unwrap_err();
    assert!(matches!(busy, ReadModelError::Unavailable { .. }) && busy.is_transient(), "{busy}");
    assert!(busy.to_string().contains("in use"), "{busy}");
    assert_eq!(fixture.amount(V1).unwrap(), Value::Integer(1));
    // Nothing that would have to wait for it is half done.
    assert!(fixture.models.delete(&name("balances")).unwrap_err().is_transient());
    fixture.models.create(&new_version("balances", TABLES)).unwrap();
    fixture.add(V2, 1);
    assert!(fixture.models.promote(&name("balances"), V2).unwrap_err().is_transient());
    assert_eq!(fixture.roles(), [(V1, Role::Serving), (V2, Role::Building)]);
    other.execute_batch("ROLLBACK").unwrap();
    add(&mut *writer, 2).unwrap();
}

#[test]
fn while_the_catalog_is_locked_projections_run_on() {
    let fixture = Fixture::with_balances();
    let mut writer = fixture.writer(V1);
    let other = Connection::open(fixture.path("catalog.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(fixture.models.create(&new_version("balances", TABLES)).unwrap_err().is_transient());
    assert_eq!(fixture.files().iter().filter(|file| file.starts_with("v2")).count(), 0);
    add(&mut *writer, 2).unwrap();
    assert_eq!(
        (fixture.amount(V1).unwrap(), fixture.roles()),
        (Value::Integer(2), vec![(V1, Role::Serving)])
    );
}

/// A promotion waits for the transaction of the version that serves. Whoever asks for the versions does not.
#[test]
fn who_reads_does_not_wait_for_who_promotes() {
    let fixture = Fixture::with_balances();
    let models =
        SqliteReadModels::open_waiting(fixture.path(""), std::time::Duration::from_secs(60)).unwrap();
    models.create(&new_version("balances", TABLES)).unwrap();
    fixture.add(V2, 1);
    let mut writer = fixture.writer(V1);
    writer.begin().unwrap();
    std::thread::scope(|scope| {
        let promoting = scope.spawn(|| models.promote(&name("balances"), V2));
        let catalog = Connection::open(fixture.path("catalog.sqlite")).unwrap();
        // Until it holds the catalog.
        while catalog.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            std::thread::yield_now();
        }
        assert_eq!(models.versions().unwrap().len(), 2);
        assert!(models.progress(&name("balances"), V1).is_ok() && !promoting.is_finished());
        writer.commit(&factum_core::read_model::Progress::start(crate::fixture::at(1))).unwrap();
        promoting.join().unwrap().unwrap();
    });
    assert_eq!(fixture.roles(), [(V1, Role::Previous), (V2, Role::Serving)]);
}

#[test]
fn a_query_sees_at_most_ten_projections() {
    let fixture = Fixture::new();
    let names: Vec<_> = (0..11).map(|n| name(&format!("p{n}"))).collect();
    for name in &names {
        let tables = format!("CREATE TABLE of_{name} (a INTEGER)");
        fixture.models.create(&new_version(name.as_str(), &tables)).unwrap();
    }
    let versions: Vec<_> = names.into_iter().map(|name| (name, V1)).collect();
    let mut reader = fixture.models.reader(&versions[..10]).unwrap();
    let (rows, progress) = reader.query("SELECT count(*) FROM of_p0, p9.of_p9", &[]).unwrap();
    assert_eq!((rows.first_value(), progress.len()), (Some(&Value::Integer(0)), 10));
    let refused = fixture.models.reader(&versions).err().unwrap().to_string();
    assert!(refused.contains("at most 10") && refused.contains("11"), "{refused}");
}

#[test]
fn an_odd_directory_is_only_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    for odd in ["a?mode=memory#x", "50%41 off", "ü ' \" ;", "file:x"] {
        let models = SqliteReadModels::open(directory.path().join(odd)).unwrap();
        models.create(&new_version("balances", TABLES)).unwrap();
        add(&mut *models.writer(&partition("balances", V1)).unwrap(), 1).unwrap();
        let mut reader = models.reader(&[(name("balances"), V1)]).unwrap();
        let (rows, _) = reader.query("SELECT amount FROM accounts", &[]).unwrap();
        assert_eq!(rows.first_value(), Some(&Value::Integer(1)), "{odd}");
        assert!(directory.path().join(odd).join("balances/v1.sqlite").exists());
    }
}

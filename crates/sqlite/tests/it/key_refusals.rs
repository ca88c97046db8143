//! A key store that is missing, damaged, foreign, newer, locked or open to others: is it told, before anything is written?

use std::fs;

use factum_core::ErrorKind;
use factum_sqlite::{SqliteKeyStore, SqliteReadModels};
use factum_vault::{KeyStore, KeyStoreError};
use rusqlite::Connection;

use crate::key_fixture::{Fixture, fence, make, open, owner};

#[test]
fn what_must_be_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    let missing = open(&nowhere).unwrap_err();
    assert!(matches!(missing, KeyStoreError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("nowhere") && missing.kind() == ErrorKind::NotFound, "{missing}");
    fs::create_dir(&nowhere).unwrap();
    let missing = open(&nowhere).unwrap_err();
    assert!(matches!(missing, KeyStoreError::Missing { .. }), "{missing}");
    assert!(missing.to_string().contains("keys.sqlite"), "{missing}");
    assert_eq!(fs::read_dir(&nowhere).unwrap().count(), 0);
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for refused in [open(&file).unwrap_err(), SqliteKeyStore::create(&file).unwrap_err()] {
        assert!(refused.to_string().contains("file"), "{refused}");
    }
}

#[test]
fn what_is_there_is_not_made_anew() {
    let Fixture { mut store, directory } = Fixture::new();
    let key = make(&mut store, 1, &owner(1));
    let refused = SqliteKeyStore::create(directory.path().join("keys")).unwrap_err();
    assert!(matches!(refused, KeyStoreError::Failed { .. }), "{refused}");
    assert!(refused.to_string().contains("there is one already"), "{refused}");
    assert_eq!(store.latest(&owner(1)).unwrap(), factum_vault::Latest::Live(key));
}

#[test]
fn a_making_that_a_crash_ended_is_told_and_done_again() {
    let Fixture { store, directory } = Fixture::new();
    drop(store);
    let path = directory.path().join("keys");
    fs::write(path.join("keys.sqlite"), "").unwrap();
    let unfinished = open(&path).unwrap_err();
    assert!(matches!(unfinished, KeyStoreError::Missing { .. }), "{unfinished}");
    assert!(unfinished.to_string().contains("create it again"), "{unfinished}");
    SqliteKeyStore::create(&path).unwrap();
    assert_eq!(open(&path).unwrap().identity().unwrap(), None);
}

#[test]
fn many_who_create_at_once_make_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let made: Vec<_> = std::thread::scope(|scope| {
        let run = || scope.spawn(|| SqliteKeyStore::create(&path));
        let started: Vec<_> = (0..8).map(|_| run()).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    open(&path).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_damage() {
    let closed = Fixture::new().close();
    let kept = fs::read(closed.database()).unwrap();
    for bytes in [&b"this is a text and not a database, whatever it is called"[..], &[0x5f; 8_192]] {
        fs::write(closed.database(), bytes).unwrap();
        for damaged in [closed.open().unwrap_err(), SqliteKeyStore::create(closed.path()).unwrap_err()] {
            assert!(matches!(damaged, KeyStoreError::Damaged { .. }), "{damaged}");
            assert!(
                damaged.kind() == ErrorKind::Damaged && damaged.to_string().contains("keys"),
                "{damaged}"
            );
        }
        assert_eq!(fs::read(closed.database()).unwrap(), bytes, "nothing was written");
    }
    fs::write(closed.database(), kept).unwrap();
    closed.open().unwrap();
}

/// Damage is never taken for an erasure, nor for an owner without keys.
#[test]
fn damaged_pages_are_told_when_they_are_read() {
    let Fixture { mut store, directory } = Fixture::new();
    let keys: Vec<_> = (0..200).map(|number| make(&mut store, number, &owner(number)).id).collect();
    let erasure = fence(&mut store, 1, &owner(1));
    let closed = Fixture { store, directory }.close();
    let whole = fs::read(closed.database()).unwrap();
    let mut told = 0;
    for page in 1..whole.len() / 4_096 {
        let mut bytes = whole.clone();
        bytes[page * 4_096..][..4_096].fill(0x5f);
        fs::write(closed.database(), &bytes).unwrap();
        let Ok(mut store) = closed.open() else { continue };
        let damaged = store.check().unwrap_err();
        assert!(matches!(damaged, KeyStoreError::Damaged { .. }), "page {page}: {damaged}");
        let backup = closed.path().join("backup");
        assert!(matches!(store.backup_to(&backup), Err(KeyStoreError::Damaged { .. })), "page {page}");
        assert!(!backup.exists());
        match store.find(&keys) {
            Ok(found) => assert!(!found.contains(&factum_vault::Found::Unknown), "page {page}"),
            Err(error) => assert!(matches!(error, KeyStoreError::Damaged { .. }), "page {page}: {error}"),
        }
        for number in 0..200 {
            match store.latest(&owner(number)) {
                Ok(factum_vault::Latest::None { .. }) => panic!("page {page}: key {number} is forgotten"),
                Ok(_) => {}
                Err(error) => {
                    told += 1;
                    assert!(matches!(error, KeyStoreError::Damaged { .. }), "page {page}: {error}");
                }
            }
        }
        if let Err(error) = store.destroy(erasure) {
            assert!(matches!(error, KeyStoreError::Damaged { .. }), "page {page}: {error}");
        }
    }
    assert!(told > 200, "{told}");
}

#[test]
fn another_programs_database_is_left_alone() {
    let closed = Fixture::new().close();
    fs::remove_file(closed.database()).unwrap();
    // As far as permissions go it could be ours.
    let private = |path: &std::path::Path| {
        #[cfg(unix)]
        crate::permissions::set(path, 0o600);
        let _ = path;
    };
    Connection::open(closed.database())
        .unwrap()
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    private(&closed.database());
    let read_models = closed.path().join("read_models");
    drop(SqliteReadModels::open(&read_models).unwrap());
    for foreign in [None, Some(read_models.join("catalog.sqlite"))] {
        if let Some(file) = foreign {
            fs::rename(file, closed.database()).unwrap();
            private(&closed.database());
        }
        let before = fs::read(closed.database()).unwrap();
        for refused in [closed.open().unwrap_err(), SqliteKeyStore::create(closed.path()).unwrap_err()] {
            assert!(matches!(refused, KeyStoreError::Damaged { .. }), "{refused}");
            assert!(refused.to_string().contains("no key store"), "{refused}");
        }
        assert_eq!(fs::read(closed.database()).unwrap(), before);
    }
}

#[test]
fn a_newer_layout_is_refused() {
    let closed = Fixture::new().close();
    Connection::open(closed.database()).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let before = fs::read(closed.database()).unwrap();
    for newer in [closed.open().unwrap_err(), SqliteKeyStore::create(closed.path()).unwrap_err()] {
        assert!(matches!(newer, KeyStoreError::NewerLayout { found: 2, known: 1, .. }), "{newer}");
        assert_eq!(newer.kind(), ErrorKind::Unsupported);
    }
    assert_eq!(fs::read(closed.database()).unwrap(), before);
}

#[test]
fn one_that_is_locked_is_unavailable_and_comes_back() {
    let Fixture { mut store, directory } = Fixture::new();
    let path = directory.path().join("keys");
    make(&mut store, 1, &owner(1));
    let other = Connection::open(path.join("keys.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for locked in
        [open(&path).unwrap_err(), store.latest(&owner(1)).unwrap_err(), store.watermark().unwrap_err()]
    {
        assert!(matches!(locked, KeyStoreError::Unavailable { .. }), "{locked}");
        assert!(locked.to_string().contains("another process"), "{locked}");
    }
    other.execute_batch("COMMIT").unwrap();
    assert!(matches!(store.latest(&owner(1)).unwrap(), factum_vault::Latest::Live(_)));
    open(&path).unwrap();
}

#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::key_fixture::Closed;
    use crate::permissions::{set, they_hold};

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_may_read_what_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/keys");
        let mut store = SqliteKeyStore::create(&path).unwrap();
        make(&mut store, 1, &owner(1));
        assert_eq!(mode(&path), 0o700);
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
        }
        drop(store);
        open(&path).unwrap();
    }

    #[test]
    fn one_that_others_may_read_is_refused() {
        let Fixture { mut store, directory } = Fixture::new();
        make(&mut store, 1, &owner(1));
        let closed = Fixture { store, directory }.close();
        let journal = closed.path().join("keys.sqlite-journal");
        let wal = closed.path().join("keys.sqlite-wal");
        fs::write(&journal, "").unwrap();
        set(&journal, 0o600);
        for (path, exposed, private) in [
            (closed.path(), 0o750, 0o700),
            (closed.path(), 0o701, 0o700),
            (closed.database(), 0o640, 0o600),
            (closed.database(), 0o604, 0o600),
            (journal, 0o644, 0o600),
        ] {
            set(&path, exposed);
            let refused = closed.open().unwrap_err();
            assert!(matches!(refused, KeyStoreError::Exposed { mode, .. } if mode == exposed), "{refused}");
            assert!(refused.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{refused}");
            let refused = SqliteKeyStore::create(closed.path()).unwrap_err();
            assert!(matches!(refused, KeyStoreError::Exposed { .. }), "{refused}");
            set(&path, private);
            closed.open().unwrap();
        }
        fs::write(&wal, "").unwrap();
        set(&wal, 0o644);
        assert!(matches!(closed.open().unwrap_err(), KeyStoreError::Exposed { .. }));
    }

    /// Of a key store that cannot be written to, each way once. Gives the key store back writable.
    fn refused_when(closed: &Closed, path: &std::path::Path, without: u32, with: u32) {
        set(path, without);
        let refused = closed.open().unwrap_err();
        set(path, with);
        assert!(matches!(refused, KeyStoreError::Failed { .. }), "{refused}");
        assert!(refused.to_string().contains("writable"), "{refused}");
    }

    #[test]
    fn one_that_may_only_be_read_is_refused() {
        if !they_hold("key_refusals::permissions::one_that_may_only_be_read_is_refused") {
            return;
        }
        let closed = Fixture::new().close();
        let journal = closed.path().join("keys.sqlite-journal");
        let _ = fs::remove_file(&journal);
        let before = fs::read(closed.database()).unwrap();
        refused_when(&closed, &closed.path(), 0o500, 0o700);
        refused_when(&closed, &closed.database(), 0o400, 0o600);
        refused_when(&closed, &closed.database(), 0o000, 0o600);
        refused_when(&closed, &closed.path(), 0o000, 0o700);
        assert_eq!(fs::read(closed.database()).unwrap(), before);
        assert!(!journal.exists());
        closed.open().unwrap();

        let directory = tempfile::tempdir().unwrap();
        set(directory.path(), 0o500);
        for path in [directory.path().join("keys"), directory.path().to_owned()] {
            let refused = SqliteKeyStore::create(path).unwrap_err();
            assert!(matches!(refused, KeyStoreError::Failed { .. }), "{refused}");
        }
        set(directory.path(), 0o700);
    }
}

//! Is what was destroyed in no byte of any file of the directory?

use std::fs;

use factum_core::StoreId;
use factum_sqlite::SqliteKeyStore;
use factum_vault::{Identity, KeyOwner, KeyStore, KeyStoreError, Rewrapped, Wrapped};
use rusqlite::Connection;
use uuid::Uuid;

use crate::key_fixture::{E1, E2, Fixture, bytes, erasure, fence, id, make, open, owner, traces, value};

/// Makes keys and values for these owners, over each other. Gives the secrets of each.
fn fill(store: &mut SqliteKeyStore, owners: &[KeyOwner], each: u64) -> Vec<Vec<Vec<u8>>> {
    let mut secrets = vec![Vec::new(); owners.len()];
    for round in 0..each {
        for (number, owner) in owners.iter().enumerate() {
            let unique = round * 1_001 + number as u64;
            let key = make(store, unique, owner);
            secrets[number].push(key.wrapped.0.clone());
            // Of any length: on a page with others, and on pages of its own.
            let lengths = [48, 200, 1_000, 3_000, 9_000];
            let value = value(unique, key.id, lengths[(unique % 5) as usize]);
            store.keep_values(std::slice::from_ref(&value)).unwrap();
            secrets[number].push(value.sealed);
        }
    }
    secrets
}

#[test]
fn destroyed_keys_and_values_are_gone() {
    let Fixture { mut store, directory } = Fixture::new();
    let path = directory.path().join("keys");
    let owners: Vec<_> = (0..40).map(owner).collect();
    let secrets = fill(&mut store, &owners, 4);
    assert_eq!(traces(&path, &secrets.concat()), secrets.concat().len(), "what is alive is found");
    for (number, secrets) in secrets.iter().enumerate().step_by(2) {
        let erasure = fence(&mut store, number as u64, &owners[number]);
        assert_eq!(traces(&path, secrets), secrets.len(), "a fence destroys nothing yet");
        assert_eq!(store.destroy(erasure).unwrap().len(), 4);
        assert_eq!(traces(&path, secrets), 0, "of owner {number}");
    }
    let (gone, alive): (Vec<_>, Vec<_>) = secrets.iter().enumerate().partition(|(number, _)| number % 2 == 0);
    let of = |owners: Vec<(usize, &Vec<Vec<u8>>)>| -> Vec<Vec<u8>> {
        owners.into_iter().flat_map(|(_, secrets)| secrets.clone()).collect()
    };
    let (gone, alive) = (of(gone), of(alive));
    assert_eq!(traces(&path, &gone), 0);
    assert_eq!(traces(&path, &alive), alive.len());
    // New ones take their places, and those go too.
    let more: Vec<_> = (100..120).map(owner).collect();
    let secrets = {
        let mut secrets = Vec::new();
        for (number, owner) in (500_000..).zip(&more) {
            let key = make(&mut store, number, owner);
            let value = value(number, key.id, 200);
            store.keep_values(std::slice::from_ref(&value)).unwrap();
            secrets.extend([key.wrapped.0, value.sealed]);
        }
        secrets
    };
    for (number, owner) in (1_000..).zip(&more) {
        let erasure = fence(&mut store, number, owner);
        store.destroy(erasure).unwrap();
    }
    assert_eq!(traces(&path, &secrets), 0);
    store.check().unwrap();
    drop(store);
    assert_eq!(traces(&path, &gone), 0, "closed");
    assert_eq!(open(&path).unwrap().holdings().unwrap().live, 80);
    assert_eq!(traces(&path, &gone), 0, "opened again");
}

#[test]
fn what_was_wrapped_before_is_gone() {
    let Fixture { mut store, directory } = Fixture::new();
    let path = directory.path().join("keys");
    let (vault, log) = (Uuid::from_u128(1), StoreId(Uuid::from_u128(2)));
    let roots = Wrapped(bytes(77, 124));
    let tenant = "default".to_owned();
    store.initialise(&Identity { vault, log, tenant, roots: roots.clone(), epoch: E1 }).unwrap();
    let keys: Vec<_> = (0..300).map(|number| make(&mut store, number, &owner(number % 50))).collect();
    let mut old: Vec<Vec<u8>> = keys.iter().map(|key| key.wrapped.0.clone()).collect();
    old.push(roots.0);
    assert_eq!(traces(&path, &old), old.len());
    // As long as before, longer, shorter, and much longer.
    let lengths = [60, 61, 59, 700];
    let anew = |number: u64| Wrapped(bytes(9 << 40 | number, lengths[(number % 4) as usize]));
    let rewrapped: Vec<_> = (0..300)
        .map(|number| Rewrapped { id: id(number), from: E1, to: E2, wrapped: anew(number) })
        .collect();
    assert_eq!(store.rewrap(&rewrapped).unwrap(), 300);
    assert!(store.rewrap_roots(E1, E2, &Wrapped(bytes(78, 124))).unwrap());
    assert_eq!(traces(&path, &old), 0);
    let new: Vec<_> = rewrapped.iter().map(|key| key.wrapped.0.clone()).collect();
    assert_eq!(traces(&path, &new), 300);
    assert!(store.rewrap_roots(E2, E1, &Wrapped(bytes(79, 300))).unwrap());
    assert_eq!(traces(&path, &[bytes(78, 124)]), 0);
}

/// A reader that stays on an old state makes it fail, and never pass with something left.
#[test]
fn a_reader_in_the_way_is_told_and_nothing_is_half_done() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let Fixture { mut store, directory: _directory } = fixture;
    let secrets = fill(&mut store, &[owner(1)], 3).concat();
    let erasure = fence(&mut store, 1, &owner(1));
    let reader = Connection::open(path.join("keys.sqlite")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM keys").unwrap();
    let busy = store.destroy(erasure).unwrap_err();
    assert!(matches!(busy, KeyStoreError::Unavailable { .. }), "{busy}");
    assert_eq!(store.holdings().unwrap().fenced, 3, "all of it, or nothing");
    reader.execute_batch("COMMIT").unwrap();
    store.destroy(erasure).unwrap();
    assert_eq!(traces(&path, &secrets), 0);
}

#[test]
fn another_programs_journal_mode_is_refused_and_opening_puts_it_right() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let Fixture { mut store, directory: _directory } = fixture;
    let secrets = fill(&mut store, &[owner(1)], 3).concat();
    let erasure = fence(&mut store, 1, &owner(1));
    for mode in ["wal", "persist"] {
        let other = Connection::open(path.join("keys.sqlite")).unwrap();
        other.pragma_update(None, "journal_mode", mode).unwrap();
        other.execute_batch("UPDATE slots SET bytes = bytes").unwrap();
        if mode == "wal" {
            let refused = store.destroy(erasure).unwrap_err();
            assert!(refused.to_string().contains("journal mode to 'wal'"), "{refused}");
            assert!(traces(&path, &secrets) > 0);
            let in_use = open(&path).unwrap_err();
            assert!(
                matches!(in_use, KeyStoreError::Unavailable { .. } | KeyStoreError::Failed { .. }),
                "{in_use}"
            );
        }
        drop(other);
        drop(store);
        store = open(&path).unwrap();
    }
    store.destroy(erasure).unwrap();
    assert_eq!(traces(&path, &secrets), 0);
}

/// What lies on the disk when a process is killed in the middle of a change: the file half written, and a journal with the old
/// pages.
#[test]
fn what_a_crash_left_goes_too() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let Fixture { mut store, directory } = fixture;
    let secrets = fill(&mut store, &[owner(1), owner(2)], 40);
    fence(&mut store, 1, &owner(1));
    drop(store);
    let crashed = directory.path().join("crashed");
    {
        let connection = Connection::open(path.join("keys.sqlite")).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN IMMEDIATE")
            .unwrap();
        connection.execute_batch("UPDATE slots SET bytes = zeroblob(length(bytes))").unwrap();
        SqliteKeyStore::create(&crashed).unwrap();
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), crashed.join(entry.file_name())).unwrap();
        }
    }
    let journal = fs::read(crashed.join("keys.sqlite-journal")).unwrap();
    assert!(journal.len() > 20_000, "the journal holds the old pages: {} bytes", journal.len());
    let torn = Connection::open_with_flags(
        format!("file:{}?immutable=1", crashed.join("keys.sqlite").display()),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI,
    );
    let zeros = "SELECT count(*) FROM slots WHERE bytes = zeroblob(length(bytes))";
    let zeros: i64 = torn.unwrap().query_row(zeros, [], |row| row.get(0)).unwrap();
    assert!(zeros > 0, "the file is half written");

    let mut store = open(&crashed).unwrap();
    assert_eq!(store.holdings().unwrap().fenced, 40);
    assert_eq!(traces(&crashed, &secrets.concat()), secrets.concat().len(), "the change never was");
    store.check().unwrap();
    store.destroy(erasure(1)).unwrap();
    assert_eq!(traces(&crashed, &secrets[0]), 0);
    assert_eq!(traces(&crashed, &secrets[1]), secrets[1].len());
}

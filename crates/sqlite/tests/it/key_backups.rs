//! Is a backup whole, private, of one moment, and never written over another file?

use std::fs;
use std::path::Path;

use factum_vault::{Found, KeyStore, KeyStoreError, Latest};
use uuid::Uuid;

use crate::key_fixture::{Fixture, fence, make, open, owner, traces, value};

/// Puts a backup where a key store is opened.
fn restore(backup: &Path, to: &Path) {
    drop(factum_sqlite::SqliteKeyStore::create(to).unwrap());
    fs::copy(backup, to.join("keys.sqlite")).unwrap();
}

#[test]
fn a_backup_is_the_key_store_at_that_moment() {
    let Fixture { mut store, directory } = Fixture::new();
    let keys: Vec<_> = (0..50).map(|number| make(&mut store, number, &owner(number))).collect();
    let kept = value(1, keys[7].id, 500);
    store.keep_values(std::slice::from_ref(&kept)).unwrap();
    let early = fence(&mut store, 1, &owner(1));
    store.destroy(early).unwrap();
    let backup = directory.path().join("backup.sqlite");
    store.backup_to(&backup).unwrap();
    // Later changes are not in it.
    make(&mut store, 100, &owner(100));
    let late = fence(&mut store, 2, &owner(2));
    store.destroy(late).unwrap();

    restore(&backup, &directory.path().join("restored"));
    let mut restored = open(&directory.path().join("restored")).unwrap();
    restored.check().unwrap();
    assert_eq!(restored.watermark().unwrap().0, 1);
    assert_eq!(restored.holdings().unwrap().live, 49);
    assert_eq!(restored.values(&[Uuid::from_u128(1)]).unwrap(), [Some(kept.sealed)]);
    assert!(matches!(restored.latest(&owner(1)).unwrap(), Latest::Fenced(_)));
    assert_eq!(restored.find(&[keys[2].id]).unwrap(), [Found::Live(keys[2].clone())]);
    // What is done to forget again what was forgotten since.
    let again = fence(&mut restored, 2, &owner(2));
    assert_eq!(restored.destroy(again).unwrap(), [keys[2].id]);
    assert_eq!(traces(&directory.path().join("restored"), &[keys[2].wrapped.0.clone()]), 0);
}

#[test]
fn nothing_that_was_destroyed_is_in_a_backup() {
    let Fixture { mut store, directory } = Fixture::new();
    let keys: Vec<_> = (0..50).map(|number| make(&mut store, number, &owner(number))).collect();
    for number in 0..25 {
        let erasure = fence(&mut store, number, &owner(number));
        store.destroy(erasure).unwrap();
    }
    fs::create_dir(directory.path().join("backups")).unwrap();
    store.backup_to(directory.path().join("backups/keys")).unwrap();
    let secrets: Vec<_> = keys.iter().map(|key| key.wrapped.0.clone()).collect();
    assert_eq!(traces(&directory.path().join("backups"), &secrets), 25);
    assert_eq!(traces(&directory.path().join("backups"), &secrets[..25]), 0);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let Fixture { mut store, directory } = Fixture::new();
    let backup = directory.path().join("backup.sqlite");
    store.backup_to(&backup).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let Fixture { mut store, directory } = Fixture::new();
    let backup = directory.path().join("backup.sqlite");
    fs::write(&backup, "dear").unwrap();
    let refused = store.backup_to(&backup).unwrap_err();
    assert!(matches!(refused, KeyStoreError::Failed { .. }), "{refused}");
    assert!(refused.to_string().contains("never written over"), "{refused}");
    assert_eq!(fs::read(&backup).unwrap(), b"dear");
}

#[test]
fn a_backup_that_fails_leaves_nothing_and_one_that_a_crash_ended_is_in_no_ones_way() {
    let Fixture { mut store, directory } = Fixture::new();
    let nowhere = directory.path().join("nowhere/backup.sqlite");
    let refused = store.backup_to(&nowhere).unwrap_err();
    assert!(refused.to_string().contains("nowhere"), "{refused}");
    let backup = directory.path().join("backup.sqlite");
    fs::write(directory.path().join("backup.sqlite.part"), "half of it").unwrap();
    store.backup_to(&backup).unwrap();
    let mut names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["backup.sqlite", "keys"]);
}

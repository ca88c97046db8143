//! Does one person at most have a value, whoever asks at once, and is it free and gone when that person is erased?

use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;

use factum_core::read_model::ReadModelError;
use factum_core::{Position, block_on};
use factum_sqlite::{Reserved, SqliteReservations};
use factum_vault::{BlindIndex, ErasureHandler, ErasureId, KeyOwner, KeysDestroyed, Purpose, SubjectRef};
use rusqlite::Connection;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("reserved.sqlite");
    (directory, file)
}

fn owner(number: u8) -> KeyOwner {
    KeyOwner { subject: SubjectRef([number; 16]), purpose: None }
}

fn value(number: u8) -> BlindIndex {
    BlindIndex([number, 0xa5, number, 0x5a, 7, 7, 7, 7, 9, 9, 9, 9, 1, 2, 3, number])
}

fn erased(owner: &KeyOwner) -> KeysDestroyed {
    let KeyOwner { subject, purpose } = owner.clone();
    KeysDestroyed { erasure: ErasureId::generate(), subject, purpose, keys: Vec::new() }
}

#[test]
fn a_value_is_one_owners_until_it_is_released() {
    let (_directory, file) = place();
    let reservations = SqliteReservations::open(&file).unwrap();
    let reserve = |v, o| reservations.reserve(value(v), &owner(o)).unwrap();
    assert_eq!(
        (reserve(1, 1), reserve(1, 1), reserve(1, 2)),
        (Reserved::Now, Reserved::Before, Reserved::Taken)
    );
    assert_eq!(reserve(2, 1), Reserved::Now, "one owner may have several");
    assert!(!reservations.release(value(1), &owner(2)).unwrap(), "nobody frees what another has");
    assert_eq!(reserve(1, 2), Reserved::Taken);
    drop(reservations);
    let reservations = SqliteReservations::open(&file).unwrap();
    assert_eq!(reservations.reserve(value(1), &owner(2)).unwrap(), Reserved::Taken, "it is on the disk");
    assert!(reservations.release(value(1), &owner(1)).unwrap());
    assert_eq!(reservations.reserve(value(1), &owner(2)).unwrap(), Reserved::Now);
}

#[test]
fn of_many_who_want_a_value_at_once_one_gets_it() {
    let (_directory, file) = place();
    let workers = 8;
    let start = Barrier::new(workers);
    let won: Vec<u8> = std::thread::scope(|scope| {
        let want = |number: u8| {
            let (file, start) = (&file, &start);
            scope.spawn(move || {
                // Each as a process of its own would.
                let reservations = SqliteReservations::open(file).unwrap();
                start.wait();
                let taken =
                    (0..50).filter(|v| match reservations.reserve(value(*v), &owner(number)).unwrap() {
                        Reserved::Now => true,
                        Reserved::Taken => false,
                        Reserved::Before => panic!("nobody asks twice"),
                    });
                taken.collect::<Vec<u8>>()
            })
        };
        let workers: Vec<_> = (0..u8::try_from(workers).unwrap()).map(want).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut sorted = won.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..50).collect::<Vec<u8>>(), "each value once");
}

#[test]
fn an_erasure_frees_what_the_subject_had_and_leaves_no_byte_of_it() {
    let (_directory, file) = place();
    let reservations = SqliteReservations::open(&file).unwrap();
    for number in 0..100 {
        reservations.reserve(value(number), &owner(number % 3)).unwrap();
    }
    let holds = |number: u8| {
        let bytes = fs::read(&file).unwrap();
        bytes.windows(16).any(|window| window == value(number).0)
    };
    assert!(holds(0) && holds(1));
    let told = Position(7);
    let reached = block_on(reservations.forget(&erased(&owner(0)), told)).unwrap();
    assert_eq!((reached.len(), reached[0].kind.as_str()), (1, "reservations"));
    for number in 0..100 {
        assert_eq!(holds(number), number % 3 != 0, "{number}");
    }
    assert_eq!(
        block_on(reservations.forget(&erased(&owner(0)), told)).unwrap(),
        reached,
        "it may be repeated"
    );
    assert_eq!(reservations.reserve(value(0), &owner(2)).unwrap(), Reserved::Now);
    assert_eq!(reservations.reserve(value(1), &owner(2)).unwrap(), Reserved::Taken);
}

#[test]
fn an_erasure_of_one_purpose_frees_what_is_reserved_for_it() {
    let (_directory, file) = place();
    let reservations = SqliteReservations::open(&file).unwrap();
    let billing = KeyOwner { purpose: Some(Purpose::new("billing").unwrap()), ..owner(1) };
    assert_eq!(reservations.reserve(value(1), &owner(1)).unwrap(), Reserved::Now);
    assert_eq!(reservations.reserve(value(2), &billing).unwrap(), Reserved::Now);
    assert_eq!(reservations.reserve(value(2), &owner(1)).unwrap(), Reserved::Taken);
    assert_eq!(reservations.release_erased(&erased(&billing)).unwrap(), 1);
    assert_eq!(reservations.reserve(value(1), &owner(2)).unwrap(), Reserved::Taken);
    reservations.reserve(value(2), &billing).unwrap();
    assert_eq!(reservations.release_erased(&erased(&owner(1))).unwrap(), 2, "everything of the subject");
}

#[test]
fn another_file_is_not_taken_for_one() {
    let (directory, file) = place();
    let other = Connection::open(directory.path().join("other.sqlite")).unwrap();
    other.execute_batch("create table t (a)").unwrap();
    let error = SqliteReservations::open(directory.path().join("other.sqlite")).unwrap_err();
    assert!(matches!(error, ReadModelError::Damaged { .. }), "{error}");
    drop(SqliteReservations::open(&file).unwrap());
    let newer = Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    assert!(SqliteReservations::open(&file).is_err());
    fs::write(&file, "no database").unwrap();
    let before = fs::read(&file).unwrap();
    assert!(SqliteReservations::open(&file).is_err());
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(SqliteReservations::open(directory.path().join("no/such/directory")).is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = directory.path().join("private.sqlite");
        drop(SqliteReservations::open(&file).unwrap());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

//! How is a value, such as an e-mail address, unique among people, and free again when its owner is erased?
//!
//! A log cannot say so: it never forgets, and a keyed hash of an address is personal data as long as the key lives. So who has
//! which value is in a table of its own, under the vault's blind index, from which rows are deleted.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_core::read_model::ReadModelError;
use factum_core::{BoxFuture, Position};
use factum_vault::{BlindIndex, ErasureHandler, KeyOwner, KeysDestroyed, Purpose, Reach, Reached};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::{directory, error};

/// `FRes`: tells the file from other programs'. It is SQLite's `application_id`.
const APPLICATION_ID: i32 = 0x4652_6573;
/// The layout that this build writes. It is SQLite's `user_version`.
const LAYOUT: i32 = 1;
/// How long a call waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "\
create table reserved (
  value   blob not null primary key,
  subject blob not null,
  purpose text
) without rowid;
create index reserved_by_subject on reserved (subject);";

/// What came of reserving a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It is this owner's from now on.
    Now,
    /// It was this owner's before.
    Before,
    /// Somebody else has it.
    Taken,
}

/// Values that at most one person has, in one SQLite file. Several processes of one machine may share it.
///
/// Reserve a value first, then append the event that says so; release it where the append fails. Give it to
/// [`KeyVault::erase`](factum_vault::KeyVault::erase) as a handler: what an erased subject had is free again.
#[derive(Debug)]
pub struct SqliteReservations {
    database: String,
    connection: Mutex<Connection>,
}

impl SqliteReservations {
    /// Opens the file; makes it where it is not there, for its owner only.
    ///
    /// # Errors
    /// Where it cannot be opened, or is another file.
    pub fn open(file: impl AsRef<Path>) -> Result<Self, ReadModelError> {
        let file = file.as_ref();
        let database = file.display().to_string();
        directory::make_private(file)?;
        let connection = prepared(file).map_err(|failure| error::of_database(&database, &failure))?;
        let Some(connection) = connection else {
            let why = "it holds something else than reservations, or those of a newer build".to_owned();
            return Err(ReadModelError::Damaged { database, why });
        };
        Ok(Self { database, connection: Mutex::new(connection) })
    }

    /// Gives the value to this owner, if nobody else has it. Of several that want it at once, one gets it.
    ///
    /// # Errors
    /// Where the file cannot be used: then nothing is reserved.
    pub fn reserve(&self, value: BlindIndex, owner: &KeyOwner) -> Result<Reserved, ReadModelError> {
        let purpose = owner.purpose.as_ref().map(Purpose::as_str);
        self.change(|connection| {
            let sql =
                "insert into reserved (value, subject, purpose) values (?1, ?2, ?3) on conflict do nothing";
            if connection.execute(sql, params![value.0, owner.subject.0, purpose])? == 1 {
                return Ok(Reserved::Now);
            }
            let sql = "select subject = ?2 and purpose is ?3 from reserved where value = ?1";
            let ours =
                connection.query_row(sql, params![value.0, owner.subject.0, purpose], |row| row.get(0));
            Ok(if ours.optional()?.unwrap_or(false) { Reserved::Before } else { Reserved::Taken })
        })
    }

    /// Frees a value that this owner has. Says whether it had it.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn release(&self, value: BlindIndex, owner: &KeyOwner) -> Result<bool, ReadModelError> {
        let purpose = owner.purpose.as_ref().map(Purpose::as_str);
        self.change(|connection| {
            let sql = "delete from reserved where value = ?1 and subject = ?2 and purpose is ?3";
            Ok(connection.execute(sql, params![value.0, owner.subject.0, purpose])? == 1)
        })
    }

    /// Frees every value of an erased subject, or of the purpose of it that was erased. Says how many.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn release_erased(&self, erased: &KeysDestroyed) -> Result<usize, ReadModelError> {
        let purpose = erased.purpose.as_ref().map(Purpose::as_str);
        self.change(|connection| {
            let sql = "delete from reserved where subject = ?1 and (?2 is null or purpose = ?2)";
            connection.execute(sql, params![erased.subject.0, purpose])
        })
    }

    fn change<T>(&self, make: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadModelError> {
        let mut connection = self.connection();
        let done = (|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let made = make(&transaction)?;
            transaction.commit()?;
            Ok(made)
        })();
        done.map_err(|failure| error::of_database(&self.database, &failure))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that was not committed is rolled back by whoever drops it.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ErasureHandler for SqliteReservations {
    fn forget<'a>(&'a self, erased: &'a KeysDestroyed, _told: Position) -> BoxFuture<'a, Reached> {
        let reach = |how| vec![Reach { kind: "reservations".to_owned(), name: self.database.clone(), how }];
        let released = match self.release_erased(erased) {
            Ok(_) => Ok(reach("what the subject had is free again".to_owned())),
            Err(error) => Err(reach(error.to_string())),
        };
        Box::pin(std::future::ready(released))
    }
}

/// `None` where it is another program's file, or has another layout.
fn prepared(file: &Path) -> rusqlite::Result<Option<Connection>> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let things: i64 = transaction.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?, things) {
        (APPLICATION_ID, LAYOUT, _) => {}
        (0, 0, 0) => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", LAYOUT)?;
        }
        _ => return Ok(None),
    }
    transaction.commit()?;
    Ok(Some(connection))
}

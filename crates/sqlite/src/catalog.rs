//! Which versions are there, what is each for, and what was done with them?

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_core::read_model::{
    Action, PersonalData, ProjectionName, ReadModelError, Role, Version, VersionNumber,
};
use factum_core::{Checkpoint, StoreId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use crate::{connection, error};

const TABLES: &str = "
    -- Of which history the rows are: one row once there is a version.
    CREATE TABLE origin (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        store TEXT NOT NULL,
        epoch INTEGER NOT NULL
    ) STRICT;
    -- Rows stay when a projection is deleted: a number is never used again.
    CREATE TABLE projections (
        name TEXT PRIMARY KEY,
        last_version INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE versions (
        name TEXT NOT NULL REFERENCES projections,
        number INTEGER NOT NULL,
        role TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        definition TEXT NOT NULL,
        partitions INTEGER NOT NULL,
        personal TEXT NOT NULL,
        stopped INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (name, number)
    ) STRICT;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        what TEXT NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX history_of_a_projection ON history (name, id);
";

/// The catalog. Its calls are rare and short, so a connection for all who read and one for all who change are enough. Who
/// reads does not wait for who changes, and a promotion may have to wait for a projection's transaction.
#[derive(Debug)]
pub(crate) struct Catalog {
    database: String,
    reads: Mutex<Connection>,
    changes: Mutex<Connection>,
}

impl Catalog {
    /// Opens the catalog; makes it where it is not there and `create` says so.
    pub(crate) fn open(path: &Path, create: bool, busy: Duration) -> Result<Self, ReadModelError> {
        let database = path.display().to_string();
        let changes = connect(path, create, busy)?;
        if create {
            make(&changes).map_err(|failure| error::of_database(&database, &failure))?;
        }
        connection::check(&changes, "main", path)?;
        let reads = connect(path, false, busy)?;
        Ok(Self { database, reads: Mutex::new(reads), changes: Mutex::new(changes) })
    }

    /// Reads from the catalog.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadModelError> {
        read(&lock(&self.reads)).map_err(|failure| self.failed(&failure))
    }

    /// Changes the catalog under its write lock: all of `change`, or nothing where it fails.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&Entries<'_>) -> Result<T, ReadModelError>,
    ) -> Result<T, ReadModelError> {
        let connection = lock(&self.changes);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)
            .map_err(|failure| self.failed(&failure))?;
        let done = change(&Entries { database: &self.database, connection: &transaction })?;
        transaction.commit().map_err(|failure| self.failed(&failure))?;
        Ok(done)
    }

    pub(crate) fn versions(&self) -> Result<Vec<Version>, ReadModelError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&select_versions("ORDER BY name, number"))?;
            statement.query_map([], version)?.collect()
        })
    }

    pub(crate) fn version(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
    ) -> Result<Version, ReadModelError> {
        let found = self.read(|connection| one(connection, name, number))?;
        found.ok_or_else(|| unknown(name, number))
    }

    pub(crate) fn history(&self, name: &ProjectionName) -> Result<Vec<Action>, ReadModelError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT version, what, actor, reason, at FROM history WHERE name = ?1 ORDER BY id",
            )?;
            let actions = statement.query_map([name.as_str()], |row| {
                Ok(Action {
                    name: name.clone(),
                    version: VersionNumber(row.get(0)?),
                    what: row.get(1)?,
                    actor: row.get(2)?,
                    reason: row.get(3)?,
                    at: Timestamp(row.get(4)?),
                })
            })?;
            actions.collect()
        })
    }

    fn failed(&self, failure: &rusqlite::Error) -> ReadModelError {
        error::of_database(&self.database, failure)
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic elsewhere has left no half-done change: its transaction was rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the catalog's file. Without the right to write, it is read.
fn connect(path: &Path, create: bool, busy: Duration) -> Result<Connection, ReadModelError> {
    let connection = match connection::to_write(path, create, busy) {
        Err(refused @ (ReadModelError::ReadOnly { .. } | ReadModelError::Failed { .. })) if !create => {
            connection::to_look(path).ok_or(refused)?
        }
        other => other?,
    };
    // A version is named here only once its file is safe; and what is promoted stays so after a power failure.
    let synced = connection.pragma_update(None, "synchronous", "FULL");
    synced.map_err(|failure| error::of_database(&path.display().to_string(), &failure))?;
    Ok(connection)
}

/// Makes the tables where there are none.
fn make(connection: &Connection) -> rusqlite::Result<()> {
    if !connection::is_empty(connection)? {
        return Ok(());
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process may have been first.
    if connection::is_empty(&transaction)? {
        connection::mark(&transaction)?;
        transaction.execute_batch(TABLES)?;
    }
    transaction.commit()
}

/// The catalog's entries, within a transaction that holds its write lock.
pub(crate) struct Entries<'a> {
    database: &'a str,
    connection: &'a Connection,
}

impl Entries<'_> {
    fn run<T>(&self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadModelError> {
        run(self.connection).map_err(|failure| error::of_database(self.database, &failure))
    }

    /// Checks that `start` is of the history that all rows here are of. The first version decides which that is.
    pub(crate) fn check_origin(&self, start: &Checkpoint) -> Result<(), ReadModelError> {
        let versions: i64 =
            self.run(|c| c.query_row("SELECT count(*) FROM versions", [], |row| row.get(0)))?;
        let origin: Option<(String, u32)> = self.run(|c| {
            c.query_row("SELECT store, epoch FROM origin", [], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
        match origin {
            Some((store, epoch)) if versions > 0 => {
                let damaged = |_| ReadModelError::Damaged {
                    database: self.database.to_owned(),
                    why: "the id of the store is no UUID".to_owned(),
                };
                let store = StoreId(Uuid::parse_str(&store).map_err(damaged)?);
                start.check(store, epoch).map_err(|source| ReadModelError::OtherHistory {
                    database: self.database.to_owned(),
                    source,
                })
            }
            _ => {
                let store = start.store().0.to_string();
                let sql = "INSERT OR REPLACE INTO origin (only, store, epoch) VALUES (1, ?1, ?2)";
                self.run(|c| c.execute(sql, params![store, start.epoch()])).map(drop)
            }
        }
    }

    /// A number that no version of the projection has ever had.
    pub(crate) fn next_number(&self, name: &ProjectionName) -> Result<VersionNumber, ReadModelError> {
        let sql = "INSERT INTO projections (name, last_version) VALUES (?1, 1) \
                   ON CONFLICT (name) DO UPDATE SET last_version = last_version + 1 RETURNING last_version";
        self.run(|c| c.query_row(sql, [name.as_str()], |row| row.get(0))).map(VersionNumber)
    }

    pub(crate) fn add(&self, version: &Version) -> Result<(), ReadModelError> {
        let sql = "INSERT INTO versions \
                   (name, number, role, fingerprint, definition, partitions, personal, stopped, created_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = params![
            version.name.as_str(),
            version.number.0,
            version.role.as_str(),
            version.fingerprint,
            version.definition,
            version.partitions,
            version.personal.as_str(),
            version.stopped,
            version.created_at.0
        ];
        self.run(|c| c.execute(sql, values)).map(drop)
    }

    /// The versions of a projection, by number.
    pub(crate) fn of(&self, name: &ProjectionName) -> Result<Vec<Version>, ReadModelError> {
        self.run(|c| {
            let mut statement = c.prepare_cached(&select_versions("WHERE name = ?1 ORDER BY number"))?;
            statement.query_map([name.as_str()], version)?.collect()
        })
    }

    /// The numbers from 1 that a projection has ever used.
    pub(crate) fn last_number(&self, name: &ProjectionName) -> Result<u32, ReadModelError> {
        let sql = "SELECT last_version FROM projections WHERE name = ?1";
        let last = self.run(|c| c.query_row(sql, [name.as_str()], |row| row.get(0)).optional())?;
        Ok(last.unwrap_or(0))
    }

    /// The projections that have ever been here.
    pub(crate) fn projections(&self) -> Result<Vec<ProjectionName>, ReadModelError> {
        let names: Vec<String> = self.run(|c| {
            c.prepare_cached("SELECT name FROM projections")?.query_map([], |row| row.get(0))?.collect()
        })?;
        Ok(names.into_iter().filter_map(|name| ProjectionName::new(name).ok()).collect())
    }

    pub(crate) fn set_role(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
        role: Role,
    ) -> Result<(), ReadModelError> {
        let sql = "UPDATE versions SET role = ?3 WHERE name = ?1 AND number = ?2";
        self.changed(name, number, |c| c.execute(sql, params![name.as_str(), number.0, role.as_str()]))
    }

    pub(crate) fn remove(&self, name: &ProjectionName, number: VersionNumber) -> Result<(), ReadModelError> {
        let sql = "DELETE FROM versions WHERE name = ?1 AND number = ?2";
        self.changed(name, number, |c| c.execute(sql, params![name.as_str(), number.0]))
    }

    pub(crate) fn accept(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
        fingerprint: &str,
        definition: &str,
    ) -> Result<(), ReadModelError> {
        let sql = "UPDATE versions SET fingerprint = ?3, definition = ?4 WHERE name = ?1 AND number = ?2";
        self.changed(name, number, |c| {
            c.execute(sql, params![name.as_str(), number.0, fingerprint, definition])
        })
    }

    pub(crate) fn set_stopped(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
        stopped: bool,
    ) -> Result<(), ReadModelError> {
        let sql = "UPDATE versions SET stopped = ?3 WHERE name = ?1 AND number = ?2";
        self.changed(name, number, |c| c.execute(sql, params![name.as_str(), number.0, stopped]))
    }

    pub(crate) fn record(&self, action: &Action) -> Result<(), ReadModelError> {
        let sql =
            "INSERT INTO history (name, version, what, actor, reason, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![
            action.name.as_str(),
            action.version.0,
            action.what,
            action.actor,
            action.reason,
            action.at.0
        ];
        self.run(|c| c.execute(sql, values)).map(drop)
    }

    /// Changes one version; `UnknownVersion` where it is not there.
    fn changed(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
        change: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<(), ReadModelError> {
        if self.run(change)? == 0 { Err(unknown(name, number)) } else { Ok(()) }
    }
}

/// The error for a version that is not there.
pub(crate) fn unknown(name: &ProjectionName, number: VersionNumber) -> ReadModelError {
    ReadModelError::UnknownVersion { name: name.clone(), wanted: number.to_string() }
}

fn select_versions(which: &str) -> String {
    format!(
        "SELECT name, number, role, fingerprint, definition, partitions, personal, stopped, created_at \
         FROM versions {which}"
    )
}

fn one(
    connection: &Connection,
    name: &ProjectionName,
    number: VersionNumber,
) -> rusqlite::Result<Option<Version>> {
    let mut statement = connection.prepare_cached(&select_versions("WHERE name = ?1 AND number = ?2"))?;
    statement.query_row(params![name.as_str(), number.0], version).optional()
}

fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    let text = |column| row.get::<_, String>(column);
    let odd = |column, what: &str| {
        let why = format!("'{what}' cannot stand there");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
    };
    let (name, role, personal) = (text(0)?, text(2)?, text(6)?);
    Ok(Version {
        name: ProjectionName::new(&name).map_err(|_| odd(0, &name))?,
        number: VersionNumber(row.get(1)?),
        role: Role::parse(&role).ok_or_else(|| odd(2, &role))?,
        fingerprint: row.get(3)?,
        definition: row.get(4)?,
        partitions: row.get(5)?,
        personal: PersonalData::parse(&personal).ok_or_else(|| odd(6, &personal))?,
        stopped: row.get(7)?,
        created_at: Timestamp(row.get(8)?),
    })
}

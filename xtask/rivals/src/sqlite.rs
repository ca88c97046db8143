//! SQLite as an event store: a row for each event, WAL, `synchronous=FULL`.
//!
//! Clients share one connection behind a lock, and each append is a transaction of its own: SQLite has one writer, and
//! this is how applications keep events in it. The unique index refuses a revision that is taken.

use std::path::Path;
use std::sync::Mutex;

use rusqlite::{Connection, params};

use crate::scenario::{Client, Rival};

struct Sqlite(Mutex<Connection>);

pub(crate) fn open(directory: &Path) -> Result<Box<dyn Rival>, String> {
    let prepare = || {
        let connection = Connection::open(directory.join("events.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE events (
                position INTEGER PRIMARY KEY,
                stream TEXT NOT NULL,
                revision INTEGER NOT NULL,
                type TEXT NOT NULL,
                recorded_at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000),
                data BLOB NOT NULL,
                UNIQUE (stream, revision)
            ) STRICT",
        )?;
        Ok(connection)
    };
    let connection = prepare().map_err(|error: rusqlite::Error| format!("sqlite: {error}"))?;
    Ok(Box::new(Sqlite(Mutex::new(connection))))
}

impl Rival for Sqlite {
    fn append(&self, client: &mut Client, events: &[Vec<u8>]) -> Result<(), String> {
        let mut connection = self.0.lock().map_err(|_| "a client panicked")?;
        let mut insert = || {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction.prepare_cached(
                    "INSERT INTO events (stream, revision, type, data) VALUES (?1, ?2, 'Deposited', ?3)",
                )?;
                for (revision, event) in (client.next as i64..).zip(events) {
                    statement.execute(params![client.stream, revision, event])?;
                }
            }
            transaction.commit()
        };
        insert().map_err(|error: rusqlite::Error| format!("sqlite: {error}"))
    }
}

//! How is the key store's file opened, and what lies in it?

use std::path::Path;
use std::time::Duration;

use factum_vault::KeyStoreError;
use rusqlite::{Connection, OpenFlags};

use super::fault::{Fault, translate};

/// The layout of the file that this build writes. It is SQLite's `user_version`.
const LAYOUT: u32 = 1;

/// `FKey`: tells a key store from other programs' files and from read models. It is SQLite's `application_id`.
const APPLICATION_ID: i32 = 0x464b_6579;

/// The memory that a connection may keep pages in, in KiB.
const CACHE_KIB: i32 = 16 * 1_024;

/// The statements that a connection keeps prepared; there are fewer.
const PREPARED_STATEMENTS: usize = 64;

/// The only mode of the journal that this key store runs with.
///
/// Commits go over a rollback journal that is cut to nothing at the end of each. It holds the old content of pages, destroyed
/// keys included, and a commit is only done when the journal is empty and that is synced (`synchronous=FULL`): a power
/// failure cannot bring it back. It takes SQLite's exclusive lock on the file, so a reader elsewhere can make `destroy` fail as
/// busy, and never let it pass with something left behind. In a write-ahead log, a reader that stays on an old state keeps the
/// log from being cut, and old pages stay in it for as long; readers and writers that do not wait for each other, the log's
/// merit, matter little where calls take a millisecond. `PERSIST` would leave the journal's pages where they are, and `DELETE`
/// would need another sync of the directory.
const JOURNAL_MODE: &str = "truncate";

/// Times are in ticks of 100 ns since 1970, as in the log. A purpose that is empty is none: of a key, that of the subject as a
/// whole; of a fence, every one.
pub(super) const TABLES: &str = "
    CREATE TABLE identity (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        vault BLOB NOT NULL,
        log BLOB NOT NULL,
        tenant TEXT NOT NULL,
        roots INTEGER NOT NULL REFERENCES slots,
        epoch INTEGER NOT NULL
    ) STRICT;
    -- Everything that must go without a trace; see slots.rs.
    CREATE TABLE slots (
        slot INTEGER PRIMARY KEY,
        used INTEGER NOT NULL CHECK (used IN (0, 1)),
        bytes BLOB NOT NULL            -- zeros where it is not used
    ) STRICT;
    CREATE INDEX free_slots ON slots (length(bytes)) WHERE used = 0;
    CREATE TABLE ledger (
        number INTEGER PRIMARY KEY,    -- from 1, without gaps
        erasure BLOB NOT NULL UNIQUE,
        subject BLOB NOT NULL,
        purpose TEXT NOT NULL,
        up_to INTEGER,                 -- a generation; NULL is everything
        at INTEGER NOT NULL,
        lifted INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX fences_of_subject ON ledger (subject);
    CREATE TABLE keys (
        id BLOB PRIMARY KEY,
        subject BLOB NOT NULL,
        purpose TEXT NOT NULL,
        generation INTEGER NOT NULL,
        created INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        slot INTEGER REFERENCES slots, -- the wrapped key; NULL where it was destroyed
        erasure INTEGER REFERENCES ledger,
        CHECK (slot IS NOT NULL OR erasure IS NOT NULL)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX keys_of_owner ON keys (subject, purpose, generation);
    CREATE INDEX keys_of_purpose ON keys (purpose, id, created) WHERE erasure IS NULL;
    CREATE INDEX keys_of_erasure ON keys (erasure) WHERE erasure IS NOT NULL;
    CREATE TABLE outside_values (
        id BLOB PRIMARY KEY,
        key BLOB NOT NULL REFERENCES keys,
        slot INTEGER NOT NULL REFERENCES slots
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX values_of_key ON outside_values (key);
    CREATE TABLE leases (
        node BLOB PRIMARY KEY,
        seen INTEGER NOT NULL,
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Opens a file that must be a key store which can be written to. Before that is known, nothing is written.
pub(super) fn open(store: &str, path: &Path, busy: Duration) -> Result<Connection, KeyStoreError> {
    let connection = connect(path, busy).map_err(|failure| translate(store, Fault::from(failure)))?;
    check(store, &connection)?;
    let prepared = prepare(&connection).and_then(|()| try_to_write(&connection));
    prepared.map_err(|fault| translate(store, fault))?;
    Ok(connection)
}

/// Fills a file that must be empty: a fresh one, or what a crash left of an earlier attempt.
pub(super) fn create(store: &str, path: &Path, busy: Duration) -> Result<Connection, KeyStoreError> {
    let begun = || {
        let connection = connect(path, busy)?;
        let is_empty = is_empty(&connection)?;
        Ok((connection, is_empty))
    };
    let (mut connection, empty) =
        begun().map_err(|failure: rusqlite::Error| translate(store, Fault::from(failure)))?;
    let exists = || {
        let why = "there is one already: open it; to begin anew, move the directory away".to_owned();
        KeyStoreError::Failed { store: store.to_owned(), why }
    };
    if !empty {
        return Err(check(store, &connection).err().unwrap_or_else(exists));
    }
    let fill = |connection: &mut Connection| {
        prepare(connection)?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Another process may have been first.
        if !is_empty(&transaction)? {
            return Ok(false);
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", LAYOUT)?;
        transaction.execute_batch(TABLES)?;
        transaction.commit()?;
        Ok::<_, Fault>(true)
    };
    match fill(&mut connection).map_err(|fault| translate(store, fault))? {
        true => Ok(connection),
        false => Err(exists()),
    }
}

fn connect(path: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(connection)
}

/// Whether nothing has ever been written to the file.
fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let things: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(id == 0 && things == 0)
}

/// Checks that the file is a key store and has a layout that this build knows.
fn check(store: &str, connection: &Connection) -> Result<(), KeyStoreError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let look = || Ok((read("application_id")?, read("user_version")?, is_empty(connection)?));
    let (id, layout, empty) =
        look().map_err(|failure: rusqlite::Error| translate(store, Fault::from(failure)))?;
    let store = store.to_owned();
    if empty {
        let why = "its making was not finished: create it again".to_owned();
        return Err(KeyStoreError::Missing { store, why });
    }
    if id != i64::from(APPLICATION_ID) {
        return Err(KeyStoreError::Damaged {
            store,
            why: "it is an SQLite file, but no key store".to_owned(),
        });
    }
    match u32::try_from(layout) {
        Ok(LAYOUT) => Ok(()),
        Ok(found) if found > LAYOUT => Err(KeyStoreError::NewerLayout { store, found, known: LAYOUT }),
        _ => Err(KeyStoreError::Damaged { store, why: format!("it has layout {layout}") }),
    }
}

/// What every connection is set to.
fn prepare(connection: &Connection) -> Result<(), Fault> {
    // What is no longer used is written over with zeros, in pages that stay and in pages that fall free.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // No copy of a row goes to a temporary file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "journal_mode", JOURNAL_MODE)?;
    must_truncate(connection)
}

/// Within a transaction: that no other program has changed how the journal is kept, which is a property of the file.
pub(super) fn must_truncate(connection: &Connection) -> Result<(), Fault> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode == JOURNAL_MODE {
        return Ok(());
    }
    Err(Fault::Failed(format!(
        "another program has set its journal mode to '{mode}', in which destroyed keys may stay on the disk; close that \
         program and open the key store again"
    )))
}

/// Whether the file and its journal can be written to: found out now, and not when somebody is to be forgotten.
fn try_to_write(connection: &Connection) -> Result<(), Fault> {
    let transaction = connection.unchecked_transaction()?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.rollback()?;
    Ok(())
}

//! How is a file of read models opened, and how is it known that it is one?

use std::path::Path;
use std::time::Duration;

use factum_core::read_model::ReadModelError;
use rusqlite::{Connection, OpenFlags};

use crate::{directory, error};

/// The layout of the files that this build writes. It is SQLite's `user_version` in each of them.
pub(crate) const LAYOUT: u32 = 1;

/// `Fact`: tells our files from other programs'. It is SQLite's `application_id` in each of them.
const APPLICATION_ID: i32 = 0x4661_6374;

/// The memory that a connection may keep pages in, in KiB.
const CACHE_KIB: i32 = 64 * 1_024;

/// The pages of the write-ahead log after which a commit carries them over into the file: 32 MiB.
const CHECKPOINT_PAGES: i32 = 8_192;

/// The bytes that the write-ahead log is cut to after a longer one was carried over.
const KEPT_LOG_BYTES: i64 = 64 * 1_024 * 1_024;

/// The statements that a connection keeps prepared.
const PREPARED_STATEMENTS: usize = 256;

/// Opens a file to write to. `create` makes it where it is not there.
pub(crate) fn to_write(path: &Path, create: bool, busy: Duration) -> Result<Connection, ReadModelError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    } else {
        must_exist(path)?;
    }
    let database = path.display().to_string();
    let settle = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(busy)?;
        prepare_for_writing(&connection)?;
        Ok(connection)
    };
    settle().map_err(|failure: rusqlite::Error| {
        let not_made = failure.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
            && matches!(directory::is_file(path), Ok(false));
        if not_made {
            let why = "no file can be made there".to_owned();
            return ReadModelError::ReadOnly { database, why };
        }
        error::of_database(&database, &failure)
    })
}

/// Opens a file as it stands, on a medium where nothing can be written. `None` where that is not all of it.
pub(crate) fn to_look(path: &Path) -> Option<Connection> {
    if directory::has_log(path) {
        return None;
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let uri = format!("file:{}?mode=ro&immutable=1", encoded(path));
    let connection = Connection::open_with_flags(uri, flags).ok()?;
    connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0)).ok()?;
    Some(connection)
}

/// What every connection that writes is set to. The write-ahead log is not synced at each commit: a power failure may
/// take the latest commits, rows and progress together, and the projection applies those events once more.
pub(crate) fn prepare_for_writing(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // What a projection forgets is overwritten in the file and not only marked as free.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", KEPT_LOG_BYTES)
}

/// Opens a connection that reads these files, each as a schema of the given name, and can write to none.
pub(crate) fn to_read(files: &[(&str, &Path)], busy: Duration) -> Result<Connection, ReadModelError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let memory = "SQLite's memory";
    let connection = Connection::open_with_flags(":memory:", flags)
        .and_then(|connection| {
            connection.busy_timeout(busy)?;
            connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
            Ok(connection)
        })
        .map_err(|failure| error::of_database(memory, &failure))?;
    for (schema, path) in files {
        must_exist(path)?;
        attach(&connection, schema, path)?;
        check(&connection, schema, path)?;
    }
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|failure| error::of_database(memory, &failure))?;
    Ok(connection)
}

/// Attaches a file to read. On a medium that cannot be written SQLite cannot share the file with others; where nothing
/// is left in a write-ahead log it is read as it stands.
fn attach(connection: &Connection, schema: &str, path: &Path) -> Result<(), ReadModelError> {
    let attach_as = |mode: &str| {
        let sql = format!("ATTACH ?1 AS \"{schema}\"");
        connection.execute(&sql, [format!("file:{}?mode=ro{mode}", encoded(path))])?;
        connection.pragma_query_value(Some(schema), "schema_version", |row| row.get::<_, i64>(0))
    };
    let Err(failure) = attach_as("") else { return Ok(()) };
    let cannot_share = matches!(
        failure.sqlite_error_code(),
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
    );
    if cannot_share && !directory::has_log(path) {
        // It may have been attached, and have failed at the first look.
        let _ = connection.execute(&format!("DETACH \"{schema}\""), []);
        if attach_as("&immutable=1").is_ok() {
            return Ok(());
        }
    }
    Err(error::of_database(&path.display().to_string(), &failure))
}

fn must_exist(path: &Path) -> Result<(), ReadModelError> {
    if directory::is_file(path)? {
        return Ok(());
    }
    Err(ReadModelError::Missing {
        database: path.display().to_string(),
        why: "there is no such file".to_owned(),
    })
}

/// The path as a part of a URI.
fn encoded(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                text.push(char::from(*byte));
            }
            _ => text.push_str(&format!("%{byte:02x}")),
        }
    }
    text
}

/// Marks a fresh file as one of ours, within the transaction that fills it.
pub(crate) fn mark(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", LAYOUT)
}

/// Whether nothing has ever been written to the file: whoever made it did not come to fill it.
pub(crate) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let things: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(id == 0 && things == 0)
}

/// Checks that a file is one of ours and has a layout that this build knows.
pub(crate) fn check(connection: &Connection, schema: &str, path: &Path) -> Result<(), ReadModelError> {
    let database = path.display().to_string();
    let read = |name| connection.pragma_query_value(Some(schema), name, |row| row.get::<_, i64>(0));
    let (id, layout) = read("application_id")
        .and_then(|id| Ok((id, read("user_version")?)))
        .map_err(|failure| error::of_database(&database, &failure))?;
    if id != i64::from(APPLICATION_ID) {
        let why = "it is an SQLite file, but not one of read models".to_owned();
        return Err(ReadModelError::Damaged { database, why });
    }
    match u32::try_from(layout) {
        Ok(LAYOUT) => Ok(()),
        Ok(found) if found > LAYOUT => Err(ReadModelError::NewerLayout { database, found, known: LAYOUT }),
        _ => Err(ReadModelError::Damaged { database, why: format!("it has layout {layout}") }),
    }
}

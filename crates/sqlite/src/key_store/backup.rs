//! Is the key store whole, and how is a copy of it written?

use std::path::Path;

use rusqlite::Connection;

use super::fault::Fault;

/// Reads every page and every row.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    let said: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(Fault::Damaged("its pages do not fit together"));
    }
    let astray = "SELECT EXISTS (SELECT 1 FROM keys k LEFT JOIN slots s ON s.slot = k.slot \
                  WHERE k.slot IS NOT NULL AND coalesce(s.used, 0) = 0) \
                  OR EXISTS (SELECT 1 FROM outside_values v LEFT JOIN slots s ON s.slot = v.slot \
                  WHERE coalesce(s.used, 0) = 0)";
    match connection.query_row(astray, [], |row| row.get(0))? {
        true => Err(Fault::Damaged("bytes of a key or of a value are gone")),
        false => Ok(()),
    }
}

/// Copies everything as it is now into an empty file. Zeros are copied as zeros: no page is taken over as it is.
pub(super) fn copy_to(connection: &Connection, file: &Path) -> Result<(), Fault> {
    let Some(file) = file.to_str() else {
        return Err(Fault::Failed("the backup's path has to be UTF-8".to_owned()));
    };
    connection.execute("VACUUM INTO ?1", [file])?;
    Ok(())
}

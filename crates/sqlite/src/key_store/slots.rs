//! Where do bytes lie that must be gone when they are gone?
//!
//! SQLite's `secure_delete` writes zeros over what is deleted, and still leaves copies: when a page of a table is split or
//! merged, rows move to another page, and where the old page is built anew in place its unused part keeps old bytes of rows
//! that are alive elsewhere. Deleting such a row later does not reach that copy. (Measured with 30,000 keys in a table by id,
//! some of them deleted and some changed on the way: about one key in two thousand had such a copy.)
//!
//! So wrapped keys and sealed values lie in a table of their own, in rows that never move: a row is only ever added at the end
//! (SQLite then begins a new page and leaves the last one as it is), is only ever written over in place, by as many bytes as
//! it has, and is never deleted. What is not used any more is zeros, and is used again for bytes of the same length: wrapped
//! keys have few lengths, and values are padded before they are sealed.

use rusqlite::{Connection, OptionalExtension, params};

pub(super) const FREE: &str = "SELECT slot FROM slots WHERE used = 0 AND length(bytes) = ?1 LIMIT 1";

/// Keeps bytes; gives where they are.
pub(super) fn keep(connection: &Connection, bytes: &[u8]) -> rusqlite::Result<i64> {
    let free: Option<i64> =
        connection.prepare_cached(FREE)?.query_row([bytes.len() as i64], |row| row.get(0)).optional()?;
    if let Some(slot) = free {
        let text = "UPDATE slots SET used = 1, bytes = ?2 WHERE slot = ?1";
        connection.prepare_cached(text)?.execute(params![slot, bytes])?;
        return Ok(slot);
    }
    connection.prepare_cached("INSERT INTO slots (used, bytes) VALUES (1, ?1)")?.insert([bytes])
}

/// Keeps bytes in place of those in a slot, which are gone then. Gives where they are now.
pub(super) fn replace(connection: &Connection, slot: i64, bytes: &[u8]) -> rusqlite::Result<i64> {
    let text = "UPDATE slots SET bytes = ?2 WHERE slot = ?1 AND length(bytes) = length(?2)";
    if connection.prepare_cached(text)?.execute(params![slot, bytes])? == 1 {
        return Ok(slot);
    }
    let new = keep(connection, bytes)?;
    wipe(connection, slot)?;
    Ok(new)
}

/// Writes zeros over the bytes.
pub(super) fn wipe(connection: &Connection, slot: i64) -> rusqlite::Result<()> {
    let text = "UPDATE slots SET used = 0, bytes = zeroblob(length(bytes)) WHERE slot = ?1";
    connection.prepare_cached(text)?.execute([slot]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::schema;

    #[test]
    fn a_slot_is_used_again_for_as_many_bytes() {
        let connection = schema::in_memory();
        let first = keep(&connection, b"12345").unwrap();
        let second = keep(&connection, b"1234").unwrap();
        wipe(&connection, first).unwrap();
        assert_eq!(
            connection
                .query_row("SELECT bytes FROM slots WHERE slot = ?1", [first], |r| r.get::<_, Vec<u8>>(0)),
            Ok(vec![0; 5])
        );
        assert_eq!(keep(&connection, b"abcde").unwrap(), first);
        assert!(keep(&connection, b"fghij").unwrap() > second, "it is used");
        assert_eq!(replace(&connection, second, b"4321").unwrap(), second);
        assert!(replace(&connection, second, b"54321").unwrap() != second);
        assert_eq!(keep(&connection, b"aaaa").unwrap(), second);
    }
}

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
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::key_store::schema;

    #[test]
    fn a_slot_is_used_again_for_as_many_bytes() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::TABLES).unwrap();
        let first = keep(&connection, b"12345").unwrap();
        let second = keep(&connection, b"1234").unwrap();
        wipe(&connection, first).unwrap();
        let text = "SELECT bytes FROM slots WHERE slot = ?1";
        let left: Vec<u8> = connection.query_row(text, [first], |row| row.get(0)).unwrap();
        assert_eq!(left, [0; 5]);
        assert_eq!(keep(&connection, b"abcde").unwrap(), first);
        assert!(keep(&connection, b"fghij").unwrap() > second, "it is used");
        assert_eq!(replace(&connection, second, b"4321").unwrap(), second);
        assert!(replace(&connection, second, b"54321").unwrap() != second);
        assert_eq!(keep(&connection, b"aaaa").unwrap(), second);
    }

    /// What is not used is in no byte of the file, and what is used is there once: nothing was ever moved.
    #[test]
    fn bytes_never_move() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("slots");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA secure_delete = ON; PRAGMA synchronous = OFF").unwrap();
        connection.execute_batch(schema::TABLES).unwrap();
        let mut number = 0_u64;
        let mut draw = || {
            number += 1;
            let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let (mut used, mut order, mut gone) = (HashMap::new(), Vec::new(), Vec::new());
        for step in 0..20_000_u64 {
            if step % 50 == 0 {
                connection.execute_batch(if step == 0 { "BEGIN" } else { "COMMIT; BEGIN" }).unwrap();
            }
            // Most have one of a few lengths, some any, some pages of their own.
            let length = match draw() % 20 {
                0 => 16 + draw() % 6_000,
                1..=4 => 16 + draw() % 300,
                _ => [60, 64, 124][(draw() % 3) as usize],
            };
            let secret: Vec<u8> = (0..length).map(|_| draw() as u8).collect();
            let some = (!order.is_empty()).then(|| order[(draw() % order.len() as u64) as usize]);
            let there = some.filter(|slot| used.contains_key(slot));
            let slot = match (there, draw() % 10) {
                (Some(slot), 0..=1) => {
                    wipe(&connection, slot).unwrap();
                    gone.extend(used.remove(&slot));
                    continue;
                }
                (Some(slot), 2..=3) => {
                    gone.extend(used.remove(&slot));
                    replace(&connection, slot, &secret).unwrap()
                }
                _ => keep(&connection, &secret).unwrap(),
            };
            order.push(slot);
            assert_eq!(used.insert(slot, secret), None, "it was free");
        }
        connection.execute_batch("COMMIT").unwrap();
        drop(connection);
        // A long one is cut where it goes on in another page, but not within its first bytes.
        let begins = |secret: &Vec<u8>| secret[..16].to_vec();
        let gone: HashSet<_> = gone.iter().map(begins).collect();
        let used: HashSet<_> = used.values().map(begins).collect();
        assert!(gone.len() > 4_000 && used.len() > 4_000, "{} {}", gone.len(), used.len());
        let mut seen = HashSet::new();
        for window in std::fs::read(&path).unwrap().windows(16) {
            assert!(!gone.contains(window), "it is still there");
            assert!(!used.contains(window) || seen.insert(window.to_vec()), "there is a copy");
        }
        assert_eq!(seen.len(), used.len());
    }
}

//! Which sealed values are kept here instead of in the log?

use factum_vault::OutsideValue;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::fault::Fault;
use super::slots;

pub(super) const VALUE: &str =
    "SELECT s.bytes FROM outside_values v LEFT JOIN slots s ON s.slot = v.slot WHERE v.id = ?1";

pub(super) fn keep(connection: &Connection, values: &[OutsideValue]) -> Result<(), Fault> {
    let mut is_live = connection.prepare_cached("SELECT 1 FROM keys WHERE id = ?1 AND erasure IS NULL")?;
    for value in values {
        if !is_live.exists([value.key.0])? {
            return Err(Fault::NotLive(value.key));
        }
    }
    let mut is_there = connection.prepare_cached("SELECT 1 FROM outside_values WHERE id = ?1")?;
    let insert = "INSERT INTO outside_values (id, key, slot) VALUES (?1, ?2, ?3)";
    let mut insert = connection.prepare_cached(insert)?;
    for OutsideValue { id, key, sealed } in values {
        if !is_there.exists([id.as_bytes()])? {
            let slot = slots::keep(connection, sealed)?;
            insert.execute(params![id.as_bytes(), key.0, slot])?;
        }
    }
    Ok(())
}

pub(super) fn values(connection: &Connection, ids: &[Uuid]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
    let mut statement = connection.prepare_cached(VALUE)?;
    let mut value = |id: &Uuid| Ok(statement.query_row([id.as_bytes()], |row| row.get(0)).optional()?);
    ids.iter().map(&mut value).collect()
}

//! Whose keys are these?

use factum_core::StoreId;
use factum_vault::{Identity, KekEpoch, Wrapped};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::fault::Fault;
use super::slots;

pub(super) fn identity(connection: &Connection) -> Result<Option<Identity>, Fault> {
    let text = "SELECT vault, log, tenant, epoch, bytes FROM identity LEFT JOIN slots ON slot = roots";
    let row = connection.prepare_cached(text)?.query_row([], |row| {
        let (vault, log): ([u8; 16], [u8; 16]) = (row.get(0)?, row.get(1)?);
        Ok(Identity {
            vault: Uuid::from_bytes(vault),
            log: StoreId(Uuid::from_bytes(log)),
            tenant: row.get(2)?,
            epoch: KekEpoch(row.get(3)?),
            roots: Wrapped(row.get(4)?),
        })
    });
    Ok(row.optional()?)
}

pub(super) fn initialise(connection: &Connection, new: &Identity) -> Result<Identity, Fault> {
    if let Some(known) = identity(connection)? {
        return Ok(known);
    }
    let roots = slots::keep(connection, &new.roots.0)?;
    let text =
        "INSERT INTO identity (only_row, vault, log, tenant, roots, epoch) VALUES (1, ?1, ?2, ?3, ?4, ?5)";
    let (vault, log) = (new.vault.as_bytes(), new.log.0.as_bytes());
    connection.execute(text, params![vault, log, new.tenant, roots, new.epoch.0])?;
    Ok(new.clone())
}

pub(super) fn rewrap_roots(
    connection: &Connection,
    from: KekEpoch,
    to: KekEpoch,
    roots: &Wrapped,
) -> Result<bool, Fault> {
    let text = "SELECT roots FROM identity WHERE epoch = ?1";
    let old: Option<i64> = connection.query_row(text, [from.0], |row| row.get(0)).optional()?;
    let Some(old) = old else { return Ok(false) };
    let new = slots::replace(connection, old, &roots.0)?;
    connection.execute("UPDATE identity SET roots = ?1, epoch = ?2", params![new, to.0])?;
    Ok(true)
}

//! Which processes may hold keys in memory?

use factum_core::Timestamp;
use factum_vault::{Lease, Watermark};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::fault::Fault;

pub(super) fn renew(connection: &Connection, lease: &Lease) -> Result<(), Fault> {
    let text = "INSERT INTO leases (node, seen, until) VALUES (?1, ?2, ?3) \
                ON CONFLICT (node) DO UPDATE SET seen = excluded.seen, until = excluded.until";
    let seen = lease.seen.0.cast_signed();
    connection.prepare_cached(text)?.execute(params![lease.node.as_bytes(), seen, lease.until.0])?;
    Ok(())
}

pub(super) fn end(connection: &Connection, node: Uuid) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM leases WHERE node = ?1")?.execute([node.as_bytes()])?;
    Ok(())
}

/// All of them, by node, those whose time is over too.
pub(super) fn all(connection: &Connection) -> Result<Vec<Lease>, Fault> {
    let mut statement = connection.prepare_cached("SELECT node, seen, until FROM leases ORDER BY node")?;
    let rows = statement.query_map([], |row| {
        Ok(Lease {
            node: Uuid::from_bytes(row.get(0)?),
            seen: Watermark(row.get::<_, i64>(1)?.cast_unsigned()),
            until: Timestamp(row.get(2)?),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets those whose time is over.
pub(super) fn forget(connection: &Connection, now: Timestamp) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM leases WHERE until <= ?1")?.execute([now.0])?;
    Ok(())
}

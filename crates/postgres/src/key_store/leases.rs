//! Which processes may hold keys in memory?

use factum_core::Timestamp;
use factum_vault::{Lease, Watermark};
use uuid::Uuid;

use super::fault::Fault;
use super::keys::ask;
use super::rows::{bytes, integer, uuid};
use crate::link::Link;

pub(super) fn renew(link: &mut Link, lease: &Lease) -> Result<(), Fault> {
    let text = "INSERT INTO leases (node, seen, until) VALUES (:node, :seen, :until) \
                ON CONFLICT (node) DO UPDATE SET seen = excluded.seen, until = excluded.until RETURNING 1";
    let parameters = [
        ("node", bytes(lease.node.as_bytes())),
        ("seen", lease.seen.0.cast_signed().into()),
        ("until", lease.until.0.into()),
    ];
    ask(link, text, &parameters).map(drop)
}

pub(super) fn end(link: &mut Link, node: Uuid) -> Result<(), Fault> {
    let text = "DELETE FROM leases WHERE node = :node RETURNING 1";
    ask(link, text, &[("node", bytes(node.as_bytes()))]).map(drop)
}

/// Those that are held, by node. The others are forgotten.
pub(super) fn held(link: &mut Link, now: Timestamp) -> Result<Vec<Lease>, Fault> {
    let text = "WITH ended AS (DELETE FROM leases WHERE until <= :now) \
                SELECT node, seen, until FROM leases WHERE until > :now ORDER BY node";
    let rows = ask(link, text, &[("now", now.0.into())])?;
    let lease = |row: &Vec<_>| {
        Ok(Lease {
            node: uuid(row, 0)?,
            seen: Watermark(integer(row, 1)?.cast_unsigned()),
            until: Timestamp(integer(row, 2)?),
        })
    };
    rows.rows.iter().map(lease).collect()
}

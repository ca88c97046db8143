//! How is an erasure fenced, carried out and entered in the ledger?

use factum_core::Timestamp;
use factum_vault::{ErasureId, Extent, Fence, KeyId, LedgerEntry, Purpose, SubjectRef, Watermark};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::fault::Fault;
use super::slots;

pub(super) const LINES: &str = "SELECT number, erasure, subject, purpose, up_to, at, lifted FROM ledger \
                                WHERE number > ?1 ORDER BY number LIMIT ?2";
pub(super) const LINE: &str = "SELECT number, erasure, subject, purpose, up_to, at, lifted FROM ledger \
                               WHERE erasure = ?1";
pub(super) const COVERED: &str = "SELECT id, slot FROM keys WHERE erasure = ?1 ORDER BY id";
pub(super) const COVER: &str = "UPDATE keys SET erasure = ?1 WHERE subject = ?2 AND erasure IS NULL \
                                AND (?3 = '' OR purpose = ?3) AND (?4 IS NULL OR generation <= ?4)";
pub(super) const VALUES_UNDER: &str = "SELECT slot FROM outside_values WHERE key = ?1";

/// Where to read the ledger on. SQLite counts with a sign; no ledger is that long.
fn signed(watermark: Watermark) -> i64 {
    i64::try_from(watermark.0).unwrap_or(i64::MAX)
}

pub(super) fn fence(connection: &Connection, fence: &Fence) -> Result<LedgerEntry, Fault> {
    if let Some(entry) = line(connection, fence.erasure)? {
        return Ok(entry);
    }
    let purpose = fence.purpose.as_ref().map_or("", Purpose::as_str);
    let up_to = match fence.extent {
        Extent::Everything => None,
        Extent::UpTo(last) => Some(last),
    };
    let number = watermark(connection)?.0.saturating_add(1).cast_signed();
    let text =
        "INSERT INTO ledger (number, erasure, subject, purpose, up_to, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let erasure = fence.erasure.0.as_bytes();
    connection.prepare_cached(text)?.execute(params![
        number,
        erasure,
        fence.subject.0,
        purpose,
        up_to,
        fence.at.0
    ])?;
    connection.prepare_cached(COVER)?.execute(params![number, fence.subject.0, purpose, up_to])?;
    line(connection, fence.erasure)?.ok_or(Fault::NoSuchErasure(fence.erasure))
}

/// Writes zeros over the keys and the values that the erasure covers.
pub(super) fn destroy(connection: &Connection, erasure: ErasureId) -> Result<Vec<KeyId>, Fault> {
    let number = number_of(connection, erasure)?;
    let keys = covered(connection, number)?;
    let mut values_under = connection.prepare_cached(VALUES_UNDER)?;
    let mut forget_values = connection.prepare_cached("DELETE FROM outside_values WHERE key = ?1")?;
    for (id, slot) in &keys {
        let under: Vec<i64> =
            values_under.query_map([id.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        under.iter().chain(slot).try_for_each(|slot| slots::wipe(connection, *slot))?;
        forget_values.execute([id.0])?;
    }
    connection.prepare_cached("UPDATE keys SET slot = NULL WHERE erasure = ?1")?.execute([number])?;
    Ok(keys.into_iter().map(|(id, _)| id).collect())
}

pub(super) fn lift(connection: &Connection, erasure: ErasureId) -> Result<bool, Fault> {
    let number = number_of(connection, erasure)?;
    let text = "UPDATE ledger SET lifted = 1 WHERE number = ?1 AND lifted = 0";
    Ok(connection.prepare_cached(text)?.execute([number])? == 1)
}

pub(super) fn watermark(connection: &Connection) -> Result<Watermark, Fault> {
    let text = "SELECT coalesce(max(number), 0) FROM ledger";
    let last: i64 = connection.prepare_cached(text)?.query_row([], |row| row.get(0))?;
    Ok(Watermark(last.cast_unsigned()))
}

pub(super) fn ledger(
    connection: &Connection,
    after: Watermark,
    limit: usize,
) -> Result<Vec<LedgerEntry>, Fault> {
    let mut statement = connection.prepare_cached(LINES)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map([signed(after), limit], |row| Ok(entry(connection, row)))?;
    rows.map(|row| row?).collect()
}

fn line(connection: &Connection, erasure: ErasureId) -> Result<Option<LedgerEntry>, Fault> {
    let mut statement = connection.prepare_cached(LINE)?;
    let row = statement.query_row([erasure.0.as_bytes()], |row| Ok(entry(connection, row))).optional()?;
    row.transpose()
}

fn number_of(connection: &Connection, erasure: ErasureId) -> Result<i64, Fault> {
    let mut statement = connection.prepare_cached("SELECT number FROM ledger WHERE erasure = ?1")?;
    let number = statement.query_row([erasure.0.as_bytes()], |row| row.get(0)).optional()?;
    number.ok_or(Fault::NoSuchErasure(erasure))
}

/// The keys that a line of the ledger covers, each with where its bytes are.
fn covered(connection: &Connection, number: i64) -> Result<Vec<(KeyId, Option<i64>)>, Fault> {
    let mut statement = connection.prepare_cached(COVERED)?;
    let rows = statement.query_map([number], |row| Ok((KeyId(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn entry(connection: &Connection, row: &Row<'_>) -> Result<LedgerEntry, Fault> {
    let number: i64 = row.get(0)?;
    let keys = covered(connection, number)?;
    let purpose: String = row.get(3)?;
    let purpose = match purpose.as_str() {
        "" => None,
        _ => Some(Purpose::new(purpose).map_err(|_| Fault::Damaged("a purpose is none"))?),
    };
    Ok(LedgerEntry {
        number: Watermark(number.cast_unsigned()),
        fence: Fence {
            erasure: ErasureId(Uuid::from_bytes(row.get(1)?)),
            subject: SubjectRef(row.get(2)?),
            purpose,
            extent: row.get::<_, Option<u32>>(4)?.map_or(Extent::Everything, Extent::UpTo),
            at: Timestamp(row.get(5)?),
        },
        destroyed: keys.iter().all(|(_, slot)| slot.is_none()),
        keys: keys.into_iter().map(|(id, _)| id).collect(),
        lifted: row.get(6)?,
    })
}

//! How is an erasure fenced, carried out and entered in the ledger?

use factum_core::Timestamp;
use factum_core::read_model::Value;
use factum_vault::{ErasureId, Extent, Fence, KeyId, LedgerEntry, SubjectRef, Watermark};

use super::fault::Fault;
use super::keys::{ask, lock_subject};
use super::rows::{Cells, bytes, integer, is_null, purpose, purpose_text, sixteen, small, text, truth, uuid};
use crate::error::Whose;
use crate::link::Link;

/// What [`entry`] reads.
macro_rules! lines_where {
    ($condition:literal) => {
        concat!(
            "SELECT l.number, l.erasure, l.subject, l.purpose, l.up_to, l.at, l.lifted, \
             coalesce((SELECT string_agg(encode(k.id, 'hex'), ',' ORDER BY k.id) FROM keys k \
             WHERE k.erasure = l.number), ''), \
             NOT EXISTS (SELECT 1 FROM keys k WHERE k.erasure = l.number AND k.wrapped IS NOT NULL) \
             FROM ledger l WHERE ",
            $condition
        )
    };
}

/// Within a transaction.
///
/// The subject is locked first, then the right to write to the ledger, then keys in order: everybody who takes two of these
/// does it in this order. With the second, a line's number is given and committed before the next one is: who reads the ledger
/// never sees a line before one that comes later.
pub(super) fn fence(link: &mut Link, fence: &Fence) -> Result<LedgerEntry, Fault> {
    lock_subject(link, fence.subject)?;
    link.execute(Whose::Ours, "SELECT 1 FROM key_store FOR UPDATE", &[])?;
    if let Some(entry) = line(link, fence.erasure)? {
        return Ok(entry);
    }
    let number = watermark(link)?.0.saturating_add(1).cast_signed();
    let up_to = match fence.extent {
        Extent::Everything => Value::Null,
        Extent::UpTo(last) => last.into(),
    };
    let insert = "INSERT INTO ledger (number, erasure, subject, purpose, up_to, at) \
                  VALUES (:number, :erasure, :subject, :purpose, :up_to, :at)";
    let whose =
        [("subject", bytes(&fence.subject.0)), ("purpose", purpose_text(fence.purpose.as_ref()).into())];
    let mut parameters = whose.to_vec();
    parameters.extend([
        ("number", number.into()),
        ("erasure", bytes(fence.erasure.0.as_bytes())),
        ("up_to", up_to),
        ("at", fence.at.0.into()),
    ]);
    link.execute(Whose::Ours, insert, &parameters)?;
    // Every generation is below the bound of one that covers everything.
    let last = match fence.extent {
        Extent::Everything => u32::MAX,
        Extent::UpTo(last) => last,
    };
    let mut covered = whose.to_vec();
    covered.extend([("last", last.into()), ("number", number.into())]);
    let lock = "SELECT 1 FROM keys WHERE subject = :subject AND erasure IS NULL \
                AND (:purpose = '' OR purpose = :purpose) AND generation <= :last ORDER BY id FOR NO KEY UPDATE";
    link.execute(Whose::Ours, lock, &covered)?;
    let cover = "UPDATE keys SET erasure = :number WHERE subject = :subject AND erasure IS NULL \
                 AND (:purpose = '' OR purpose = :purpose) AND generation <= :last";
    link.execute(Whose::Ours, cover, &covered)?;
    line(link, fence.erasure)?.ok_or(Fault::NoSuchErasure(fence.erasure))
}

/// Within a transaction.
pub(super) fn destroy(link: &mut Link, erasure: ErasureId) -> Result<Vec<KeyId>, Fault> {
    let number = [("number", number_of(link, erasure)?.into())];
    let lock = "SELECT id FROM keys WHERE erasure = :number ORDER BY id FOR NO KEY UPDATE";
    let keys = ask(link, lock, &number)?;
    let keys = keys.rows.iter().map(|row| Ok(KeyId(sixteen(row, 0)?))).collect::<Result<Vec<_>, Fault>>()?;
    let forget = "DELETE FROM outside_values WHERE key IN (SELECT id FROM keys WHERE erasure = :number)";
    link.execute(Whose::Ours, forget, &number)?;
    let wipe = "UPDATE keys SET wrapped = NULL WHERE erasure = :number AND wrapped IS NOT NULL";
    link.execute(Whose::Ours, wipe, &number)?;
    Ok(keys)
}

/// Gives the space of dead rows back, as far as nobody is in the way; autovacuum comes later for the rest.
pub(super) fn clear_dead_rows(link: &mut Link) {
    // The keys are destroyed; what is left is said in the documentation of the key store.
    let _ = link.batch(Whose::Ours, "VACUUM (SKIP_LOCKED) keys, outside_values");
}

pub(super) fn lift(link: &mut Link, erasure: ErasureId) -> Result<bool, Fault> {
    let text = "UPDATE ledger SET lifted = true WHERE erasure = :erasure AND NOT lifted RETURNING number";
    let lifted = ask(link, text, &[("erasure", bytes(erasure.0.as_bytes()))])?;
    if lifted.rows.is_empty() {
        number_of(link, erasure)?;
    }
    Ok(!lifted.rows.is_empty())
}

pub(super) fn watermark(link: &mut Link) -> Result<Watermark, Fault> {
    let last = ask(link, "SELECT coalesce(max(number), 0) FROM ledger", &[])?;
    let row = last.rows.first().ok_or(Fault::Damaged("it answers nothing"))?;
    Ok(Watermark(integer(row, 0)?.cast_unsigned()))
}

pub(super) fn ledger(link: &mut Link, after: Watermark, limit: usize) -> Result<Vec<LedgerEntry>, Fault> {
    let text = lines_where!("l.number > :after ORDER BY l.number LIMIT :limit");
    let signed = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let rows = ask(link, text, &[("after", signed(after.0)), ("limit", signed(limit as u64))])?;
    rows.rows.iter().map(|row| entry(row)).collect()
}

fn line(link: &mut Link, erasure: ErasureId) -> Result<Option<LedgerEntry>, Fault> {
    let text = lines_where!("l.erasure = :erasure");
    let rows = ask(link, text, &[("erasure", bytes(erasure.0.as_bytes()))])?;
    rows.rows.first().map(|row| entry(row)).transpose()
}

fn number_of(link: &mut Link, erasure: ErasureId) -> Result<i64, Fault> {
    let text = "SELECT number FROM ledger WHERE erasure = :erasure";
    let rows = ask(link, text, &[("erasure", bytes(erasure.0.as_bytes()))])?;
    let row = rows.rows.first().ok_or(Fault::NoSuchErasure(erasure))?;
    integer(row, 0)
}

fn entry(row: &Cells) -> Result<LedgerEntry, Fault> {
    let keys = text(row, 7)?.split(',').filter(|id| !id.is_empty());
    let keys: Result<Vec<KeyId>, _> = keys.map(str::parse).collect();
    Ok(LedgerEntry {
        number: Watermark(integer(row, 0)?.cast_unsigned()),
        fence: Fence {
            erasure: ErasureId(uuid(row, 1)?),
            subject: SubjectRef(sixteen(row, 2)?),
            purpose: purpose(row, 3)?,
            extent: if is_null(row, 4) { Extent::Everything } else { Extent::UpTo(small(row, 4)?) },
            at: Timestamp(integer(row, 5)?),
        },
        keys: keys.map_err(|_| Fault::Damaged("a key has no id"))?,
        destroyed: truth(row, 8)?,
        lifted: truth(row, 6)?,
    })
}

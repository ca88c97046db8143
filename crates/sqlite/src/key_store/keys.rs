//! Which keys are there, and how is one made, found and wrapped anew?

use factum_core::Timestamp;
use factum_vault::{
    Created, ErasureId, Found, Holdings, KekEpoch, KeyId, KeyOwner, KeySummary, Latest, MAX_KEY_BATCH,
    Purpose, Rewrapped, StoredKey, SubjectRef, Wrapped,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::fault::Fault;
use super::slots;

/// The fences that stand before an owner's next key, the oldest first.
pub(super) const STANDING: &str = "SELECT erasure FROM ledger WHERE subject = ?1 AND (purpose = '' OR purpose = ?2) \
                        AND up_to IS NULL AND lifted = 0 ORDER BY number LIMIT 1";

/// The last generation that an owner had, or that a fence covers: it would cover a new key up to it too.
pub(super) const LAST: &str = "SELECT max(\
     coalesce((SELECT max(generation) FROM keys WHERE subject = ?1 AND purpose = ?2), 0), \
     coalesce((SELECT max(up_to) FROM ledger WHERE subject = ?1 AND (purpose = '' OR purpose = ?2)), 0))";

/// The columns that [`found`] reads. A key without bytes or a fence without its line would be a damage, not nothing: so the
/// joins keep the key.
macro_rules! key_where {
    ($condition:literal) => {
        concat!(
            "SELECT k.id, k.subject, k.purpose, k.generation, k.created, k.epoch, s.bytes, k.erasure, l.erasure \
             FROM keys k LEFT JOIN slots s ON s.slot = k.slot LEFT JOIN ledger l ON l.number = k.erasure WHERE ",
            $condition
        )
    };
}

pub(super) const LIVE: &str =
    key_where!("k.subject = ?1 AND k.purpose = ?2 AND k.erasure IS NULL ORDER BY k.generation DESC LIMIT 1");
pub(super) const FIND: &str = key_where!("k.id = ?1");
pub(super) const WRAPPED_OTHERWISE: &str =
    key_where!("k.epoch <> ?1 AND k.id > ?2 AND k.slot IS NOT NULL ORDER BY k.id LIMIT ?3");

/// The columns that [`summary`] reads.
macro_rules! summary_where {
    ($condition:literal) => {
        concat!(
            "SELECT k.id, k.subject, k.purpose, k.generation, k.created, k.slot IS NULL, k.erasure, l.erasure \
             FROM keys k LEFT JOIN ledger l ON l.number = k.erasure WHERE ",
            $condition
        )
    };
}

pub(super) const OF_SUBJECT: &str = summary_where!("k.subject = ?1 ORDER BY k.purpose, k.generation");
pub(super) const MADE_BEFORE: &str = summary_where!(
    "k.purpose = ?1 AND k.erasure IS NULL AND k.id > ?2 AND k.created < ?3 ORDER BY k.id LIMIT ?4"
);

/// What is before every id.
const BEFORE_ALL: &[u8] = &[];

fn purpose_text(owner: &KeyOwner) -> &str {
    owner.purpose.as_ref().map_or("", Purpose::as_str)
}

/// How many rows to ask for.
fn at_most(limit: usize) -> i64 {
    limit.min(MAX_KEY_BATCH) as i64
}

pub(super) fn latest(connection: &Connection, owner: &KeyOwner) -> Result<Latest, Fault> {
    let whose = params![owner.subject.0, purpose_text(owner)];
    let standing: Option<[u8; 16]> =
        connection.prepare_cached(STANDING)?.query_row(whose, |row| row.get(0)).optional()?;
    if let Some(erasure) = standing {
        return Ok(Latest::Fenced(ErasureId(Uuid::from_bytes(erasure))));
    }
    let live = connection.prepare_cached(LIVE)?.query_row(whose, |row| Ok(found(row))).optional()?;
    match live.transpose()? {
        Some(Found::Live(key)) => Ok(Latest::Live(key)),
        Some(_) => Err(Fault::Damaged("a live key is erased")),
        None => Ok(Latest::None { generation: next_generation(connection, owner)? }),
    }
}

fn next_generation(connection: &Connection, owner: &KeyOwner) -> Result<u32, Fault> {
    let whose = params![owner.subject.0, purpose_text(owner)];
    let last: u32 = connection.prepare_cached(LAST)?.query_row(whose, |row| row.get(0))?;
    Ok(last.saturating_add(1))
}

pub(super) fn create(
    connection: &Connection,
    key: &StoredKey,
    succeeds: Option<KeyId>,
) -> Result<Created, Fault> {
    let live = match latest(connection, &key.owner)? {
        Latest::Fenced(erasure) => return Ok(Created::Fenced(erasure)),
        Latest::Live(live) => Some(live),
        Latest::None { .. } => None,
    };
    if live.as_ref().map(|live| live.id) != succeeds {
        return Ok(live.map_or(Created::Stale, Created::Exists));
    }
    // The last number goes to no key: after a fence up to it there would be no next one.
    if key.generation != next_generation(connection, &key.owner)? || key.generation == u32::MAX {
        return Ok(Created::Stale);
    }
    let taken = "SELECT 1 FROM keys WHERE id = ?1";
    if connection.prepare_cached(taken)?.exists([key.id.0])? {
        return Ok(Created::Stale);
    }
    let slot = slots::keep(connection, &key.wrapped.0)?;
    let text = "INSERT INTO keys (id, subject, purpose, generation, created, epoch, slot) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(text)?.execute(params![
        key.id.0,
        key.owner.subject.0,
        purpose_text(&key.owner),
        key.generation,
        key.created.0,
        key.epoch.0,
        slot
    ])?;
    Ok(Created::New)
}

pub(super) fn find(connection: &Connection, ids: &[KeyId]) -> Result<Vec<Found>, Fault> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut find = |id: &KeyId| {
        let row = statement.query_row([id.0], |row| Ok(found(row))).optional()?;
        Ok(row.transpose()?.unwrap_or(Found::Unknown))
    };
    ids.iter().map(&mut find).collect()
}

pub(super) fn of_subject(connection: &Connection, subject: SubjectRef) -> Result<Vec<KeySummary>, Fault> {
    let mut statement = connection.prepare_cached(OF_SUBJECT)?;
    let rows = statement.query_map([subject.0], |row| Ok(summary(row)))?;
    rows.map(|row| row?).collect()
}

pub(super) fn made_before(
    connection: &Connection,
    purpose: &Purpose,
    before: Timestamp,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<KeySummary>, Fault> {
    let mut statement = connection.prepare_cached(MADE_BEFORE)?;
    let after = after.as_ref().map_or(BEFORE_ALL, |after| &after.0);
    let asked = params![purpose.as_str(), after, before.0, at_most(limit)];
    let rows = statement.query_map(asked, |row| Ok(summary(row)))?;
    rows.map(|row| row?).collect()
}

pub(super) fn holdings(connection: &Connection) -> Result<Holdings, Fault> {
    let text = "SELECT count(DISTINCT CASE WHEN erasure IS NULL THEN subject END), \
                count(*) FILTER (WHERE erasure IS NULL), \
                count(*) FILTER (WHERE erasure IS NOT NULL AND slot IS NOT NULL), \
                count(*) FILTER (WHERE slot IS NULL), \
                (SELECT count(*) FROM outside_values) FROM keys";
    let mut statement = connection.prepare_cached(text)?;
    let counted: [i64; 5] = statement
        .query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]))?;
    let [subjects, live, fenced, destroyed, values] = counted.map(i64::cast_unsigned);
    Ok(Holdings { subjects, live, fenced, destroyed, values })
}

pub(super) fn wrapped_otherwise(
    connection: &Connection,
    epoch: KekEpoch,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<StoredKey>, Fault> {
    let mut statement = connection.prepare_cached(WRAPPED_OTHERWISE)?;
    let after = after.as_ref().map_or(BEFORE_ALL, |after| &after.0);
    let rows = statement.query_map(params![epoch.0, after, at_most(limit)], |row| Ok(stored(row)))?;
    rows.map(|row| row?).collect()
}

pub(super) fn rewrap(connection: &Connection, keys: &[Rewrapped]) -> Result<u64, Fault> {
    let slot_of = "SELECT slot FROM keys WHERE id = ?1 AND epoch = ?2 AND slot IS NOT NULL";
    let mut slot_of = connection.prepare_cached(slot_of)?;
    let mut change = connection.prepare_cached("UPDATE keys SET epoch = ?2, slot = ?3 WHERE id = ?1")?;
    let mut changed = 0;
    for Rewrapped { id, from, to, wrapped } in keys {
        let slot: Option<i64> = slot_of.query_row(params![id.0, from.0], |row| row.get(0)).optional()?;
        if let Some(slot) = slot {
            let slot = slots::replace(connection, slot, &wrapped.0)?;
            change.execute(params![id.0, to.0, slot])?;
            changed += 1;
        }
    }
    Ok(changed)
}

fn owner(row: &Row<'_>) -> Result<KeyOwner, Fault> {
    let (subject, purpose): ([u8; 16], String) = (row.get(1)?, row.get(2)?);
    let purpose = match purpose.as_str() {
        "" => None,
        _ => Some(Purpose::new(purpose).map_err(|_| Fault::Damaged("a purpose is none"))?),
    };
    Ok(KeyOwner { subject: SubjectRef(subject), purpose })
}

/// The erasure that a key is behind: its number in the ledger, and what that line says.
fn erasure(row: &Row<'_>, number: usize) -> Result<Option<ErasureId>, Fault> {
    let (line, erasure): (Option<i64>, Option<[u8; 16]>) = (row.get(number)?, row.get(number + 1)?);
    match (line, erasure) {
        (None, _) => Ok(None),
        (Some(_), Some(erasure)) => Ok(Some(ErasureId(Uuid::from_bytes(erasure)))),
        (Some(_), None) => Err(Fault::Damaged("a key is behind a fence that the ledger does not know")),
    }
}

fn stored(row: &Row<'_>) -> Result<StoredKey, Fault> {
    let Some(wrapped) = row.get::<_, Option<Vec<u8>>>(6)? else {
        return Err(Fault::Damaged("a key has no bytes"));
    };
    Ok(StoredKey {
        id: KeyId(row.get(0)?),
        owner: owner(row)?,
        generation: row.get(3)?,
        wrapped: Wrapped(wrapped),
        epoch: KekEpoch(row.get(5)?),
        created: Timestamp(row.get(4)?),
    })
}

fn found(row: &Row<'_>) -> Result<Found, Fault> {
    match erasure(row, 7)? {
        Some(erasure) => Ok(Found::Erased { owner: owner(row)?, erasure }),
        None => stored(row).map(Found::Live),
    }
}

fn summary(row: &Row<'_>) -> Result<KeySummary, Fault> {
    Ok(KeySummary {
        id: KeyId(row.get(0)?),
        owner: owner(row)?,
        generation: row.get(3)?,
        created: Timestamp(row.get(4)?),
        erased: erasure(row, 6)?,
        destroyed: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{erasures, outside, schema, slots};
    use super::*;

    #[test]
    fn what_is_looked_up_has_an_index() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::TABLES).unwrap();
        for text in [
            STANDING,
            LAST,
            LIVE,
            FIND,
            WRAPPED_OTHERWISE,
            OF_SUBJECT,
            MADE_BEFORE,
            erasures::LINES,
            erasures::LINE,
            erasures::COVERED,
            erasures::COVER,
            erasures::VALUES_UNDER,
            outside::VALUE,
            slots::FREE,
        ] {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let given = plan.parameter_count();
            let steps = plan.query_map(rusqlite::params_from_iter(vec![1; given]), |row| row.get(3)).unwrap();
            let steps: Vec<String> = steps.collect::<rusqlite::Result<_>>().unwrap();
            let slow = |step: &&String| {
                step.contains("TEMP B-TREE") || step.starts_with("SCAN") && *step != "SCAN CONSTANT ROW"
            };
            assert_eq!(steps.iter().find(slow), None, "{text}: {steps:?}");
        }
    }
}

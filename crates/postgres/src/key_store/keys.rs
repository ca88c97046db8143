//! Which keys are there, and how is one made, found and wrapped anew?

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use factum_core::Timestamp;
use factum_core::read_model::{Parameters, Rows, Value};
use factum_vault::{
    Created, ErasureId, Found, Holdings, KekEpoch, KeyId, KeyOwner, KeySummary, Latest, MAX_KEY_BATCH,
    Purpose, Rewrapped, StoredKey, SubjectRef,
};

use super::fault::Fault;
use super::rows::{
    self, Cells, bytes, found, hex, ids, integer, is_null, keys_where, listed, of_owner, small, stored,
    summary,
};
use crate::error::Whose;
use crate::link::Link;

/// One row: the oldest fence that stands before the owner's next key, the last generation that it had or that a fence covers
/// (it would cover a new key up to it too), and its live key. All from one moment.
const LATEST: &str = concat!(
    "SELECT key.*, ",
    "(SELECT erasure FROM ledger WHERE subject = :subject AND purpose IN ('', :purpose) AND up_to IS NULL \
      AND NOT lifted ORDER BY number LIMIT 1), ",
    "greatest(\
      coalesce((SELECT max(generation) FROM keys WHERE subject = :subject AND purpose = :purpose), 0), \
      coalesce((SELECT max(up_to) FROM ledger WHERE subject = :subject AND purpose IN ('', :purpose)), 0)) ",
    "FROM (SELECT 1) AS one_row LEFT JOIN LATERAL (",
    keys_where!(
        "k.subject = :subject AND k.purpose = :purpose AND k.erasure IS NULL ORDER BY k.generation DESC LIMIT 1"
    ),
    ") AS key (id, subject, purpose, generation, created, epoch, wrapped, fence, erasure) ON true"
);

/// Where [`LATEST`] has what follows the key's own columns.
const STANDING: usize = 9;
const LAST: usize = 10;

pub(super) fn ask(link: &mut Link, text: &str, parameters: &Parameters<'_>) -> Result<Rows, Fault> {
    Ok(link.query(Whose::Ours, text, parameters)?)
}

/// How many rows to ask for.
fn at_most(limit: usize) -> Value<'static> {
    (limit.min(MAX_KEY_BATCH) as i64).into()
}

/// What is after `after`; an empty id is before all of them.
fn from(after: Option<&KeyId>) -> Value<'_> {
    bytes(after.map_or(&[], |after| &after.0))
}

fn each<T>(rows: &Rows, read: impl Fn(&Cells) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    rows.rows.iter().map(|row| read(row)).collect()
}

pub(super) fn latest(link: &mut Link, owner: &KeyOwner) -> Result<Latest, Fault> {
    look(link, owner).map(|(latest, _)| latest)
}

/// What an owner may seal with, and the generation of its next key.
fn look(link: &mut Link, owner: &KeyOwner) -> Result<(Latest, u32), Fault> {
    let rows = ask(link, LATEST, &of_owner(owner))?;
    let row = rows.rows.first().ok_or(Fault::Damaged("it answers nothing"))?;
    let generation = small(row, LAST)?.saturating_add(1);
    let latest = if !is_null(row, STANDING) {
        Latest::Fenced(ErasureId(rows::uuid(row, STANDING)?))
    } else if is_null(row, 0) {
        Latest::None { generation }
    } else {
        Latest::Live(stored(row)?)
    };
    Ok((latest, generation))
}

/// Within a transaction: from here to its end, no fence is set up before this subject, and no key of it is made elsewhere.
pub(super) fn lock_subject(link: &mut Link, subject: SubjectRef) -> Result<(), Fault> {
    // A part of it does: another subject, or another program, with the same only waits without need.
    let [a, b, c, d, e, f, g, h, ..] = subject.0;
    let lock = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let text = "SELECT pg_advisory_xact_lock(:lock)";
    Ok(link.execute(Whose::Ours, text, &[("lock", lock.into())])?)
}

/// Within a transaction. What is read after the lock was given sees what was committed before.
pub(super) fn create(link: &mut Link, key: &StoredKey, succeeds: Option<KeyId>) -> Result<Created, Fault> {
    lock_subject(link, key.owner.subject)?;
    let (latest, generation) = look(link, &key.owner)?;
    let live = match latest {
        Latest::Fenced(erasure) => return Ok(Created::Fenced(erasure)),
        Latest::Live(live) => Some(live),
        Latest::None { .. } => None,
    };
    if live.as_ref().map(|live| live.id) != succeeds {
        return Ok(live.map_or(Created::Stale, Created::Exists));
    }
    // The last number goes to no key: after a fence up to it there would be no next one.
    if key.generation != generation || key.generation == u32::MAX {
        return Ok(Created::Stale);
    }
    let text = "INSERT INTO keys (id, subject, purpose, generation, created, epoch, wrapped) \
                VALUES (:id, :subject, :purpose, :generation, :created, :epoch, :wrapped) \
                ON CONFLICT DO NOTHING RETURNING generation";
    let mut parameters = of_owner(&key.owner).to_vec();
    parameters.extend([
        ("id", bytes(&key.id.0)),
        ("generation", key.generation.into()),
        ("created", key.created.0.into()),
        ("epoch", key.epoch.0.into()),
        ("wrapped", bytes(&key.wrapped.0)),
    ]);
    let made = ask(link, text, &parameters)?;
    Ok(if made.rows.is_empty() { Created::Stale } else { Created::New })
}

pub(super) fn find(link: &mut Link, wanted: &[KeyId]) -> Result<Vec<Found>, Fault> {
    let text = keys_where!(concat!("k.id IN ", ids!()));
    let rows = ask(link, text, &[("ids", listed(wanted.iter().map(|id| &id.0)))])?;
    let known: BTreeMap<KeyId, Found> = rows
        .rows
        .iter()
        .map(|row| Ok((KeyId(rows::sixteen(row, 0)?), found(row)?)))
        .collect::<Result<_, Fault>>()?;
    Ok(wanted.iter().map(|id| known.get(id).cloned().unwrap_or(Found::Unknown)).collect())
}

pub(super) fn of_subject(link: &mut Link, subject: SubjectRef) -> Result<Vec<KeySummary>, Fault> {
    let text = keys_where!("k.subject = :subject ORDER BY k.purpose, k.generation");
    each(&ask(link, text, &[("subject", bytes(&subject.0))])?, summary)
}

pub(super) fn made_before(
    link: &mut Link,
    purpose: &Purpose,
    before: Timestamp,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<KeySummary>, Fault> {
    let text = keys_where!(
        "k.purpose = :purpose AND k.erasure IS NULL AND k.id > :after AND k.created < :before \
         ORDER BY k.id LIMIT :limit"
    );
    let parameters = [
        ("purpose", purpose.as_str().into()),
        ("after", from(after.as_ref())),
        ("before", before.0.into()),
        ("limit", at_most(limit)),
    ];
    each(&ask(link, text, &parameters)?, summary)
}

pub(super) fn holdings(link: &mut Link) -> Result<Holdings, Fault> {
    let text = "SELECT count(DISTINCT subject) FILTER (WHERE erasure IS NULL), \
                count(*) FILTER (WHERE erasure IS NULL), \
                count(*) FILTER (WHERE erasure IS NOT NULL AND wrapped IS NOT NULL), \
                count(*) FILTER (WHERE wrapped IS NULL), \
                (SELECT count(*) FROM outside_values) FROM keys";
    let rows = ask(link, text, &[])?;
    let row = rows.rows.first().ok_or(Fault::Damaged("it answers nothing"))?;
    let number = |at| integer(row, at).map(i64::cast_unsigned);
    Ok(Holdings {
        subjects: number(0)?,
        live: number(1)?,
        fenced: number(2)?,
        destroyed: number(3)?,
        values: number(4)?,
    })
}

pub(super) fn wrapped_otherwise(
    link: &mut Link,
    epoch: KekEpoch,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<StoredKey>, Fault> {
    let text = keys_where!(
        "k.epoch <> :epoch AND k.wrapped IS NOT NULL AND k.id > :after ORDER BY k.id LIMIT :limit"
    );
    let parameters = [("epoch", epoch.0.into()), ("after", from(after.as_ref())), ("limit", at_most(limit))];
    each(&ask(link, text, &parameters)?, stored)
}

/// Within a transaction: locks keys in the order of their ids, so that two who change several never wait for each other.
pub(super) fn lock_keys(link: &mut Link, keys: Value<'_>) -> Result<(), Fault> {
    let text = concat!("SELECT 1 FROM keys WHERE id IN ", ids!(), " ORDER BY id FOR NO KEY UPDATE");
    Ok(link.execute(Whose::Ours, text, &[("ids", keys)])?)
}

/// Within a transaction.
pub(super) fn rewrap(link: &mut Link, keys: &[Rewrapped]) -> Result<u64, Fault> {
    lock_keys(link, listed(keys.iter().map(|key| &key.id.0)))?;
    // A list has an `x` before each wrapping: one that is empty would make it a list of none.
    let text = "UPDATE keys k SET wrapped = decode(substr(n.wrapped, 2), 'hex'), epoch = n.epoch \
                FROM unnest(string_to_array(:ids, ','), CAST(string_to_array(:from, ',') AS bigint[]), \
                CAST(string_to_array(:to, ',') AS bigint[]), string_to_array(:wrapped, ',')) \
                AS n (id, before, epoch, wrapped) \
                WHERE k.id = decode(n.id, 'hex') AND k.epoch = n.before AND k.wrapped IS NOT NULL \
                RETURNING 1";
    let (mut left, mut changed): (Vec<&Rewrapped>, u64) = (keys.iter().collect(), 0);
    while !left.is_empty() {
        // A statement changes a row once: a key that is named again comes with the next one.
        let mut named = HashSet::new();
        let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|key| named.insert(key.id));
        let list = |write: fn(&Rewrapped) -> String| {
            let written: Vec<String> = now.iter().map(|key| write(key)).collect();
            Value::Text(Cow::Owned(written.join(",")))
        };
        let parameters = [
            ("ids", list(|key| hex(&key.id.0))),
            ("from", list(|key| key.from.to_string())),
            ("to", list(|key| key.to.to_string())),
            ("wrapped", list(|key| format!("x{}", hex(&key.wrapped.0)))),
        ];
        changed += ask(link, text, &parameters)?.rows.len() as u64;
        left = later;
    }
    Ok(changed)
}

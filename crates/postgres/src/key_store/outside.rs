//! Which sealed values are kept here instead of in the log?

use std::collections::{BTreeMap, BTreeSet};

use factum_vault::OutsideValue;
use uuid::Uuid;

use super::fault::Fault;
use super::keys::ask;
use super::rows::{blob, bytes, ids, listed, sixteen, uuid};
use crate::error::Whose;
use crate::link::Link;

/// Within a transaction. The keys are locked against a fence until its end; of two who keep the same values, one waits for the
/// other, and both go by the order of the ids.
pub(super) fn keep(link: &mut Link, values: &[OutsideValue]) -> Result<(), Fault> {
    let text =
        concat!("SELECT id FROM keys WHERE id IN ", ids!(), " AND erasure IS NULL ORDER BY id FOR SHARE");
    let live = ask(link, text, &[("ids", listed(values.iter().map(|value| &value.key.0)))])?;
    let live: BTreeSet<[u8; 16]> =
        live.rows.iter().map(|row| sixteen(row, 0)).collect::<Result<_, Fault>>()?;
    if let Some(value) = values.iter().find(|value| !live.contains(&value.key.0)) {
        return Err(Fault::NotLive(value.key));
    }
    let insert =
        "INSERT INTO outside_values (id, key, sealed) VALUES (:id, :key, :sealed) ON CONFLICT DO NOTHING";
    let mut in_order: Vec<&OutsideValue> = values.iter().collect();
    in_order.sort_by_key(|value| value.id);
    for OutsideValue { id, key, sealed } in in_order {
        let parameters = [("id", bytes(id.as_bytes())), ("key", bytes(&key.0)), ("sealed", bytes(sealed))];
        link.execute(Whose::Ours, insert, &parameters)?;
    }
    Ok(())
}

pub(super) fn values(link: &mut Link, wanted: &[Uuid]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
    let text = concat!("SELECT id, sealed FROM outside_values WHERE id IN ", ids!());
    let rows = ask(link, text, &[("ids", listed(wanted.iter().map(Uuid::as_bytes)))])?;
    let there: BTreeMap<Uuid, &[u8]> =
        rows.rows.iter().map(|row| Ok((uuid(row, 0)?, blob(row, 1)?))).collect::<Result<_, Fault>>()?;
    Ok(wanted.iter().map(|id| there.get(id).map(|sealed| sealed.to_vec())).collect())
}

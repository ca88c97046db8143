//! How are ids, keys and owners written as parameters, and read from rows?

use std::borrow::Cow;

use factum_core::Timestamp;
use factum_core::read_model::Value;
use factum_vault::{
    ErasureId, Found, KekEpoch, KeyId, KeyOwner, KeySummary, Purpose, StoredKey, SubjectRef, Wrapped,
};
use uuid::Uuid;

use super::fault::Fault;

/// A row of an answer.
pub(super) type Cells = [Value<'static>];

const NOT_AS_WRITTEN: Fault = Fault::Damaged("a row does not hold what it should");

pub(super) fn bytes(bytes: &[u8]) -> Value<'_> {
    Value::Bytes(Cow::Borrowed(bytes))
}

/// The parameters that name an owner. No purpose is an empty one.
pub(super) fn of_owner(owner: &KeyOwner) -> [(&'static str, Value<'_>); 2] {
    [("subject", bytes(&owner.subject.0)), ("purpose", purpose_text(owner.purpose.as_ref()).into())]
}

pub(super) fn purpose_text(purpose: Option<&Purpose>) -> &str {
    purpose.map_or("", Purpose::as_str)
}

/// Ids as one parameter, hexadecimal and with commas in between: what a list of ids in a statement reads.
pub(super) fn listed<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> Value<'static> {
    let hex: Vec<String> = ids.into_iter().map(|id| hex(id)).collect();
    Value::Text(Cow::Owned(hex.join(",")))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The ids that the parameter `:ids` lists.
macro_rules! ids {
    () => {
        "(SELECT decode(given, 'hex') FROM unnest(string_to_array(:ids, ',')) AS given)"
    };
}
pub(super) use ids;

pub(super) fn integer(row: &Cells, at: usize) -> Result<i64, Fault> {
    row.get(at).and_then(Value::as_integer).ok_or(NOT_AS_WRITTEN)
}

/// A number that is kept without a sign.
pub(super) fn small(row: &Cells, at: usize) -> Result<u32, Fault> {
    u32::try_from(integer(row, at)?).map_err(|_| NOT_AS_WRITTEN)
}

pub(super) fn truth(row: &Cells, at: usize) -> Result<bool, Fault> {
    match row.get(at) {
        Some(Value::Bool(value)) => Ok(*value),
        _ => Err(NOT_AS_WRITTEN),
    }
}

pub(super) fn text(row: &Cells, at: usize) -> Result<&str, Fault> {
    row.get(at).and_then(Value::as_text).ok_or(NOT_AS_WRITTEN)
}

pub(super) fn blob(row: &Cells, at: usize) -> Result<&[u8], Fault> {
    match row.get(at) {
        Some(Value::Bytes(bytes)) => Ok(bytes),
        _ => Err(NOT_AS_WRITTEN),
    }
}

pub(super) fn sixteen(row: &Cells, at: usize) -> Result<[u8; 16], Fault> {
    blob(row, at)?.try_into().map_err(|_| NOT_AS_WRITTEN)
}

pub(super) fn uuid(row: &Cells, at: usize) -> Result<Uuid, Fault> {
    sixteen(row, at).map(Uuid::from_bytes)
}

pub(super) fn is_null(row: &Cells, at: usize) -> bool {
    matches!(row.get(at), Some(Value::Null) | None)
}

pub(super) fn purpose(row: &Cells, at: usize) -> Result<Option<Purpose>, Fault> {
    match text(row, at)? {
        "" => Ok(None),
        name => Purpose::new(name).map(Some).map_err(|_| NOT_AS_WRITTEN),
    }
}

/// What [`found`] and [`summary`] read, from keys `k` and the ledger `l`. A fence without its line would be a damage, not
/// nothing: so the join keeps the key.
macro_rules! keys_where {
    ($condition:expr) => {
        concat!(
            "SELECT k.id, k.subject, k.purpose, k.generation, k.created, k.epoch, k.wrapped, k.erasure, l.erasure \
             FROM keys k LEFT JOIN ledger l ON l.number = k.erasure WHERE ",
            $condition
        )
    };
}
pub(super) use keys_where;

fn owner(row: &Cells) -> Result<KeyOwner, Fault> {
    Ok(KeyOwner { subject: SubjectRef(sixteen(row, 1)?), purpose: purpose(row, 2)? })
}

fn erasure(row: &Cells) -> Result<Option<ErasureId>, Fault> {
    match (is_null(row, 7), is_null(row, 8)) {
        (true, _) => Ok(None),
        (false, false) => Ok(Some(ErasureId(uuid(row, 8)?))),
        (false, true) => Err(Fault::Damaged("a key is behind a fence that the ledger does not know")),
    }
}

pub(super) fn stored(row: &Cells) -> Result<StoredKey, Fault> {
    Ok(StoredKey {
        id: KeyId(sixteen(row, 0)?),
        owner: owner(row)?,
        generation: small(row, 3)?,
        wrapped: Wrapped(blob(row, 6)?.to_vec()),
        epoch: KekEpoch(small(row, 5)?),
        created: Timestamp(integer(row, 4)?),
    })
}

pub(super) fn found(row: &Cells) -> Result<Found, Fault> {
    match erasure(row)? {
        Some(erasure) => Ok(Found::Erased { owner: owner(row)?, erasure }),
        None => stored(row).map(Found::Live),
    }
}

pub(super) fn summary(row: &Cells) -> Result<KeySummary, Fault> {
    Ok(KeySummary {
        id: KeyId(sixteen(row, 0)?),
        owner: owner(row)?,
        generation: small(row, 3)?,
        created: Timestamp(integer(row, 4)?),
        erased: erasure(row)?,
        destroyed: is_null(row, 6),
    })
}

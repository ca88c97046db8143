//! Whose keys are these?

use factum_core::StoreId;
use factum_vault::{Identity, KekEpoch, Wrapped};

use super::fault::Fault;
use super::keys::ask;
use super::rows::{blob, bytes, small, text, uuid};
use crate::link::Link;

pub(super) fn identity(link: &mut Link) -> Result<Option<Identity>, Fault> {
    let rows =
        ask(link, "SELECT vault, log, tenant, roots, epoch FROM key_store WHERE vault IS NOT NULL", &[])?;
    let Some(row) = rows.rows.first() else { return Ok(None) };
    Ok(Some(Identity {
        vault: uuid(row, 0)?,
        log: StoreId(uuid(row, 1)?),
        tenant: text(row, 2)?.to_owned(),
        roots: Wrapped(blob(row, 3)?.to_vec()),
        epoch: KekEpoch(small(row, 4)?),
    }))
}

pub(super) fn initialise(link: &mut Link, new: &Identity) -> Result<Identity, Fault> {
    let set = "UPDATE key_store SET vault = :vault, log = :log, tenant = :tenant, roots = :roots, epoch = :epoch \
               WHERE vault IS NULL RETURNING 1";
    let parameters = [
        ("vault", bytes(new.vault.as_bytes())),
        ("log", bytes(new.log.0.as_bytes())),
        ("tenant", (&new.tenant).into()),
        ("roots", bytes(&new.roots.0)),
        ("epoch", new.epoch.0.into()),
    ];
    ask(link, set, &parameters)?;
    identity(link)?.ok_or(Fault::Damaged("the row that says whose it is is gone"))
}

pub(super) fn rewrap_roots(
    link: &mut Link,
    from: KekEpoch,
    to: KekEpoch,
    roots: &Wrapped,
) -> Result<bool, Fault> {
    let set = "UPDATE key_store SET roots = :roots, epoch = :to WHERE epoch = :from RETURNING 1";
    let parameters = [("from", from.0.into()), ("to", to.0.into()), ("roots", bytes(&roots.0))];
    Ok(!ask(link, set, &parameters)?.rows.is_empty())
}

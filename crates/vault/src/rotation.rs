//! How does another key-encryption key take over, and the old one become useless?

use std::time::Duration;

use factum_core::Timestamp;

use crate::error::VaultError;
use crate::keeper::{Keeper, Secret, no_answer};
use crate::kek::{EpochInfo, KekEpoch, MAX_WRAP_BATCH, ToUnwrap, ToWrap};
use crate::key_store::{Rewrapped, StoredKey};

/// How often the key-encryption key is rotated. The vault does not do it by itself: it says in receipts what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// Nobody has said.
    #[default]
    Unscheduled,
    /// At least as often as this.
    Every(Duration),
}

impl Rotation {
    /// When the key of an epoch is gone at the latest.
    pub(crate) fn over(self, epoch: &EpochInfo, now: Timestamp) -> Option<Timestamp> {
        match self {
            Rotation::Unscheduled => None,
            // Where the provider does not say since when, it is not earlier than this.
            Rotation::Every(period) => {
                Some(epoch.created.unwrap_or(now).max(now.saturating_sub(period)).saturating_add(period))
            }
        }
    }
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The epoch that wraps now.
    pub epoch: KekEpoch,
    /// Whether it was made by this call; else an interrupted rotation to it was completed.
    pub started: bool,
    /// Keys wrapped anew by this call.
    pub keys: u64,
    /// Keys that no epoch which is left can unwrap; they could not be unwrapped before either.
    pub unreadable: u64,
}

impl Keeper {
    /// Makes a next epoch, wraps every live key with it, and destroys the earlier epochs. Where an earlier rotation was
    /// interrupted, completes that one instead. `progress` is told of each batch.
    pub(crate) fn rotate(&mut self, mut progress: impl FnMut(u64)) -> Result<Rotated, VaultError> {
        let epochs = self.kek.epochs()?;
        let started = epochs.len() <= 1;
        let epoch = if started { self.kek.new_epoch()? } else { self.newest_epoch()? };
        self.rotate_roots(epoch)?;
        let mut done = Rotated { epoch, started, keys: 0, unreadable: 0 };
        // Twice: whoever wrapped with the old epoch during the first sweep is seen by the second.
        for _ in 0..2 {
            self.sweep(epoch, &mut done, &mut progress)?;
        }
        self.kek.destroy_before(epoch)?;
        Ok(done)
    }

    fn rotate_roots(&mut self, epoch: KekEpoch) -> Result<(), VaultError> {
        loop {
            let identity = self.store.identity()?;
            let store = || self.store.description();
            let Some(identity) = identity else {
                return Err(VaultError::Damaged { store: store(), what: "it has lost its identity" });
            };
            if identity.epoch >= epoch {
                return Ok(());
            }
            let label = self.roots_label(&identity);
            let item = ToUnwrap { epoch: identity.epoch, wrapped: &identity.roots, label: &label };
            let secrets = self.kek.unwrap_keys(&[item])?;
            let secret = secrets.first().ok_or_else(|| no_answer(&*self.kek))?;
            let wrapped = self.kek.wrap(epoch, &[ToWrap { secret, label: &label }])?;
            let roots = wrapped.first().ok_or_else(|| no_answer(&*self.kek))?;
            // Where somebody else was faster, the next look sees it.
            self.store.rewrap_roots(identity.epoch, epoch, roots)?;
        }
    }

    fn sweep(
        &mut self,
        epoch: KekEpoch,
        done: &mut Rotated,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), VaultError> {
        let (mut after, mut unreadable) = (None, 0);
        loop {
            let mut keys = self.store.wrapped_otherwise(epoch, after, MAX_WRAP_BATCH)?;
            let Some(last) = keys.last() else { break };
            after = Some(last.id);
            // What another rotation, begun after this one, has wrapped is further on already.
            keys.retain(|key| key.epoch < epoch);
            let found = keys.len() as u64;
            let secrets = self.secrets(&keys)?;
            // One that cannot be unwrapped must not keep the others from being rotated.
            let readable: Vec<(StoredKey, Secret)> =
                keys.into_iter().zip(secrets).filter_map(|(key, secret)| Some((key, secret.ok()?))).collect();
            unreadable += found - readable.len() as u64;
            done.keys += self.wrap_anew(&readable, epoch)?;
            progress(done.keys);
        }
        done.unreadable = unreadable;
        Ok(())
    }

    /// Keeps keys wrapped by `epoch`. Says how many changed.
    pub(crate) fn wrap_anew(
        &mut self,
        keys: &[(StoredKey, Secret)],
        epoch: KekEpoch,
    ) -> Result<u64, VaultError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let labels: Vec<Vec<u8>> = keys.iter().map(|(key, _)| self.label(key.id, &key.owner)).collect();
        let secrets: Vec<ToWrap<'_>> =
            keys.iter().zip(&labels).map(|((_, secret), label)| ToWrap { secret, label }).collect();
        let wrapped = self.kek.wrap(epoch, &secrets)?;
        let anew: Vec<Rewrapped> = keys
            .iter()
            .zip(wrapped)
            .map(|((key, _), wrapped)| Rewrapped { id: key.id, from: key.epoch, to: epoch, wrapped })
            .collect();
        Ok(self.store.rewrap(&anew)?)
    }
}

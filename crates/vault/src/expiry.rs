//! Which keys have been kept for long enough?

use std::collections::BTreeMap;

use factum_core::Timestamp;

use crate::error::VaultError;
use crate::keeper::Keeper;
use crate::key_store::{KeySummary, MAX_KEY_BATCH};
use crate::retention::{Retention, Terms};
use crate::subject::KeyOwner;

impl Keeper {
    /// The owners of which keys are to be destroyed, each with the last generation of them. A key that has sealed for its period
    /// gets a successor, so that its own time begins to run.
    pub(crate) fn expired(
        &mut self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<BTreeMap<KeyOwner, u32>, VaultError> {
        let mut over: BTreeMap<KeyOwner, u32> = BTreeMap::new();
        for terms in retention.terms(now) {
            let mut after = None;
            loop {
                let made_before = terms.superseded_if_made_before;
                let page = self.store.made_before(&terms.purpose, made_before, after, MAX_KEY_BATCH)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for key in &page {
                    if self.is_over(key, &terms)? {
                        let last = over.entry(key.owner.clone()).or_default();
                        *last = key.generation.max(*last);
                    }
                }
            }
        }
        Ok(over)
    }

    fn is_over(&mut self, key: &KeySummary, terms: &Terms) -> Result<bool, VaultError> {
        let of_subject = self.store.keys_of(key.owner.subject)?;
        let later = |other: &&KeySummary| other.owner == key.owner && other.generation > key.generation;
        if let Some(successor) = of_subject.iter().find(later) {
            return Ok(successor.created <= terms.over_if_superseded_before);
        }
        match self.make(&key.owner, key.generation + 1, Some(key.id)) {
            // Somebody else made one, or the subject was erased meanwhile: either way nothing is to be done now.
            Ok(_) | Err(VaultError::SubjectErased { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

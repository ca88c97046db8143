//! Does the key store in memory keep every rule, and are key stores that lie found?

use factum_core::Timestamp;
use factum_testkit::FreshKeyStores;
use factum_testkit::key_store::model::{run, worth};
use factum_vault::{
    Created, ErasureId, Fence, Found, Holdings, Identity, KekEpoch, KeyId, KeyOwner, KeyStore, KeyStoreError,
    KeySummary, Latest, Lease, LedgerEntry, MemoryKeyStore, OutsideValue, Purpose, Rewrapped, StoredKey,
    SubjectRef, Watermark, Wrapped,
};
use uuid::Uuid;

fn memory(_test: &str) -> Option<FreshKeyStores> {
    let store = MemoryKeyStore::new();
    Some(FreshKeyStores { open: Box::new(move || Box::new(store.clone())), keep: Box::new(()) })
}

factum_testkit::key_store_conformance!(crate::key_store::memory);

#[test]
fn the_random_operations_are_worth_something() {
    let [made, fenced, refused, destroyed, rewrapped, kept] = worth(4_000, 11);
    let all = (made, fenced, refused, destroyed, rewrapped, kept);
    assert!(made > 20 && fenced > 100 && refused > 100 && destroyed > 20, "{all:?}");
    assert!(rewrapped > 20 && kept > 20, "{all:?}");
}

#[test]
fn every_lie_is_found() {
    for lie in [
        Lie::GivesFencedKeysOut,
        Lie::MakesKeysBehindFences,
        Lie::KeepsValuesOfDestroyedKeys,
        Lie::ResurrectsByRewrapping,
        Lie::ForgetsLiftedFences,
        Lie::ListsOneTooMany,
        Lie::CountsErasedKeys,
    ] {
        let memory = MemoryKeyStore::new();
        let open = move || Box::new(Liar { honest: memory.clone(), lie, last: None }) as Box<dyn KeyStore>;
        let divergence = run(&open, 4_000, 11).expect_err("the lie is found").to_string();
        assert!(divergence.contains("FACTUM_SEED=11"), "{lie:?}: {divergence}");
    }
}

#[test]
fn a_key_store_that_forgets_when_it_is_opened_again_is_found() {
    assert!(run(&|| Box::new(MemoryKeyStore::new()), 400, 11).is_err());
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    GivesFencedKeysOut,
    MakesKeysBehindFences,
    KeepsValuesOfDestroyedKeys,
    ResurrectsByRewrapping,
    ForgetsLiftedFences,
    ListsOneTooMany,
    CountsErasedKeys,
}

struct Liar {
    honest: MemoryKeyStore,
    lie: Lie,
    /// The last live key that was given out, and the last value.
    last: Option<StoredKey>,
}

type Answer<T> = Result<T, KeyStoreError>;

impl KeyStore for Liar {
    fn description(&self) -> String {
        self.honest.description()
    }

    fn identity(&mut self) -> Answer<Option<Identity>> {
        self.honest.identity()
    }

    fn initialise(&mut self, identity: &Identity) -> Answer<Identity> {
        self.honest.initialise(identity)
    }

    fn rewrap_roots(&mut self, from: KekEpoch, to: KekEpoch, roots: &Wrapped) -> Answer<bool> {
        self.honest.rewrap_roots(from, to, roots)
    }

    fn latest(&mut self, owner: &KeyOwner) -> Answer<Latest> {
        let latest = self.honest.latest(owner)?;
        Ok(match (self.lie, latest) {
            (Lie::MakesKeysBehindFences, Latest::Fenced(_)) => Latest::None { generation: 1 },
            (_, latest) => latest,
        })
    }

    fn create(&mut self, key: &StoredKey, succeeds: Option<KeyId>) -> Answer<Created> {
        let created = self.honest.create(key, succeeds)?;
        if created == Created::New {
            self.last = Some(key.clone());
        }
        Ok(created)
    }

    fn find(&mut self, ids: &[KeyId]) -> Answer<Vec<Found>> {
        let mut found = self.honest.find(ids)?;
        if let (Lie::GivesFencedKeysOut, Some(last)) = (self.lie, &self.last) {
            for (id, found) in ids.iter().zip(&mut found) {
                if *id == last.id {
                    *found = Found::Live(last.clone());
                }
            }
        }
        Ok(found)
    }

    fn keys_of(&mut self, subject: SubjectRef) -> Answer<Vec<KeySummary>> {
        self.honest.keys_of(subject)
    }

    fn made_before(
        &mut self,
        purpose: &Purpose,
        before: Timestamp,
        after: Option<KeyId>,
        limit: usize,
    ) -> Answer<Vec<KeySummary>> {
        self.honest.made_before(purpose, before, after, limit)
    }

    fn holdings(&mut self) -> Answer<Holdings> {
        let mut holdings = self.honest.holdings()?;
        if self.lie == Lie::CountsErasedKeys {
            holdings.live += holdings.fenced;
        }
        if self.lie == Lie::KeepsValuesOfDestroyedKeys {
            holdings.values = holdings.values.max(1);
        }
        Ok(holdings)
    }

    fn fence(&mut self, fence: &Fence) -> Answer<LedgerEntry> {
        self.honest.fence(fence)
    }

    fn destroy(&mut self, erasure: ErasureId) -> Answer<Vec<KeyId>> {
        self.honest.destroy(erasure)
    }

    fn lift(&mut self, erasure: ErasureId) -> Answer<bool> {
        if self.lie == Lie::ForgetsLiftedFences { Ok(true) } else { self.honest.lift(erasure) }
    }

    fn watermark(&mut self) -> Answer<Watermark> {
        self.honest.watermark()
    }

    fn ledger(&mut self, after: Watermark, limit: usize) -> Answer<Vec<LedgerEntry>> {
        let one_more = usize::from(self.lie == Lie::ListsOneTooMany);
        self.honest.ledger(after, limit + one_more)
    }

    fn renew(&mut self, lease: &Lease) -> Answer<()> {
        self.honest.renew(lease)
    }

    fn end_lease(&mut self, node: Uuid) -> Answer<()> {
        self.honest.end_lease(node)
    }

    fn leases(&mut self, now: Timestamp) -> Answer<Vec<Lease>> {
        self.honest.leases(now)
    }

    fn wrapped_otherwise(
        &mut self,
        epoch: KekEpoch,
        after: Option<KeyId>,
        limit: usize,
    ) -> Answer<Vec<StoredKey>> {
        self.honest.wrapped_otherwise(epoch, after, limit)
    }

    fn rewrap(&mut self, keys: &[Rewrapped]) -> Answer<u64> {
        let changed = self.honest.rewrap(keys)?;
        Ok(if self.lie == Lie::ResurrectsByRewrapping { keys.len() as u64 } else { changed })
    }

    fn keep_values(&mut self, values: &[OutsideValue]) -> Answer<()> {
        self.honest.keep_values(values)
    }

    fn values(&mut self, ids: &[Uuid]) -> Answer<Vec<Option<Vec<u8>>>> {
        self.honest.values(ids)
    }
}

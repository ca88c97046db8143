//! Are a hundred thousand keys as good as ten?

use factum_core::Timestamp;
use factum_vault::{KeyId, KeyStore, MAX_KEY_BATCH, Purpose, Rewrapped, StoredKey, Wrapped};
use rusqlite::{Connection, params};

use crate::key_fixture::{E1, E2, Fixture, fence, id, key, make, owner, traces};

const KEYS: u64 = 100_000;

/// A key store with so many keys: ten for each subject, one of them for a purpose, in the order in which subjects come.
fn filled() -> Fixture {
    let fixture = Fixture::new();
    let connection = Connection::open(fixture.database()).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA secure_delete = ON; BEGIN").unwrap();
    {
        let mut slot = connection.prepare("INSERT INTO slots (used, bytes) VALUES (1, ?1)").unwrap();
        let text = "INSERT INTO keys (id, subject, purpose, generation, created, epoch, slot) \
                    VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)";
        let mut row = connection.prepare(text).unwrap();
        for number in 0..KEYS {
            let key = key(number, &owner(number % (KEYS / 10)), 1 + (number / (KEYS / 10)) as u32);
            let slot = slot.insert([key.wrapped.0]).unwrap();
            let purpose = if key.generation == 10 { "marketing" } else { "" };
            let (created, subject) = (number.cast_signed(), key.owner.subject.0);
            row.execute(params![key.id.0, subject, purpose, key.generation, created, slot]).unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
    fixture
}

#[test]
fn a_hundred_thousand_keys_are_erased_and_rotated() {
    let closed = filled().close();
    let mut store = closed.open().unwrap();
    assert_eq!(store.holdings().unwrap().live, KEYS);
    let wrapped = |number: u64| key(number, &owner(0), 1).wrapped.0;
    // Subject 77 is forgotten: its ten keys, and no other.
    let secrets: Vec<_> = (0..10).map(|round| wrapped(round * KEYS / 10 + 77)).collect();
    assert_eq!(traces(&closed.path(), &secrets), 10);
    let erasure = fence(&mut store, 1, &owner(77));
    assert_eq!(store.destroy(erasure).unwrap().len(), 10);
    assert_eq!(traces(&closed.path(), &secrets), 0);
    make(&mut store, KEYS + 1, &owner(KEYS));

    // All others are wrapped anew, by as many transactions as there are thousands.
    let anew = |key: &StoredKey| Rewrapped {
        id: key.id,
        from: key.epoch,
        to: E2,
        wrapped: Wrapped(key.wrapped.0.iter().rev().map(|byte| byte ^ 0x5a).collect()),
    };
    let (mut after, mut changed) = (None, 0);
    loop {
        // More than allowed is asked for: it gets as much as allowed.
        let part = store.wrapped_otherwise(E2, after, usize::MAX).unwrap();
        assert!(part.len() <= MAX_KEY_BATCH);
        let Some(last) = part.last() else { break };
        after = Some(last.id);
        changed += store.rewrap(&part.iter().map(anew).collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(changed, KEYS - 10 + 1);
    let old: Vec<_> = (0..KEYS).map(wrapped).collect();
    assert_eq!(traces(&closed.path(), &old), 0);
    assert_eq!(store.wrapped_otherwise(E1, None, 10).unwrap().len(), 10);

    let (mut due, mut after): (u64, Option<KeyId>) = (0, None);
    let marketing = Purpose::new("marketing").unwrap();
    loop {
        let part = store.made_before(&marketing, Timestamp(i64::MAX), after, usize::MAX).unwrap();
        let Some(last) = part.last() else { break };
        (due, after) = (due + part.len() as u64, Some(last.id));
        assert!(part.len() <= MAX_KEY_BATCH);
    }
    assert_eq!(due, KEYS / 10 - 1, "each subject has one, but the one that was forgotten");
    store.check().unwrap();
    let found = store.find(&(0..1_000).map(id).collect::<Vec<_>>()).unwrap();
    assert_eq!(found.iter().filter(|found| matches!(found, factum_vault::Found::Live(_))).count(), 999);
}

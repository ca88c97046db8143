//! Does a key store do what the one in memory does, whatever is asked of it? Random operations on both, every outcome compared.

use std::fmt;

use factum_vault::{
    Created, Extent, Fence, KekEpoch, KeyOwner, KeyStore, KeyStoreError, Latest, Lease, MemoryKeyStore,
    Rewrapped, StoredKey, Watermark,
};
use uuid::Uuid;

use super::KeyStores;
use super::case::{at, erasure, id, identity, key, owner, purpose, subject, value, wrapped};
use crate::model::random::Random;
use crate::model::seed;

/// Operations of one run of the rule.
const OPERATIONS: usize = 400;
/// Subjects that they are about: few, so that operations meet.
const SUBJECTS: u64 = 4;
/// Key numbers that they ask for.
const KEYS: u64 = 40;
const PURPOSES: [&str; 3] = ["", "billing", "marketing"];
/// Operations between two looks at everything.
const LOOK_EVERY: usize = 25;

/// Where a key store and the model first differ.
#[derive(Debug)]
pub struct KeyStoreDivergence {
    seed: u64,
    step: usize,
    operation: String,
    model: String,
    store: String,
}

impl fmt::Display for KeyStoreDivergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, operation, model, store } = self;
        write!(
            f,
            "the key store and the model differ at operation {step} (again with FACTUM_SEED={seed})\n\
             operation: {operation}\nmodel:     {model}\nstore:     {store}"
        )
    }
}

pub fn random_operations_come_to_what_the_model_says(stores: &KeyStores) {
    let open = || stores.open();
    run(&open, OPERATIONS, seed()).unwrap_or_else(|divergence| panic!("{divergence}"));
}

/// Asks the same of a key store and of [`MemoryKeyStore`], and compares the outcomes. Two use the key store in turn, and now
/// and then one of them opens it anew.
///
/// # Errors
/// The first [`KeyStoreDivergence`].
pub fn run(
    open: &dyn Fn() -> Box<dyn KeyStore>,
    operations: usize,
    seed: u64,
) -> Result<(), Box<KeyStoreDivergence>> {
    let mut random = Random::new(seed);
    let mut model = MemoryKeyStore::new();
    let mut handles = [open(), open()];
    for step in 0..operations {
        let which = random.below(2) as usize;
        if random.chance(4) {
            handles[which] = open();
        }
        let operation = Operation::draw(&mut random, &mut model);
        let differ = |operation: String, model: String, store: String| {
            Err(Box::new(KeyStoreDivergence { seed, step, operation, model, store }))
        };
        let (expected, actual) = (operation.apply(&mut model), operation.apply(&mut *handles[which]));
        if expected != actual {
            return differ(format!("{operation:?}"), expected, actual);
        }
        if step % LOOK_EVERY == 0 || step + 1 == operations {
            let (expected, actual) = (look(&mut model), look(&mut *handles[1 - which]));
            if expected != actual {
                return differ(format!("a look at everything after {operation:?}"), expected, actual);
            }
        }
    }
    Ok(())
}

#[derive(Debug)]
enum Operation {
    Initialise(u64),
    RewrapRoots(KekEpoch),
    Latest(KeyOwner),
    Create(StoredKey, Option<u64>),
    Find(Vec<u64>),
    KeysOf(u64),
    MadeBefore(&'static str, i64, Option<u64>, usize),
    Fence(Fence),
    Destroy(u128),
    Lift(u128),
    Ledger(u64, usize),
    Renew(Lease),
    EndLease(u64),
    Leases(i64),
    WrappedOtherwise(KekEpoch, Option<u64>, usize),
    Rewrap(Vec<Rewrapped>),
    KeepValues(Vec<(u64, u64)>),
    Values(Vec<u64>),
}

fn draw_owner(random: &mut Random) -> KeyOwner {
    let of = owner(random.below(SUBJECTS));
    match random.pick(&PURPOSES) {
        "" => of,
        name => of.with_purpose(purpose(name)),
    }
}

fn draw_several<T>(random: &mut Random, most: u64, mut one: impl FnMut(&mut Random) -> T) -> Vec<T> {
    let count = random.below(most + 1);
    (0..count).map(|_| one(random)).collect()
}

fn maybe(random: &mut Random, below: u64) -> Option<u64> {
    if random.chance(50) { Some(random.below(below)) } else { None }
}

fn number_of(key: &StoredKey) -> u64 {
    key.id.0[8..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Operation {
    /// Draws one. What the model holds makes that most keys that are made fit.
    fn draw(random: &mut Random, model: &mut MemoryKeyStore) -> Self {
        let epoch = |random: &mut Random| KekEpoch(1 + random.below(3) as u32);
        let limit = 1 + random.below(5) as usize;
        match random.below(24) {
            0 => Self::Initialise(random.below(3)),
            1 => Self::RewrapRoots(epoch(random)),
            2 => Self::Latest(draw_owner(random)),
            3..=8 => Self::draw_create(random, model),
            9 => Self::Find(draw_several(random, 6, |random| random.below(KEYS))),
            10 => Self::KeysOf(random.below(SUBJECTS)),
            11 => {
                let name = PURPOSES[1 + random.below(2) as usize];
                Self::MadeBefore(name, random.below(KEYS).cast_signed(), maybe(random, KEYS), limit)
            }
            12 | 13 => {
                let name = random.pick(&PURPOSES);
                let up_to = Extent::UpTo(random.below(6) as u32);
                Self::Fence(Fence {
                    erasure: erasure(random.below(30).into()),
                    subject: subject(random.below(SUBJECTS)),
                    purpose: (!name.is_empty()).then(|| purpose(name)),
                    extent: if random.chance(60) { up_to } else { Extent::Everything },
                    at: at(random.below(1_000).cast_signed()),
                })
            }
            14 => Self::Destroy(random.below(30).into()),
            15 => Self::Lift(random.below(30).into()),
            16 => Self::Ledger(random.below(10), limit),
            17 => Self::Renew(Lease {
                node: Uuid::from_u128(random.below(3).into()),
                seen: Watermark(random.below(10)),
                until: at(random.below(100).cast_signed()),
            }),
            18 => Self::EndLease(random.below(4)),
            19 => Self::Leases(random.below(60).cast_signed()),
            20 => Self::WrappedOtherwise(epoch(random), maybe(random, KEYS), limit),
            21 => Self::Rewrap(draw_several(random, 6, |random| Rewrapped {
                id: id(random.below(KEYS)),
                from: epoch(random),
                to: epoch(random),
                wrapped: wrapped(random.next()),
            })),
            22 => Self::KeepValues(draw_several(random, 3, |r| (r.below(30), r.below(KEYS)))),
            _ => Self::Values(draw_several(random, 6, |random| random.below(30))),
        }
    }

    fn draw_create(random: &mut Random, model: &mut MemoryKeyStore) -> Self {
        let of = draw_owner(random);
        let latest = model.latest(&of).unwrap_or(Latest::None { generation: 1 });
        let (mut generation, mut succeeds) = match latest {
            Latest::Live(live) => (live.generation + 1, Some(number_of(&live))),
            Latest::None { generation } => (generation, None),
            Latest::Fenced(_) => (1, None),
        };
        if random.chance(15) {
            generation = random.below(5) as u32;
        }
        if random.chance(15) {
            succeeds = maybe(random, KEYS);
        }
        Self::Create(key(random.below(KEYS), &of, generation), succeeds)
    }

    /// Does it, and gives what came of it without the store's own name.
    fn apply(&self, store: &mut dyn KeyStore) -> String {
        let after = |number: &Option<u64>| number.map(id);
        match self {
            Self::Initialise(vault) => told(store.initialise(&identity((*vault).into()))),
            Self::RewrapRoots(to) => {
                told(store.rewrap_roots(KekEpoch(to.0 % 3 + 1), *to, &wrapped(to.0.into())))
            }
            Self::Latest(owner) => told(store.latest(owner)),
            Self::Create(key, succeeds) => told(store.create(key, after(succeeds))),
            Self::Find(numbers) => {
                told(store.find(&numbers.iter().map(|number| id(*number)).collect::<Vec<_>>()))
            }
            Self::KeysOf(number) => told(store.keys_of(subject(*number))),
            Self::MadeBefore(name, before, from, limit) => {
                told(store.made_before(&purpose(name), at(*before), after(from), *limit))
            }
            Self::Fence(fence) => told(store.fence(fence)),
            Self::Destroy(number) => told(store.destroy(erasure(*number))),
            Self::Lift(number) => told(store.lift(erasure(*number))),
            Self::Ledger(from, limit) => told(store.ledger(Watermark(*from), *limit)),
            Self::Renew(lease) => told(store.renew(lease)),
            Self::EndLease(node) => told(store.end_lease(Uuid::from_u128((*node).into()))),
            Self::Leases(now) => told(store.leases(at(*now)).map(|mut leases| {
                leases.sort_by_key(|lease| lease.node);
                leases
            })),
            Self::WrappedOtherwise(epoch, from, limit) => {
                told(store.wrapped_otherwise(*epoch, after(from), *limit))
            }
            Self::Rewrap(keys) => told(store.rewrap(keys)),
            Self::KeepValues(numbers) => {
                let values: Vec<_> = numbers.iter().map(|(number, of)| value(*number, id(*of))).collect();
                told(store.keep_values(&values))
            }
            Self::Values(numbers) => {
                let ids: Vec<_> = numbers.iter().map(|number| Uuid::from_u128((*number).into())).collect();
                told(store.values(&ids))
            }
        }
    }
}

fn told<T: fmt::Debug>(result: Result<T, KeyStoreError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(KeyStoreError::NoSuchErasure { erasure, .. }) => format!("no erasure {erasure}"),
        Err(KeyStoreError::NotLive { key, .. }) => format!("{key} is not live"),
        Err(other) => format!("failed: {other}"),
    }
}

/// Everything that can be asked.
fn look(store: &mut dyn KeyStore) -> String {
    let ids: Vec<_> = (0..KEYS).map(id).collect();
    let values: Vec<_> = (0..30).map(Uuid::from_u128).collect();
    let mut all = vec![
        told(store.identity()),
        told(store.holdings()),
        told(store.watermark()),
        told(store.ledger(Watermark(0), 1_000)),
        told(store.find(&ids)),
        told(store.values(&values)),
        told(store.wrapped_otherwise(KekEpoch(0), None, 1_000)),
    ];
    for number in 0..SUBJECTS {
        all.push(told(store.keys_of(subject(number))));
        for name in PURPOSES {
            let owner = match name {
                "" => owner(number),
                name => owner(number).with_purpose(purpose(name)),
            };
            all.push(told(store.latest(&owner)));
        }
    }
    all.join("\n")
}

/// What a run of random operations came to in the model, so that a test can tell that it was worth something.
#[doc(hidden)]
pub fn worth(operations: usize, seed: u64) -> [usize; 6] {
    let mut random = Random::new(seed);
    let mut model = MemoryKeyStore::new();
    let mut counts = [0; 6];
    for _ in 0..operations {
        let operation = Operation::draw(&mut random, &mut model);
        let counted = match &operation {
            Operation::Create(key, succeeds) => match model.create(key, succeeds.map(id)) {
                Ok(Created::New) => 0,
                Ok(Created::Fenced(_)) => 1,
                _ => 2,
            },
            Operation::Destroy(number) => match model.destroy(erasure(*number)) {
                Ok(keys) if !keys.is_empty() => 3,
                _ => continue,
            },
            Operation::Rewrap(keys) => match model.rewrap(keys) {
                Ok(changed) if changed > 0 => 4,
                _ => continue,
            },
            Operation::KeepValues(_) => match operation.apply(&mut model).as_str() {
                "()" => 5,
                _ => continue,
            },
            other => {
                other.apply(&mut model);
                continue;
            }
        };
        counts[counted] += 1;
    }
    counts
}

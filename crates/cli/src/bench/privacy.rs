//! Personal data: sealing and opening a field, folding events with two of them, erasing a subject, rotating many keys.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use factum::{Codec, Event, Personal, Revealed};
use factum_core::{
    Append, EventReader, EventStore, ExpectedRevision, Read, Selector, StreamName, SystemClock, block_on,
};
use factum_engine::{Create, Engine, Options};
use factum_sqlite::SqliteKeyStore;
use factum_vault::{
    Created, DATA_KEY_BYTES, DataKey, ErasureRequest, KekProvider, KeyId, KeyOwner, KeyStore, KeyVault,
    LocalKeyFile, MAX_WRAP_BATCH, Place, SealingStore, StoredKey, Subject, SubjectRef, ToWrap, VaultOptions,
    encrypt_bare, open, seal,
};

use super::report::percentiles;
use super::{BenchResult, Report, Row};

/// Events that are folded.
const FOLDED: u64 = 1_000_000;
/// Subjects that they are about.
const SUBJECTS: u64 = 1_000;
/// Events of one append while a store is filled.
const BATCH: u64 = 1_000;
/// Events of the subject that is erased.
const ERASED: u64 = 10_000;
/// Keys that are wrapped anew.
const ROTATED: u64 = 100_000;
/// Fields that are sealed and opened.
const FIELDS: usize = 200_000;

#[derive(Clone, Debug, Event)]
enum Plain {
    #[event(name = "Registered")]
    Registered { customer: String, name: String, mail: String, amount: i64 },
}

#[derive(Clone, Debug, Event)]
enum Sealed {
    #[event(name = "Registered")]
    Registered {
        customer: String,
        #[personal(subject = "customer")]
        name: Personal<String>,
        #[personal(subject = "customer")]
        mail: Personal<String>,
        amount: i64,
    },
}

pub(super) fn run(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    fields(report)?;
    folds(scratch, report)?;
    erasure(scratch, report)?;
    rotation(scratch, report)
}

/// One field of 32 bytes, with its key at hand.
fn fields(report: &mut Report) -> BenchResult<()> {
    let json = br#""Ada Lovelace, 10 St James's Sq""#;
    let key = DataKey::new(KeyId([1; 16]), KeyOwner::of(SubjectRef([2; 16])), &[3; DATA_KEY_BYTES]);
    let place = Place {
        tenant: "default",
        stream: "customer-17",
        event_id: &[4; 16],
        event_type: "Registered",
        pointer: "/name",
        partial: b"",
    };
    let bare = {
        let mut bytes = *json;
        encrypt_bare(&mut bytes, FIELDS / 10);
        let start = Instant::now();
        encrypt_bare(&mut bytes, FIELDS);
        FIELDS as f64 / start.elapsed().as_secs_f64()
    };
    let mut times = Vec::with_capacity(FIELDS);
    let mut sealed = seal(&key, &place, json)?;
    for _ in 0..FIELDS {
        let start = Instant::now();
        sealed = seal(&key, &place, json)?;
        times.push(start.elapsed());
    }
    field_row("seal: one field of 32 bytes, key in memory", &mut times, bare, report)?;
    times.clear();
    for _ in 0..FIELDS {
        let start = Instant::now();
        std::hint::black_box(open(&key, &place, &sealed.salt, &sealed.bytes)?);
        times.push(start.elapsed());
    }
    field_row("open: one field of 32 bytes, key in memory", &mut times, bare, report)
}

fn field_row(what: &str, times: &mut [Duration], bare: f64, report: &mut Report) -> BenchResult<()> {
    let value = times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
    let limit = Some(("AES-256-GCM alone, one key".to_owned(), bare));
    report.row(&Row {
        what: what.to_owned(),
        value,
        unit: "fields/s",
        limit,
        target: "<= 3 us each",
        latency: percentiles(times),
    })
}

/// A log, its vault, and the files of both.
struct House {
    engine: Engine,
    store: SealingStore,
}

fn house(at: &Path) -> BenchResult<House> {
    std::fs::create_dir_all(at)?;
    let engine = Engine::open(at.join("log"), Options { create: Create::IfMissing, ..Options::default() })?;
    let kek = LocalKeyFile::create(at.join("kek"), Arc::new(SystemClock))?;
    let keys = SqliteKeyStore::create(at.join("keys"))?;
    let log: Arc<dyn EventStore> = Arc::new(engine.clone());
    let (vault, _) = block_on(KeyVault::open(VaultOptions::new(Box::new(keys), Box::new(kek)), &*log))?;
    Ok(House { engine, store: SealingStore::new(log, vault) })
}

fn folds(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    let House { engine, store } = house(&scratch.join("fold"))?;
    let (plain, sealed) = (StreamName::new("plain-1")?, StreamName::new("sealed-1")?);
    let codecs = (Codec::<Plain>::new()?, Codec::<Sealed>::new()?);
    let text = |n: u64| (format!("c{}", n % SUBJECTS), format!("Customer {n}"), format!("c{n}@example.org"));
    let start = Instant::now();
    for from in (0..FOLDED).step_by(BATCH as usize) {
        let plain_events: Result<Vec<_>, _> = (from..from + BATCH)
            .map(|n| {
                let (customer, name, mail) = text(n);
                codecs.0.encode(&Plain::Registered { customer, name, mail, amount: 1 })
            })
            .collect();
        engine.append_blocking(Append::to(plain.clone(), ExpectedRevision::Any, plain_events?))?;
        let sealed_events: Result<Vec<_>, _> = (from..from + BATCH)
            .map(|n| {
                let (customer, name, mail) = text(n);
                let (name, mail) = (Personal::new(name), Personal::new(mail));
                codecs.1.encode(&Sealed::Registered { customer, name, mail, amount: 1 })
            })
            .collect();
        block_on(store.append(Append::to(sealed.clone(), ExpectedRevision::Any, sealed_events?)))?;
    }
    report.row(&Row {
        what: format!("fill: {FOLDED} events, and as many with two sealed fields of {SUBJECTS} subjects"),
        value: 2.0 * FOLDED as f64 / start.elapsed().as_secs_f64(),
        unit: "events/s",
        limit: None,
        target: "",
        latency: None,
    })?;
    let fold_plain = || {
        fold(&engine, &plain, |event, sum| {
            let Plain::Registered { name, mail, amount, .. } = codecs.0.decode(event)?;
            *sum += amount + (name.len() + mail.len()) as i64;
            Ok(())
        })
    };
    let fold_sealed = || {
        fold(&store, &sealed, |event, sum| {
            let Sealed::Registered { name, mail, amount, .. } = codecs.1.decode(event)?;
            let (Revealed::Value(name), Revealed::Value(mail)) = (name.read()?, mail.read()?) else {
                return Err("nobody was erased".into());
            };
            *sum += amount + (name.len() + mail.len()) as i64;
            Ok(())
        })
    };
    fold_plain()?;
    let (limit, expected) = fold_plain()?;
    fold_sealed()?;
    let (value, sum) = fold_sealed()?;
    if sum != expected {
        return Err("the folds differ".into());
    }
    report.row(&Row {
        what: format!("fold: {FOLDED} events with two personal fields each"),
        value,
        unit: "events/s",
        limit: Some(("the same fold without".to_owned(), limit)),
        target: "0.25 x",
        latency: None,
    })
}

/// Folds a stream on this thread.
fn fold(
    store: &dyn EventStore,
    stream: &StreamName,
    mut apply: impl FnMut(&factum_core::RecordedEvent, &mut i64) -> BenchResult<()>,
) -> BenchResult<(f64, i64)> {
    let start = Instant::now();
    let (mut events, mut sum) = (0_u64, 0);
    let mut reader: Box<dyn EventReader> =
        block_on(store.read(Read::forwards(Selector::Stream(stream.clone()))))?;
    while let Some(page) = block_on(reader.next_page())? {
        events += page.events.len() as u64;
        page.events.iter().try_for_each(|event| apply(event, &mut sum))?;
    }
    Ok((events as f64 / start.elapsed().as_secs_f64(), sum))
}

fn erasure(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    let House { engine, store } = house(&scratch.join("erase"))?;
    let codec = Codec::<Sealed>::new()?;
    let stream = StreamName::new("customer-1")?;
    for from in (0..ERASED).step_by(BATCH as usize) {
        let events: Result<Vec<_>, _> = (from..from + BATCH)
            .map(|n| {
                let (name, mail) =
                    (Personal::new(format!("Ada {n}")), Personal::new("a@example.org".to_owned()));
                codec.encode(&Sealed::Registered { customer: "ada".to_owned(), name, mail, amount: 1 })
            })
            .collect();
        block_on(store.append(Append::to(stream.clone(), ExpectedRevision::Any, events?)))?;
    }
    let vault = store.vault();
    let subject = vault.subject_ref(&Subject::new("ada")?);
    let start = Instant::now();
    let preview = block_on(vault.preview(&engine, subject, None))?;
    let request = ErasureRequest::everything(subject, "measured", "bench");
    let receipt = block_on(vault.erase(&engine, &request, &[]))?;
    let took = start.elapsed();
    receipt.verify(&vault.receipt_key())?;
    if preview.events != ERASED {
        return Err(format!("{} of {ERASED} events were found", preview.events).into());
    }
    report.row(&Row {
        what: format!("erase: a subject with {ERASED} events, counted first, receipt included"),
        value: took.as_secs_f64() * 1e3,
        unit: "ms",
        limit: None,
        target: "< 1 s",
        latency: None,
    })
}

fn rotation(scratch: &Path, report: &mut Report) -> BenchResult<()> {
    let at = scratch.join("rotate");
    let House { engine, store } = house(&at)?;
    drop(store);
    // Keys as the vault makes them, without an event for each.
    let mut keys = SqliteKeyStore::open(at.join("keys"))?;
    let mut kek = LocalKeyFile::open(at.join("kek"), Arc::new(SystemClock))?;
    let identity = keys.identity()?.ok_or("the vault is there")?;
    for from in (0..ROTATED).step_by(MAX_WRAP_BATCH) {
        let ids: Vec<KeyId> = (from..from + MAX_WRAP_BATCH as u64).map(key_id).collect();
        let owner = |id: &KeyId| KeyOwner::of(SubjectRef(id.0));
        let label = |id: &KeyId| format!("factum/key/v1|{}|{id}|{}", identity.vault, owner(id)).into_bytes();
        let labels: Vec<Vec<u8>> = ids.iter().map(label).collect();
        let secrets: Vec<ToWrap<'_>> =
            labels.iter().map(|label| ToWrap { secret: &[7; DATA_KEY_BYTES], label }).collect();
        let created = factum_core::Timestamp(0);
        let stored: Vec<StoredKey> = ids
            .iter()
            .zip(kek.wrap(identity.epoch, &secrets)?)
            .map(|(id, wrapped)| StoredKey {
                id: *id,
                owner: owner(id),
                generation: 1,
                wrapped,
                epoch: identity.epoch,
                created,
            })
            .collect();
        if keys.create_many(&stored)?.iter().any(|answer| *answer != Created::New) {
            return Err("a key that is new was there".into());
        }
    }
    let options = VaultOptions::new(Box::new(keys), Box::new(kek));
    let (vault, _) = block_on(KeyVault::open(options, &engine))?;
    let start = Instant::now();
    let rotated = block_on(vault.rotate(&engine, |_| {}))?;
    let took = start.elapsed();
    if (rotated.keys, rotated.unreadable) != (ROTATED, 0) {
        return Err(format!("{rotated:?}").into());
    }
    report.row(&Row {
        what: format!("rotate: {ROTATED} keys, key file and SQLite"),
        value: took.as_secs_f64(),
        unit: "s",
        limit: None,
        target: "< 30 s",
        latency: None,
    })
}

fn key_id(n: u64) -> KeyId {
    let mut id = [9; 16];
    // The low bytes first: in the order of ids the keys are mixed, as random ones are.
    id[..8].copy_from_slice(&n.to_le_bytes());
    KeyId(id)
}

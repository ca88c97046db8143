//! Does a log that was put back from before an erasure stay closed until it knows of it, and is nobody back then?

use std::sync::Arc;

use factum_core::{
    Append, ErrorKind, EventStore, EventStoreExt, ExpectedRevision, MemoryStore, NewEvent, Read, Selector,
    block_on,
};
use factum_vault::{
    ErasureRequest, KeyVault, Ledger, LedgerCopy, LedgerCopyError, MemoryKeyStore, OnRestore, PRIVACY_STREAM,
    SealingStore, VaultError, VaultOptions,
};
use serde_json::json;

use crate::house::{House, append, fresh, last, outcome, stream, subject};

/// A house with a customer who was erased after `keys` and `log` were copied.
struct Before {
    house: House,
    keys: MemoryKeyStore,
    log: Arc<MemoryStore>,
    erasure: factum_vault::ErasureId,
}

impl Before {
    fn new(backup: fn(&MemoryStore) -> MemoryStore) -> Self {
        let house = House::new();
        let store = house.open();
        append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
        append(&store, "c-2", &json!({ "name": fresh("bob", &json!("Bob")) })).unwrap();
        let (keys, log) = (house.keys.copy(), Arc::new(backup(&house.log)));
        let asked = ErasureRequest::everything(store.vault().subject_ref(&subject("ada")), "art. 17", "dpo");
        block_on(store.vault().erase(&*house.log, &asked, &[])).unwrap();
        Self { house, keys, log, erasure: asked.erasure }
    }

    fn open(&self, keys: &MemoryKeyStore, restored: OnRestore) -> Result<SealingStore, VaultError> {
        let options = VaultOptions { restored, ..self.house.options(keys.clone()) };
        let (vault, _) = block_on(KeyVault::open(options, &*self.log))?;
        Ok(SealingStore::new(self.log.clone(), vault))
    }

    fn ledger(&self) -> LedgerCopy {
        let copy = block_on(LedgerCopy::of(&*self.house.log)).unwrap().unwrap();
        let text: String = copy.lines().map(|line| line + "\n").collect();
        assert_eq!(LedgerCopy::parse(&text).unwrap(), copy, "it is the same in a file");
        copy
    }
}

fn accepted() -> OnRestore {
    OnRestore::AcceptResurrection { reason: "disk lost".to_owned(), actor: "dpo".to_owned() }
}

/// Whose names open.
fn names(store: &SealingStore) -> [String; 2] {
    ["c-1", "c-2"].map(|stream| outcome(&last(store, stream), "name"))
}

const NOBODY_IS_BACK: [&str; 2] = ["erased", "value \"Bob\""];

#[test]
fn a_log_from_before_an_erasure_is_refused_by_the_key_store_that_knows_of_it() {
    let before = Before::new(MemoryStore::copy);
    for restored in [OnRestore::Refuse, OnRestore::LedgerApplied { actor: "dpo".to_owned() }] {
        let error = before.open(&before.house.keys, restored).unwrap_err();
        let VaultError::LogBehind { missing: 1, newest, .. } = &error else { panic!("{error}") };
        assert_eq!((*newest, error.kind()), (before.erasure, ErrorKind::Conflict));
    }
    // With what it lacks it is served, and the projections come to the erasure again.
    let applied = block_on(before.ledger().apply(&*before.log)).unwrap();
    assert_eq!((applied.added, applied.erasures), (3, 1));
    let store = before.open(&before.house.keys, OnRestore::Refuse).unwrap();
    assert_eq!(names(&store), NOBODY_IS_BACK);
    let told = block_on(before.log.read_all(Read::forwards(Selector::All))).unwrap();
    assert!(told.iter().any(|event| event.event_type() == "$keysDestroyed"));
}

#[test]
fn both_restored_from_before_an_erasure_bring_nobody_back() {
    let before = Before::new(MemoryStore::restored);
    let error = before.open(&before.keys, OnRestore::Refuse).unwrap_err();
    assert!(matches!(error, VaultError::LogRestored { epoch: 1, erasures: 0 }), "{error}");
    let ledger = before.ledger();
    block_on(ledger.apply(&*before.log)).unwrap();
    let error = before.open(&before.keys, OnRestore::Refuse).unwrap_err();
    assert!(matches!(error, VaultError::LogRestored { erasures: 1, .. }), "somebody has to say so: {error}");
    let store = before.open(&before.keys, OnRestore::LedgerApplied { actor: "dpo".to_owned() }).unwrap();
    assert_eq!(names(&store), NOBODY_IS_BACK);
    drop(store);
    // Once is enough, and the receipt is there again.
    let store = before.open(&before.keys, OnRestore::Refuse).unwrap();
    let known = block_on(Ledger::read(&*before.log)).unwrap();
    let receipt = known.find(before.erasure).unwrap().receipt.clone().unwrap();
    assert_eq!(receipt.verify(&store.vault().receipt_key()), Ok(()));
    assert_eq!(block_on(store.vault().still_open(&receipt.receipt)).unwrap(), []);
    assert_eq!(block_on(ledger.apply(&*before.log)).unwrap().added, 0, "applied again, it changes nothing");
}

#[test]
fn without_a_ledger_somebody_answers_for_it_and_that_stays_in_the_log() {
    // What the key store destroyed stays so; what it does not know is back.
    for (keys, ada) in [(true, "erased"), (false, "value \"Ada\"")] {
        let before = Before::new(MemoryStore::restored);
        let keys = if keys { before.house.keys.clone() } else { before.keys.clone() };
        let nobody = OnRestore::AcceptResurrection { reason: " ".to_owned(), actor: "dpo".to_owned() };
        assert_eq!(before.open(&keys, nobody).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(names(&before.open(&keys, accepted()).unwrap()), [ada, "value \"Bob\""]);
        assert_eq!(names(&before.open(&keys, OnRestore::Refuse).unwrap()), [ada, "value \"Bob\""]);
        let told = block_on(before.log.read_all(Read::stream(stream(PRIVACY_STREAM)))).unwrap();
        let told: serde_json::Value = serde_json::from_slice(told.last().unwrap().data_slice()).unwrap();
        assert_eq!((&told["how"], &told["reason"]), (&json!("accepted"), &json!("disk lost")));
        assert_eq!(told["missing"].as_array().unwrap().len(), usize::from(ada == "erased"));
    }
}

#[test]
fn a_backup_that_knows_everything_is_only_asked_about_once() {
    let before = Before::new(MemoryStore::restored);
    let house = &before.house;
    let open = |log: &MemoryStore, restored| {
        let options = VaultOptions { restored, ..house.options(house.keys.clone()) };
        block_on(KeyVault::open(options, log)).map(|(_, opened)| opened.reapplied)
    };
    let log = house.log.restored();
    assert!(matches!(open(&log, OnRestore::Refuse), Err(VaultError::LogRestored { erasures: 1, .. })));
    assert_eq!(open(&log, accepted()).unwrap(), 0);
    assert_eq!(open(&log, OnRestore::Refuse).unwrap(), 0);
    // A backup of the restored log is another one to ask about.
    assert!(open(&log.restored(), OnRestore::Refuse).is_err());
    // And the log that was never put back never is.
    assert_eq!(open(&house.log, OnRestore::Refuse).unwrap(), 0);
}

#[test]
fn a_copy_that_was_cut_off_changed_or_is_of_another_log_is_not_applied() {
    let before = Before::new(MemoryStore::restored);
    let lines: Vec<String> = before.ledger().lines().collect();
    let parse = |lines: &[String]| LedgerCopy::parse(&lines.join("\n"));
    for cut in 0..lines.len() {
        let error = parse(&lines[..cut]).unwrap_err();
        assert!(matches!(error, LedgerCopyError::Malformed { .. }), "{cut}: {error}");
    }
    for line in 1..lines.len() {
        let mut changed = lines.clone();
        let mut event: serde_json::Value = serde_json::from_str(&lines[line]).unwrap();
        event["data"]["more"] = json!(1);
        if event["type"] == "$subjectErased" {
            event["data"]["receipt"]["more"] = json!(1);
        }
        changed[line] = event.to_string();
        let error = parse(&changed).unwrap_err();
        assert!(matches!(error, LedgerCopyError::NotGenuine { line: found } if found == line + 1), "{error}");
    }
    for garbage in ["", "{}", "[]", "{\"factumLedger\":2}", "\u{0}", "{\"factumLedger\":1,\"log\":7}"] {
        assert!(LedgerCopy::parse(garbage).is_err(), "{garbage}");
    }
    let other = House::new();
    drop(other.open());
    let error = block_on(before.ledger().apply(&*other.log)).unwrap_err();
    assert!(matches!(error, LedgerCopyError::OtherLog { .. }), "{error}");
    // A vault that was not this log's cannot speak for it, whatever log it names.
    let forged = block_on(LedgerCopy::of(&*other.log)).unwrap().unwrap();
    let forged: Vec<String> = forged.lines().collect();
    let ours = before.ledger().log.to_string();
    let forged = forged.join("\n").replacen(&forged_log(&forged[0]), &ours, 1);
    let error = block_on(LedgerCopy::parse(&forged).unwrap().apply(&*before.log)).unwrap_err();
    assert!(matches!(error, LedgerCopyError::NotGenuine { line: 1 }), "{error}");
    assert_eq!(block_on(Ledger::read(&*before.log)).unwrap().erasures, []);
}

fn forged_log(first: &str) -> String {
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    first["log"].as_str().unwrap().to_owned()
}

#[test]
fn an_event_that_took_the_id_of_an_erasure_does_not_hide_it() {
    let before = Before::new(MemoryStore::restored);
    let real = block_on(before.house.log.read_all(Read::stream(stream(PRIVACY_STREAM)))).unwrap();
    let asked = real.iter().find(|event| event.event_type() == "$erasureRequested").unwrap();
    let event_type = factum_core::EventType::new("$other").unwrap();
    let forged = NewEvent::json(event_type, "{}").with_id(asked.id());
    let append = Append::to(stream(PRIVACY_STREAM), ExpectedRevision::Any, vec![forged]);
    block_on(before.log.append(append)).unwrap();
    match block_on(before.ledger().apply(&*before.log)) {
        // It is applied, or said not to be.
        Ok(applied) => assert_eq!(applied.erasures, 1),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Conflict), "{error}"),
    }
}

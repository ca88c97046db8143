//! A log, its vault, and a clock that moves when it is told to.

use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, Clock, EventStore, EventStoreExt, EventType, ExpectedRevision,
    ManualClock, MemoryStore, NewEvent, Page, Read, RecordedEvent, Selector, StreamName, Timestamp, block_on,
};
use factum_vault::{
    KeyStore, KeyVault, LocalKeyFile, MemoryKeyStore, Opened, SealingStore, Subject, VaultError, VaultOptions,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct House {
    pub(crate) log: Arc<MemoryStore>,
    pub(crate) keys: MemoryKeyStore,
    pub(crate) clock: Arc<ManualClock>,
    directory: TempDir,
}

pub(crate) const START: &str = "2026-11-27T10:00:00Z";

impl House {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::parse(START).unwrap()));
        let directory = tempfile::tempdir().unwrap();
        LocalKeyFile::create(directory.path().join("kek"), clock.clone()).unwrap();
        let log = Arc::new(MemoryStore::with_clock(clock.clone()));
        Self { log, keys: MemoryKeyStore::new(), clock, directory }
    }

    pub(crate) fn key_file(&self) -> std::path::PathBuf {
        self.directory.path().join("kek")
    }

    pub(crate) fn kek(&self) -> LocalKeyFile {
        LocalKeyFile::open(self.key_file(), self.clock.clone()).unwrap()
    }

    pub(crate) fn options(&self, keys: impl KeyStore + 'static) -> VaultOptions {
        let clock: Arc<dyn Clock> = self.clock.clone();
        VaultOptions { clock, ..VaultOptions::new(Box::new(keys), Box::new(self.kek())) }
    }

    pub(crate) fn try_open(&self, options: VaultOptions) -> Result<(KeyVault, Opened), VaultError> {
        block_on(KeyVault::open(options, &*self.log))
    }

    /// Another process with the same key store.
    pub(crate) fn open(&self) -> SealingStore {
        self.sealing(self.try_open(self.options(self.keys.clone())).unwrap().0)
    }

    pub(crate) fn sealing(&self, vault: KeyVault) -> SealingStore {
        SealingStore::new(self.log.clone(), vault)
    }

    /// Every byte of every event in the log, as it is stored.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let events = block_on(self.log.read_all(Read::forwards(Selector::All))).unwrap();
        events.iter().flat_map(|event| event.body().to_vec()).collect()
    }
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub(crate) fn subject(id: &str) -> Subject {
    Subject::new(id).unwrap()
}

/// A personal value as typed code writes it.
pub(crate) fn fresh(subject: &str, value: &Value) -> Value {
    json!({ "$personal": { "s": subject, "v": value } })
}

pub(crate) fn event(data: &Value) -> NewEvent {
    NewEvent::json(EventType::new("Registered").unwrap(), data.to_string())
}

pub(crate) fn append(store: &dyn EventStore, name: &str, data: &Value) -> Result<Appended, AppendError> {
    block_on(store.append(Append::to(stream(name), ExpectedRevision::Any, vec![event(data)])))
}

pub(crate) fn read(store: &dyn EventStore, name: &str) -> Vec<RecordedEvent> {
    block_on(async {
        let mut reader = store.read(Read::stream(stream(name))).await.unwrap();
        let mut events = Vec::new();
        while let Some(Page { events: page, .. }) = reader.next_page().await.unwrap() {
            events.extend(page);
        }
        events
    })
}

/// The data of the stream's last event.
pub(crate) fn last(store: &dyn EventStore, name: &str) -> Value {
    serde_json::from_slice(read(store, name).last().unwrap().data_slice()).unwrap()
}

/// What became of the value under this member: `value ..`, `erased` or `unavailable ..`.
pub(crate) fn outcome(data: &Value, member: &str) -> String {
    let marker = &data[member]["$personal"];
    if let Some(value) = marker.get("v") {
        return format!("value {value}");
    }
    if marker.get("e").is_some() {
        return "erased".to_owned();
    }
    format!("unavailable {}", marker["u"].as_str().unwrap_or("?"))
}

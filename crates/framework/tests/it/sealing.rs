//! A store that seals personal values as the vault does, without secrecy: for tests of what typed code sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore,
    MemoryStore, NewEvent, PERSONAL_MEMBER, Page, Read, ReadError, ReadHead, RecordedEvent, Subscribe,
    Subscription,
};
use factum_vault::{
    Body, Content, Envelope, ErasureId, KeyId, KeyOwner, Marker, SALT_BYTES, SEALED_MEMBER, Sealed, Subject,
    SubjectRef, Unavailable, find_objects,
};

type Keys = HashMap<KeyId, (KeyOwner, Option<ErasureId>)>;

/// A store in memory behind something like a vault.
#[derive(Clone, Default)]
pub(crate) struct Sealing {
    /// What the log has.
    pub(crate) store: MemoryStore,
    keys: Arc<Mutex<Keys>>,
    down: Arc<Mutex<bool>>,
}

fn key_of(subject: &Subject) -> KeyId {
    let mut id = [0; 16];
    for (byte, of) in id.iter_mut().zip(subject.expose().bytes()) {
        *byte = of;
    }
    KeyId(id)
}

impl Sealing {
    pub(crate) fn erase(&self, subject: &str) -> ErasureId {
        let erasure = ErasureId::generate();
        let key = key_of(&Subject::new(subject).unwrap());
        self.keys.lock().unwrap().get_mut(&key).unwrap().1 = Some(erasure);
        erasure
    }

    pub(crate) fn set_down(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }

    fn seal(&self, event: &NewEvent) -> NewEvent {
        let envelope = |marker: &[u8]| {
            let marker = Marker::parse(marker).unwrap();
            let here =
                |value: &str| Body::Here(Sealed { salt: [0; SALT_BYTES], bytes: value.as_bytes().to_vec() });
            let (key, body) = match &marker.content {
                Content::Fresh { subject, purpose, value, .. } => {
                    let key = key_of(subject);
                    let owner = KeyOwner { subject: SubjectRef(key.0), purpose: purpose.clone() };
                    self.keys.lock().unwrap().entry(key).or_insert((owner, None));
                    (key, here(value))
                }
                Content::Opened { key, value, .. } => (*key, here(value)),
                Content::Erased { key, .. } => (*key, Body::Erased),
                Content::Unavailable(why) => panic!("an unavailable value is to be written: {why}"),
            };
            let mut text = Vec::new();
            Envelope { key, body, partial: marker.partial }.write(&mut text);
            text
        };
        NewEvent { data: replaced(&event.data, PERSONAL_MEMBER, envelope).into(), ..event.clone() }
    }

    fn open(&self, event: &RecordedEvent) -> RecordedEvent {
        let marker = |envelope: &[u8]| {
            let envelope = Envelope::parse(envelope).unwrap();
            let (owner, erased) = self.keys.lock().unwrap()[&envelope.key].clone();
            let key = envelope.key;
            let value = match &envelope.body {
                Body::Here(sealed) => String::from_utf8(sealed.bytes.clone()).unwrap(),
                _ => String::new(),
            };
            let content = match erased {
                _ if *self.down.lock().unwrap() => Content::Unavailable(Unavailable::VaultDown),
                Some(erasure) => Content::Erased { key, owner: Some(owner), erasure },
                None => Content::Opened { key, owner, keep: factum_vault::Keep::InEvent, value: &value },
            };
            let mut text = Vec::new();
            Marker { content, partial: envelope.partial }.write(&mut text);
            text
        };
        let data = replaced(event.data_slice(), SEALED_MEMBER, marker);
        let new = NewEvent {
            id: event.id(),
            event_type: factum_core::EventType::new(event.event_type()).unwrap(),
            schema_version: event.schema_version(),
            content_type: event.content_type(),
            tags: Vec::new(),
            data: data.into(),
            metadata: event.metadata_slice().to_vec().into(),
            occurred_at: event.occurred_at(),
        };
        let stream = factum_core::StreamName::new(event.stream()).unwrap();
        RecordedEvent::record(*event.header(), &stream, &new)
    }
}

fn replaced(json: &[u8], member: &str, other: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (mut text, mut at) = (Vec::new(), 0);
    for found in find_objects(json, member).unwrap() {
        text.extend_from_slice(&json[at..found.object.start]);
        text.extend(other(&json[found.value.clone()]));
        at = found.object.end;
    }
    text.extend_from_slice(&json[at..]);
    text
}

impl EventStore for Sealing {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    fn append(&self, mut append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        for event in append.writes.iter_mut().flat_map(|write| &mut write.events) {
            *event = self.seal(event);
        }
        self.store.append(append)
    }
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        Box::pin(async move {
            let reader = self.store.read(read).await?;
            Ok(Box::new(Opening { reader, sealing: self.clone() }) as Box<dyn EventReader>)
        })
    }
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.store.subscribe(subscribe)
    }
    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.store.delete(delete)
    }
}

struct Opening {
    reader: Box<dyn EventReader>,
    sealing: Sealing,
}

impl EventReader for Opening {
    fn head(&self) -> &ReadHead {
        self.reader.head()
    }
    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        Box::pin(async move {
            let page = self.reader.next_page().await?;
            Ok(page.map(|mut page| {
                for event in &mut page.events {
                    *event = self.sealing.open(event);
                }
                page
            }))
        })
    }
}

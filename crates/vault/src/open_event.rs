//! How do the sealed values of events become values again, as erased, or as not to be had?

use std::collections::HashMap;

use factum_core::{ContentType, RecordedEvent};
use uuid::Uuid;

use crate::cache::Known;
use crate::envelope::{Body, Envelope, Found, SEALED_MEMBER, find};
use crate::keeper::KeyState;
use crate::marker::{Content, Keep, Marker, Unavailable};
use crate::seal::{Place, SALT_BYTES, open};
use crate::subject::KeyId;
use crate::vault::KeyVault;

/// What one event holds, before its keys are known.
struct Pending<'a> {
    index: usize,
    values: Vec<(Found, Option<Envelope<'a>>)>,
}

impl KeyVault {
    /// The same events with every sealed value opened: in its place is a marker, for typed code to read. An event without
    /// sealed values is given as it is, and costs a look at its bytes.
    ///
    /// Never fails: a value that cannot be opened says so itself, and the others are there.
    pub async fn open_events(&self, mut events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
        let opened = {
            let pending: Vec<Pending<'_>> =
                events.iter().enumerate().filter_map(|(index, event)| pending(index, event)).collect();
            if pending.is_empty() {
                return events;
            }
            let keys = self.keys_of_pending(&pending).await;
            let outside = self.outside_of_pending(&pending, &keys).await;
            let open = |pending: &Pending<'_>| {
                let event = &events[pending.index];
                let data = opened_data(self.tenant(), event, &pending.values, &keys, &outside);
                (pending.index, event.with_data(&data))
            };
            pending.iter().map(open).collect::<Vec<_>>()
        };
        for (index, event) in opened {
            events[index] = event;
        }
        events
    }

    async fn keys_of_pending(&self, pending: &[Pending<'_>]) -> Keys {
        let mut ids: Vec<KeyId> = envelopes(pending).map(|envelope| envelope.key).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Keys::default();
        }
        self.keys(&ids).await.unwrap_or_default()
    }

    async fn outside_of_pending(
        &self,
        pending: &[Pending<'_>],
        keys: &Keys,
    ) -> Option<HashMap<Uuid, Vec<u8>>> {
        let opens = |key: &KeyId| matches!(keys.get(key), Some(Ok(Known::Key(_))));
        let ids: Vec<Uuid> = envelopes(pending)
            .filter_map(|envelope| match envelope.body {
                Body::Outside { value, .. } if opens(&envelope.key) => Some(value),
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            return Some(HashMap::new());
        }
        let values = self.values(ids.clone()).await.ok()?;
        Some(ids.into_iter().zip(values).filter_map(|(id, value)| Some((id, value?))).collect())
    }
}

/// Keys that are not in it could not be asked for.
type Keys = HashMap<KeyId, KeyState>;

fn envelopes<'a, 'b>(pending: &'b [Pending<'a>]) -> impl Iterator<Item = &'b Envelope<'a>> {
    pending.iter().flat_map(|pending| pending.values.iter().filter_map(|(_, envelope)| envelope.as_ref()))
}

fn pending(index: usize, event: &RecordedEvent) -> Option<Pending<'_>> {
    if event.content_type() != ContentType::Json {
        return None;
    }
    // Text without the member's name is not parsed. What cannot be looked through is given as it is: typed code refuses it
    // with a place.
    let found = find(event.data_slice(), SEALED_MEMBER).ok()?;
    let envelope = |found: Found| {
        let envelope = Envelope::parse(&event.data_slice()[found.value.clone()]).ok();
        (found, envelope)
    };
    (!found.is_empty()).then(|| Pending { index, values: found.into_iter().map(envelope).collect() })
}

fn opened_data(
    tenant: &str,
    event: &RecordedEvent,
    values: &[(Found, Option<Envelope<'_>>)],
    keys: &Keys,
    outside: &Option<HashMap<Uuid, Vec<u8>>>,
) -> Vec<u8> {
    let (stored, id) = (event.data_slice(), event.id());
    let mut data = Vec::with_capacity(stored.len());
    let mut done = 0;
    for (found, envelope) in values {
        data.extend_from_slice(&stored[done..found.object.start]);
        done = found.object.end;
        let Some(envelope) = envelope else {
            let content = Content::Unavailable(Unavailable::Malformed);
            Marker { content, partial: None }.write(&mut data);
            continue;
        };
        let place = Place {
            tenant,
            stream: event.stream(),
            event_id: id.0.as_bytes(),
            event_type: event.event_type(),
            pointer: &found.pointer,
            partial: envelope.partial.unwrap_or_default().as_bytes(),
        };
        write_opened(envelope, &place, keys.get(&envelope.key), outside, &mut data);
    }
    data.extend_from_slice(&stored[done..]);
    data
}

fn write_opened(
    envelope: &Envelope<'_>,
    place: &Place<'_>,
    key: Option<&KeyState>,
    outside: &Option<HashMap<Uuid, Vec<u8>>>,
    data: &mut Vec<u8>,
) {
    let mut write = |content| Marker { content, partial: envelope.partial }.write(data);
    let key = match key {
        None => return write(Content::Unavailable(Unavailable::VaultDown)),
        Some(Err(reason)) => return write(Content::Unavailable(*reason)),
        Some(Ok(Known::Erased { owner, erasure })) => {
            return write(Content::Erased { key: envelope.key, owner: owner.clone(), erasure: *erasure });
        }
        Some(Ok(Known::Key(key))) => key,
    };
    let sealed: (&[u8; SALT_BYTES], &[u8]) = match (&envelope.body, outside) {
        (Body::Here(sealed), _) => (&sealed.salt, &sealed.bytes),
        (Body::Outside { .. }, None) => return write(Content::Unavailable(Unavailable::VaultDown)),
        (Body::Outside { salt, value }, Some(outside)) => match outside.get(value) {
            Some(bytes) => (salt, bytes),
            None => return write(Content::Unavailable(Unavailable::Missing)),
        },
        // It was erased when it was written, and its key is live again: that cannot be.
        (Body::Erased, _) => return write(Content::Unavailable(Unavailable::Malformed)),
    };
    match open(key, place, sealed.0, sealed.1) {
        Ok(text) => match std::str::from_utf8(&text) {
            Ok(value) => {
                let (key, owner) = (key.id(), key.owner().clone());
                let keep = match envelope.body {
                    Body::Outside { .. } => Keep::Outside,
                    Body::Here(_) | Body::Erased => Keep::InEvent,
                };
                write(Content::Opened { key, owner, keep, value: value.trim_end_matches(' ') });
            }
            Err(_) => write(Content::Unavailable(Unavailable::Malformed)),
        },
        Err(error) => write(Content::Unavailable(error.into())),
    }
}

//! How do the personal values of an event become sealed ones, before any store sees it?

use std::collections::HashMap;

use factum_core::{ContentType, NewEvent, PERSONAL_MEMBER, StreamName, Tag};
use memchr::memmem;
use uuid::Uuid;

use crate::data_key::DataKey;
use crate::envelope::{Body, Envelope};
use crate::erase::subject_tag;
use crate::error::VaultError;
use crate::find::{Found, find};
use crate::key_store::OutsideValue;
use crate::marker::{Content, Keep, Marker, Unavailable};
use crate::seal::{Place, seal};
use crate::subject::{KeyId, KeyOwner};
use crate::vault::KeyVault;

/// A personal value that is to be sealed, or is erased already.
enum ToSeal<'a> {
    Value { owner: KeyOwner, keep: Keep, value: &'a str },
    Erased { key: KeyId, owner: Option<KeyOwner> },
}

/// The personal values of one event's data, each in its place.
pub(crate) struct PersonalValues<'a>(Vec<(Found, (ToSeal<'a>, Option<&'a str>))>);

impl KeyVault {
    /// Seals every personal value of an event for `stream`, and tags it with its subjects. An event without any is left as it
    /// is, and costs a look at its bytes.
    ///
    /// # Errors
    /// `SubjectErased`, `Invalid` where a value could not be opened before or is not well-formed, or what the vault says. The
    /// event is then unchanged.
    pub async fn seal_event(&self, stream: &StreamName, event: &mut NewEvent) -> Result<(), VaultError> {
        let stored = event.data.clone();
        let personal = self.personal_values(event.content_type, &stored)?;
        self.seal_values(stream, event, &personal).await
    }

    /// Finds and reads the personal values of an event, whose data is `stored`.
    pub(crate) fn personal_values<'a>(
        &self,
        content_type: ContentType,
        stored: &'a [u8],
    ) -> Result<PersonalValues<'a>, VaultError> {
        if content_type != ContentType::Json || memmem::find(stored, PERSONAL_MEMBER.as_bytes()).is_none() {
            return Ok(PersonalValues(Vec::new()));
        }
        let found = find(stored, PERSONAL_MEMBER).map_err(|error| VaultError::Invalid {
            why: format!("the event's personal data cannot be sealed: {error}"),
        })?;
        let values = found
            .into_iter()
            .map(|found| self.to_seal(&stored[found.value.clone()]).map(|value| (found, value)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(PersonalValues(values))
    }

    /// Seals what was found in the event, which has not changed since.
    pub(crate) async fn seal_values(
        &self,
        stream: &StreamName,
        event: &mut NewEvent,
        PersonalValues(values): &PersonalValues<'_>,
    ) -> Result<(), VaultError> {
        if values.is_empty() {
            return Ok(());
        }
        let mut keys: HashMap<KeyOwner, DataKey> = HashMap::new();
        for (_, (value, _)) in values {
            if let ToSeal::Value { owner, .. } = value
                && !keys.contains_key(owner)
            {
                keys.insert(owner.clone(), self.key_for(owner).await?);
            }
        }
        let (data, outside) = self.sealed_data(stream, event, values, &keys)?;
        if !outside.is_empty() {
            self.keep_values(outside).await?;
        }
        for (_, (value, _)) in values {
            let owner = match value {
                ToSeal::Value { owner, .. } => Some(owner),
                ToSeal::Erased { owner, .. } => owner.as_ref(),
            };
            if let Some(owner) = owner {
                add_tag(&mut event.tags, subject_tag(owner.subject));
            }
        }
        event.data = data.into();
        Ok(())
    }

    /// Makes the keys that sealing these values will ask for, many at a time. What cannot be made or read is found when the event
    /// is sealed.
    pub(crate) async fn prepare<'a>(&self, values: impl Iterator<Item = &'a PersonalValues<'a>>) {
        let owner = |(_, (value, _)): &(Found, (ToSeal<'a>, _))| match value {
            ToSeal::Value { owner, .. } => Some(owner.clone()),
            ToSeal::Erased { .. } => None,
        };
        let mut owners: Vec<KeyOwner> = values.flat_map(|values| values.0.iter().filter_map(owner)).collect();
        owners.sort_unstable();
        owners.dedup();
        if owners.len() > 1 {
            // An outage is told by whoever asks for a key.
            let _ = self.ask(move |keeper| keeper.prepare(&owners)).await;
        }
    }

    fn to_seal<'a>(&self, marker: &'a [u8]) -> Result<(ToSeal<'a>, Option<&'a str>), VaultError> {
        let marker = Marker::parse(marker).map_err(|error| VaultError::Invalid { why: error.to_string() })?;
        let value = match marker.content {
            Content::Fresh { subject, purpose, keep, value } => {
                ToSeal::Value { owner: self.owner(&subject, purpose), keep, value }
            }
            Content::Opened { owner, keep, value, .. } => ToSeal::Value { owner, keep, value },
            Content::Erased { key, owner, .. } => ToSeal::Erased { key, owner },
            Content::Unavailable(reason) => return Err(not_to_be_written(reason)),
        };
        Ok((value, marker.partial))
    }

    fn sealed_data(
        &self,
        stream: &StreamName,
        event: &NewEvent,
        values: &[(Found, (ToSeal<'_>, Option<&str>))],
        keys: &HashMap<KeyOwner, DataKey>,
    ) -> Result<(Vec<u8>, Vec<OutsideValue>), VaultError> {
        let (mut data, mut outside, mut done) = (Vec::with_capacity(event.data.len() * 2), Vec::new(), 0);
        for (found, (value, partial)) in values {
            data.extend_from_slice(&event.data[done..found.object.start]);
            done = found.object.end;
            let place = Place {
                tenant: self.tenant(),
                stream,
                event_id: event.id.0.as_bytes(),
                event_type: &event.event_type,
                pointer: &found.pointer,
                partial: partial.unwrap_or_default().as_bytes(),
            };
            let (key, body) = match value {
                ToSeal::Erased { key, .. } => (*key, Body::Erased),
                ToSeal::Value { owner, keep, value } => {
                    // Each owner's key was asked for.
                    let Some(key) = keys.get(owner) else { return Err(VaultError::Closed) };
                    let sealed = seal(key, &place, value.as_bytes())?;
                    match keep {
                        Keep::InEvent => (key.id(), Body::Here(sealed)),
                        Keep::Outside => {
                            let (id, salt) = (Uuid::new_v4(), sealed.salt);
                            outside.push(OutsideValue { id, key: key.id(), sealed: sealed.bytes });
                            (key.id(), Body::Outside { salt, value: id })
                        }
                    }
                }
            };
            Envelope { key, body, partial: *partial }.write(&mut data);
        }
        data.extend_from_slice(&event.data[done..]);
        Ok((data, outside))
    }
}

fn add_tag(tags: &mut Vec<Tag>, tag: Tag) {
    if !tags.contains(&tag) {
        tags.push(tag);
    }
}

/// What stands for an error must not become a fact.
fn not_to_be_written(reason: Unavailable) -> VaultError {
    VaultError::Invalid {
        why: format!("a personal value that could not be opened is not written again: {reason}"),
    }
}

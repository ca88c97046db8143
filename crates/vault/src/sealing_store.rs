//! An event store in front of another one: seals what is appended, opens what is read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore, Page,
    Read, ReadError, ReadHead, RecordedEvent, Redact, RedactError, Redacted, StreamName, Subscribe,
    Subscription, SubscriptionMessage,
};

use crate::error::VaultError;
use crate::ledger::KEYS_DESTROYED_TYPE;
use crate::opening::OpeningEvents;
use crate::vault::KeyVault;

/// A store whose personal data is sealed by a vault. Typed code uses it as it uses any store; the log behind it has sealed
/// values only.
///
/// What is read through it is opened: whoever may not see personal data is given the store behind it.
#[derive(Clone)]
pub struct SealingStore {
    store: Arc<dyn EventStore>,
    vault: KeyVault,
}

impl SealingStore {
    /// In front of `store`, which is the log that `vault` belongs to.
    pub fn new(store: Arc<dyn EventStore>, vault: KeyVault) -> Self {
        Self { store, vault }
    }

    /// The vault.
    pub fn vault(&self) -> &KeyVault {
        &self.vault
    }

    /// The log behind it: everything in it is sealed.
    pub fn sealed(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    async fn seal(&self, append: &mut Append) -> Result<(), AppendError> {
        // What is found refers to the data as it was, which a clone keeps without copying it.
        let events = || append.writes.iter().flat_map(|write| &write.events);
        let stored: Vec<_> = events().map(|event| (event.content_type, event.data.clone())).collect();
        let mut found = Vec::with_capacity(stored.len());
        let mut data = stored.iter();
        for write in &append.writes {
            for (index, (content_type, data)) in data.by_ref().take(write.events.len()).enumerate() {
                let values = self.vault.personal_values(*content_type, data);
                found.push(values.map_err(|error| not_sealed(&write.stream, index, &error))?);
            }
        }
        self.vault.prepare(found.iter()).await;
        let mut found = found.iter();
        for write in &mut append.writes {
            for (index, (event, values)) in write.events.iter_mut().zip(found.by_ref()).enumerate() {
                let sealed = self.vault.seal_values(&write.stream, event, values).await;
                sealed.map_err(|error| not_sealed(&write.stream, index, &error))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SealingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingStore").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl EventStore for SealingStore {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn append(&self, mut append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            self.seal(&mut append).await?;
            self.store.append(append).await
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        Box::pin(async move {
            let reader = self.store.read(read).await?;
            Ok(Box::new(OpeningReader::new(reader, self.vault.clone())) as Box<dyn EventReader>)
        })
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        Box::pin(async move {
            let subscription = self.store.subscribe(subscribe).await?;
            let vault = self.vault.clone();
            Ok(Box::new(OpeningSubscription { subscription, vault }) as Box<dyn Subscription>)
        })
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.store.delete(delete)
    }

    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        self.store.redact(redact)
    }
}

/// A reader that is asked for a second page reads one page ahead, so that it is being opened while its caller works on the
/// one before. Whoever wants one page only pays for one.
struct OpeningReader {
    reader: Box<dyn EventReader>,
    vault: KeyVault,
    /// Read and not given out yet, in order. Kept here and not in a future: a call that is given up loses nothing.
    pages: VecDeque<(Page, OpeningEvents)>,
    /// What comes after them.
    then: Then,
    /// The most pages to have read before one is given out.
    depth: usize,
}

/// What comes after the pages that were read.
enum Then {
    More,
    /// The inner reader said so.
    Ended,
    /// It is given out in its turn.
    Failed(ReadError),
}

/// The page that is given out, and the next.
const PAGES_AHEAD: usize = 2;

impl OpeningReader {
    fn new(reader: Box<dyn EventReader>, vault: KeyVault) -> Self {
        Self { reader, vault, pages: VecDeque::new(), then: Then::More, depth: 1 }
    }

    async fn read_ahead(&mut self) {
        while self.pages.len() < self.depth && matches!(self.then, Then::More) {
            match self.reader.next_page().await {
                Ok(Some(mut page)) => {
                    mute_forged(&self.vault, &mut page.events);
                    let opening = OpeningEvents::begin(&self.vault, std::mem::take(&mut page.events));
                    self.pages.push_back((page, opening));
                }
                Ok(None) => self.then = Then::Ended,
                Err(error) => self.then = Then::Failed(error),
            }
        }
    }
}

impl EventReader for OpeningReader {
    fn head(&self) -> &ReadHead {
        self.reader.head()
    }

    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        Box::pin(async move {
            for (_, opening) in &mut self.pages {
                opening.was_begun_earlier();
            }
            self.read_ahead().await;
            self.depth = PAGES_AHEAD;
            let Some((_, opening)) = self.pages.front_mut() else {
                // Asked again, the inner reader is.
                return match std::mem::replace(&mut self.then, Then::More) {
                    Then::Failed(error) => Err(error),
                    Then::More | Then::Ended => Ok(None),
                };
            };
            let events = opening.finish(&self.vault).await;
            Ok(self.pages.pop_front().map(|(page, _)| Page { events, ..page }))
        })
    }
}

struct OpeningSubscription {
    subscription: Box<dyn Subscription>,
    vault: KeyVault,
}

impl Subscription for OpeningSubscription {
    fn next(&mut self) -> BoxFuture<'_, Result<SubscriptionMessage, ReadError>> {
        Box::pin(async move {
            let message = self.subscription.next().await?;
            Ok(match message {
                SubscriptionMessage::Events { mut events, checkpoint } => {
                    mute_forged(&self.vault, &mut events);
                    SubscriptionMessage::Events { events: self.vault.open_events(events).await, checkpoint }
                }
                other => other,
            })
        })
    }
}

fn not_sealed(stream: &StreamName, index: usize, error: &VaultError) -> AppendError {
    let (stream, kind, why) = (stream.clone(), error.kind(), error.to_string());
    AppendError::NotSealed { stream, index, kind, why }
}

/// Takes the words out of whoever says that keys were destroyed and is not the vault: projections would forget rows for
/// nothing. The log keeps the event as it is.
fn mute_forged(vault: &KeyVault, events: &mut [RecordedEvent]) {
    for event in events {
        if event.event_type() == KEYS_DESTROYED_TYPE && !vault.has_signed(event) {
            *event = event.with_data(b"{}");
        }
    }
}

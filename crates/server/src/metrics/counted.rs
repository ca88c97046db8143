//! A store whose appends, reads and subscriptions are counted.

use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Clock, Delete, Deleted, EventReader, EventStore,
    Page, Read, ReadError, ReadHead, Redact, RedactError, Redacted, Subscribe, Subscription,
    SubscriptionMessage,
};

use super::{Gauge, Metrics, Present};

/// A store whose appends, reads and subscriptions are counted: per append and page, never per event.
pub(crate) struct Counted {
    store: Arc<dyn EventStore>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// Ticks of 100 ns in a microsecond.
const TICKS_PER_MICRO: i64 = 10;

impl Counted {
    /// Counts what `store` does.
    pub(crate) fn new(store: Arc<dyn EventStore>, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self { store, metrics, clock }
    }
}

impl EventStore for Counted {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let events = append.writes.iter().flat_map(|write| &write.events);
        let bytes: usize = events.map(|event| event.data.len() + event.metadata.len()).sum();
        let count = append.event_count();
        Box::pin(async move {
            let began = self.clock.now();
            let appended = self.store.append(append).await?;
            let took = self.clock.now().0.saturating_sub(began.0) / TICKS_PER_MICRO;
            // A clock that was set back took no time.
            self.metrics.appends.took(u64::try_from(took).unwrap_or_default());
            self.metrics.appended_events.add_count(count);
            self.metrics.appended_bytes.add_count(bytes);
            Ok(appended)
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        Box::pin(async move {
            let reader = self.store.read(read).await?;
            let counted: Box<dyn EventReader> =
                Box::new(CountedReader { reader, metrics: self.metrics.clone() });
            Ok(counted)
        })
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        Box::pin(async move {
            let subscription = self.store.subscribe(subscribe).await?;
            let present = Present::new(Subscriptions(self.metrics.clone()));
            let counted: Box<dyn Subscription> = Box::new(CountedSubscription { subscription, present });
            Ok(counted)
        })
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.store.delete(delete)
    }

    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        self.store.redact(redact)
    }
}

struct CountedReader {
    reader: Box<dyn EventReader>,
    metrics: Arc<Metrics>,
}

impl EventReader for CountedReader {
    fn head(&self) -> &ReadHead {
        self.reader.head()
    }

    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        Box::pin(async move {
            let page = self.reader.next_page().await?;
            self.metrics.read_events.add_count(page.as_ref().map_or(0, |page| page.events.len()));
            Ok(page)
        })
    }
}

struct Subscriptions(Arc<Metrics>);

impl AsRef<Gauge> for Subscriptions {
    fn as_ref(&self) -> &Gauge {
        &self.0.subscriptions
    }
}

struct CountedSubscription {
    subscription: Box<dyn Subscription>,
    present: Present<Subscriptions>,
}

impl Subscription for CountedSubscription {
    fn next(&mut self) -> BoxFuture<'_, Result<SubscriptionMessage, ReadError>> {
        Box::pin(async move {
            let message = self.subscription.next().await?;
            if let SubscriptionMessage::Events { events, .. } = &message {
                self.present.of().0.read_events.add_count(events.len());
                self.present.of().0.delivered_events.add_count(events.len());
            }
            Ok(message)
        })
    }
}

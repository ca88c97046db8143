//! Where do a partition's events come from? A thread that reads and decodes ahead of the one that applies.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use factum_core::{
    Checkpoint, EventFilter, EventStore, ReadError, RecordedEvent, Subscribe, SubscribeFrom,
    SubscriptionMessage, SystemEvents, block_on,
};
use factum_vault::KeysDestroyed;
use tokio::sync::watch;

use super::Projection;
use super::applier::{Applied, Batch, Item};

/// Most pages that are decoded ahead.
const PAGES_AHEAD: usize = 8;

/// What the reader says.
pub(crate) enum Message<E> {
    /// Events, or a stretch of the log without any.
    Batch(Batch<E>),
    /// That was all there is; what follows is live.
    CaughtUp,
    /// The log cannot be read.
    Failed(ReadError),
    /// Nothing: someone wants the receiver to look around.
    Wake,
}

/// The reading half. Dropping it ends the thread.
pub(crate) struct Reader<E> {
    messages: Receiver<Message<E>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl<E: Send + 'static> Reader<E> {
    /// Reads what concerns one partition from this place on, and then follows the log.
    pub(crate) fn start<P: Projection<Event = E>>(
        store: Arc<dyn EventStore>,
        projection: Arc<P>,
        partition: u16,
        from: Checkpoint,
    ) -> std::io::Result<(Self, SyncSender<Message<E>>)> {
        let (sender, messages) = sync_channel(PAGES_AHEAD);
        let (stop, stopped) = watch::channel(false);
        let wake = sender.clone();
        let name = format!("read {}", projection.definition().name());
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let reading = read(&*store, &*projection, partition, from, &sender, stopped);
            if let Err(error) = block_on(reading) {
                // The one that applies may have gone: then nobody needs to know.
                let _ = sender.send(Message::Failed(error));
            }
        })?;
        Ok((Self { messages, stop, thread: Some(thread) }, wake))
    }

    /// The next message; waits for one.
    pub(crate) fn next(&self) -> Option<Message<E>> {
        self.messages.recv().ok()
    }

    /// The next message, if there is one already.
    pub(crate) fn try_next(&self) -> Option<Message<E>> {
        self.messages.try_recv().ok()
    }
}

impl<E> Drop for Reader<E> {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // The thread may wait for room: make it find that nobody listens.
        let (_, nobody) = sync_channel(1);
        drop(std::mem::replace(&mut self.messages, nobody));
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported where it happened.
            let _ = thread.join();
        }
    }
}

async fn read<P: Projection>(
    store: &dyn EventStore,
    projection: &P,
    partition: u16,
    from: Checkpoint,
    sender: &SyncSender<Message<P::Event>>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), ReadError> {
    let definition = projection.definition();
    let system_events = if definition.forgets() { SystemEvents::Include } else { SystemEvents::Exclude };
    let filter = EventFilter { system_events, ..EventFilter::default() };
    let mut told = from.clone();
    let subscribe =
        Subscribe::to(definition.subscribed()).from(SubscribeFrom::Checkpoint(from)).filter(filter);
    let mut subscription = store.subscribe(subscribe).await?;
    loop {
        let message = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            message = subscription.next() => message?,
        };
        let message = match message {
            SubscriptionMessage::Events { events, checkpoint } => {
                let items = events.into_iter().filter_map(|event| item(projection, partition, event));
                Message::Batch(Batch { items: items.collect(), next: checkpoint })
            }
            SubscriptionMessage::Checkpoint(next) => Message::Batch(Batch { items: Vec::new(), next }),
            SubscriptionMessage::CaughtUp(next) => {
                // The end may lie behind a stretch of which no message told, since none of it was for this projection.
                let stretch = Message::Batch(Batch { items: Vec::new(), next: next.clone() });
                if next != told && sender.send(stretch).is_err() {
                    return Ok(());
                }
                Message::CaughtUp
            }
        };
        if let Message::Batch(batch) = &message {
            told = batch.next.clone();
        }
        if sender.send(message).is_err() {
            return Ok(());
        }
    }
}

/// What this partition has to do with an event. Where rows forget, every partition is told of an erasure: each has rows of its
/// own.
fn item<P: Projection>(projection: &P, partition: u16, recorded: RecordedEvent) -> Option<Item<P::Event>> {
    let definition = projection.definition();
    if recorded.event_type().starts_with('$') {
        if !definition.forgets() {
            return None;
        }
        let erased = KeysDestroyed::from_event(&recorded)?;
        return Some(Item { recorded, event: Ok(Some(Applied::Erasure(erased))) });
    }
    if definition.partition_of(recorded.stream()) != partition {
        return None;
    }
    let event = projection.decode(&recorded).map(|event| event.map(Applied::Event));
    Some(Item { recorded, event })
}

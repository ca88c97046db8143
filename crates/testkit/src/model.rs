//! Does a store do what the model does, whatever is asked of it? Random operations on both, every outcome compared.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use factum_core::{
    Append, Appended, Delete, Deleted, EventStore, MemoryStore, Position, Read, RecordedEvent, Redact,
    RedactOutcome, Redacted, Redaction, Revision, Selector, StreamAppended, StreamState, StreamView,
    Subscribe, SubscriptionMessage,
};

use crate::Fresh;

mod generator;
pub(crate) mod random;

use generator::{Generator, Operation};

/// Operations between two comparisons of the whole log.
const WHOLE_LOG_EVERY: usize = 250;

/// Where a store and the model first differ.
#[derive(Debug)]
pub struct Divergence {
    seed: u64,
    /// Index of the operation.
    step: usize,
    operation: String,
    model: String,
    store: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, operation, model, store } = self;
        write!(
            f,
            "the store and the model differ at operation {step} (again with FACTUM_SEED={seed})\n\
             operation: {operation}\nmodel:     {model}\nstore:     {store}"
        )
    }
}

/// What the operations came to, so that a test can tell that they were worth something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Appends that wrote events.
    pub appended: usize,
    /// Appends that were answered as repetitions.
    pub repeated: usize,
    /// Appends, deletes and redactions that were refused.
    pub refused: usize,
    /// Deletes that were done.
    pub deleted: usize,
    /// Events that were redacted, now or before.
    pub redacted: usize,
    /// Reads and subscriptions that gave events.
    pub gave: usize,
    /// Reads and subscriptions that gave none, or failed.
    pub gave_nothing: usize,
    /// Times that the store was reopened.
    pub reopened: usize,
}

/// The seed of this run: from the variable `FACTUM_SEED` if it is set, else a new one.
///
/// # Panics
/// Where `FACTUM_SEED` is not a number.
pub fn seed() -> u64 {
    match std::env::var("FACTUM_SEED") {
        Ok(text) => text.parse().expect("FACTUM_SEED is a number"),
        Err(_) => random::fresh_seed(),
    }
}

/// Runs the model test in a runtime of its own, with the seed of this run.
///
/// # Panics
/// Where the store and the model differ: with the seed, the operation and both outcomes.
pub fn check<M, R>(make: M, reopen: R, operations: usize) -> Report
where
    M: AsyncFnOnce() -> Fresh,
    R: AsyncFn(Fresh) -> Fresh,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let result = runtime.expect("a runtime starts").block_on(run(make, reopen, operations, seed()));
    result.unwrap_or_else(|divergence| panic!("{divergence}"))
}

/// Applies the same random operations to a fresh store and to a `MemoryStore` on the same clock, and compares every
/// outcome. Now and then `reopen` closes the store and opens it again; it must keep the clock.
///
/// # Errors
/// The first [`Divergence`].
pub async fn run<M, R>(make: M, reopen: R, operations: usize, seed: u64) -> Result<Report, Divergence>
where
    M: AsyncFnOnce() -> Fresh,
    R: AsyncFn(Fresh) -> Fresh,
{
    let mut fresh = make().await;
    let model = MemoryStore::with_clock(fresh.clock.clone());
    let mut generator = Generator::new(seed);
    let mut report = Report::default();
    for step in 0..operations {
        let operation = generator.next();
        if matches!(operation, Operation::Reopen) {
            fresh = reopen(fresh).await;
            report.reopened += 1;
        }
        let outcome = apply(&model, &fresh, &operation).await;
        let expected = outcome.0;
        if expected != outcome.1 {
            return Err(Divergence {
                seed,
                step,
                operation: format!("{operation:?}"),
                model: format!("{expected:?}"),
                store: format!("{:?}", outcome.1),
            });
        }
        report.count(&expected);
        generator.learn(&operation, &expected);
        if step % WHOLE_LOG_EVERY == 0 || step + 1 == operations || matches!(operation, Operation::Reopen) {
            compare_logs(&model, &*fresh.store).await.map_err(|(model, store)| Divergence {
                seed,
                step,
                operation: format!("the whole log after {operation:?}"),
                model,
                store,
            })?;
        }
    }
    Ok(report)
}

impl Report {
    fn count(&mut self, outcome: &Outcome) {
        let counted = match outcome {
            Outcome::Appended { deduplicated: true, .. } => &mut self.repeated,
            Outcome::Appended { .. } => &mut self.appended,
            Outcome::Deleted { .. } => &mut self.deleted,
            Outcome::Redacted { .. } => &mut self.redacted,
            Outcome::Refused(_) => &mut self.refused,
            Outcome::Gave { events, .. } if !events.is_empty() => &mut self.gave,
            Outcome::Gave { .. } => &mut self.gave_nothing,
            Outcome::Nothing => return,
        };
        *counted += 1;
    }
}

/// What an operation came to, without what may differ between two stores: their identity.
#[derive(Debug, PartialEq)]
enum Outcome {
    Appended {
        first: Option<Position>,
        last: Option<Position>,
        streams: Vec<StreamAppended>,
        deduplicated: bool,
        token: Option<Position>,
    },
    Deleted {
        position: Option<Position>,
        token: Option<Position>,
    },
    Redacted {
        event: RecordedEvent,
        redaction: Redaction,
        outcome: RedactOutcome,
        token: Option<Position>,
    },
    /// An append, a delete or a redaction that was not done, and why.
    Refused(String),
    Gave {
        /// Of a read: where its snapshot ends. Of a subscription: where it had caught up.
        upto: Option<Position>,
        stream: Option<StreamState>,
        first_visible: Option<Revision>,
        events: Vec<RecordedEvent>,
        /// Why it ended, if not because it was done.
        error: Option<String>,
    },
    Nothing,
}

/// The operation's outcome on the model and on the store.
async fn apply(model: &MemoryStore, fresh: &Fresh, operation: &Operation) -> (Outcome, Outcome) {
    let store = &*fresh.store;
    match operation {
        Operation::Append(append) => (appended(model, append).await, appended(store, append).await),
        Operation::Delete(delete) => (deleted(model, delete).await, deleted(store, delete).await),
        Operation::Redact(redact) => (redacted(model, redact).await, redacted(store, redact).await),
        Operation::Read(read) => (given(model, read).await, given(store, read).await),
        Operation::Follow(subscribe) => (followed(model, subscribe).await, followed(store, subscribe).await),
        Operation::Advance(by) => {
            fresh.clock.advance(*by);
            (Outcome::Nothing, Outcome::Nothing)
        }
        Operation::SetBack(by) => {
            let now = factum_core::Clock::now(&*fresh.clock);
            fresh.clock.set(now.saturating_sub(*by));
            (Outcome::Nothing, Outcome::Nothing)
        }
        Operation::Reopen => (Outcome::Nothing, Outcome::Nothing),
    }
}

async fn appended(store: &dyn EventStore, append: &Append) -> Outcome {
    match store.append(append.clone()).await {
        Ok(Appended { first, last, streams, deduplicated, token }) => {
            Outcome::Appended { first, last, streams, deduplicated, token: token.next_position() }
        }
        Err(error) => Outcome::Refused(format!("{error:?}")),
    }
}

async fn deleted(store: &dyn EventStore, delete: &Delete) -> Outcome {
    match store.delete(delete.clone()).await {
        Ok(Deleted { position, token }) => Outcome::Deleted { position, token: token.next_position() },
        Err(error) => Outcome::Refused(format!("{error:?}")),
    }
}

async fn redacted(store: &dyn EventStore, redact: &Redact) -> Outcome {
    match store.redact(redact.clone()).await {
        Ok(Redacted { event, redaction, outcome, token }) => {
            Outcome::Redacted { event, redaction, outcome, token: token.next_position() }
        }
        Err(error) => Outcome::Refused(format!("{error:?}")),
    }
}

fn gave_only(error: &impl fmt::Debug) -> Outcome {
    let error = Some(format!("{error:?}"));
    Outcome::Gave { upto: None, stream: None, first_visible: None, events: Vec::new(), error }
}

async fn given(store: &dyn EventStore, read: &Read) -> Outcome {
    let mut reader = match store.read(read.clone()).await {
        Ok(reader) => reader,
        Err(error) => return gave_only(&error),
    };
    let mut events = Vec::new();
    let error = loop {
        match reader.next_page().await {
            Ok(Some(page)) => events.extend(page.events),
            Ok(None) => break None,
            Err(error) => break Some(format!("{error:?}")),
        }
    };
    let head = reader.head();
    Outcome::Gave {
        upto: head.snapshot.next_position(),
        stream: head.stream,
        first_visible: head.first_visible,
        events,
        error,
    }
}

/// The longest that a subscription may take to catch up or to fail.
const LONGEST: Duration = Duration::from_secs(60);

async fn followed(store: &dyn EventStore, subscribe: &Subscribe) -> Outcome {
    let mut subscription = match store.subscribe(subscribe.clone()).await {
        Ok(subscription) => subscription,
        Err(error) => return gave_only(&error),
    };
    let mut seen = Vec::new();
    let (upto, error) = loop {
        match tokio::time::timeout(LONGEST, subscription.next()).await {
            Ok(Ok(SubscriptionMessage::Events { events, .. })) => seen.extend(events),
            Ok(Ok(SubscriptionMessage::Checkpoint(_))) => {}
            Ok(Ok(SubscriptionMessage::CaughtUp(checkpoint))) => break (checkpoint.next_position(), None),
            Ok(Err(error)) => break (None, Some(format!("{error:?}"))),
            Err(_) => break (None, Some("it neither catches up nor fails".to_owned())),
        }
    };
    Outcome::Gave { upto, stream: None, first_visible: None, events: seen, error }
}

/// Compares all events; where they differ, gives the first that do.
async fn compare_logs(model: &MemoryStore, store: &dyn EventStore) -> Result<(), (String, String)> {
    let read = Read::forwards(Selector::All).view(StreamView::Recorded);
    let (expected, actual) = (given(model, &read).await, given(store, &read).await);
    if expected == actual {
        return Ok(());
    }
    let (Outcome::Gave { events: in_model, .. }, Outcome::Gave { events: in_store, .. }) =
        (&expected, &actual)
    else {
        return Err((format!("{expected:?}"), format!("{actual:?}")));
    };
    let differ = in_model.iter().zip(in_store).find(|(expected, actual)| expected != actual);
    let show = |event: &RecordedEvent| format!("{:?} {event:?}", event.header());
    match differ {
        Some((expected, actual)) => Err((show(expected), show(actual))),
        None => Err((format!("{} events", in_model.len()), format!("{} events", in_store.len()))),
    }
}

/// A fresh `MemoryStore`, for tests of the test kit and of what stands on a store.
pub async fn memory() -> Fresh {
    let clock = Fresh::clock();
    Fresh { store: Arc::new(MemoryStore::with_clock(clock.clone())), clock, keep: Box::new(()) }
}

//! Subscribers outside: at least once, in order, from a place kept in the store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum::{Handler, Status, Subscriber, SubscriberError, Waited};
use factum_core::read_model::ProjectionName;
use factum_core::{
    Category, Clock, EventStore, EventStoreExt, EventType, ExpectedRevision, ManualClock, MemoryStore,
    NewEvent, Position, RecordedEvent, Selector, StreamName, Timestamp,
};

/// Notes what it handles; fails as often as told at the position told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    handled: Vec<u64>,
    fail_at: Option<(u64, u32)>,
    clock: Option<(Arc<ManualClock>, Duration)>,
}

impl Notes {
    fn handled(&self) -> Vec<u64> {
        self.0.lock().unwrap().handled.clone()
    }

    fn failing_at(position: u64, times: u32) -> Self {
        let notes = Self::default();
        notes.0.lock().unwrap().fail_at = Some((position, times));
        notes
    }

    /// Each failed attempt takes so long.
    fn taking(self, clock: &Arc<ManualClock>, time: Duration) -> Self {
        self.0.lock().unwrap().clock = Some((Arc::clone(clock), time));
        self
    }
}

impl Handler for Notes {
    async fn handle(&mut self, event: &RecordedEvent) -> Result<(), String> {
        let mut inner = self.0.lock().unwrap();
        let position = event.position().0;
        if let Some((at, times)) = inner.fail_at
            && at == position
            && times > 0
        {
            inner.fail_at = Some((at, times - 1));
            if let Some((clock, time)) = &inner.clock {
                clock.advance(*time);
            }
            return Err(format!("no connection, {times} to go"));
        }
        inner.handled.push(position);
        Ok(())
    }
}

fn name() -> ProjectionName {
    ProjectionName::new("mails").unwrap()
}

fn all() -> Selector {
    Selector::Category(Category::new("order").unwrap())
}

async fn append(store: &Arc<dyn EventStore>, stream: &str, count: usize) -> factum_core::Checkpoint {
    let event = |_| NewEvent::json(EventType::new("Placed").unwrap(), "{}");
    let events = (0..count).map(event).collect();
    store.append_to(StreamName::new(stream).unwrap(), ExpectedRevision::Any, events).await.unwrap().token
}

fn memory() -> Arc<dyn EventStore> {
    Arc::new(MemoryStore::new())
}

async fn open(store: &Arc<dyn EventStore>) -> Subscriber {
    Subscriber::open(Arc::clone(store), name(), all()).await.unwrap()
}

/// Runs until everything up to the token has been handled.
async fn run_to(subscriber: &mut Subscriber, notes: &mut Notes, token: &factum_core::Checkpoint) {
    let monitor = subscriber.monitor();
    let token = token.clone();
    let reached = async move {
        let waited = monitor.wait(&token, Duration::from_secs(60)).await.unwrap();
        assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
    };
    subscriber.run(notes, reached).await.unwrap();
}

#[tokio::test]
async fn history_then_live_each_once_and_the_next_run_goes_on_after_it() {
    let store = memory();
    append(&store, "order-1", 3).await;
    append(&store, "other-1", 3).await;
    let token = append(&store, "order-2", 1).await;
    let mut notes = Notes::default();
    run_to(&mut open(&store).await, &mut notes, &token).await;
    assert_eq!(notes.handled(), [0, 1, 2, 6]);
    let token = append(&store, "order-1", 2).await;
    run_to(&mut open(&store).await, &mut notes, &token).await;
    assert_eq!(notes.handled().len(), 6, "nothing twice: {:?}", notes.handled());
}

#[tokio::test]
async fn a_token_of_an_event_that_does_not_concern_it_is_reached_too() {
    let store = memory();
    let mut subscriber = open(&store).await;
    let token = append(&store, "other-1", 5_000).await;
    let mut notes = Notes::default();
    run_to(&mut subscriber, &mut notes, &token).await;
    assert_eq!(notes.handled(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_tried_again_and_every_attempt_is_kept() {
    let store = memory();
    let token = append(&store, "order-1", 3).await;
    let mut notes = Notes::failing_at(1, 4);
    let mut subscriber = open(&store).await;
    run_to(&mut subscriber, &mut notes, &token).await;
    assert_eq!(notes.handled(), [0, 1, 2]);
    let attempts = subscriber.failed_attempts().await.unwrap();
    let said: Vec<&str> = attempts.iter().map(|(_, attempt)| attempt.error.as_str()).collect();
    assert_eq!(said.len(), 4);
    assert_eq!(said[0], "no connection, 4 to go");
    assert_eq!(said[3], "no connection, 1 to go");
    assert!(attempts.iter().all(|(position, _)| *position == Position(1)));
}

#[tokio::test(start_paused = true)]
async fn after_the_time_given_it_stands_still_and_nothing_is_passed_over() {
    let store = memory();
    append(&store, "order-1", 3).await;
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(0)));
    let mut notes = Notes::failing_at(1, 3).taking(&clock, Duration::from_secs(25));
    let open = || async {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Subscriber::open_with(Arc::clone(&store), name(), all(), clock)
            .await
            .unwrap()
            .try_for(Duration::from_secs(60))
    };
    let mut subscriber = open().await;
    let error = subscriber.run(&mut notes, std::future::pending()).await.unwrap_err();
    let SubscriberError::Faulted { fault, .. } = &error else { panic!("{error}") };
    assert_eq!((fault.position, fault.attempts.len()), (Position(1), 3));
    assert_eq!(fault.attempts[0].at, Timestamp::from_unix_millis(25_000));
    assert!(error.to_string().contains("position 1 (Placed in 'order-1') after 3 attempts"), "{error}");
    let status = subscriber.status().await.unwrap();
    assert_eq!((status.status, status.applied.next_position()), (Status::Faulted, Some(Position(1))));
    // The cause is mended: it goes on with that very event.
    let head = store.head().await.unwrap().unwrap().position();
    let token = status.applied.at(head.next());
    run_to(&mut open().await, &mut notes, &token).await;
    assert_eq!(notes.handled(), [0, 1, 2]);
}

/// Regression 15: of two owners of one place the older does not move it.
#[tokio::test]
async fn an_old_owner_does_not_write_its_place_over_the_new_ones() {
    let store = memory();
    let token = append(&store, "order-1", 2).await;
    let (mut old, mut new) = (open(&store).await, open(&store).await);
    let mut notes = Notes::default();
    run_to(&mut new, &mut notes, &token).await;
    let token = append(&store, "order-1", 2).await;
    run_to(&mut new, &mut notes, &token).await;
    let error = old.run(&mut Notes::default(), std::future::ready(())).await;
    assert!(error.is_ok(), "it has nothing to keep yet");
    let monitor = old.monitor();
    let first = token.at(Position(1));
    let once = async move { drop(monitor.wait(&first, Duration::from_secs(60)).await) };
    let error = old.run(&mut Notes::default(), once).await.unwrap_err();
    assert!(matches!(error, SubscriberError::TakenOver { .. }), "{error}");
    let resumed = open(&store).await;
    assert_eq!(resumed.status().await.unwrap().applied.next_position(), token.next_position());
}

#[tokio::test]
async fn the_place_of_another_store_is_refused() {
    let store = memory();
    let token = append(&store, "order-1", 1).await;
    run_to(&mut open(&store).await, &mut Notes::default(), &token).await;
    let other = memory();
    append(&other, "order-1", 1).await;
    let kept = store.last_event(StreamName::new("subscriber:mails").unwrap()).await.unwrap().unwrap();
    let copy = NewEvent::json(EventType::new(kept.event_type()).unwrap(), kept.data_slice().to_vec());
    let stream = StreamName::new("subscriber:mails").unwrap();
    other.append_to(stream, ExpectedRevision::Any, vec![copy]).await.unwrap();
    let error = Subscriber::open(other, name(), all()).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("belongs to store"), "{error}");
}

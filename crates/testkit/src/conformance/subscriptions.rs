//! Does a subscription give history, then what comes, without gap or duplicate, and say how far it looked?

use std::sync::Arc;

use factum_core::{
    Append, Category, Checkpoint, CheckpointError, EventFilter, EventStore, ExpectedRevision, Position,
    ReadError, RecordedEvent, Revision, Selector, StoreId, Subscribe, SubscribeFrom, Subscription,
    SubscriptionMessage, SystemEvents,
};

use crate::case::{
    Case, event_type, events, next_events, positions, revisions, stream, types, until_caught_up,
    until_looked_at,
};

fn all() -> Subscribe {
    Subscribe::to(Selector::All)
}

fn of(name: &str) -> Subscribe {
    Subscribe::to(Selector::Stream(stream(name)))
}

fn of_type(name: &str) -> Subscribe {
    Subscribe::to(Selector::event_type(event_type(name)))
}

pub async fn from_the_start_history_then_caught_up_then_live(t: Case) {
    t.append("s", events("AB")).await;
    let mut subscription = t.subscribe(all()).await;
    let (history, checkpoint) = until_caught_up(&mut *subscription).await;
    assert_eq!(types(&history), ["A", "B"]);
    assert_eq!(checkpoint.next_position(), Some(Position(2)));
    t.append("s", events("CD")).await;
    let (live, checkpoint) = next_events(&mut *subscription, 2).await;
    assert_eq!(types(&live), ["C", "D"]);
    assert_eq!(checkpoint.next_position(), Some(Position(4)));
}

pub async fn an_empty_log_is_caught_up_at_once(t: Case) {
    for request in [all(), of("s"), of_type("A"), all().from(SubscribeFrom::End)] {
        let mut subscription = t.subscribe(request).await;
        match subscription.next().await {
            Ok(SubscriptionMessage::CaughtUp(checkpoint)) => {
                assert_eq!(checkpoint.next_position(), Some(Position(0)));
            }
            other => panic!("expected to be caught up, got {other:?}"),
        }
    }
}

pub async fn from_the_end_only_what_comes(t: Case) {
    t.append("s", events("AB")).await;
    for (name, request) in [("all", all()), ("stream", of("s")), ("type", of_type("C"))] {
        let mut subscription = t.subscribe(request.from(SubscribeFrom::End)).await;
        t.append("s", events("C")).await;
        let (live, _) = next_events(&mut *subscription, 1).await;
        assert_eq!(types(&live), ["C"], "{name}");
    }
}

pub async fn after_a_revision(t: Case) {
    t.append("s", events("ABCDE")).await;
    for (after, expected) in [(0, "BCDE"), (3, "E"), (4, ""), (9, "")] {
        let request = of("s").from(SubscribeFrom::AfterRevision(Revision(after)));
        let (history, _) = until_caught_up(&mut *t.subscribe(request).await).await;
        assert_eq!(types(&history).concat(), expected, "{after}");
    }
    // A stream that does not reach the revision yet.
    let request = of("later").from(SubscribeFrom::AfterRevision(Revision(1)));
    let mut subscription = t.subscribe(request).await;
    assert_eq!(until_caught_up(&mut *subscription).await.0, []);
    t.append("later", events("AB")).await;
    t.append("later", events("CD")).await;
    let (live, _) = next_events(&mut *subscription, 2).await;
    assert_eq!(types(&live), ["C", "D"]);
    match t.store.subscribe(all().from(SubscribeFrom::AfterRevision(Revision(0)))).await {
        Err(ReadError::Invalid { .. }) => {}
        other => panic!("a revision needs a stream, got {:?}", other.map(drop)),
    }
}

pub async fn after_a_position(t: Case) {
    t.append("s", events("ABC")).await;
    t.append("other", events("DE")).await;
    for (after, of_log, of_stream) in [(0, "BCDE", "BC"), (2, "DE", ""), (4, "", "")] {
        for (request, expected) in [(all(), of_log), (of("s"), of_stream)] {
            let request = request.from(SubscribeFrom::AfterPosition(Position(after)));
            let (history, _) = until_caught_up(&mut *t.subscribe(request).await).await;
            assert_eq!(types(&history).concat(), expected, "{after}");
        }
    }
}

pub async fn a_place_beyond_the_end_is_refused(t: Case) {
    t.append("s", events("A")).await;
    let end = t.end().await;
    for from in [
        SubscribeFrom::AfterPosition(Position(1)),
        SubscribeFrom::AfterPosition(Position(u64::MAX)),
        SubscribeFrom::Checkpoint(end.at(Position(2))),
    ] {
        match t.store.subscribe(all().from(from.clone())).await {
            Err(ReadError::BeyondEnd { end: Position(1), .. }) => {}
            other => panic!("{from:?}: expected a refusal, got {:?}", other.map(drop)),
        }
    }
}

pub async fn another_stores_or_epochs_checkpoint_is_refused(t: Case) {
    t.append("s", events("A")).await;
    let end = t.end().await;
    let other_store = Checkpoint::before(StoreId::generate(), end.epoch(), Position(0));
    match t.store.subscribe(all().from(SubscribeFrom::Checkpoint(other_store))).await {
        Err(ReadError::Checkpoint(CheckpointError::OtherStore { .. })) => {}
        other => panic!("expected a refusal, got {:?}", other.map(drop)),
    }
    let other_epoch = Checkpoint::before(end.store(), end.epoch() + 1, Position(0));
    match t.store.subscribe(all().from(SubscribeFrom::Checkpoint(other_epoch))).await {
        Err(ReadError::Checkpoint(CheckpointError::OtherEpoch { .. })) => {}
        other => panic!("expected a refusal, got {:?}", other.map(drop)),
    }
}

pub async fn a_checkpoint_resumes_exactly_where_it_was_taken(t: Case) {
    for letter in ["A", "B", "C"] {
        t.append("s", events(&letter.repeat(200))).await;
        t.append("other", events("Z")).await;
    }
    for request in [all(), of("s"), of_type("B"), of_type("Z")] {
        let (whole, _) = until_caught_up(&mut *t.subscribe(request.clone()).await).await;
        // Every checkpoint that the subscription gives, taken through its text, gives the rest and nothing twice.
        let mut subscription = t.subscribe(request.clone()).await;
        let mut seen = 0;
        loop {
            let message = subscription.next().await.expect("the subscription goes on");
            let (checkpoint, last) = match message {
                SubscriptionMessage::Events { events, checkpoint } => {
                    seen += events.len();
                    (checkpoint, false)
                }
                SubscriptionMessage::Checkpoint(checkpoint) => (checkpoint, false),
                SubscriptionMessage::CaughtUp(checkpoint) => (checkpoint, true),
            };
            let carried = checkpoint.to_string().parse().expect("a checkpoint's text is one");
            let resumed = request.clone().from(SubscribeFrom::Checkpoint(carried));
            let (rest, _) = until_caught_up(&mut *t.subscribe(resumed).await).await;
            assert_eq!(positions(&rest), positions(&whole[seen..]), "{request:?}");
            if last {
                break;
            }
        }
        assert_eq!(seen, whole.len());
    }
}

pub async fn a_filtered_one_advances_over_what_does_not_pass(t: Case) {
    let no_system = EventFilter { system_events: SystemEvents::Exclude, ..EventFilter::default() };
    let prefix = EventFilter { stream_prefixes: vec!["wanted".to_owned()], ..EventFilter::default() };
    t.append("wanted-1", events("A")).await;
    t.append("other", events(&"Z".repeat(700))).await;
    for (request, pass) in [
        (all().filter(prefix), 1),
        (of_type("A"), 1),
        (of("wanted-1"), 1),
        (of("never"), 0),
        (all().filter(no_system), 701),
    ] {
        let mut subscription = t.subscribe(request.clone()).await;
        let (history, checkpoint) = until_caught_up(&mut *subscription).await;
        assert_eq!(history.len(), pass, "{request:?}");
        assert_eq!(checkpoint.next_position(), Some(Position(701)), "{request:?}");
    }
    let mut live = t.subscribe(of("wanted-1")).await;
    let mut never = t.subscribe(of("never")).await;
    until_caught_up(&mut *live).await;
    until_caught_up(&mut *never).await;
    t.append("other", events("ZZ")).await;
    assert_eq!(until_looked_at(&mut *live, Position(703)).await, []);
    assert_eq!(until_looked_at(&mut *never, Position(703)).await, []);
}

pub async fn no_checkpoint_comes_twice_and_none_goes_back(t: Case) {
    for _ in 0..30 {
        t.append("s", events("AZ")).await;
    }
    let mut subscription = t.subscribe(of_type("A")).await;
    let mut last: Option<Checkpoint> = None;
    let mut caught_up = 0;
    for round in 0.. {
        let (checkpoint, may_equal) = match subscription.next().await.expect("the subscription goes on") {
            SubscriptionMessage::Events { events, checkpoint } => {
                assert!(events.iter().all(|e| Some(e.position()) < checkpoint.next_position()));
                (checkpoint, false)
            }
            SubscriptionMessage::Checkpoint(checkpoint) => (checkpoint, false),
            SubscriptionMessage::CaughtUp(checkpoint) => {
                caught_up += 1;
                (checkpoint, true)
            }
        };
        if let Some(last) = &last {
            assert!(checkpoint.reaches(last).expect("one store's checkpoints compare"));
            assert!(may_equal || checkpoint != *last, "the same checkpoint twice");
        }
        let place = checkpoint.next_position();
        last = Some(checkpoint);
        if place == Some(Position(t.length().await)) && caught_up > 0 {
            if round > 20 {
                break;
            }
            t.append("s", events("ZA")).await;
        }
    }
    assert_eq!(caught_up, 1);
}

pub async fn a_stream_that_is_not_there_yet_is_waited_for(t: Case) {
    let mut subscription = t.subscribe(of("s")).await;
    assert_eq!(until_caught_up(&mut *subscription).await.0, []);
    t.append("other", events("Z")).await;
    t.append("s", events("A")).await;
    let (live, _) = next_events(&mut *subscription, 1).await;
    assert_eq!(types(&live), ["A"]);
}

pub async fn a_soft_deleted_stream_is_waited_for_and_goes_on_when_revived(t: Case) {
    t.append("s", events("AB")).await;
    let mut subscription = t.subscribe(of("s")).await;
    until_caught_up(&mut *subscription).await;
    t.soft_delete("s").await;
    let mut late = t.subscribe(of("s")).await;
    assert_eq!(until_caught_up(&mut *late).await.0, []);
    t.append("s", events("C")).await;
    for subscription in [&mut subscription, &mut late] {
        let (live, _) = next_events(&mut **subscription, 1).await;
        assert_eq!((types(&live), revisions(&live)), (vec!["C"], vec![2]));
    }
}

/// The tombstone, and then the error, again and again.
async fn assert_ends(subscription: &mut dyn Subscription) {
    let (last, _) = next_events(subscription, 1).await;
    assert_eq!(types(&last), ["$streamDeleted"]);
    for _ in 0..2 {
        match subscription.next().await {
            Err(ReadError::StreamDeleted { stream }) => assert_eq!(stream.as_str(), "s"),
            other => panic!("expected that the stream is deleted, got {other:?}"),
        }
    }
}

pub async fn a_tombstone_is_delivered_and_then_the_error(t: Case) {
    t.append("s", events("AB")).await;
    let mut running = t.subscribe(of("s")).await;
    until_caught_up(&mut *running).await;
    let mut of_log = t.subscribe(all().from(SubscribeFrom::End)).await;
    t.tombstone("s").await;
    assert_ends(&mut *running).await;
    assert_ends(&mut *t.subscribe(of("s")).await).await;
    // Who has seen the tombstone is not told of it again.
    let end = t.end().await;
    let mut after = t.subscribe(of("s").from(SubscribeFrom::Checkpoint(end))).await;
    assert!(matches!(after.next().await, Err(ReadError::StreamDeleted { .. })));
    // For a subscription to the log it is an event like any other.
    t.append("other", events("C")).await;
    let (live, _) = next_events(&mut *of_log, 2).await;
    assert_eq!(types(&live), ["$streamDeleted", "C"]);
}

pub async fn what_metadata_hides_is_not_delivered(t: Case) {
    t.append("s", events("ABCD")).await;
    t.describe("s", r#"{"$tb":2}"#).await;
    let (history, _) = until_caught_up(&mut *t.subscribe(of("s")).await).await;
    assert_eq!(types(&history), ["C", "D"]);
}

pub async fn a_dropped_wait_loses_nothing(t: Case) {
    let mut subscription = t.subscribe(all()).await;
    until_caught_up(&mut *subscription).await;
    for round in 0..20_u64 {
        {
            let waiting = subscription.next();
            tokio::select! {
                biased;
                message = waiting => panic!("nothing has come yet: {message:?}"),
                () = std::future::ready(()) => {}
            }
        }
        t.append("s", events("A")).await;
        let (live, _) = next_events(&mut *subscription, 1).await;
        assert_eq!(positions(&live), [round]);
    }
}

/// Appends from four tasks at once: `rounds` each, to streams of two categories.
fn write_concurrently(store: &Arc<dyn EventStore>, rounds: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..rounds {
                let name = if writer % 2 == 0 { "even-1" } else { "odd-1" };
                let letters = if round % 3 == 0 { "AB" } else { "B" };
                let append = Append::to(stream(name), ExpectedRevision::Any, events(letters));
                store.append(append).await.expect("the append is done");
                tokio::task::yield_now().await;
            }
        })
    });
    writers.collect()
}

pub async fn the_hand_over_to_live_has_no_gap_and_no_duplicate(t: Case) {
    t.append("even-1", events("AB")).await;
    let rounds = 120;
    let total = 2 + 4 * (rounds + rounds / 3);
    let writers = write_concurrently(&t.store, rounds);
    let even = Selector::Category(Category::new("even").expect("a category"));
    let requests = [all(), of("even-1"), of_type("A"), Subscribe::to(even)];
    let mut readers = Vec::new();
    for request in requests {
        for start in [SubscribeFrom::Start, SubscribeFrom::AfterPosition(Position(0))] {
            let mut subscription = t.subscribe(request.clone().from(start.clone())).await;
            let request = request.clone();
            readers.push(tokio::spawn(async move {
                let seen = until_looked_at(&mut *subscription, Position(total as u64)).await;
                (request, start, seen)
            }));
        }
    }
    for writer in writers {
        writer.await.expect("the writer is done");
    }
    let log = t.read(factum_core::Read::forwards(Selector::All)).await;
    assert_eq!(log.len(), total);
    for reader in readers {
        let (request, start, seen) = reader.await.expect("the reader is done");
        let wanted = |event: &&RecordedEvent| {
            request.selector.matches(event)
                && (start == SubscribeFrom::Start || event.position() > Position(0))
        };
        let expected: Vec<_> = log.iter().filter(wanted).map(|event| event.position().0).collect();
        assert_eq!(positions(&seen), expected, "{request:?} from {start:?}");
    }
}

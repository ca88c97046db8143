//! Appends that share a call: in order, each answered by itself, and once only whatever breaks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use factum_core::{
    AppendError, EventStoreExt, EventType, ExpectedRevision, ManualClock, MemoryStore, NewEvent, Read,
    Revision, SchemaVersion, Selector, StreamName,
};
use factum_protocol::remote::Ways;

use crate::breaks::Relay;
use crate::served::{memory, serve};

fn stream(name: &str) -> StreamName {
    StreamName::new(name.to_owned()).unwrap()
}

fn event(data: usize) -> NewEvent {
    NewEvent::json(EventType::new("A").unwrap(), data.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_are_carried_out_in_the_order_in_which_they_were_begun() {
    let (_server, store) = memory(Arc::new(ManualClock::default()), Ways::Best).await;
    // The first one opens the call that the others share.
    store.append_to(stream("s"), ExpectedRevision::NoStream, vec![event(0)]).await.unwrap();
    let append = |n: usize| store.append_to(stream("s"), ExpectedRevision::Any, vec![event(n)]);
    let mut begun: Vec<_> = (1..500).map(append).collect();
    std::future::poll_fn(|context| {
        // Each once, in this order; what is ready already may not be polled again.
        begun.retain_mut(|append| match append.as_mut().poll(context) {
            Poll::Ready(appended) => appended.is_err(),
            Poll::Pending => true,
        });
        Poll::Ready(())
    })
    .await;
    for append in begun {
        append.await.unwrap();
    }
    let events = store.read_all(Read::stream(stream("s"))).await.unwrap();
    let numbers: Vec<usize> = events
        .iter()
        .map(|event| std::str::from_utf8(event.data_slice()).unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_alone() {
    let (_server, store) = memory(Arc::new(ManualClock::default()), Ways::Best).await;
    store.append_to(stream("s"), ExpectedRevision::NoStream, vec![event(0)]).await.unwrap();
    let appends = (0..300).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let (to, expected, version) = match n % 3 {
                0 => (stream(&format!("t-{n}")), ExpectedRevision::NoStream, SchemaVersion::FIRST),
                1 => (stream("s"), ExpectedRevision::Exact(Revision(7_000)), SchemaVersion::FIRST),
                _ => (stream("s"), ExpectedRevision::Any, SchemaVersion(0)),
            };
            let event = NewEvent { schema_version: version, ..event(n) };
            (n % 3, store.append_to(to, expected, vec![event]).await)
        })
    });
    let mut outcomes = BTreeMap::new();
    for append in appends.collect::<Vec<_>>() {
        let (kind, outcome) = append.await.unwrap();
        let as_meant = match kind {
            0 => outcome.is_ok(),
            1 => matches!(outcome, Err(AppendError::Conflict { .. })),
            _ => matches!(outcome, Err(AppendError::InvalidEvent { .. })),
        };
        assert!(as_meant, "{kind}: {outcome:?}");
        *outcomes.entry(kind).or_insert(0) += 1;
    }
    assert_eq!(outcomes, BTreeMap::from([(0, 100), (1, 100), (2, 100)]));
    assert_eq!(store.read_all(Read::forwards(Selector::All)).await.unwrap().len(), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_append_goes_by_itself() {
    let (_server, store) = memory(Arc::new(ManualClock::default()), Ways::Best).await;
    store.append_to(stream("s"), ExpectedRevision::NoStream, vec![event(0)]).await.unwrap();
    let large = || NewEvent::json(EventType::new("Large").unwrap(), format!("\"{}\"", "x".repeat(200_000)));
    let (one, two) = tokio::join!(
        store.append_to(stream("large"), ExpectedRevision::NoStream, vec![large(), large()]),
        store.append_to(stream("s"), ExpectedRevision::Any, vec![event(1)]),
    );
    assert_eq!(one.unwrap().streams[0].last, Some(Revision(1)));
    assert_eq!(two.unwrap().streams[0].last, Some(Revision(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_done_once_while_the_connection_breaks_again_and_again() {
    let log = MemoryStore::new();
    let server = serve(Arc::new(log.clone()), Arc::new(ManualClock::default())).await;
    let relay = Relay::to(server.address(), log.clone()).await;
    let store = relay.store(Ways::Best).await;
    let writers = (0..16).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                let expected = match n {
                    0 => ExpectedRevision::NoStream,
                    _ => ExpectedRevision::Exact(Revision(n - 1)),
                };
                let to = stream(&format!("w-{writer}"));
                let event = event(usize::try_from(n).unwrap());
                let appended = store.append_to(to, expected, vec![event]).await;
                assert_eq!(appended.unwrap().streams[0].last, Some(Revision(n)), "writer {writer}");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    // Cut at known places of the log: between, much has been acknowledged and much is under way.
    for at in [40, 150, 300, 450, 600] {
        while log.read_all(Read::forwards(Selector::All)).await.unwrap().len() < at {
            tokio::task::yield_now().await;
        }
        relay.cut();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(log.read_all(Read::forwards(Selector::All)).await.unwrap().len(), 16 * 40);
    assert!(relay.connections() > 1, "connections were broken");
}

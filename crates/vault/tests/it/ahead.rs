//! Is what was opened ahead, and by other threads, the same as if it were opened when it is asked for?

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore,
    ExpectedRevision, MemoryStore, Page, Read, ReadError, ReadHead, RecordedEvent, Subscribe, Subscription,
    block_on,
};
use factum_vault::{ErasureRequest, LEASE, SealingStore};
use serde_json::{Value, json};

use crate::house::{House, event, fresh, outcome, read, stream, subject};

const EVENTS: usize = 2_000;

/// Somebody else's events and Ada's in turn, some of both, and some of nobody.
fn fill(store: &SealingStore) {
    for from in (0..EVENTS).step_by(100) {
        let events = (from..from + 100).map(|n| match n % 5 {
            0 => event(&json!({ "n": n })),
            1 | 2 => event(&json!({ "n": n, "ada": fresh("ada", &json!(n)) })),
            3 => event(&json!({ "n": n, "bob": fresh("bob", &json!(n)) })),
            _ => event(&json!({ "n": n, "ada": fresh("ada", &json!(n)), "bob": fresh("bob", &json!(n)) })),
        });
        let append = Append::to(stream("c-1"), ExpectedRevision::Any, events.collect::<Vec<_>>());
        block_on(store.append(append)).unwrap();
    }
}

fn check(events: &[RecordedEvent], from: usize, ada: impl Fn(usize) -> String) {
    for (n, event) in (from..).zip(events) {
        assert_eq!(event.revision().0, n as u64);
        let data: Value = serde_json::from_slice(event.data_slice()).unwrap();
        assert_eq!(data["n"], n);
        if data.get("ada").is_some() {
            assert_eq!(outcome(&data, "ada"), ada(n), "{n}");
        }
        if data.get("bob").is_some() {
            assert_eq!(outcome(&data, "bob"), format!("value {n}"));
        }
    }
}

fn reader(store: &dyn EventStore) -> Box<dyn EventReader> {
    block_on(store.read(Read::stream(stream("c-1")))).unwrap()
}

fn next(reader: &mut dyn EventReader) -> Vec<RecordedEvent> {
    block_on(reader.next_page()).unwrap().unwrap().events
}

#[test]
fn many_pages_come_in_order_and_each_value_is_its_own() {
    let house = House::new();
    let store = house.open();
    fill(&store);
    let events = read(&store, "c-1");
    assert_eq!(events.len(), EVENTS);
    check(&events, 0, |n| format!("value {n}"));
}

#[test]
fn several_readers_at_once_get_all_of_theirs() {
    let house = House::new();
    let store = house.open();
    fill(&store);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let events = read(&store, "c-1");
                assert_eq!(events.len(), EVENTS);
                check(&events, 0, |n| format!("value {n}"));
            });
        }
    });
}

#[test]
fn what_was_opened_ahead_of_an_erasure_is_erased_after_it() {
    let house = House::new();
    let store = house.open();
    fill(&store);
    let mut reader = reader(&store);
    let mut read = 0;
    for _ in 0..2 {
        let page = next(&mut *reader);
        check(&page, read, |n| format!("value {n}"));
        read += page.len();
    }
    // Now the third page is being opened.
    let erased = ErasureRequest::everything(store.vault().subject_ref(&subject("ada")), "r", "a");
    block_on(store.vault().erase(&*house.log, &erased, &[])).unwrap();
    while let Some(page) = block_on(reader.next_page()).unwrap() {
        check(&page.events, read, |_| "erased".to_owned());
        read += page.events.len();
    }
    assert_eq!(read, EVENTS);
}

#[test]
fn what_was_opened_ahead_of_the_lease_is_asked_for_again_after_it() {
    let house = House::new();
    let store = house.open();
    fill(&store);
    let mut reader = reader(&store);
    let (first, second) = (next(&mut *reader), next(&mut *reader));
    let elsewhere = house.open();
    let erased = ErasureRequest::everything(store.vault().subject_ref(&subject("ada")), "r", "a");
    // The other process waits for this one's lease, which is not renewed once the openers have nothing to do.
    while block_on(elsewhere.vault().erase(&*house.log, &erased, &[])).is_err() {
        house.clock.advance(LEASE);
    }
    let third = next(&mut *reader);
    check(&third, first.len() + second.len(), |_| "erased".to_owned());
}

/// A log whose pages come only when they are asked for a second time, and no more after a number of them.
struct Slow {
    log: Arc<MemoryStore>,
    pages: Arc<AtomicU64>,
}

struct SlowReader {
    reader: Box<dyn EventReader>,
    pages: Arc<AtomicU64>,
}

impl EventReader for SlowReader {
    fn head(&self) -> &ReadHead {
        self.reader.head()
    }

    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        Box::pin(async move {
            let mut asked = false;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            if self
                .pages
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_err()
            {
                return Err(ReadError::Invalid { why: "no more".to_owned() });
            }
            self.reader.next_page().await
        })
    }
}

impl EventStore for Slow {
    fn capabilities(&self) -> Capabilities {
        self.log.capabilities()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.log.append(append)
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        Box::pin(async move {
            let (reader, pages) = (self.log.read(read).await?, self.pages.clone());
            Ok(Box::new(SlowReader { reader, pages }) as Box<dyn EventReader>)
        })
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.log.subscribe(subscribe)
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.log.delete(delete)
    }
}

fn slow(house: &House) -> (SealingStore, Arc<AtomicU64>) {
    let store = house.open();
    fill(&store);
    let pages = Arc::new(AtomicU64::new(u64::MAX));
    let log = Slow { log: house.log.clone(), pages: pages.clone() };
    (SealingStore::new(Arc::new(log), store.vault().clone()), pages)
}

#[test]
fn calls_that_are_given_up_lose_no_event_and_repeat_none() {
    let house = House::new();
    let (store, _) = slow(&house);
    for polls in 1..6 {
        let mut reader = reader(&store);
        let mut events = Vec::new();
        let mut given_up = 0;
        loop {
            // Given up after as many polls, and then made again to its end.
            let early = {
                let mut call = pin!(reader.next_page());
                let mut context = Context::from_waker(Waker::noop());
                (0..polls).find_map(|_| match call.as_mut().poll(&mut context) {
                    Poll::Ready(page) => Some(page),
                    Poll::Pending => None,
                })
            };
            given_up += u32::from(early.is_none());
            let page = early.unwrap_or_else(|| block_on(reader.next_page()));
            let Some(page) = page.unwrap() else { break };
            events.extend(page.events);
        }
        assert!(given_up > 0 || polls > 2, "{polls}");
        assert_eq!(events.len(), EVENTS);
        check(&events, 0, |n| format!("value {n}"));
    }
}

#[test]
fn an_error_comes_in_its_turn_and_reading_goes_on_after_it() {
    let house = House::new();
    let (store, pages) = slow(&house);
    let mut reader = reader(&store);
    pages.store(3, Ordering::SeqCst);
    let mut read = 0;
    for _ in 0..3 {
        let page = next(&mut *reader);
        check(&page, read, |n| format!("value {n}"));
        read += page.len();
    }
    for _ in 0..2 {
        let failed = block_on(reader.next_page()).map(|_| ());
        assert!(matches!(failed, Err(ReadError::Invalid { .. })), "{failed:?}");
    }
    pages.store(u64::MAX, Ordering::SeqCst);
    while let Some(page) = block_on(reader.next_page()).unwrap() {
        check(&page.events, read, |n| format!("value {n}"));
        read += page.events.len();
    }
    assert_eq!(read, EVENTS);
    assert!(block_on(reader.next_page()).unwrap().is_none());
}

#[test]
fn who_wants_one_page_reads_one() {
    let house = House::new();
    let (store, pages) = slow(&house);
    let mut reader = reader(&store);
    pages.store(10, Ordering::SeqCst);
    next(&mut *reader);
    assert_eq!(pages.load(Ordering::SeqCst), 9);
    next(&mut *reader);
    assert_eq!(pages.load(Ordering::SeqCst), 7);
    next(&mut *reader);
    assert_eq!(pages.load(Ordering::SeqCst), 6);
}

#[test]
fn an_envelope_with_its_members_in_another_order_opens_too() {
    let house = House::new();
    let store = house.open();
    crate::house::append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let stored = read(&*house.log, "c-1").remove(0);
    let data: Value = serde_json::from_slice(stored.data_slice()).unwrap();
    let sealed = &data["name"]["$pii"];
    let opened = |data: &str| {
        let event = stored.with_data(data.as_bytes());
        let opened = block_on(store.vault().open_events(vec![event])).remove(0);
        outcome(&serde_json::from_slice(opened.data_slice()).unwrap(), "name")
    };
    assert_eq!(opened(&data.to_string()), r#"value "Ada""#);
    let (k, s, c) = (&sealed["k"], &sealed["s"], &sealed["c"]);
    for other in [
        format!(r#"{{"name":{{"$pii":{{"c":{c},"s":{s},"k":{k},"v":1}}}}}}"#),
        format!(r#"{{"name":{{"$pii":{{"v":1,"k":{k}, "s":{s},"c":{c}}}}}}}"#),
        format!(r#"{{ "name" : {{ "$pii" : {{"v":1,"k":{k},"s":{s},"c":{c}}} }} }}"#),
        format!(r#"{{"name":{{"$pii":{{"v":1,"k":{k},"s":{s},"c":{c} }}}}}}"#),
    ] {
        assert_eq!(opened(&other), r#"value "Ada""#, "{other}");
    }
    let c = c.as_str().unwrap();
    for (other, why) in [
        (format!(r#"{{"name":{{"$pii":{{"v":1,"k":{k},"s":{s},"c":"{c}="}}}}}}"#), "malformed"),
        (format!(r#"{{"name":{{"$pii":{{"v":1,"k":{k},"s":{s},"c":"\\u0041{c}"}}}}}}"#), "malformed"),
        (format!(r#"{{"name":{{"$pii":{{"v":2,"k":{k},"s":{s},"c":"{c}"}}}}}}"#), "malformed"),
        (format!(r#"{{"name":{{"$pii":{{"v":1,"k":{k},"s":{s},"c":"AAAA"}}}}}}"#), "tampered"),
        (format!(r#"{{"name":{{"$pii":{{"v":1,"k":{k},"s":{s},"c":"{c}","p":1}}}}}}"#), "tampered"),
    ] {
        assert_eq!(opened(&other), format!("unavailable {why}"), "{other}");
    }
}

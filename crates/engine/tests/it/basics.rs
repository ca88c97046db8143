//! Append, read, reopen: the main path on a real directory.

use factum_core::{
    Append, AppendError, EventReader, EventType, ExpectedRevision, NewEvent, Position, Read, RecordedEvent,
    Revision, Selector, StreamName, Tag,
};
use factum_engine::{Create, Engine, OpenError, Options};

pub(crate) fn options() -> Options {
    Options { segment_bytes: 16 * 1024, ..Options::default() }
}

pub(crate) fn event(event_type: &str, data: &str) -> NewEvent {
    NewEvent::json(EventType::new(event_type).unwrap(), data.to_owned()).with_tag(Tag::new("all:1").unwrap())
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

/// Everything but a subscription is ready at once, or soon: polls until it is.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}

pub(crate) fn all(mut reader: Box<dyn EventReader>) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    loop {
        let mut next = reader.next_page();
        let waker = std::task::Waker::noop();
        match next.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
            std::task::Poll::Ready(Ok(Some(page))) => events.extend(page.events),
            std::task::Poll::Ready(Ok(None)) => return events,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_appended_is_read_back_after_reopening_and_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3u64 {
        let engine = Engine::open(dir.path(), options()).unwrap();
        for n in 0..200u64 {
            let name = stream(&format!("account-{}", n % 7));
            let data = format!("{{\"n\":{n},\"round\":{round},\"pad\":\"{}\"}}", "x".repeat(100));
            let appended = engine
                .append_blocking(Append::to(name, ExpectedRevision::Any, vec![event("Deposited", &data)]))
                .unwrap();
            assert_eq!(appended.last, Some(Position(round * 200 + n)));
        }
        engine.close();
    }
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert_eq!(engine.recovered(), None);
    for selector in [Selector::All, Selector::tag(Tag::new("all:1").unwrap())] {
        let events = all(engine.read_blocking(Read::forwards(selector.clone())).unwrap());
        assert_eq!(events.len(), 600);
        assert!(events.iter().enumerate().all(|(at, event)| event.position().0 == at as u64));
        let backwards = all(engine.read_blocking(Read::backwards(selector)).unwrap());
        assert!(backwards.iter().eq(events.iter().rev()));
    }
    let one = all(engine.read_blocking(Read::stream(stream("account-3"))).unwrap());
    assert!(one.iter().enumerate().all(|(at, event)| event.revision() == Revision(at as u64)));
    assert!(one.iter().all(|event| event.stream() == "account-3"));
    let refused = engine.append_blocking(Append::to(
        stream("account-3"),
        ExpectedRevision::Exact(Revision(0)),
        vec![event("Deposited", "{}")],
    ));
    assert!(matches!(refused, Err(AppendError::Conflict { .. })), "{refused:?}");
}

#[test]
fn a_second_opening_is_refused_and_so_is_a_directory_without_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let never = Options { create: Create::Never, ..options() };
    assert!(matches!(Engine::open(dir.path(), never.clone()), Err(OpenError::NotFound { .. })));
    let engine = Engine::open(dir.path(), options()).unwrap();
    assert!(matches!(Engine::open(dir.path(), options()), Err(OpenError::Locked { .. })));
    drop(engine);
    assert!(Engine::open(dir.path(), never).is_ok());
}

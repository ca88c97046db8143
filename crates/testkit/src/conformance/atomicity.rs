//! Is an append over several events and streams all or nothing, in one piece, and in the order asked for?

use factum_core::{
    Append, AppendError, Capability, ErrorKind, ExpectedRevision, Position, Read, Selector, StreamState,
};

use crate::case::{
    Case, assert_deleted, by_stream, conflict, event, events, exact, positions, revision_check, revisions,
    span, stream, types,
};
use ExpectedRevision::{Any, NoStream};

pub async fn several_streams_in_one_append(t: Case) {
    if !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    t.append("b", events("Z")).await;
    let append = Append::to(stream("a"), NoStream, events("AB")).and(stream("b"), exact(0), events("C")).and(
        stream("c"),
        Any,
        events("DE"),
    );
    let appended = t.submit(append).await;
    assert_eq!(span(&appended), Some((1, 5)));
    assert_eq!(appended.token.next_position(), Some(Position(6)));
    let expected = [("a", Some(0), Some(1)), ("b", Some(1), Some(1)), ("c", Some(0), Some(1))];
    assert_eq!(by_stream(&appended), expected);
    let log = t.read(Read::forwards(Selector::All)).await;
    assert_eq!(types(&log), ["Z", "A", "B", "C", "D", "E"]);
    assert!(log[1..].iter().all(|event| event.recorded_at() == log[1].recorded_at()));
}

pub async fn a_stream_may_come_again_to_interleave(t: Case) {
    if !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    let append = Append::to(stream("a"), NoStream, events("A"))
        .and(stream("b"), NoStream, events("B"))
        // Only the first write's expectation counts.
        .and(stream("a"), exact(99), events("CD"))
        .and(stream("b"), NoStream, events("E"));
    let appended = t.submit(append).await;
    assert_eq!(by_stream(&appended), [("a", Some(0), Some(2)), ("b", Some(0), Some(1))]);
    let log = t.read(Read::forwards(Selector::All)).await;
    assert_eq!(types(&log), ["A", "B", "C", "D", "E"]);
    assert_eq!(revisions(&log), [0, 0, 1, 2, 1]);
    assert_eq!(positions(&t.read_stream("a").await), [0, 2, 3]);
}

pub async fn one_refusal_refuses_everything(t: Case) {
    if !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    t.append("gone", events("Z")).await;
    t.tombstone("gone").await;
    let wrong = Append::to(stream("a"), NoStream, events("A")).and(stream("b"), exact(3), events("B"));
    let failed = [revision_check("b", exact(3), StreamState::Missing)];
    assert_eq!(conflict(t.store.append(wrong).await), failed);
    let deleted = Append::to(stream("a"), NoStream, events("A")).and(stream("gone"), Any, events("B"));
    assert_deleted(t.store.append(deleted).await, "gone");
    t.assert_not_found(Read::stream(stream("a"))).await;
    assert_eq!(t.length().await, 2);
}

pub async fn several_soft_deleted_streams_are_revived_together(t: Case) {
    if !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    for name in ["a", "b"] {
        t.append(name, events("Z")).await;
        t.soft_delete(name).await;
    }
    let appended =
        t.submit(Append::to(stream("a"), Any, events("A")).and(stream("b"), NoStream, events("B"))).await;
    assert_eq!(by_stream(&appended), [("a", Some(1), Some(1)), ("b", Some(1), Some(1))]);
    assert_eq!(span(&appended), Some((6, 7)));
    assert_eq!(t.types(Read::stream(stream("a"))).await, "A");
    assert_eq!(t.types(Read::stream(stream("b"))).await, "B");
}

pub async fn an_append_without_events_answers_and_changes_nothing(t: Case) {
    t.append("s", events("AB")).await;
    for append in [
        Append::default(),
        Append::to(stream("s"), exact(1), vec![]),
        Append::to(stream("never"), NoStream, vec![]),
    ] {
        let appended = t.submit(append).await;
        assert_eq!((span(&appended), appended.deduplicated), (None, false));
        assert_eq!(appended.token.next_position(), Some(Position(2)));
    }
    assert_eq!(t.length().await, 2);
    t.assert_not_found(Read::stream(stream("never"))).await;
}

pub async fn a_stream_and_its_metadata_in_one_append(t: Case) {
    if !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    let mut metadata = event("$metadata");
    metadata.data = r#"{"$maxCount":1}"#.into();
    let append =
        Append::to(stream("s"), NoStream, events("AB")).and(stream("$$s"), NoStream, vec![metadata.clone()]);
    t.submit(append).await;
    assert_eq!(t.types(Read::stream(stream("s"))).await, "B");
    t.soft_delete("s").await;
    // The store revives the stream, and then the append says what its metadata is.
    metadata.id = factum_core::EventId::generate();
    let again = Append::to(stream("s"), Any, events("C")).and(stream("$$s"), Any, vec![metadata]);
    let appended = t.submit(again).await;
    assert_eq!(by_stream(&appended), [("s", Some(2), Some(2)), ("$$s", Some(3), Some(3))]);
    assert_eq!(t.types(Read::stream(stream("s"))).await, "C");
}

pub async fn a_reader_sees_all_of_an_append_or_nothing(t: Case) {
    let store = t.store.clone();
    let writer = tokio::spawn(async move {
        for _ in 0..200 {
            let append = Append::to(stream("s"), Any, events("ABCDEFG"));
            store.append(append).await.expect("the append is done");
        }
    });
    let mut longest = 0;
    while longest < 1_400 {
        let seen = t.length().await;
        assert_eq!(seen % 7, 0, "half an append is visible");
        let read = t.read(Read::forwards(Selector::All)).await;
        assert_eq!(read.len() % 7, 0, "half an append is visible");
        assert!(read.len() as u64 >= seen, "what was visible stays visible");
        longest = read.len();
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer is done");
}

pub async fn what_a_store_cannot_do_it_refuses(t: Case) {
    let condition = factum_core::AppendCondition::CountBelow { query: factum_core::Query::all(), below: 9 };
    let one = || Append::to(stream("s"), Any, events("A"));
    for (capability, append) in [
        (Capability::MultiStreamAppend, one().and(stream("other"), Any, events("B"))),
        (Capability::QueryConditions, one().on_condition(condition)),
        (Capability::StreamChecks, one().check(stream("other"), Any)),
        (Capability::AppendIds, one().with_id(factum_core::AppendId::generate())),
    ] {
        let supported = t.has(capability);
        match t.store.append(append).await {
            Ok(_) => assert!(supported, "{capability} is done, but not declared"),
            Err(error @ AppendError::Unsupported { .. }) => {
                assert!(!supported, "{capability} is declared, but refused");
                assert_eq!(error.kind(), ErrorKind::Unsupported);
            }
            Err(error) => panic!("{capability}: {error:?}"),
        }
    }
}

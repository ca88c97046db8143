//! What is left of an event that was redacted, and who finds it then?

use ExpectedRevision::{Any, NoStream};
use factum_core::{
    Append, AppendCondition, AppendError, AppendId, Capability, Delete, DeleteMode, EVENT_REDACTED_TYPE,
    ErrorKind, ExpectedRevision, Leaf, NewEvent, Position, Query, QueryItem, REDACTIONS_STREAM, Read,
    RecordedEvent, Redact, RedactError, RedactOutcome, Redacted, Revision, Selector, StreamView, Subscribe,
    SubscribeFrom, Timestamp, limits,
};
use serde_json::Value;

use crate::case::{
    Case, conflict, event, event_type, events, exact, next_events, positions, stream, tag, tagged, types,
    until_caught_up,
};

impl Case {
    async fn redact(&self, position: u64) -> Redacted {
        let redact = Redact::at(Position(position), "wrong person").by("ops");
        self.store.redact(redact).await.expect("the redaction is done")
    }

    async fn one(&self, position: u64) -> RecordedEvent {
        let read = Read::forwards(Selector::All).from(factum_core::ReadFrom::Position(Position(position)));
        self.read(read.limit(1)).await.remove(0)
    }
}

/// An event with everything that can be in one.
fn full() -> NewEvent {
    NewEvent::json(event_type("Opened"), r#"{"name":"Ada"}"#)
        .with_metadata(r#"{"$correlationId":"c1","$causationId":"k1"}"#)
        .with_tag(tag("person:ada"))
        .with_occurred_at(Timestamp(12_345))
        .with_schema_version(factum_core::SchemaVersion(3))
}

pub async fn the_place_stays_and_what_it_said_is_gone(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("person-1", events("AB")).await;
    let append = Append::to(stream("person-1"), Any, vec![full()]).with_id(AppendId::generate());
    t.submit(append).await;
    let before = t.one(2).await;
    t.advance(60);
    let redacted = t.redact(2).await;
    let after = t.one(2).await;
    assert_eq!((after.header(), after.stream()), (before.header(), "person-1"));
    assert_eq!((after.event_type(), after.revision()), ("Opened", Revision(2)));
    assert_eq!((after.data().len(), after.metadata().len(), after.tags().count()), (0, 0, 0));
    let redaction = after.redaction().expect("it says that it is redacted");
    assert_eq!((redaction.leaf, redaction.reason.as_str()), (Leaf::of(&before), "wrong person"));
    assert_eq!((redaction.recorded, redaction.at), (Position(3), t.one(3).await.recorded_at()));
    assert!(redaction.at > before.recorded_at());
    assert_eq!((&redacted.event, &redacted.redaction), (&after, redaction));
    assert_eq!((redacted.outcome, redacted.token.next_position()), (RedactOutcome::Done, Some(Position(4))));
    // Nothing else moved.
    assert_eq!(types(&t.read_stream("person-1").await), ["A", "B", "Opened"]);
    assert!(t.read_stream("person-1").await.iter().filter(|event| event.is_redacted()).count() == 1);
}

pub async fn it_is_recorded_who_did_it_to_which_event_and_why(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("person-1", vec![full()]).await;
    let before = t.one(0).await;
    t.redact(0).await;
    let records = t.read_stream(REDACTIONS_STREAM).await;
    assert_eq!(types(&records), [EVENT_REDACTED_TYPE]);
    let data: Value = serde_json::from_slice(records[0].data_slice()).expect("JSON");
    let expected = serde_json::json!({
        "position": 0, "stream": "person-1", "revision": 0, "eventId": before.id().to_string(), "type": "Opened",
        "leaf": Leaf::of(&before).to_string(), "reason": "wrong person", "actor": "ops",
    });
    assert_eq!(data, expected);
    t.append("person-1", events("B")).await;
    t.store.redact(Redact::at(Position(2), "again")).await.expect("the redaction is done");
    let records = t.read_stream(REDACTIONS_STREAM).await;
    assert_eq!(records[1].revision(), Revision(1));
    let data: Value = serde_json::from_slice(records[1].data_slice()).expect("JSON");
    assert_eq!(data.get("actor"), None);
}

pub async fn it_is_found_by_what_it_keeps_and_by_nothing_else(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    let append = AppendId::generate();
    t.submit(Append::to(stream("person-1"), NoStream, vec![full()]).with_id(append)).await;
    let id = t.one(0).await.id();
    t.append("person-1", vec![full()]).await;
    t.redact(0).await;
    let found = async |selector: Selector| positions(&t.read(Read::forwards(selector)).await);
    assert_eq!(found(Selector::All).await, [0, 1, 2]);
    assert_eq!(found(Selector::Stream(stream("person-1"))).await, [0, 1]);
    assert_eq!(found(Selector::Category("person".parse().expect("a category"))).await, [0, 1]);
    assert_eq!(found(Selector::event_type(event_type("Opened"))).await, [0, 1]);
    assert_eq!(found(Selector::Event(id)).await, [0]);
    assert_eq!(found(Selector::Append(append)).await, [0]);
    assert!(found(Selector::StreamStarts).await.contains(&0));
    assert_eq!(found(Selector::tag(tag("person:ada"))).await, [1]);
    let both = QueryItem::types([event_type("Opened")]).and_tags([tag("person:ada")]);
    assert_eq!(found(Selector::Query(Query::item(both))).await, [1]);
    assert_eq!(found(Selector::Correlation("c1".to_owned())).await, [1]);
    assert_eq!(found(Selector::Causation("k1".to_owned())).await, [1]);
    let backwards = t.read(Read::backwards(Selector::tag(tag("person:ada")))).await;
    assert_eq!(positions(&backwards), [1]);
}

pub async fn a_repeated_append_is_still_recognised(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    let first = Append::to(stream("s"), NoStream, vec![full(), full()]);
    t.submit(first.clone()).await;
    let second = Append::to(stream("s"), exact(1), vec![full()]).with_id(AppendId::generate());
    t.submit(second.clone()).await;
    for position in 0..3 {
        t.redact(position).await;
    }
    let length = t.length().await;
    for append in [first, second] {
        let answer = t.submit(append).await;
        assert!(answer.deduplicated, "{answer:?}");
    }
    assert_eq!(t.length().await, length);
    t.try_append("s", exact(2), events("A")).await.expect("numbering goes on");
}

pub async fn conditions_see_its_type_and_not_its_tags(t: Case) {
    if !t.has(Capability::Redaction) || !t.has(Capability::QueryConditions) {
        return;
    }
    t.append("s", vec![tagged("Reserved", &["seat:7"])]).await;
    t.redact(0).await;
    let submit = async |item: QueryItem| {
        let condition = AppendCondition::FailIfEventsMatch { query: Query::item(item), after: None };
        t.store.append(Append::to(stream("other"), Any, events("A")).on_condition(condition)).await
    };
    let by_type = conflict(submit(QueryItem::types([event_type("Reserved")])).await);
    assert_eq!(by_type.len(), 1);
    submit(QueryItem::tags([tag("seat:7")])).await.expect("nothing has the tag any more");
}

pub async fn asked_again_it_answers_as_the_first_time(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("s", vec![full()]).await;
    let first = t.redact(0).await;
    let again = t.store.redact(Redact::at(Position(0), "another reason").by("somebody else")).await;
    let again = again.expect("it is answered");
    assert_eq!(again, Redacted { outcome: RedactOutcome::DoneBefore, ..first });
    assert_eq!(t.length().await, 2);
}

pub async fn what_cannot_be_redacted_is_refused_and_nothing_is_recorded(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("s", events("A")).await;
    t.describe("s", r#"{"owner":"ada"}"#).await;
    t.append("$$s", vec![event("NotOfTheStores")]).await;
    t.append("gone", events("B")).await;
    t.tombstone("gone").await;
    t.redact(0).await;
    let length = t.length().await;
    let refusal = async |redact: Redact| t.store.redact(redact).await.expect_err("it is refused");
    for position in [1, 2, 4, 5] {
        let refused = refusal(Redact::at(Position(position), "r")).await;
        assert!(matches!(refused, RedactError::Reserved { .. }), "{position}: {refused:?}");
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    let refused = refusal(Redact::at(Position(length), "r")).await;
    assert!(
        matches!(refused, RedactError::BeyondEnd { position, end } if (position.0, end.0) == (length, length))
    );
    for empty in ["", " \n"] {
        assert!(matches!(refusal(Redact::at(Position(3), empty)).await, RedactError::NoReason));
    }
    let over = "r".repeat(limits::MAX_REDACTION_REASON_BYTES + 1);
    let refused = refusal(Redact::at(Position(3), over)).await;
    assert!(matches!(refused, RedactError::TooLong { what: "reason", .. }), "{refused:?}");
    let over = "a".repeat(limits::MAX_REDACTION_ACTOR_BYTES + 1);
    let refused = refusal(Redact::at(Position(3), "r").by(over)).await;
    assert!(matches!(refused, RedactError::TooLong { what: "actor", .. }), "{refused:?}");
    assert_eq!(t.length().await, length);
}

pub async fn nobody_else_writes_or_deletes_the_record(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("s", events("A")).await;
    t.redact(0).await;
    for name in [REDACTIONS_STREAM, "$$$redactions"] {
        let written = t.try_append(name, Any, events("A")).await;
        assert!(matches!(written, Err(AppendError::Invalid { .. })), "{name}: {written:?}");
        for mode in [DeleteMode::Soft, DeleteMode::Tombstone] {
            let deleted = t.store.delete(Delete { stream: stream(name), expected: Any, mode }).await;
            assert!(matches!(deleted, Err(AppendError::Invalid { .. })), "{name}: {deleted:?}");
        }
    }
    assert_eq!(t.length().await, 2);
}

pub async fn what_a_stream_hides_can_be_redacted_too(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("soft", vec![full()]).await;
    t.append("hard", vec![full()]).await;
    t.soft_delete("soft").await;
    t.tombstone("hard").await;
    t.redact(0).await;
    t.redact(1).await;
    for name in ["soft", "hard"] {
        let recorded = t.read(Read::stream(stream(name)).view(StreamView::Recorded)).await;
        assert!(recorded[0].is_redacted(), "{name}");
    }
    t.assert_not_found(Read::stream(stream("soft"))).await;
    t.assert_stream_deleted(Read::stream(stream("hard"))).await;
    t.append("soft", events("A")).await;
    assert_eq!(types(&t.read_stream("soft").await), ["A"]);
}

pub async fn subscribers_get_it_in_its_place_and_its_record_where_it_comes(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("s", events("ABC")).await;
    let mut live = t.subscribe(Subscribe::to(Selector::All).from(SubscribeFrom::End)).await;
    until_caught_up(&mut *live).await;
    t.redact(1).await;
    let (seen, _) = next_events(&mut *live, 1).await;
    assert_eq!(types(&seen), [EVENT_REDACTED_TYPE]);
    let mut catching_up = t.subscribe(Subscribe::to(Selector::Stream(stream("s")))).await;
    let (seen, _) = until_caught_up(&mut *catching_up).await;
    assert_eq!(types(&seen), ["A", "B", "C"]);
    assert_eq!(seen.iter().map(RecordedEvent::is_redacted).collect::<Vec<_>>(), [false, true, false]);
}

pub async fn a_whole_stream_of_redacted_events_is_a_stream(t: Case) {
    if !t.has(Capability::Redaction) {
        return;
    }
    t.append("s", (0..60).map(|_| full()).collect()).await;
    for position in (0..60).rev() {
        t.redact(position).await;
    }
    let read = t.read_stream("s").await;
    assert_eq!(read.iter().map(|event| event.revision().0).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    assert!(read.iter().all(RecordedEvent::is_redacted));
    assert_eq!(t.read_stream(REDACTIONS_STREAM).await.len(), 60);
    assert_eq!(t.read(Read::forwards(Selector::tag(tag("person:ada")))).await, []);
}

pub async fn a_store_that_cannot_redact_refuses_it(t: Case) {
    t.append("s", events("A")).await;
    match t.store.redact(Redact::at(Position(0), "r")).await {
        Ok(_) => assert!(t.has(Capability::Redaction), "redaction is done, but not declared"),
        Err(RedactError::Unsupported { capability: Capability::Redaction }) => {
            assert!(!t.has(Capability::Redaction), "redaction is declared, but refused");
            assert!(!t.one(0).await.is_redacted());
        }
        Err(error) => panic!("{error:?}"),
    }
}

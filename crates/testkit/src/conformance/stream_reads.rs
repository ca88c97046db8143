//! What does a read of one stream give: from where, which way, how much, and what does its head say?

use factum_core::{
    ContentType, Direction, EventId, ExpectedRevision, NewEvent, Position, Read, ReadFrom, Revision,
    SchemaVersion, Selector, StreamState, Timestamp,
};

use crate::case::{Case, Fresh, event_type, events, exact, positions, revisions, stream, tag};

fn at(revision: u64) -> ReadFrom {
    ReadFrom::Revision(Revision(revision))
}

fn forwards() -> Read {
    Read::stream(stream("s"))
}

fn backwards() -> Read {
    Read::backwards(Selector::Stream(stream("s")))
}

/// Five events A to E, with others of another stream between: positions 0, 2, 4, 6, 8.
async fn five(t: &Case) {
    for letter in ["A", "B", "C", "D", "E"] {
        t.append("s", events(letter)).await;
        t.append("other", events("Z")).await;
    }
}

pub async fn forwards_from_a_revision_includes_it(t: Case) {
    five(&t).await;
    for (from, expected) in [
        (ReadFrom::Start, "ABCDE"),
        (at(0), "ABCDE"),
        (at(3), "DE"),
        (at(4), "E"),
        (at(5), ""),
        (at(u64::MAX), ""),
        (ReadFrom::End, ""),
    ] {
        assert_eq!(t.types(forwards().from(from)).await, expected, "{from:?}");
    }
}

pub async fn backwards_from_a_revision_starts_at_it_or_the_last_before(t: Case) {
    five(&t).await;
    for (from, expected) in [
        (ReadFrom::End, "EDCBA"),
        (at(u64::MAX), "EDCBA"),
        (at(4), "EDCBA"),
        (at(2), "CBA"),
        (at(0), "A"),
        (ReadFrom::Start, ""),
    ] {
        assert_eq!(t.types(backwards().from(from)).await, expected, "{from:?}");
    }
}

pub async fn from_a_position(t: Case) {
    five(&t).await;
    let position = |position| ReadFrom::Position(Position(position));
    for (from, ahead, back) in
        [(0, "ABCDE", ""), (2, "BCDE", "A"), (3, "CDE", "BA"), (8, "E", "DCBA"), (99, "", "EDCBA")]
    {
        assert_eq!(t.types(forwards().from(position(from))).await, ahead, "{from}");
        assert_eq!(t.types(backwards().from(position(from))).await, back, "{from}");
    }
}

pub async fn a_limit_counts_events_that_are_given(t: Case) {
    five(&t).await;
    for (limit, ahead, back) in [(0, "", ""), (1, "B", "D"), (2, "BC", "DC"), (99, "BCDE", "DCBA")] {
        assert_eq!(t.types(forwards().from(at(1)).limit(limit)).await, ahead, "{limit}");
        assert_eq!(t.types(backwards().from(at(3)).limit(limit)).await, back, "{limit}");
    }
}

pub async fn a_missing_stream_is_not_found(t: Case) {
    t.append("s2", events("A")).await;
    t.describe("s", "{}").await;
    for name in ["never", "s", "$$never"] {
        t.assert_not_found(Read::stream(stream(name))).await;
        t.assert_not_found(Read::backwards(Selector::Stream(stream(name))).limit(0)).await;
    }
}

pub async fn the_head_says_what_was_true_when_the_read_started(t: Case) {
    five(&t).await;
    t.describe("s", r#"{"$maxCount":2}"#).await;
    let reader = t.store.read(forwards()).await.expect("the read starts");
    t.append("s", events("F")).await;
    assert_eq!(reader.head().stream, Some(StreamState::Live { last: Revision(4) }));
    assert_eq!(reader.head().first_visible, Some(Revision(3)));
    assert_eq!(reader.head().snapshot.next_position(), Some(Position(11)));
    let all = t.store.read(Read::forwards(Selector::All)).await.expect("the read starts");
    assert_eq!((all.head().stream, all.head().first_visible), (None, None));
}

pub async fn events_carry_the_position_that_the_append_answered(t: Case) {
    t.append("other", events("Z")).await;
    let appended = t.append("s", events("AB")).await;
    let read = t.read_stream("s").await;
    assert_eq!(positions(&read), [1, 2]);
    assert_eq!((appended.first, appended.last), (Some(Position(1)), Some(Position(2))));
    assert_eq!(appended.token.next_position(), Some(Position(3)));
    assert_eq!(revisions(&read), [0, 1]);
}

pub async fn every_part_of_an_event_comes_back_verbatim(t: Case) {
    let id: EventId = "0191e2c3-0000-7000-8000-00000000002a".parse().expect("an id");
    let json = NewEvent::json(event_type("Ödland\u{1F600}"), "{ \"n\": 1.10 }")
        .with_id(id)
        .with_metadata("{ \"$correlationId\" :\"c1\"}")
        .with_tag(tag("b"))
        .with_tag(tag("a:ü"))
        .with_occurred_at(Timestamp(-17))
        .with_schema_version(SchemaVersion(3));
    let binary = NewEvent::binary(event_type("Raw"), vec![0, 0xff, b'{']);
    let odd = NewEvent::json(event_type("Odd"), "not JSON, and kept").with_metadata(vec![0xfe, 0xff]);
    let empty = NewEvent::binary(event_type("Empty"), "");
    t.append("s", vec![json, binary, odd, empty]).await;
    let read = t.read_stream("s").await;
    let first = &read[0];
    assert_eq!((first.id(), first.event_type(), first.stream()), (id, "Ödland\u{1F600}", "s"));
    assert_eq!(first.data(), "{ \"n\": 1.10 }");
    assert_eq!(first.metadata(), "{ \"$correlationId\" :\"c1\"}");
    assert_eq!(first.tags().collect::<Vec<_>>(), ["b", "a:ü"]);
    assert_eq!((first.occurred_at(), first.happened_at()), (Some(Timestamp(-17)), Timestamp(-17)));
    assert_eq!((first.schema_version(), first.content_type()), (SchemaVersion(3), ContentType::Json));
    assert_eq!((first.recorded_at(), first.append_id()), (Fresh::START, None));
    assert_eq!((read[1].content_type(), &read[1].data()[..]), (ContentType::Binary, &[0, 0xff, b'{'][..]));
    assert_eq!(read[1].happened_at(), Fresh::START);
    assert_eq!(
        (&read[2].data()[..], &read[2].metadata()[..]),
        (&b"not JSON, and kept"[..], &[0xfe, 0xff][..])
    );
    assert_eq!((read[3].data_slice(), read[3].tags().count()), (&[][..], 0));
}

pub async fn a_long_stream_comes_in_pages_without_gap(t: Case) {
    for batch in 0..20_u64 {
        let expected = if batch == 0 { ExpectedRevision::NoStream } else { exact(batch * 100 - 1) };
        t.try_append("s", expected, events(&"A".repeat(100))).await.expect("the append is done");
    }
    let all: Vec<u64> = (0..2_000).collect();
    assert_eq!(revisions(&t.read(forwards()).await), all);
    let newest_first: Vec<u64> = (0..2_000).rev().collect();
    assert_eq!(revisions(&t.read(backwards()).await), newest_first);
    let middle: Vec<u64> = (700..1_300).collect();
    assert_eq!(revisions(&t.read(forwards().from(at(700)).limit(600)).await), middle);
}

pub async fn pages_say_how_far_they_looked(t: Case) {
    for _ in 0..40 {
        t.append("s", events(&"AB".repeat(20))).await;
        t.append("other", events(&"Z".repeat(20))).await;
    }
    for read in
        [forwards(), Read::forwards(Selector::event_type(event_type("B"))), Read::forwards(Selector::All)]
    {
        assert_eq!(read.direction, Direction::Forwards);
        let mut reader = t.store.read(read).await.expect("the read starts");
        let end = reader.head().snapshot.next_position().unwrap_or_default();
        let mut looked_to = Position::START;
        while let Some(page) = reader.next_page().await.expect("the read goes on") {
            assert!(
                page.events.iter().all(|event| event.position() >= looked_to),
                "nothing before is given later"
            );
            assert!(page.events.iter().all(|event| event.position() < page.examined_to));
            assert!(page.examined_to >= looked_to && page.examined_to <= end);
            looked_to = page.examined_to;
        }
    }
}

pub async fn a_limited_read_can_go_on_where_it_stopped(t: Case) {
    for _ in 0..40 {
        t.append("s", events(&"AB".repeat(10))).await;
        t.append("other", events("Z")).await;
    }
    for selector in [
        Selector::All,
        Selector::Stream(stream("s")),
        Selector::event_type(event_type("B")),
        Selector::event_type(event_type("Z")),
    ] {
        let whole = positions(&t.read(Read::forwards(selector.clone())).await);
        let (mut from, mut seen) = (Position::START, Vec::new());
        while seen.len() < whole.len() {
            let read = Read::forwards(selector.clone()).from(ReadFrom::Position(from)).limit(7);
            let mut reader = t.store.read(read).await.expect("the read starts");
            while let Some(page) = reader.next_page().await.expect("the read goes on") {
                seen.extend(positions(&page.events));
                from = page.examined_to;
            }
        }
        assert_eq!(seen, whole, "{selector:?}");
    }
}

pub async fn a_reader_sees_neither_later_appends_nor_later_deletes(t: Case) {
    t.append("s", events("AB")).await;
    let mut stream_reader = t.store.read(forwards()).await.expect("the read starts");
    let mut log_reader = t.store.read(Read::forwards(Selector::All)).await.expect("the read starts");
    t.append("s", events("C")).await;
    t.tombstone("s").await;
    for reader in [&mut stream_reader, &mut log_reader] {
        let mut seen = String::new();
        while let Some(page) = reader.next_page().await.expect("the read goes on") {
            page.events.iter().for_each(|event| seen.push_str(event.event_type()));
        }
        assert_eq!(seen, "AB");
    }
}

//! What does each selector give of the whole log, and what does a filter leave of it?

use factum_core::{
    Append, AppendId, Capability, Category, Direction, EventFilter, ExpectedRevision, NewEvent, Position,
    Query, QueryItem, Read, ReadError, ReadFrom, Revision, Selector, SystemEvents,
};

use crate::case::{Case, event, event_type, events, positions, stream, tag, tagged};

fn category(name: &str) -> Selector {
    Selector::Category(Category::new(name).expect("a category"))
}

/// Asserts what a selector gives, both ways, in pieces, and from the middle.
async fn assert_selects(t: &Case, selector: Selector, expected: &[u64]) {
    let newest_first: Vec<u64> = expected.iter().rev().copied().collect();
    let ahead = Read::forwards(selector.clone());
    let back = Read::backwards(selector.clone());
    assert_eq!(positions(&t.read(ahead.clone()).await), expected, "{selector:?}");
    assert_eq!(positions(&t.read(back.clone()).await), newest_first, "{selector:?} backwards");
    for limit in [0, 1, 2] {
        let few = positions(&t.read(ahead.clone().limit(limit as u64)).await);
        assert_eq!(few, expected[..limit.min(expected.len())], "{selector:?} limit {limit}");
        let few = positions(&t.read(back.clone().limit(limit as u64)).await);
        assert_eq!(few, newest_first[..limit.min(expected.len())], "{selector:?} backwards limit {limit}");
    }
    for middle in 0..12 {
        let from = ReadFrom::Position(Position(middle));
        let later: Vec<u64> = expected.iter().filter(|p| **p >= middle).copied().collect();
        assert_eq!(positions(&t.read(ahead.clone().from(from)).await), later, "{selector:?} from {middle}");
        let earlier: Vec<u64> = newest_first.iter().filter(|p| **p < middle).copied().collect();
        assert_eq!(
            positions(&t.read(back.clone().from(from)).await),
            earlier,
            "{selector:?} before {middle}"
        );
    }
    assert_eq!(positions(&t.read(ahead.from(ReadFrom::End)).await), [0; 0], "{selector:?} from the end");
    assert_eq!(positions(&t.read(back.from(ReadFrom::Start)).await), [0; 0], "{selector:?} before the start");
}

/// Ten events: 0 to 9.
async fn ten(t: &Case) -> AppendId {
    let with = |event: NewEvent, metadata: &str| event.with_metadata(metadata.to_owned());
    let id = AppendId::generate();
    t.append("loan-1", vec![with(tagged("Opened", &["loan:1", "year:25"]), r#"{"$correlationId":"c1"}"#)])
        .await;
    t.append("loan-2", vec![tagged("Opened", &["loan:2", "year:26"])]).await;
    t.append(
        "ledger",
        vec![with(tagged("Noted", &["year:25"]), r#"{"$causationId":"k1","$correlationId":"c1"}"#)],
    )
    .await;
    t.append("loan-1", vec![tagged("Paid", &["loan:1"]), tagged("Closed", &["loan:1", "year:26"])]).await;
    t.describe("loan-1", "{}").await;
    let append = Append::to(stream("loan-3"), ExpectedRevision::Any, events("AB"));
    t.submit(if t.has(Capability::AppendIds) { append.with_id(id) } else { append }).await;
    t.append("loans-x", vec![with(event("Opened"), r#"{"note":"$correlationId c1"}"#)]).await;
    t.append("-odd", vec![with(event("Paid"), "not JSON $correlationId")]).await;
    id
}

pub async fn all(t: Case) {
    ten(&t).await;
    assert_selects(&t, Selector::All, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
}

pub async fn an_empty_log(t: Case) {
    assert_selects(&t, Selector::All, &[]).await;
    assert_selects(&t, category("loan"), &[]).await;
    assert_selects(&t, Selector::StreamStarts, &[]).await;
}

pub async fn by_category(t: Case) {
    ten(&t).await;
    assert_selects(&t, category("loan"), &[0, 1, 3, 4, 6, 7]).await;
    assert_selects(&t, category("loans"), &[8]).await;
    assert_selects(&t, category("ledger"), &[]).await;
    // System streams have no category, not even that of the stream which they describe.
    assert_selects(&t, category("$$loan"), &[]).await;
}

pub async fn by_event_type(t: Case) {
    ten(&t).await;
    assert_selects(&t, Selector::event_type(event_type("Opened")), &[0, 1, 8]).await;
    assert_selects(&t, Selector::event_type(event_type("$metadata")), &[5]).await;
    assert_selects(&t, Selector::event_type(event_type("Open")), &[]).await;
}

pub async fn by_tag(t: Case) {
    ten(&t).await;
    assert_selects(&t, Selector::tag(tag("loan:1")), &[0, 3, 4]).await;
    assert_selects(&t, Selector::tag(tag("year:26")), &[1, 4]).await;
    assert_selects(&t, Selector::tag(tag("year:2")), &[]).await;
}

pub async fn by_query(t: Case) {
    ten(&t).await;
    let types = |names: &[&str]| QueryItem::types(names.iter().map(|name| event_type(name)));
    let tags = |names: &[&str]| QueryItem::tags(names.iter().map(|name| tag(name)));
    let query = |item| Selector::Query(Query::item(item));
    assert_selects(&t, Selector::Query(Query::all()), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    assert_selects(&t, query(QueryItem::default()), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    assert_selects(&t, query(types(&["Paid", "Noted"])), &[2, 3, 9]).await;
    assert_selects(&t, query(tags(&["loan:1", "year:26"])), &[4]).await;
    assert_selects(&t, query(types(&["Opened", "Paid"]).and_tags([tag("loan:1")])), &[0, 3]).await;
    let or = Query::item(types(&["Closed"])).or(tags(&["year:26"])).or(tags(&["year:25"]));
    assert_selects(&t, Selector::Query(or), &[0, 1, 2, 4]).await;
    assert_selects(&t, query(types(&["Closed"]).and_tags([tag("loan:2")])), &[]).await;
}

pub async fn by_correlation_and_causation(t: Case) {
    ten(&t).await;
    assert_selects(&t, Selector::Correlation("c1".to_owned()), &[0, 2]).await;
    assert_selects(&t, Selector::Correlation("c".to_owned()), &[]).await;
    assert_selects(&t, Selector::Causation("k1".to_owned()), &[2]).await;
    assert_selects(&t, Selector::Causation("c1".to_owned()), &[]).await;
}

pub async fn by_append_and_by_event(t: Case) {
    let append = ten(&t).await;
    if t.has(Capability::AppendIds) {
        assert_selects(&t, Selector::Append(append), &[6, 7]).await;
        assert_selects(&t, Selector::Append(AppendId::generate()), &[]).await;
    }
    let id = t.read(Read::forwards(Selector::All)).await[3].id();
    assert_selects(&t, Selector::Event(id), &[3]).await;
    assert_selects(&t, Selector::Event(factum_core::EventId::generate()), &[]).await;
}

pub async fn stream_starts(t: Case) {
    ten(&t).await;
    assert_selects(&t, Selector::StreamStarts, &[0, 1, 2, 5, 6, 8, 9]).await;
    t.soft_delete("loan-1").await;
    t.append("loan-1", events("A")).await;
    t.tombstone("never-written").await;
    assert_selects(&t, Selector::StreamStarts, &[0, 1, 2, 5, 6, 8, 9]).await;
}

pub async fn a_stream_among_others(t: Case) {
    ten(&t).await;
    assert_selects(&t, Selector::Stream(stream("loan-1")), &[0, 3, 4]).await;
    assert_selects(&t, Selector::Stream(stream("$$loan-1")), &[5]).await;
}

pub async fn filters_leave_what_passes_and_limits_count_that(t: Case) {
    ten(&t).await;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let filter = |streams: &[&str], types: &[&str], system_events| EventFilter {
        stream_prefixes: texts(streams),
        type_prefixes: texts(types),
        system_events,
    };
    let (include, exclude) = (SystemEvents::Include, SystemEvents::Exclude);
    let table: [(EventFilter, Selector, &[u64]); 8] = [
        (filter(&[], &[], include), Selector::All, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (filter(&[], &[], exclude), Selector::All, &[0, 1, 2, 3, 4, 6, 7, 8, 9]),
        (filter(&["loan-", "-"], &[], include), Selector::All, &[0, 1, 3, 4, 6, 7, 9]),
        (filter(&[], &["P", "Clo"], include), Selector::All, &[3, 4, 9]),
        (filter(&["loan"], &["Opened"], include), Selector::All, &[0, 1, 8]),
        (filter(&["$$"], &[], exclude), Selector::All, &[]),
        (filter(&["loan-1"], &[], include), Selector::tag(tag("year:25")), &[0]),
        (filter(&[], &["Closed"], include), Selector::Stream(stream("loan-1")), &[4]),
    ];
    for (filter, selector, expected) in table {
        let read = Read::forwards(selector).filter(filter.clone());
        assert_eq!(positions(&t.read(read.clone()).await), expected, "{filter:?}");
        let two = expected.len().min(2);
        assert_eq!(positions(&t.read(read.clone().limit(2)).await), expected[..two], "{filter:?}");
        let back = Read { direction: Direction::Backwards, from: ReadFrom::End, ..read };
        let newest_first: Vec<u64> = expected.iter().rev().copied().collect();
        assert_eq!(positions(&t.read(back.limit(2)).await), newest_first[..two], "{filter:?} backwards");
    }
}

pub async fn a_revision_counts_the_events_of_one_stream_only(t: Case) {
    t.append("s", events("A")).await;
    let revision = ReadFrom::Revision(Revision(0));
    for selector in [Selector::All, category("loan"), Selector::tag(tag("a"))] {
        match t.try_read(Read::forwards(selector.clone()).from(revision)).await {
            Err(ReadError::Invalid { .. }) => {}
            other => panic!("{selector:?}: expected that the read is refused, got {other:?}"),
        }
    }
}

pub async fn positions_are_dense_and_in_order(t: Case) {
    ten(&t).await;
    t.soft_delete("loan-2").await;
    t.append("loan-2", events("A")).await;
    t.tombstone("ledger").await;
    let log = t.read(Read::forwards(Selector::All)).await;
    assert_eq!(positions(&log), (0..14).collect::<Vec<_>>());
    assert_eq!(t.length().await, 14);
}

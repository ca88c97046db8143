//! Which bugs did other stores ship, and does this one have them? One test per bug of the list.

use factum_core::{
    Append, AppendCondition, AppendError, Capability, Category, EventFilter, ExpectedRevision, Position,
    Query, QueryItem, Read, Selector, StreamView, Subscribe,
};

use crate::case::{
    Case, conflict, event, event_type, events, exact, positions, stream, tag, tagged, until_caught_up,
    until_looked_at,
};
use ExpectedRevision::Any;

/// 1: of concurrent commits that finish out of order, a subscriber skips one.
pub async fn a_subscriber_never_skips_a_concurrent_commit(t: Case) {
    let mut subscription = t.subscribe(Subscribe::to(Selector::All)).await;
    until_caught_up(&mut *subscription).await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = t.store.clone();
            tokio::spawn(async move {
                for round in 0..50 {
                    // Long and short appends, so that their writing takes different times.
                    let size = if round % 2 == 0 { 1 } else { 10 * (writer + 1) };
                    let new = events(&"A".repeat(size));
                    let append = Append::to(stream(&format!("w-{writer}")), Any, new);
                    store.append(append).await.expect("the append is done");
                }
            })
        })
        .collect();
    let total: u64 = (0..8).map(|writer| 25 + 25 * 10 * (writer + 1)).sum();
    let seen = until_looked_at(&mut *subscription, Position(total)).await;
    assert_eq!(positions(&seen), (0..total).collect::<Vec<_>>());
    for writer in writers {
        writer.await.expect("the writer is done");
    }
}

/// 2: an append that is refused uses up a position.
pub async fn a_refused_append_uses_up_no_position(t: Case) {
    t.append("s", events("A")).await;
    assert_eq!(conflict(t.try_append("s", exact(5), events("XYZ")).await).len(), 1);
    let zero = event("X").with_schema_version(factum_core::SchemaVersion(0));
    assert!(matches!(t.try_append("s", Any, vec![zero]).await, Err(AppendError::InvalidEvent { .. })));
    t.tombstone("gone").await;
    assert!(t.try_append("gone", Any, events("X")).await.is_err());
    if t.has(Capability::QueryConditions) {
        let none = AppendCondition::FailIfEventsMatch { query: Query::all(), after: None };
        let append = Append::to(stream("s"), Any, events("X")).on_condition(none);
        assert_eq!(conflict(t.store.append(append).await).len(), 1);
    }
    assert_eq!(t.append("s", events("B")).await.first, Some(Position(2)));
    assert_eq!(positions(&t.read(Read::forwards(Selector::All)).await), [0, 1, 2]);
}

/// 3: of sixteen writers on one condition, two win. `races` does the same for longer.
pub async fn sixteen_writers_on_one_condition_have_one_winner(t: Case) {
    super::races::one_winner_on_each_condition(t, 50).await;
}

/// 4: a condition that is captured after the read misses what came between.
pub async fn what_comes_between_a_read_and_its_condition_is_a_conflict(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    t.append("s", vec![tagged("Opened", &["a"])]).await;
    let query = Query::item(QueryItem::tags([tag("a")]));
    let mut reader =
        t.store.read(Read::forwards(Selector::Query(query.clone()))).await.expect("the read starts");
    t.append("s", vec![tagged("Closed", &["a"])]).await;
    let mut seen = 0;
    while let Some(page) = reader.next_page().await.expect("the read goes on") {
        seen += page.events.len();
    }
    assert_eq!(seen, 1, "the read is a snapshot");
    let after = reader.head().snapshot.next_position().and_then(|next| next.0.checked_sub(1)).map(Position);
    let condition = AppendCondition::FailIfEventsMatch { query, after };
    let append = Append::to(stream("s"), Any, events("X")).on_condition(condition);
    assert_eq!(conflict(t.store.append(append).await).len(), 1);
}

/// 12: a filtered projection stands still over a long stretch that does not concern it.
pub async fn a_filtered_subscriber_advances_over_a_long_irrelevant_stretch(t: Case) {
    t.append("wanted", events("A")).await;
    let filter = EventFilter { type_prefixes: vec!["A".to_owned()], ..EventFilter::default() };
    for request in [
        Subscribe::to(Selector::event_type(event_type("A"))),
        Subscribe::to(Selector::All).filter(filter),
        Subscribe::to(Selector::Stream(stream("wanted"))),
    ] {
        let start = t.length().await;
        let mut subscription = t.subscribe(request).await;
        until_caught_up(&mut *subscription).await;
        for _ in 0..20 {
            t.append("noise", events(&"Z".repeat(100))).await;
        }
        assert_eq!(until_looked_at(&mut *subscription, Position(start + 2_000)).await, []);
    }
}

/// 19: an index still points to what was deleted, or loses what was not.
pub async fn indexes_agree_with_the_log_after_deletes_and_retention(t: Case) {
    for name in ["loan-1", "loan-2", "loan-3", "loan-4"] {
        t.append(name, vec![tagged("Opened", &["all"]), tagged("Closed", &["all", name])]).await;
    }
    t.soft_delete("loan-1").await;
    t.tombstone("loan-2").await;
    t.describe("loan-3", r#"{"$tb":1}"#).await;
    t.append("loan-1", vec![tagged("Opened", &["all"])]).await;
    let category = Selector::Category(Category::new("loan").expect("a category"));
    let log = t.read(Read::forwards(Selector::All)).await;
    for selector in [
        category,
        Selector::event_type(event_type("Opened")),
        Selector::tag(tag("all")),
        Selector::tag(tag("loan-2")),
        Selector::StreamStarts,
    ] {
        let expected: Vec<_> =
            log.iter().filter(|event| selector.matches(event)).map(|event| event.position().0).collect();
        assert_eq!(positions(&t.read(Read::forwards(selector.clone())).await), expected, "{selector:?}");
    }
    assert_eq!(positions(&t.read_stream("loan-1").await), [12]);
    t.assert_stream_deleted(Read::stream(stream("loan-2"))).await;
    assert_eq!(positions(&t.read_stream("loan-3").await), [5]);
    let audit = Read::stream(stream("loan-2")).view(StreamView::Recorded);
    assert_eq!(t.types(audit).await, "OpenedClosed$streamDeleted");
}

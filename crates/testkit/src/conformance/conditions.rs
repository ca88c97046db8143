//! When does an append condition over a query hold, and what is said where it does not?

use factum_core::{
    Append, AppendCondition, AppendError, Capability, ErrorKind, ExpectedRevision, FailedCheck, Position,
    Query, QueryItem, Read, Selector, StreamState,
};

use crate::case::{
    Case, conflict, event, event_type, events, exact, revision_check, span, stream, tag, tagged,
};
use ExpectedRevision::Any;

fn none_of(query: Query, after: Option<u64>) -> AppendCondition {
    AppendCondition::FailIfEventsMatch { query, after: after.map(Position) }
}

fn fewer_than(below: u64, query: Query) -> AppendCondition {
    AppendCondition::CountBelow { query, below }
}

fn of_type(name: &str) -> Query {
    Query::item(QueryItem::types([event_type(name)]))
}

fn of_tags(names: &[&str]) -> Query {
    Query::item(QueryItem::tags(names.iter().map(|name| tag(name))))
}

/// What an append of one event to a stream of its own says under a condition.
async fn under(t: &Case, condition: AppendCondition) -> Result<(), Vec<FailedCheck>> {
    let before = t.length().await;
    let append = Append::to(stream("new"), Any, vec![event("New")]).on_condition(condition);
    match t.store.append(append).await {
        Ok(appended) => {
            assert_eq!(span(&appended), Some((before, before)));
            Ok(())
        }
        Err(AppendError::Conflict { failed }) => {
            assert_eq!(t.length().await, before, "a refused append writes nothing");
            Err(failed)
        }
        Err(error) => panic!("expected success or a conflict, got {error:?}"),
    }
}

fn matched(conflicting: u64) -> Result<(), Vec<FailedCheck>> {
    Err(vec![FailedCheck::Condition { index: 0, conflicting: Position(conflicting) }])
}

/// Positions 0 to 3.
async fn four(t: &Case) {
    t.append("s", vec![tagged("Opened", &["course:1", "student:1"]), tagged("Closed", &["course:1"])]).await;
    t.append("r", vec![tagged("Opened", &["course:2"]), tagged("Moved", &["student:1"])]).await;
}

pub async fn it_holds_where_nothing_matches(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    assert_eq!(under(&t, none_of(Query::all(), None)).await, Ok(()));
    four(&t).await;
    assert_eq!(under(&t, none_of(of_type("Never"), None)).await, Ok(()));
    assert_eq!(under(&t, none_of(of_tags(&["course:3"]), None)).await, Ok(()));
    assert_eq!(under(&t, none_of(of_tags(&["course:2", "student:1"]), None)).await, Ok(()));
}

pub async fn it_names_the_newest_event_that_matches(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    four(&t).await;
    assert_eq!(under(&t, none_of(of_type("Opened"), None)).await, matched(2));
    assert_eq!(under(&t, none_of(of_tags(&["course:1"]), None)).await, matched(1));
    assert_eq!(under(&t, none_of(of_tags(&["course:1", "student:1"]), None)).await, matched(0));
    assert_eq!(under(&t, none_of(Query::all(), None)).await, matched(3));
    let item = QueryItem::types([event_type("Opened"), event_type("Closed")]).and_tags([tag("course:1")]);
    assert_eq!(under(&t, none_of(Query::item(item), None)).await, matched(1));
    let or = of_type("Closed").or(QueryItem::tags([tag("course:2")]));
    assert_eq!(under(&t, none_of(or, None)).await, matched(2));
}

pub async fn events_up_to_and_with_after_do_not_count(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    four(&t).await;
    assert_eq!(under(&t, none_of(of_type("Opened"), Some(1))).await, matched(2));
    assert_eq!(under(&t, none_of(of_type("Opened"), Some(2))).await, Ok(()));
    assert_eq!(under(&t, none_of(of_tags(&["course:1"]), Some(0))).await, matched(1));
    assert_eq!(under(&t, none_of(of_tags(&["course:1"]), Some(1))).await, Ok(()));
    assert_eq!(under(&t, none_of(of_tags(&["student:1"]), Some(0))).await, matched(3));
    assert_eq!(under(&t, none_of(Query::all(), Some(u64::MAX))).await, Ok(()));
}

pub async fn counts_hold_below_their_limit(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    four(&t).await;
    let count = |below, found| Err(vec![FailedCheck::Count { index: 0, below, found }]);
    assert_eq!(under(&t, fewer_than(0, of_type("Never"))).await, count(0, 0));
    assert_eq!(under(&t, fewer_than(1, of_type("Never"))).await, Ok(()));
    assert_eq!(under(&t, fewer_than(2, of_type("Opened"))).await, count(2, 2));
    assert_eq!(under(&t, fewer_than(3, of_type("Opened"))).await, Ok(()));
    // Counting stops at the limit.
    assert_eq!(under(&t, fewer_than(1, of_tags(&["student:1"]))).await, count(1, 1));
    assert_eq!(under(&t, fewer_than(u64::MAX, Query::all())).await, Ok(()));
}

pub async fn deleted_and_truncated_events_still_count(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    four(&t).await;
    t.soft_delete("s").await;
    t.describe("r", r#"{"$tb":2}"#).await;
    assert_eq!(under(&t, none_of(of_tags(&["course:1"]), None)).await, matched(1));
    assert_eq!(under(&t, none_of(of_tags(&["course:2"]), None)).await, matched(2));
}

pub async fn all_failing_conditions_and_checks_are_named_together(t: Case) {
    if !t.has(Capability::QueryConditions) || !t.has(Capability::StreamChecks) {
        return t.close();
    }
    four(&t).await;
    let append = Append::to(stream("s"), exact(7), events("X"))
        .check(stream("never"), ExpectedRevision::StreamExists)
        .on_condition(none_of(of_type("Opened"), None))
        .on_condition(none_of(of_type("Never"), None))
        .on_condition(fewer_than(1, of_type("Closed")))
        .on_condition(none_of(of_tags(&["student:1"]), Some(1)));
    let expected = [
        revision_check("s", exact(7), crate::case::live(1)),
        revision_check("never", ExpectedRevision::StreamExists, StreamState::Missing),
        FailedCheck::Condition { index: 0, conflicting: Position(2) },
        FailedCheck::Count { index: 2, below: 1, found: 1 },
        FailedCheck::Condition { index: 3, conflicting: Position(3) },
    ];
    assert_eq!(conflict(t.store.append(append).await), expected);
    assert_eq!(t.length().await, 4);
}

pub async fn an_append_does_not_conflict_with_itself(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    let unique = || none_of(of_tags(&["name:ada"]), None);
    let append =
        Append::to(stream("s"), Any, vec![tagged("Named", &["name:ada"]), tagged("Named", &["name:ada"])])
            .on_condition(unique())
            .on_condition(unique());
    assert_eq!(span(&t.submit(append).await), Some((0, 1)));
    assert_eq!(under(&t, unique()).await, matched(1));
}

pub async fn an_append_without_events_is_still_checked_and_changes_nothing(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    four(&t).await;
    let nothing = |condition| Append::default().on_condition(condition);
    let held = t.submit(nothing(none_of(of_type("Opened"), Some(2)))).await;
    assert_eq!((held.first, held.last, held.deduplicated), (None, None, false));
    assert_eq!(held.token.next_position(), Some(Position(4)));
    let failed = conflict(t.store.append(nothing(none_of(of_type("Opened"), Some(1)))).await);
    assert_eq!(failed, [FailedCheck::Condition { index: 0, conflicting: Position(2) }]);
    assert_eq!(t.length().await, 4);
}

pub async fn a_condition_taken_from_a_reads_snapshot_sees_what_came_after(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    four(&t).await;
    let query = of_tags(&["course:2"]);
    let reader = t.store.read(Read::forwards(Selector::Query(query.clone()))).await.expect("the read starts");
    let next = reader.head().snapshot.next_position().unwrap_or_default();
    t.append("r", vec![tagged("Moved", &["course:2"])]).await;
    assert_eq!(under(&t, none_of(query, next.0.checked_sub(1))).await, matched(4));
}

pub async fn a_query_over_its_limits_is_refused(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    let names = |count: usize| (0..count).map(|n| event_type(&format!("T{n}")));
    let fits = Query::item(QueryItem::types(names(256)));
    assert_eq!(under(&t, none_of(fits, None)).await, Ok(()));
    let items = Query { items: vec![QueryItem::types(names(1)); 257] };
    for query in [Query::item(QueryItem::types(names(257))), items] {
        let append = Append::to(stream("s"), Any, events("A")).on_condition(none_of(query.clone(), None));
        let error = t.store.append(append).await.expect_err("the query is too large");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let error =
            t.try_read(Read::forwards(Selector::Query(query))).await.expect_err("the query is too large");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

//! What does the same append a second time come to? By event ids, strong and weak, and by append id.

use factum_core::{
    Append, AppendCondition, AppendError, AppendId, Capability, ExpectedRevision, NewEvent, Position, Query,
    Read, Revision, Selector, StreamState,
};

use crate::case::{Case, by_stream, conflict, events, exact, live, revision_check, span, stream};
use ExpectedRevision::{Any, NoStream, StreamExists};

/// Appends again and expects the answer of the first time, with nothing written.
async fn assert_repeated(
    t: &Case,
    name: &str,
    expected: ExpectedRevision,
    again: &[NewEvent],
    revisions: (u64, u64),
) {
    let before = t.length().await;
    let appended = t.try_append(name, expected, again.to_vec()).await.expect("a repetition is no conflict");
    assert!(appended.deduplicated, "{expected:?}");
    let (first, last) = revisions;
    assert_eq!(by_stream(&appended), [(name, Some(first), Some(last))], "{expected:?}");
    // The stream was the first thing written, so that its revisions are its positions.
    assert_eq!(span(&appended), Some((first, last)), "{expected:?}");
    assert_eq!(t.length().await, before, "{expected:?}");
}

pub async fn strong_the_same_events_at_the_same_place_answer_as_the_first_time(t: Case) {
    let abc = events("ABC");
    t.try_append("s", NoStream, abc.clone()).await.expect("the append is done");
    t.append("other", events("Z")).await;
    assert_repeated(&t, "s", NoStream, &abc, (0, 2)).await;
    assert_repeated(&t, "s", NoStream, &abc[..2], (0, 1)).await;
    assert_repeated(&t, "s", exact(0), &abc[1..], (1, 2)).await;
    assert_repeated(&t, "s", exact(1), &abc[2..], (2, 2)).await;
}

pub async fn strong_other_events_at_the_place_conflict(t: Case) {
    let abc = events("ABC");
    let x = &events("X")[0];
    t.append("s", abc.clone()).await;
    let [a, b, c] = [&abc[0], &abc[1], &abc[2]];
    for (expected, again) in [
        (NoStream, vec![x, b, c]),
        (NoStream, vec![a, x]),
        (NoStream, vec![a, b, c, x]),
        (exact(0), vec![x]),
        (exact(0), vec![b, x]),
        (exact(0), vec![a]),
        (exact(1), vec![c, x]),
    ] {
        let again = again.into_iter().cloned().collect();
        let failed = [revision_check("s", expected, live(2))];
        assert_eq!(conflict(t.try_append("s", expected, again).await), failed, "{expected:?}");
    }
    assert_eq!(t.length().await, 3);
}

pub async fn strong_the_current_revision_never_looks_for_repetition(t: Case) {
    let a = events("A");
    t.append("s", a.clone()).await;
    let again = t.try_append("s", exact(0), a.clone()).await.expect("the append is done");
    assert!(!again.deduplicated);
    assert_eq!(by_stream(&again), [("s", Some(1), Some(1))]);
    // The id is now there twice: the newest counts.
    assert_repeated(&t, "s", Any, &a, (1, 1)).await;
}

pub async fn strong_a_repetition_does_not_revive_a_soft_deleted_stream(t: Case) {
    let abc = events("ABC");
    t.append("s", abc.clone()).await;
    t.soft_delete("s").await;
    assert_repeated(&t, "s", NoStream, &abc, (0, 2)).await;
    assert_repeated(&t, "s", exact(0), &abc[1..], (1, 2)).await;
    assert_repeated(&t, "s", Any, &abc, (0, 2)).await;
    t.assert_not_found(Read::stream(stream("s"))).await;
}

pub async fn strong_half_a_repetition_of_a_soft_deleted_stream_conflicts(t: Case) {
    let a = events("A");
    t.append("s", a.clone()).await;
    t.soft_delete("s").await;
    let again: Vec<_> = a.into_iter().chain(events("X")).collect();
    let actual = StreamState::SoftDeleted { last: Some(Revision(0)) };
    assert_eq!(conflict(t.try_append("s", NoStream, again).await), [revision_check("s", NoStream, actual)]);
    assert_eq!(t.length().await, 2);
}

pub async fn weak_the_same_events_answer_as_the_first_time(t: Case) {
    let abcd = events("ABCD");
    t.append("s", abcd.clone()).await;
    t.append("other", events("Z")).await;
    for expected in [Any, StreamExists] {
        assert_repeated(&t, "s", expected, &abcd, (0, 3)).await;
        assert_repeated(&t, "s", expected, &abcd[1..3], (1, 2)).await;
    }
}

pub async fn weak_unknown_first_event_is_a_new_append(t: Case) {
    let ab = events("AB");
    t.append("s", ab.clone()).await;
    let mixed = vec![events("X").remove(0), ab[0].clone()];
    let appended = t.append("s", mixed).await;
    assert!(!appended.deduplicated);
    assert_eq!(t.types(Read::stream(stream("s"))).await, "ABXA");
}

pub async fn weak_known_first_event_and_unknown_later_one_conflict(t: Case) {
    let ab = events("AB");
    t.append("s", ab.clone()).await;
    for again in [vec![ab[0].clone(), events("X").remove(0)], vec![ab[1].clone(), ab[0].clone()]] {
        for expected in [Any, StreamExists] {
            let failed = [revision_check("s", expected, live(1))];
            assert_eq!(conflict(t.try_append("s", expected, again.clone()).await), failed);
        }
    }
    assert_eq!(t.length().await, 2);
}

pub async fn the_same_id_in_another_stream_is_another_event(t: Case) {
    let a = events("A");
    t.append("s", a.clone()).await;
    let appended = t.append("other", a.clone()).await;
    assert!(!appended.deduplicated);
    assert_eq!(span(&appended), Some((1, 1)));
    assert_eq!(t.types(Read::forwards(Selector::Event(a[0].id))).await, "AA");
}

pub async fn a_repeated_id_inside_one_write_is_not_checked(t: Case) {
    let a = events("A").remove(0);
    let appended = t.append("s", vec![a.clone(), a]).await;
    assert_eq!(by_stream(&appended), [("s", Some(0), Some(1))]);
}

pub async fn a_repetition_is_answered_although_its_condition_would_now_fail(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    let append = Append::to(stream("s"), Any, events("A"))
        .on_condition(AppendCondition::FailIfEventsMatch { query: Query::all(), after: None });
    let first = t.submit(append.clone()).await;
    let again = t.submit(append).await;
    assert!(again.deduplicated);
    assert_eq!(span(&again), span(&first));
    assert_eq!(t.length().await, 1);
}

pub async fn several_streams_are_a_repetition_only_together(t: Case) {
    if !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    let (a, b) = (events("A"), events("B"));
    t.append("before", events("Z")).await;
    let both = Append::to(stream("a"), NoStream, a.clone()).and(stream("b"), NoStream, b);
    let first = t.submit(both.clone()).await;
    let again = t.submit(both).await;
    assert!(again.deduplicated);
    assert_eq!((span(&again), by_stream(&again)), (Some((1, 2)), by_stream(&first)));
    let half = Append::to(stream("a"), Any, a).and(stream("b"), Any, events("X"));
    assert_eq!(conflict(t.store.append(half).await), [revision_check("a", Any, live(0))]);
    assert_eq!(t.length().await, 3);
}

pub async fn an_append_id_answers_as_the_first_time_whatever_the_events(t: Case) {
    if !t.has(Capability::AppendIds) {
        return t.close();
    }
    let id = AppendId::generate();
    t.append("s", events("A")).await;
    let first = t.submit(Append::to(stream("s"), exact(0), events("BC")).with_id(id)).await;
    assert!(!first.deduplicated);
    t.append("s", events("D")).await;
    // The command was decided anew, so that ids, contents and expectation differ.
    let again = t.submit(Append::to(stream("s"), exact(3), events("X")).with_id(id)).await;
    assert!(again.deduplicated);
    assert_eq!((span(&again), by_stream(&again)), (Some((1, 2)), vec![("s", Some(1), Some(2))]));
    assert_eq!(t.length().await, 4);
    assert_eq!(t.types(Read::forwards(Selector::Append(id))).await, "BC");
}

pub async fn an_append_id_is_known_for_ever(t: Case) {
    if !t.has(Capability::AppendIds) {
        return t.close();
    }
    let id = AppendId::generate();
    let append = Append::to(stream("s"), NoStream, events("A")).with_id(id);
    t.submit(append.clone()).await;
    for round in 0..300 {
        t.append(&format!("other-{round}"), events("Z")).await;
    }
    for step in ["kept", "soft-deleted", "tombstoned"] {
        match step {
            "soft-deleted" => drop(t.soft_delete("s").await),
            "tombstoned" => drop(t.tombstone("s").await),
            _ => {}
        }
        let again = t.submit(append.clone()).await;
        assert!(again.deduplicated, "{step}");
        assert_eq!(
            (span(&again), by_stream(&again)),
            (Some((0, 0)), vec![("s", Some(0), Some(0))]),
            "{step}"
        );
    }
}

pub async fn an_append_id_used_for_other_streams_is_refused(t: Case) {
    if !t.has(Capability::AppendIds) {
        return t.close();
    }
    let id = AppendId::generate();
    t.append("s", events("A")).await;
    t.submit(Append::to(stream("s"), Any, events("B")).with_id(id)).await;
    let other = t.store.append(Append::to(stream("other"), Any, events("C")).with_id(id)).await;
    match other {
        Err(AppendError::AppendIdReused { id: reused, first }) => {
            assert_eq!((reused, first), (id, Position(1)));
        }
        other => panic!("expected that the append id is refused, got {other:?}"),
    }
    assert_eq!(t.length().await, 2);
}

pub async fn a_refused_append_does_not_use_up_its_id(t: Case) {
    if !t.has(Capability::AppendIds) {
        return t.close();
    }
    let id = AppendId::generate();
    let refused = t.store.append(Append::to(stream("s"), exact(4), events("A")).with_id(id)).await;
    assert_eq!(conflict(refused), [revision_check("s", exact(4), StreamState::Missing)]);
    let done = t.submit(Append::to(stream("s"), NoStream, events("A")).with_id(id)).await;
    assert!(!done.deduplicated);
    assert_eq!(span(&done), Some((0, 0)));
}

pub async fn an_append_that_revived_a_stream_is_answered_the_same_again(t: Case) {
    if !t.has(Capability::AppendIds) {
        return t.close();
    }
    let id = AppendId::generate();
    t.append("s", events("A")).await;
    t.soft_delete("s").await;
    let append = Append::to(stream("s"), NoStream, events("BC")).with_id(id);
    let first = t.submit(append.clone()).await;
    let again = t.submit(append).await;
    assert!(again.deduplicated && !first.deduplicated);
    assert_eq!((first.first, first.last, &first.streams), (again.first, again.last, &again.streams));
    assert_eq!((span(&first), by_stream(&first)), (Some((3, 4)), vec![("s", Some(1), Some(2))]));
    // The metadata event that revived the stream is the store's, not the append's.
    assert_eq!(t.types(Read::forwards(Selector::Append(id))).await, "BC");
}

/// Found by the model test, seed 16: what is left of a deleted stream is not the same in every store.
pub async fn a_repetition_that_names_a_tombstoned_stream_tells_no_revision_of_it(t: Case) {
    if !t.has(Capability::MultiStreamAppend) {
        return;
    }
    t.append("gone", events("AB")).await;
    let append = Append::to(stream("s"), NoStream, events("C")).and(stream("gone"), Any, Vec::new());
    assert_eq!(
        by_stream(&t.submit(append.clone()).await),
        [("s", Some(0), Some(0)), ("gone", None, Some(1))]
    );
    t.tombstone("gone").await;
    let again = t.submit(append).await;
    assert_eq!(
        (again.deduplicated, by_stream(&again)),
        (true, vec![("s", Some(0), Some(0)), ("gone", None, None)])
    );
}

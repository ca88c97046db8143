//! Of many writers that may not all succeed, does exactly one?

use std::sync::Arc;

use factum_core::{
    Append, AppendCondition, AppendError, AppendId, Capability, EventStore, ExpectedRevision, FailedCheck,
    Position, Query, QueryItem, Revision, StreamState,
};
use tokio::sync::Barrier;

use crate::case::{Case, exact, span, stream, tag, tagged};
use ExpectedRevision::{Any, NoStream};

const WRITERS: usize = 16;
const ROUNDS: u64 = 1_000;

/// Sends all appends at once; gives the winners' first positions and the losers' failed checks.
async fn race(store: &Arc<dyn EventStore>, appends: Vec<Append>) -> (Vec<Position>, Vec<Vec<FailedCheck>>) {
    let start = Arc::new(Barrier::new(appends.len()));
    let racers: Vec<_> = appends
        .into_iter()
        .map(|append| {
            let (store, start) = (store.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                store.append(append).await
            })
        })
        .collect();
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    for racer in racers {
        match racer.await.expect("the racer is done") {
            Ok(appended) => won.push(appended.first.expect("it wrote an event")),
            Err(AppendError::Conflict { failed }) => lost.push(failed),
            Err(error) => panic!("expected success or a conflict, got {error:?}"),
        }
    }
    (won, lost)
}

pub async fn on_one_condition_exactly_one_wins(t: Case) {
    one_winner_on_each_condition(t, ROUNDS).await;
}

pub(super) async fn one_winner_on_each_condition(t: Case, rounds: u64) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    for round in 0..rounds {
        let name = format!("seat:{round}");
        let query = Query::item(QueryItem::tags([tag(&name)]));
        let condition =
            AppendCondition::FailIfEventsMatch { query, after: round.checked_sub(1).map(Position) };
        let appends = (0..WRITERS).map(|writer| {
            Append::to(stream(&format!("w-{writer}")), Any, vec![tagged("Booked", &[&name])])
                .on_condition(condition.clone())
        });
        let (won, lost) = race(&t.store, appends.collect()).await;
        assert_eq!(won, [Position(round)], "round {round}");
        assert_eq!(lost.len(), WRITERS - 1);
        let expected = [FailedCheck::Condition { index: 0, conflicting: Position(round) }];
        assert!(lost.iter().all(|failed| *failed == expected), "round {round}: {lost:?}");
    }
    assert_eq!(t.length().await, rounds);
}

pub async fn on_one_expected_revision_exactly_one_wins(t: Case) {
    for round in 0..ROUNDS {
        let expected = round.checked_sub(1).map_or(NoStream, exact);
        let appends = (0..WRITERS).map(|_| Append::to(stream("s"), expected, vec![tagged("Raced", &[])]));
        let (won, lost) = race(&t.store, appends.collect()).await;
        assert_eq!(won, [Position(round)], "round {round}");
        assert_eq!(lost.len(), WRITERS - 1);
        let actual = StreamState::Live { last: Revision(round) };
        let failed = [FailedCheck::Revision { stream: stream("s"), expected, actual }];
        assert!(lost.iter().all(|found| *found == failed), "round {round}: {lost:?}");
    }
}

pub async fn on_a_count_exactly_as_many_win_as_fit(t: Case) {
    if !t.has(Capability::QueryConditions) {
        return t.close();
    }
    for round in 0..50 {
        let name = format!("course:{round}");
        let query = Query::item(QueryItem::tags([tag(&name)]));
        let condition = AppendCondition::CountBelow { query, below: 5 };
        let appends = (0..WRITERS).map(|_| {
            Append::to(stream("s"), Any, vec![tagged("Joined", &[&name])]).on_condition(condition.clone())
        });
        let (won, lost) = race(&t.store, appends.collect()).await;
        assert_eq!((won.len(), lost.len()), (5, WRITERS - 5), "round {round}");
    }
}

pub async fn on_one_append_id_one_writes_and_all_get_its_answer(t: Case) {
    if !t.has(Capability::AppendIds) {
        return t.close();
    }
    for round in 0..50 {
        let id = AppendId::generate();
        let appends =
            (0..WRITERS).map(|_| Append::to(stream("s"), Any, vec![tagged("Once", &[])]).with_id(id));
        let (won, lost) = race(&t.store, appends.collect()).await;
        assert_eq!((won, lost.len()), (vec![Position(round); WRITERS], 0));
    }
    assert_eq!(t.length().await, 50);
}

pub async fn on_the_same_events_one_writes_and_all_get_its_answer(t: Case) {
    for round in 0..50 {
        let new = vec![tagged("Once", &[])];
        let appends = (0..WRITERS).map(|_| Append::to(stream("s"), Any, new.clone()));
        let (won, lost) = race(&t.store, appends.collect()).await;
        assert_eq!((won, lost.len()), (vec![Position(round); WRITERS], 0));
    }
    assert_eq!(t.length().await, 50);
}

pub async fn appends_without_expectations_all_succeed_densely(t: Case) {
    for round in 0..50_u64 {
        let appends = (0..WRITERS)
            .map(|writer| Append::to(stream(&format!("w-{}", writer % 4)), Any, vec![tagged("A", &[])]));
        let (mut won, _) = race(&t.store, appends.collect()).await;
        won.sort_unstable();
        let from = round * WRITERS as u64;
        assert_eq!(won, (from..from + WRITERS as u64).map(Position).collect::<Vec<_>>());
    }
    let appended = t.append("w-0", vec![tagged("A", &[])]).await;
    assert_eq!(span(&appended), Some((800, 800)));
    assert_eq!(appended.streams[0].last, Some(Revision(200)));
}

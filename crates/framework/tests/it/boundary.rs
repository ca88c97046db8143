//! Decisions over a query hold only while nothing that matters to them has happened since.

use std::sync::Arc;

use factum::{Boundary, CommandMetadata, ExecuteError, Executor, Outcome, RetryPolicy};
use factum_core::{
    AppendCondition, EventStoreExt, EventType, ExpectedRevision, FailedCheck, MemoryStore, NewEvent,
    Position, Query, QueryItem, Read, SchemaVersion, Selector, Tag,
};

use crate::faulty::{Faulty, now};
use crate::wallet::{Refusal, Wallet, WalletCommand, WalletEvent, id, memory, stream, wallets};

/// All wallets together: what a shop's till would look at.
fn all_wallets() -> Boundary<WalletEvent> {
    Boundary::tags([], stream("till-1")).unwrap()
}

fn filled(cents: u64) -> NewEvent {
    NewEvent::json(EventType::new("Filled").unwrap(), format!("{{\"cents\":{cents}}}"))
        .with_schema_version(SchemaVersion(2))
}

#[tokio::test]
async fn a_decision_rests_on_events_of_many_streams_and_goes_to_a_given_one() {
    let store = memory();
    let wallets = wallets(store.clone());
    for name in ["wallet-1", "wallet-2"] {
        wallets.execute(&stream(name), &WalletCommand::Fill(5), &CommandMetadata::new()).await.unwrap();
    }
    let spend = WalletCommand::Spend(8, "baker");
    let outcome = wallets.execute_within(&all_wallets(), &spend, &CommandMetadata::new()).await.unwrap();
    let applied = outcome.applied().unwrap();
    assert_eq!(applied.streams[0].stream, stream("till-1"));
    assert_eq!(applied.first, Position(2));
    let state = wallets.load_boundary(&all_wallets()).await.unwrap();
    assert_eq!((state.replayed.state.cents, state.after), (2, Some(Position(2))));
    let error = wallets.execute_within(&all_wallets(), &spend, &CommandMetadata::new()).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Refusal::TooLittle { has: 2, needs: 8 }));
}

#[tokio::test]
async fn each_event_goes_to_the_stream_that_the_route_names() {
    let store = memory();
    let wallets = wallets(store.clone());
    let boundary = all_wallets().routed(|event| match event {
        WalletEvent::Filled { .. } => stream("in-1"),
        WalletEvent::Spent { shop, .. } => stream(&format!("shop-{shop}")),
    });
    wallets.execute_within(&boundary, &WalletCommand::FillTwice(5), &id("c1")).await.unwrap();
    let spend = WalletCommand::Spend(1, "baker");
    let outcome = wallets.execute_within(&boundary, &spend, &id("c2")).await.unwrap();
    assert_eq!(outcome.applied().unwrap().streams[0].stream, stream("shop-baker"));
    assert_eq!(store.read_all(Read::stream(stream("in-1"))).await.unwrap().len(), 2);
}

/// semantics.md 9, item 4: what comes between the read and the append must fail the condition, so the place after
/// which it looks may not be taken after the read.
#[tokio::test]
async fn the_condition_is_captured_with_the_read_and_not_after_it() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let mut interlopers = 1;
    let store = Faulty::new(memory())
        .before_append(move |_, append| {
            let [AppendCondition::FailIfEventsMatch { after, .. }] = append.conditions[..] else {
                panic!("one condition")
            };
            kept.lock().unwrap().push(after);
            Ok(())
        })
        .after_read(move |store| {
            if interlopers > 0 {
                interlopers -= 1;
                // The decision has not seen it, whatever the log's head says by now.
                now(store.append_to(stream("wallet-1"), ExpectedRevision::Any, vec![filled(4)])).unwrap();
            }
        });
    let wallets = wallets(store);
    let outcome = wallets
        .execute_within(&all_wallets(), &WalletCommand::TopUp(10), &CommandMetadata::new())
        .await
        .unwrap();
    assert_eq!(outcome.events(), [WalletEvent::Filled { cents: 6 }]);
    assert_eq!(outcome.attempts(), 2);
    assert_eq!(*seen.lock().unwrap(), [None, Some(Position(0))]);
}

#[tokio::test]
async fn what_does_not_match_is_no_conflict() {
    let store = Faulty::new(memory()).before_append(|store, _| {
        let other = NewEvent::json(EventType::new("Weather").unwrap(), "{}");
        now(store.append_to(stream("till-1"), ExpectedRevision::Any, vec![other])).unwrap();
        Ok(())
    });
    let outcome = wallets(store)
        .execute_within(&all_wallets(), &WalletCommand::Fill(1), &CommandMetadata::new())
        .await
        .unwrap();
    assert_eq!(outcome.attempts(), 1);
}

#[tokio::test]
async fn an_empty_decision_is_checked_and_writes_nothing() {
    let mut interlopers = 1;
    let store = Faulty::new(memory()).before_append(move |store, append| {
        assert_eq!((append.event_count(), append.conditions.len()), (0, 1));
        if interlopers > 0 {
            interlopers -= 1;
            let spent = NewEvent::json(EventType::new("Spent").unwrap(), r#"{"cents":3,"shop":"baker"}"#);
            now(store.append_to(stream("wallet-1"), ExpectedRevision::Any, vec![spent])).unwrap();
        }
        Ok(())
    });
    now(store.store.append_to(stream("wallet-1"), ExpectedRevision::Any, vec![filled(13)])).unwrap();
    let wallets = wallets(store.clone());
    let outcome = wallets
        .execute_within(&all_wallets(), &WalletCommand::TopUp(10), &CommandMetadata::new())
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Nothing { attempts: 2 }), "{outcome:?}");
    assert_eq!(store.head().await.unwrap().unwrap().position(), Position(1));
}

#[tokio::test]
async fn the_last_conflict_names_what_matched() {
    let store = Faulty::new(memory()).before_append(|store, _| {
        now(store.append_to(stream("wallet-7"), ExpectedRevision::Any, vec![filled(4)])).unwrap();
        Ok(())
    });
    let error = wallets(store)
        .execute_within(&all_wallets(), &WalletCommand::TopUp(100), &CommandMetadata::new())
        .await
        .unwrap_err();
    let ExecuteError::Conflict { attempts: 3, failed, changed } = error else { panic!("{error:?}") };
    assert_eq!(failed, [FailedCheck::Condition { index: 0, conflicting: Position(2) }]);
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0].stream.as_str(), changed[0].position), ("wallet-7", Position(2)));
}

#[tokio::test]
async fn the_same_command_id_twice_has_one_effect_over_a_query_too() {
    let store = memory();
    let wallets = wallets(store.clone());
    let boundary = all_wallets();
    for (command, round) in
        [WalletCommand::TopUp(9), WalletCommand::TopUp(9), WalletCommand::Fill(9)].into_iter().zip(0..)
    {
        let outcome = wallets.execute_within(&boundary, &command, &id("c1")).await.unwrap();
        assert_eq!(outcome.already_applied(), round > 0);
        assert_eq!(outcome.events(), [WalletEvent::Filled { cents: 9 }]);
    }
    let spend = WalletCommand::Spend(9, "baker");
    wallets.execute_within(&boundary, &spend, &id("c2")).await.unwrap();
    // It would be rejected now; it was done.
    assert!(wallets.execute_within(&boundary, &spend, &id("c2")).await.unwrap().already_applied());
    assert_eq!(store.head().await.unwrap().unwrap().position(), Position(1));
}

#[tokio::test]
async fn tags_narrow_what_a_decision_rests_on() {
    let store = memory();
    let wallets = wallets(store.clone());
    let fill = WalletCommand::Fill(5);
    wallets.execute(&stream("wallet-1"), &fill, &CommandMetadata::new()).await.unwrap();
    for shop in ["baker", "smith"] {
        let spend = WalletCommand::Spend(1, shop);
        wallets.execute(&stream("wallet-1"), &spend, &CommandMetadata::new()).await.unwrap();
    }
    let item = QueryItem::types([EventType::new("Filled").unwrap()]);
    let query = Query::item(item).or(QueryItem::tags([Tag::new("shop:baker").unwrap()]));
    let state = wallets.load_boundary(&Boundary::new(query, stream("till-1"))).await.unwrap();
    assert_eq!((state.replayed.state.cents, state.replayed.events), (4, 2));
    assert_eq!(state.after, Some(Position(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_never_spend_more_than_there_is() {
    let store = MemoryStore::new();
    let wallets = Arc::new(Executor::new(Arc::new(store.clone()), Wallet, RetryPolicy::attempts(10_000)));
    wallets.execute(&stream("wallet-1"), &WalletCommand::Fill(10), &CommandMetadata::new()).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let wallets = Arc::clone(&wallets);
            tokio::spawn(async move {
                let boundary = Boundary::tags([], stream(&format!("till-{task}"))).unwrap();
                let spend = WalletCommand::Spend(1, "baker");
                wallets.execute_within(&boundary, &spend, &CommandMetadata::new()).await
            })
        })
        .collect();
    let (mut spent, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => spent += 1,
            Err(error) => {
                assert_eq!(error.rejection(), Some(Refusal::TooLittle { has: 0, needs: 1 }));
                refused += 1;
            }
        }
    }
    assert_eq!((spent, refused), (10, 6));
    let log = store.read_all(Read::forwards(Selector::All)).await.unwrap();
    assert_eq!(log.len(), 11);
}

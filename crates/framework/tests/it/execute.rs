//! Commands take effect once, against the true state, or are refused for a reason.

use std::sync::Arc;

use factum::{CommandMetadata, ExecuteError, Executor, Outcome, RetryPolicy, SnapshotWrite};
use factum_core::{
    AppendError, Capability, Delete, DeleteMode, ErrorKind, EventStore, EventStoreExt, EventType,
    ExpectedRevision, FailedCheck, MemoryStore, NewEvent, Position, Read, Revision, SchemaVersion, Selector,
    StreamMetadata, StreamState, Timestamp,
};

use crate::faulty::{Faulty, now};
use crate::wallet::{
    NOON, Purse, Refusal, Wallet, WalletCommand, WalletEvent, events_of, id, memory, stream, wallets,
};

fn filled(cents: u64) -> NewEvent {
    NewEvent::json(EventType::new("Filled").unwrap(), format!("{{\"cents\":{cents}}}"))
        .with_schema_version(SchemaVersion(2))
}

#[tokio::test]
async fn events_follow_a_command_and_carry_who_asked() {
    let store = memory();
    let wallets = wallets(store.clone());
    let asked = CommandMetadata::new()
        .actor("ada")
        .correlation("trip")
        .causation("ticket")
        .command_id("c1")
        .traceparent("00-1-2-01")
        .occurred_at(Timestamp(5));
    let outcome = wallets.execute(&stream("wallet-1"), &WalletCommand::FillTwice(50), &asked).await.unwrap();

    let applied = outcome.applied().unwrap();
    assert_eq!(applied.events, [WalletEvent::Filled { cents: 50 }, WalletEvent::Filled { cents: 50 }]);
    assert_eq!((applied.first, applied.last), (Position(0), Position(1)));
    assert_eq!((applied.revision(), applied.attempts), (Some(Revision(1)), 1));
    assert!(matches!(applied.snapshot, SnapshotWrite::NotDue));
    let stored = events_of(&store, "wallet-1").await;
    for (index, event) in stored.iter().enumerate() {
        assert_eq!(CommandMetadata::of(event), asked);
        assert_eq!(event.correlation().as_deref(), Some("trip"));
        assert_eq!(event.header().schema_version, SchemaVersion(2));
        assert_eq!(Some(event.id()), asked.command_id.as_ref().map(|id| id.event_id(index)));
        assert_eq!(event.append_id(), asked.command_id.as_ref().map(factum::CommandId::append_id));
    }
}

#[tokio::test]
async fn nothing_to_do_is_told_apart_and_writes_nothing() {
    let store = memory();
    let wallets = wallets(store.clone());
    let stream = stream("wallet-1");
    wallets.execute(&stream, &WalletCommand::TopUp(10), &CommandMetadata::new()).await.unwrap();
    let outcome = wallets.execute(&stream, &WalletCommand::TopUp(10), &CommandMetadata::new()).await.unwrap();
    assert!(matches!(outcome, Outcome::Nothing { attempts: 1 }), "{outcome:?}");
    assert!(outcome.events().is_empty());
    assert_eq!(events_of(&store, "wallet-1").await.len(), 1);
}

#[tokio::test]
async fn a_rejection_is_an_answer_and_writes_nothing() {
    let store = memory();
    let wallets = wallets(store.clone());
    let error = wallets
        .execute(&stream("wallet-1"), &WalletCommand::Spend(7, "baker"), &CommandMetadata::new())
        .await
        .unwrap_err();
    assert!(!error.outcome_unknown());
    assert_eq!(error.rejection(), Some(Refusal::TooLittle { has: 0, needs: 7 }));
    assert!(store.head().await.unwrap().is_none());
}

#[tokio::test]
async fn the_decision_knows_what_the_context_says() {
    let error = wallets(memory())
        .execute(
            &stream("wallet-1"),
            &WalletCommand::Spend(0, "baker"),
            &CommandMetadata::new().actor("nobody"),
        )
        .await
        .unwrap_err();
    assert_eq!(error.rejection(), Some(Refusal::Anonymous));
}

#[tokio::test]
async fn a_conflict_is_decided_again_on_the_new_state() {
    let mut first = true;
    let store = Faulty::new(memory()).before_append(move |store, append| {
        if std::mem::take(&mut first) {
            let other = append.writes[0].stream.clone();
            now(store.append_to(other, ExpectedRevision::Any, vec![filled(30)])).unwrap();
        }
        Ok(())
    });
    let wallets = wallets(store.clone());
    let outcome =
        wallets.execute(&stream("wallet-1"), &WalletCommand::TopUp(100), &id("top up")).await.unwrap();
    assert_eq!(outcome.events(), [WalletEvent::Filled { cents: 70 }]);
    assert_eq!(outcome.attempts(), 2);
    assert_eq!(wallets.load(&stream("wallet-1")).await.unwrap().state.cents, 100);
}

#[tokio::test]
async fn the_last_conflict_names_what_changed() {
    let store = Faulty::new(memory()).before_append(|store, append| {
        let other = append.writes[0].stream.clone();
        now(store.append_to(other, ExpectedRevision::Any, vec![filled(1), filled(1)])).unwrap();
        Ok(())
    });
    let error = wallets(store)
        .execute(&stream("wallet-1"), &WalletCommand::Fill(5), &CommandMetadata::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "gave up after 3 attempts: stream 'wallet-1' was expected at revision 3, but it is at revision 5; \
         in between came Filled at revision 4 of 'wallet-1' (position 4), \
         Filled at revision 5 of 'wallet-1' (position 5)"
    );
    let ExecuteError::Conflict { attempts: 3, failed, changed } = error else { panic!("{error:?}") };
    let actual = StreamState::Live { last: Revision(5) };
    assert!(matches!(&failed[..], [FailedCheck::Revision { actual: found, .. }] if *found == actual));
    assert_eq!(changed.len(), 2);
}

#[tokio::test]
async fn no_retry_where_the_caller_wants_none() {
    let store = Faulty::new(memory()).before_append(|store, append| {
        let other = append.writes[0].stream.clone();
        now(store.append_to(other, ExpectedRevision::Any, vec![filled(1)])).unwrap();
        Ok(())
    });
    let wallets = Executor::new(Arc::new(store), Wallet, RetryPolicy::NEVER);
    let error = wallets
        .execute(&stream("wallet-1"), &WalletCommand::Fill(5), &CommandMetadata::new())
        .await
        .unwrap_err();
    assert!(matches!(error, ExecuteError::Conflict { attempts: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn the_same_command_id_twice_has_one_effect() {
    let store = memory();
    let wallets = wallets(store.clone());
    let stream = stream("wallet-1");
    let first = wallets.execute(&stream, &WalletCommand::FillTwice(5), &id("c1")).await.unwrap();
    wallets.execute(&stream, &WalletCommand::Fill(1), &id("c2")).await.unwrap();
    let again = wallets.execute(&stream, &WalletCommand::FillTwice(5), &id("c1")).await.unwrap();
    assert!(!first.already_applied());
    assert!(again.already_applied(), "{again:?}");
    let (first, again) = (first.applied().unwrap(), again.applied().unwrap());
    assert_eq!(first.events, again.events);
    assert_eq!((first.first, first.last), (again.first, again.last));
    assert_eq!(first.streams, again.streams);
    assert!(again.token.reaches(&first.token).unwrap());
    assert_eq!(events_of(&store, "wallet-1").await.len(), 3);
}

#[tokio::test]
async fn a_repeated_command_that_would_now_be_rejected_is_answered_as_it_was() {
    let wallets = wallets(memory());
    let stream = stream("wallet-1");
    wallets.execute(&stream, &WalletCommand::Fill(10), &CommandMetadata::new()).await.unwrap();
    wallets.execute(&stream, &WalletCommand::Spend(8, "baker"), &id("bread")).await.unwrap();
    let again = wallets.execute(&stream, &WalletCommand::Spend(8, "baker"), &id("bread")).await.unwrap();
    assert!(again.already_applied());
    assert_eq!(again.events(), [WalletEvent::Spent { cents: 8, shop: "baker".to_owned() }]);
    let other = wallets.execute(&stream, &WalletCommand::Spend(8, "baker"), &id("cake")).await.unwrap_err();
    assert_eq!(other.rejection(), Some(Refusal::TooLittle { has: 2, needs: 8 }));
}

#[tokio::test]
async fn a_repeated_command_with_nothing_left_to_do_is_answered_as_it_was() {
    let wallets = wallets(memory());
    let stream = stream("wallet-1");
    wallets.execute(&stream, &WalletCommand::TopUp(10), &id("top up")).await.unwrap();
    let again = wallets.execute(&stream, &WalletCommand::TopUp(10), &id("top up")).await.unwrap();
    assert!(again.already_applied());
    assert_eq!(again.events(), [WalletEvent::Filled { cents: 10 }]);
}

#[tokio::test]
async fn a_repeated_command_has_one_effect_without_append_ids_too() {
    let mut store = Faulty::new(memory());
    store.without = Some(Capability::AppendIds);
    let wallets = wallets(store.clone());
    let stream = stream("wallet-1");
    for round in 0..3 {
        let outcome = wallets.execute(&stream, &WalletCommand::FillTwice(5), &id("c1")).await.unwrap();
        assert_eq!(outcome.already_applied(), round > 0);
        assert_eq!(outcome.events().len(), 2);
        wallets.execute(&stream, &WalletCommand::Fill(1), &CommandMetadata::new()).await.unwrap();
    }
    assert_eq!(wallets.load(&stream).await.unwrap().state.cents, 13);
}

#[tokio::test]
async fn a_command_id_of_another_stream_is_refused() {
    let store = memory();
    let wallets = wallets(store.clone());
    wallets.execute(&stream("wallet-1"), &WalletCommand::Fill(5), &id("c1")).await.unwrap();
    for command in [WalletCommand::Fill(5), WalletCommand::Spend(9, "baker"), WalletCommand::TopUp(0)] {
        let error = wallets.execute(&stream("wallet-2"), &command, &id("c1")).await.unwrap_err();
        assert!(
            matches!(&error, ExecuteError::CommandIdReused { command, .. } if command == "c1"),
            "{error:?}"
        );
    }
    assert_eq!(store.head().await.unwrap().unwrap().position(), Position(0));
}

#[tokio::test]
async fn a_lost_answer_is_found_again_by_the_command_id() {
    let mut lost = false;
    let store = Faulty::new(memory()).answering(move |_| {
        (!std::mem::replace(&mut lost, true))
            .then(|| AppendError::Stopped { cause: Arc::new(std::io::Error::other("the disk went away")) })
    });
    let wallets = wallets(store.clone());
    let stream = stream("wallet-1");
    let error = wallets.execute(&stream, &WalletCommand::Fill(5), &id("c1")).await.unwrap_err();
    assert!(error.outcome_unknown());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let again = wallets.execute(&stream, &WalletCommand::Fill(5), &id("c1")).await.unwrap();
    assert!(again.already_applied());
    assert_eq!(wallets.load(&stream).await.unwrap().state, Purse { cents: 5, events: 1 });
}

#[tokio::test]
async fn an_event_that_is_not_the_deciders_is_named() {
    let store = memory();
    let odd = |event_type: &str, version, data: &str| {
        NewEvent::json(EventType::new(event_type).unwrap(), data.to_owned())
            .with_schema_version(SchemaVersion(version))
    };
    for (name, event, why) in [
        ("wallet-1", odd("Stolen", 1, "{}"), "Stolen"),
        ("wallet-2", odd("Filled", 9, "{}"), "9"),
        ("wallet-3", odd("Filled", 2, r#"{"cents":1,"more":2}"#), "more"),
        ("wallet-4", odd("Filled", 1, r#"{"cents":1}"#), "no euros"),
    ] {
        store.append_to(stream(name), ExpectedRevision::Any, vec![event]).await.unwrap();
        let error = wallets(store.clone())
            .execute(&stream(name), &WalletCommand::Fill(1), &CommandMetadata::new())
            .await
            .unwrap_err();
        assert!(matches!(error, ExecuteError::Decode(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(why), "{text}");
        assert_eq!(events_of(&store, name).await.len(), 1);
    }
}

#[tokio::test]
async fn events_of_an_old_version_are_upcast_before_they_are_folded() {
    let store = memory();
    let old = NewEvent::json(EventType::new("Filled").unwrap(), r#"{"euros":3}"#);
    store.append_to(stream("wallet-1"), ExpectedRevision::NoStream, vec![old]).await.unwrap();
    assert_eq!(wallets(store).load(&stream("wallet-1")).await.unwrap().state.cents, 300);
}

#[tokio::test]
async fn a_truncated_stream_is_appended_at_its_true_head() {
    let store = memory();
    let wallets = wallets(store.clone());
    let stream = stream("wallet-1");
    for _ in 0..3 {
        wallets.execute(&stream, &WalletCommand::Fill(1), &CommandMetadata::new()).await.unwrap();
    }
    let hide_all = StreamMetadata { truncate_before: Some(3), ..StreamMetadata::default() };
    store.set_stream_metadata(stream.clone(), &hide_all).await.unwrap();
    let outcome = wallets.execute(&stream, &WalletCommand::TopUp(9), &CommandMetadata::new()).await.unwrap();
    assert_eq!(outcome.events(), [WalletEvent::Filled { cents: 9 }]);
    assert_eq!(outcome.applied().unwrap().revision(), Some(Revision(3)));
}

#[tokio::test]
async fn a_deleted_stream_begins_anew_and_a_tombstoned_one_does_not() {
    let store = memory();
    let wallets = wallets(store.clone());
    let stream = stream("wallet-1");
    wallets.execute(&stream, &WalletCommand::Fill(8), &CommandMetadata::new()).await.unwrap();
    let delete = |mode| Delete { stream: stream.clone(), expected: ExpectedRevision::Any, mode };
    store.delete(delete(DeleteMode::Soft)).await.unwrap();
    let outcome = wallets.execute(&stream, &WalletCommand::TopUp(9), &id("revive")).await.unwrap();
    assert_eq!(outcome.events(), [WalletEvent::Filled { cents: 9 }]);
    let again = wallets.execute(&stream, &WalletCommand::TopUp(9), &id("revive")).await.unwrap();
    assert!(again.already_applied());
    store.delete(delete(DeleteMode::Tombstone)).await.unwrap();
    let error = wallets.execute(&stream, &WalletCommand::Fill(1), &CommandMetadata::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deleted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_tasks_on_one_stream_are_each_effective_exactly_once() {
    const TASKS: u64 = 16;
    const COMMANDS: u64 = 20;
    let store = MemoryStore::new();
    let wallets = Arc::new(Executor::new(Arc::new(store.clone()), Wallet, RetryPolicy::attempts(10_000)));
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let wallets = Arc::clone(&wallets);
        tasks.push(tokio::spawn(async move {
            let mut attempts = 0;
            for command in 0..COMMANDS {
                // Each command is sent twice, as after a lost answer.
                for sent in 0..2 {
                    let metadata = id(&format!("task {task} command {command}"));
                    let outcome = wallets
                        .execute(&stream("wallet-1"), &WalletCommand::Fill(1), &metadata)
                        .await
                        .unwrap();
                    assert_eq!(outcome.already_applied(), sent == 1);
                    attempts += outcome.attempts();
                    tokio::task::yield_now().await;
                }
            }
            attempts
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap() >= 2 * COMMANDS as u32);
    }
    let purse = wallets.load(&stream("wallet-1")).await.unwrap().state;
    assert_eq!(purse, Purse { cents: TASKS * COMMANDS, events: TASKS * COMMANDS });
    let log = store.read_all(Read::forwards(Selector::All)).await.unwrap();
    assert_eq!(log.len() as u64, TASKS * COMMANDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_command_sent_by_many_at_once_has_one_effect() {
    for round in 0..50 {
        let store = memory();
        let wallets = Arc::new(wallets(store.clone()));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let wallets = Arc::clone(&wallets);
                tokio::spawn(async move {
                    wallets.execute(&stream("wallet-1"), &WalletCommand::TopUp(7), &id("once")).await
                })
            })
            .collect();
        let mut fresh = 0;
        for task in tasks {
            let outcome = task.await.unwrap().unwrap();
            assert_eq!(outcome.events(), [WalletEvent::Filled { cents: 7 }], "round {round}");
            fresh += u32::from(!outcome.already_applied());
        }
        assert_eq!((fresh, events_of(&store, "wallet-1").await.len()), (1, 1), "round {round}");
    }
}

#[tokio::test]
async fn one_command_has_one_now_however_often_it_is_decided() {
    use std::sync::atomic::{AtomicI64, Ordering};
    /// A clock that moves each time it is read.
    struct Restless(AtomicI64);
    impl factum_core::Clock for Restless {
        fn now(&self) -> Timestamp {
            Timestamp(NOON.0 + self.0.fetch_add(1, Ordering::SeqCst))
        }
    }
    let clock = Arc::new(Restless(AtomicI64::new(0)));
    let mut conflicts = 2;
    let store = Faulty::new(memory()).before_append(move |store, append| {
        if conflicts > 0 {
            conflicts -= 1;
            let other = append.writes[0].stream.clone();
            now(store.append_to(other, ExpectedRevision::Any, vec![filled(1)])).unwrap();
        }
        Ok(())
    });
    let wallets = wallets(store).with_clock(clock.clone());
    let outcome =
        wallets.execute(&stream("wallet-1"), &WalletCommand::Fill(1), &CommandMetadata::new()).await.unwrap();
    assert_eq!(outcome.attempts(), 3);
    assert_eq!(clock.0.load(Ordering::SeqCst), 1);
}

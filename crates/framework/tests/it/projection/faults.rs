//! A poisonous event: what it stops, what is said of it, and the three ways out.

use super::*;

use factum::{ProjectionError, Status};
use factum_core::Position;

#[tokio::test]
async fn it_stops_its_projection_only_at_its_place_with_all_that_was_before() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let rain = TypedProjection::<Weather>::new("rain", "create table rain (n bigint)", |_, _, model| {
        Ok(model.execute("insert into rain values (1)", &[])?)
    });
    let other = world.projections.start(rain.unwrap()).await.unwrap();
    for n in 0..50 {
        world.pay("a", n).await;
    }
    world.garble("b").await;
    world.pay("a", 1_000).await;
    let token = world.rain(3).await;
    ready(&other, &token).await;
    let waited = handle.wait(&token, LONG).await.unwrap();
    let error = "this amount cannot be read".to_owned();
    assert_eq!(waited, Waited::Faulted { position: Position(50), error });
    assert_eq!(rows(&handle), [row("a", 1_225, 50)], "the state before the event");
    let report = status(&handle).await;
    assert_eq!((report.status, report.lag), (Status::Faulted, 5));
    let fault = &report.faults[0];
    assert_eq!((fault.stream.as_str(), fault.event_type.as_str()), ("till-b", "Garbled"));
    assert_eq!(status(&other).await.status, Status::Running);
}

/// Regression 17: not only the last error is kept.
#[tokio::test]
async fn every_attempt_is_kept_also_over_a_restart_and_retry_goes_on_once_it_is_mended() {
    let world = World::new().await;
    let good = Arc::new(AtomicU64::new(0));
    let handle = world.projections.start(balances_with(&good)).await.unwrap();
    world.garble("b").await;
    let token = world.pay("a", 7).await;
    until(&handle, |reports| reports[0].status == Status::Faulted).await;
    for attempts in 2..5 {
        handle.retry();
        until(&handle, |reports| {
            reports[0].faults.first().is_some_and(|fault| fault.attempts.len() == attempts)
        })
        .await;
    }
    drop(handle);
    let world = world.restart().await;
    let handle = world.projections.start(balances_with(&good)).await.unwrap();
    until(&handle, |reports| reports[0].faults.first().is_some_and(|fault| fault.attempts.len() == 5)).await;
    good.store(1, Ordering::SeqCst);
    handle.retry();
    ready(&handle, &token).await;
    assert_eq!(rows(&handle), [row("a", 7, 1), row("b", 0, 1)]);
    assert_eq!(status(&handle).await.faults, []);
}

#[tokio::test]
async fn skip_needs_a_reason_and_the_right_place_and_is_kept() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    world.garble("b").await;
    let token = world.pay("a", 7).await;
    until(&handle, |reports| reports[0].status == Status::Faulted).await;
    assert!(matches!(handle.skip(Position(0), "ada", " "), Err(ProjectionError::NoReason)));
    let wrong = handle.skip(Position(1), "ada", "wrong place");
    assert!(matches!(wrong, Err(ProjectionError::NotFaulted { .. })), "{wrong:?}");
    let fault = handle.skip(Position(0), "ada", "written by a broken till").unwrap();
    assert_eq!(fault.event_type, "Garbled");
    ready(&handle, &token).await;
    assert_eq!(rows(&handle), [row("a", 7, 1)]);
    let skips = world.read_models.skips(handle.name(), status(&handle).await.version).unwrap();
    assert_eq!((skips[0].actor.as_str(), skips[0].reason.as_str()), ("ada", "written by a broken till"));
    let history = world.read_models.history(handle.name()).unwrap();
    let last = history.last().unwrap();
    assert_eq!(
        (last.what.as_str(), last.reason.as_str()),
        ("skipped", "position 0: written by a broken till")
    );
}

#[tokio::test]
async fn in_one_partition_it_stops_that_partition_only() {
    let world = World::new().await;
    let partitioned = balances().declared(|definition| definition.partitioned_by_stream(4));
    let handle = world.projections.start(partitioned).await.unwrap();
    world.garble("bad").await;
    let mut token = None;
    for n in 0..40 {
        token = Some(world.pay(&format!("t{n}"), 1).await);
    }
    let token = token.unwrap();
    let (mut ready, mut faulted) = (0, 0);
    for n in 0..40 {
        match handle.wait_for_stream(&format!("till-t{n}"), &token, LONG).await.unwrap() {
            Waited::Ready { .. } => ready += 1,
            Waited::Faulted { position: Position(0), .. } => faulted += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(ready > 15 && faulted > 0, "{ready} ready, {faulted} behind the bad event");
    assert!(matches!(handle.wait(&token, LONG).await.unwrap(), Waited::Faulted { .. }));
    assert_eq!(rows(&handle).len(), ready);
    handle.skip(Position(0), "ada", "a broken till").unwrap();
    super::ready(&handle, &token).await;
    assert_eq!(rows(&handle).len(), 40);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_a_fault_that_names_it() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let event_type = factum_core::EventType::new("Paid").unwrap();
    let event = factum_core::NewEvent::json(event_type, r#"{"till":"a","cents":"many"}"#);
    let stream = StreamName::new("till-a").unwrap();
    world.store.append_to(stream, ExpectedRevision::Any, vec![event]).await.unwrap();
    until(&handle, |reports| reports[0].status == Status::Faulted).await;
    let error = status(&handle).await.faults[0].attempts[0].error.clone();
    assert!(error.contains("Paid") && error.contains("cents"), "{error}");
}

#[tokio::test]
async fn a_redacted_event_is_passed_over_and_kept_as_a_skip_with_its_reason() {
    let world = World::new().await;
    world.pay("a", 1).await;
    world.pay("a", 10).await;
    world.store.redact(factum_core::Redact::at(Position(1), "wrong till")).await.unwrap();
    let token = world.pay("a", 100).await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &token).await;
    assert_eq!(rows(&handle), [row("a", 101, 2)]);
    let skips = world.read_models.skips(handle.name(), status(&handle).await.version).unwrap();
    let skips: Vec<_> =
        skips.iter().map(|skip| (skip.position, skip.actor.as_str(), skip.reason.as_str())).collect();
    assert_eq!(skips, [(Position(1), "factum", "redacted: wrong till")]);
}

//! Rows and progress: exactly once, over restarts, partitions and failures.

use super::*;

use factum::{ProjectionError, Status};
use factum_core::read_model::{Partition, ReadModelError, VersionNumber};
use factum_engine::{Engine, Options};

#[tokio::test]
async fn history_then_live_and_after_a_restart_each_event_once() {
    let world = World::new().await;
    world.pay("a", 100).await;
    world.pay("b", 5).await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &world.pay("a", 20).await).await;
    assert_eq!(rows(&handle), [row("a", 120, 2), row("b", 5, 1)]);
    let world = world.restart().await;
    let token = world.pay("a", 1).await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &token).await;
    assert_eq!(rows(&handle), [row("a", 121, 3), row("b", 5, 1)]);
    assert_eq!(status(&handle).await.events, 4);
}

/// Regression 12: a long stretch without any event of its own does not keep the projection back.
#[tokio::test]
async fn it_advances_over_events_that_do_not_concern_it() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    world.pay("a", 1).await;
    let token = world.rain(20_000).await;
    ready(&handle, &token).await;
    let report = status(&handle).await;
    assert_eq!((report.lag, report.events, report.status), (0, 1, Status::Running));
    // Also what it keeps, not only what it says.
    let world = world.restart().await;
    let kept = world.read_models.progress(handle.name(), VersionNumber(1)).unwrap();
    assert_eq!(kept[0].applied, token);
}

/// Regression: started again where nothing of its own is left, it read to the end and did not say so.
#[tokio::test]
async fn it_advances_over_what_came_while_it_did_not_run() {
    for on_disk in [false, true] {
        let log = TempDir::new().unwrap();
        let store: Arc<dyn EventStore> = match on_disk {
            true => Arc::new(Engine::open(log.path(), Options::default()).unwrap()),
            false => Arc::new(MemoryStore::new()),
        };
        let world = World::over(store).await;
        let handle = world.projections.start(balances()).await.unwrap();
        ready(&handle, &world.pay("a", 1).await).await;
        let world = world.restart().await;
        let token = world.rain(3).await;
        let handle = world.projections.start(balances()).await.unwrap();
        ready(&handle, &token).await;
    }
}

#[tokio::test]
async fn many_projections_over_one_log_do_not_wait_for_each_other() {
    let world = World::new().await;
    let mut handles = Vec::new();
    for n in 0..8 {
        let projection: TypedProjection<Till> =
            TypedProjection::new(&format!("balances_{n}"), TABLES, |event: &Till, _, model| {
                let Till::Paid { till, cents } = event else { return Ok(()) };
                Ok(model.execute(ADD, &[("till", till.into()), ("cents", (*cents).into())])?)
            })
            .unwrap();
        handles.push(world.projections.start(projection).await.unwrap());
    }
    let mut token = None;
    for n in 0..200 {
        token = Some(world.pay("a", n).await);
    }
    for handle in &handles {
        ready(handle, token.as_ref().unwrap()).await;
        assert_eq!(rows(handle), [row("a", 19_900, 200)]);
    }
}

#[tokio::test]
async fn partitions_apply_each_stream_once() {
    let world = World::new().await;
    for n in 0..300 {
        world.pay(&format!("t{}", n % 30), 1).await;
    }
    let partitioned = || balances().declared(|definition| definition.partitioned_by_stream(4));
    let handle = world.projections.start(partitioned()).await.unwrap();
    let token = world.pay("t0", 1).await;
    ready(&handle, &token).await;
    let world = world.restart().await;
    let handle = world.projections.start(partitioned()).await.unwrap();
    ready(&handle, &world.pay("t0", 1).await).await;
    let rows = rows(&handle);
    assert_eq!(rows.len(), 30);
    assert_eq!(rows.iter().map(|row| row.1).sum::<i64>(), 302);
    assert_eq!(rows[0], row("t0", 12, 12));
}

/// Regression 15: who was taken over writes nothing more, and says so.
#[tokio::test]
async fn of_two_processes_the_older_one_stops() {
    let world = World::new().await;
    let old = world.projections.start(balances()).await.unwrap();
    ready(&old, &world.pay("a", 1).await).await;
    let second = Projections::open(Arc::clone(&world.store), open(&world.dir)).await.unwrap();
    let new = second.start(balances()).await.unwrap();
    // Once the new one is there for sure, the old one meets the fence at the next event.
    ready(&new, &world.pay("a", 10).await).await;
    ready(&new, &world.pay("a", 100).await).await;
    until(&old, |reports| reports[0].status == Status::Stopped).await;
    let report = status(&old).await;
    assert!(report.why.as_ref().unwrap().contains("taken over"), "{report:?}");
    assert_eq!(rows(&new), [row("a", 111, 3)]);
}

#[tokio::test]
async fn a_stopped_projection_stays_stopped_over_a_restart() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &world.pay("a", 1).await).await;
    handle.stop("ada", "maintenance").unwrap();
    let token = world.pay("a", 1).await;
    let waited = handle.wait(&token, LONG).await.unwrap();
    assert!(matches!(waited, Waited::Stopped { .. }), "at once: {waited:?}");
    let world = world.restart().await;
    let handle = world.projections.start(balances()).await.unwrap();
    assert_eq!(status(&handle).await.status, Status::Stopped);
    assert_eq!(rows(&handle), [row("a", 1, 1)]);
    handle.start("ada", "it is mended").unwrap();
    ready(&handle, &token).await;
    assert_eq!(rows(&handle), [row("a", 2, 2)]);
    let history = world.read_models.history(handle.name()).unwrap();
    let said: Vec<_> = history.iter().map(|action| (action.what.as_str(), action.actor.as_str())).collect();
    assert_eq!(said, [("created", "factum"), ("stopped", "ada"), ("started", "ada")]);
}

#[tokio::test]
async fn rows_of_another_log_are_refused_before_anything_is_written() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &world.pay("a", 1).await).await;
    drop(handle);
    let World { projections, read_models, dir, .. } = world;
    drop((projections, read_models));
    let other: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let projections = Projections::open(other, open(&dir)).await.unwrap();
    let error = projections.start(balances()).await.map(drop).unwrap_err();
    assert!(matches!(&error, ProjectionError::ReadModel(ReadModelError::OtherHistory { .. })), "{error}");
}

#[tokio::test]
async fn rows_ahead_of_the_log_are_refused() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let token = world.pay("a", 1).await;
    ready(&handle, &token).await;
    drop(handle);
    let world = world.restart().await;
    // As if the log had been put back to an earlier state without its epoch being told.
    let partition = Partition { name: "balances".parse().unwrap(), version: VersionNumber(1), index: 0 };
    let mut writer = world.read_models.writer(&partition).unwrap();
    let mut progress = writer.progress().clone();
    progress.applied = token.at(factum_core::Position(1_000));
    writer.begin().unwrap();
    writer.commit(&progress).unwrap();
    drop(writer);
    let error = world.projections.start(balances()).await.map(drop).unwrap_err();
    assert!(matches!(error, ProjectionError::AheadOfLog { .. }), "{error}");
    assert!(error.to_string().contains("restored from a backup"), "{error}");
}

#[tokio::test]
async fn tables_that_the_database_does_not_take_leave_nothing() {
    let world = World::new().await;
    let wrong =
        TypedProjection::<Till>::new("balances", "create tabel x (y integer)", |_, _, _| Ok(())).unwrap();
    let error = world.projections.start(wrong).await.map(drop).unwrap_err();
    assert!(matches!(&error, ProjectionError::ReadModel(ReadModelError::Statement { .. })), "{error}");
    assert!(world.read_models.versions().unwrap().is_empty());
    assert!(world.projections.start(balances()).await.is_ok());
}

//! Versions: rebuilt aside while everything goes on, compared, promoted, rolled back, discarded.

use super::*;

use factum::{Projection, ProjectionError, Status};
use factum_core::read_model::{CompareOptions, Partition, ReadModelError, Role, VersionNumber};

/// As `balances`, but twice as much: other code, of which the declaration says so.
fn doubled() -> TypedProjection<Till> {
    TypedProjection::new("balances", TABLES, |event: &Till, _, model| {
        let Till::Paid { till, cents } = event else { return Ok(()) };
        model.changed("doubled");
        Ok(model.execute(ADD, &[("till", till.into()), ("cents", (2 * cents).into())])?)
    })
    .unwrap()
    .declared(|definition| definition.revision(2))
}

const EXAMPLES: CompareOptions = CompareOptions { examples: 5 };

#[tokio::test]
async fn changed_code_is_refused_until_it_is_rebuilt_or_accepted() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &world.pay("a", 1).await).await;
    let world = world.restart().await;
    let error = world.projections.start(doubled()).await.map(drop).unwrap_err();
    assert!(matches!(error, ProjectionError::Changed { version: VersionNumber(1), .. }), "{error}");
    let accepted = world.projections.accept(&doubled(), "ada", "the same to me").unwrap();
    assert_eq!(accepted.fingerprint, doubled().definition().fingerprint());
    let handle = world.projections.start(doubled()).await.unwrap();
    ready(&handle, &world.pay("a", 1).await).await;
    assert_eq!(rows(&handle), [row("a", 3, 2)], "the rows were kept");
    assert_eq!(world.read_models.history(handle.name()).unwrap().last().unwrap().what, "accepted");
}

#[tokio::test]
async fn changed_code_is_built_aside_while_the_old_rows_serve_and_takes_over() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let old = world.pay("a", 5).await;
    ready(&handle, &old).await;
    let world = world.restart().await;
    let handle = world.projections.rebuild(doubled()).await.unwrap();
    let token = world.pay("a", 1).await;
    let waited = handle.wait(&token, LONG).await.unwrap();
    assert_eq!(waited, Waited::Rebuilding { version: VersionNumber(2), serves: old });
    assert_eq!(rows(&handle), [row("a", 5, 1)], "the old rows serve");
    assert_eq!(handle.promote(LONG, "ada", "new rule").await.unwrap(), VersionNumber(2));
    ready(&handle, &token).await;
    assert_eq!(rows(&handle), [row("a", 12, 2)]);
}

/// Regression 11: a rebuild and the live projection at the same time, with appends all the while.
#[tokio::test]
async fn a_rebuild_beside_the_live_one_ends_with_the_same_rows() {
    let world = World::new().await;
    for n in 0..2_000 {
        world.pay(&format!("t{}", n % 7), n).await;
    }
    let handle = world.projections.start(balances()).await.unwrap();
    let rebuilt = world.projections.rebuild(balances()).await.unwrap();
    let mut changes = handle.changes();
    let writing = async {
        for n in 0..500 {
            let token = world.pay("live", n).await;
            ready(&handle, &token).await;
        }
    };
    let promoting = async {
        rebuilt.wait_building(&world.pay("live", 0).await, LONG).await.unwrap();
        let differences = rebuilt.compare(EXAMPLES).unwrap();
        assert_eq!(differences.len(), 1);
        rebuilt.promote(LONG, "ada", "").await.unwrap()
    };
    let ((), promoted) = tokio::join!(writing, promoting);
    assert_eq!(promoted, VersionNumber(2));
    let token = world.pay("live", 0).await;
    ready(&handle, &token).await;
    let rows = rows(&handle);
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[0], row("live", 124_750, 502));
    assert_eq!(rows.iter().map(|row| row.1).sum::<i64>(), 1_999_000 + 124_750);
    let mut last = 0;
    while let Some(change) = changes.try_next() {
        assert!(change.position().0 >= last, "what serves never goes back");
        last = change.position().0;
    }
    let versions = world.read_models.versions().unwrap();
    let roles: Vec<_> = versions.iter().map(|version| (version.number.0, version.role)).collect();
    assert_eq!(roles, [(1, Role::Previous), (2, Role::Serving)]);
}

/// Regression 10: nothing outside hears of a rebuild.
#[tokio::test]
async fn no_change_is_published_while_it_is_built_aside() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let token = world.pay("a", 1).await;
    ready(&handle, &token).await;
    let mut changes = handle.changes();
    let rebuilt = world.projections.rebuild(doubled()).await.unwrap();
    rebuilt.wait_building(&token, LONG).await.unwrap();
    assert_eq!(changes.try_next(), None);
    rebuilt.promote(LONG, "ada", "").await.unwrap();
    assert_eq!(changes.try_next().unwrap().tags, factum::ChangedTags::Everything);
}

#[tokio::test]
async fn a_comparison_tells_the_rows_apart() {
    let world = World::new().await;
    world.pay("a", 5).await;
    let token = world.pay("zero", 0).await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &token).await;
    let rebuilt = world.projections.rebuild(doubled()).await.unwrap();
    rebuilt.wait_building(&token, LONG).await.unwrap();
    let differences = rebuilt.compare(EXAMPLES).unwrap();
    let table = &differences[0];
    assert!(table.differs());
    assert_eq!((table.table.as_str(), table.same, table.changed), ("balances", 1, 1));
    assert_eq!((table.only_old, table.only_new, table.examples.len()), (0, 0, 1));
}

#[tokio::test]
async fn a_version_that_is_not_there_yet_is_not_promoted() {
    let world = World::new().await;
    let good = Arc::new(AtomicU64::new(1));
    let handle = world.projections.start(balances_with(&good)).await.unwrap();
    ready(&handle, &world.garble("a").await).await;
    good.store(0, Ordering::SeqCst);
    let rebuilt = world.projections.rebuild(balances_with(&good)).await.unwrap();
    let error = rebuilt.promote(LONG, "ada", "").await.unwrap_err();
    assert!(matches!(&error, ProjectionError::ReadModel(ReadModelError::NotCaughtUp { .. })), "{error}");
    let none = world.projections.rebuild(balances_with(&good)).await.map(drop).unwrap_err();
    assert!(matches!(&none, ProjectionError::ReadModel(ReadModelError::AlreadyBuilding { .. })), "{none}");
    assert_eq!(rebuilt.discard("ada", "of no use").unwrap(), VersionNumber(2));
    assert_eq!(rows(&handle), [row("a", 0, 1)]);
    // A number is never used again.
    good.store(1, Ordering::SeqCst);
    world.projections.rebuild(balances_with(&good)).await.unwrap();
    assert_eq!(world.read_models.versions().unwrap().last().unwrap().number, VersionNumber(3));
}

#[tokio::test]
async fn rollback_brings_the_former_version_up_to_date_first() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &world.pay("a", 5).await).await;
    let handle = world.projections.rebuild(balances()).await.unwrap();
    handle.promote(LONG, "ada", "").await.unwrap();
    let token = world.pay("a", 1).await;
    ready(&handle, &token).await;
    assert_eq!(handle.rollback(LONG, "ada", "not what we thought").await.unwrap(), VersionNumber(1));
    ready(&handle, &token).await;
    assert_eq!(rows(&handle), [row("a", 6, 2)]);
    let history = world.read_models.history(handle.name()).unwrap();
    let said: Vec<_> = history.iter().map(|action| (action.version.0, action.what.as_str())).collect();
    assert_eq!(said, [(1, "created"), (2, "created"), (2, "promoted"), (1, "rolled back")]);
}

#[tokio::test]
async fn a_rebuild_goes_on_after_a_restart() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let token = world.pay("a", 5).await;
    ready(&handle, &token).await;
    world.projections.rebuild(balances()).await.unwrap();
    drop(handle);
    let world = world.restart().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let reports = handle.status().await.unwrap();
    assert_eq!(reports.len(), 2);
    handle.wait_building(&token, LONG).await.unwrap();
    assert_eq!(handle.status().await.unwrap()[1].status, Status::Rebuilding);
    handle.promote(LONG, "ada", "").await.unwrap();
    assert_eq!(rows(&handle), [row("a", 5, 1)]);
}

#[tokio::test]
async fn who_waits_while_another_version_takes_over_gets_its_answer() {
    let world = World::new().await;
    let good = Arc::new(AtomicU64::new(1));
    let handle = world.projections.start(balances_with(&good)).await.unwrap();
    let rebuilt = world.projections.rebuild(doubled()).await.unwrap();
    let token = world.pay("a", 5).await;
    let beyond = token.at(token.next_position().unwrap().next());
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.wait(&beyond, LONG).await.unwrap() }
    });
    rebuilt.promote(LONG, "ada", "").await.unwrap();
    world.pay("a", 1).await;
    assert!(matches!(waiting.await.unwrap(), Waited::Ready { .. }));
}

/// The rows that serve hold events which the log does not have: waiting for them would be in vain.
#[tokio::test]
async fn a_promotion_past_the_end_of_the_log_is_refused_at_once() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let token = world.pay("a", 5).await;
    ready(&handle, &token).await;
    let rebuilt = world.projections.rebuild(balances()).await.unwrap();
    rebuilt.wait_building(&token, LONG).await.unwrap();
    let serving = Partition { name: handle.name().clone(), version: VersionNumber(1), index: 0 };
    let mut writer = world.read_models.writer(&serving).unwrap();
    let mut progress = writer.progress().clone();
    progress.applied = token.at(factum_core::Position(1_000));
    writer.begin().unwrap();
    writer.commit(&progress).unwrap();
    drop(writer);
    let error = rebuilt.promote(Duration::from_secs(86_400), "ada", "").await.unwrap_err();
    assert!(matches!(error, ProjectionError::AheadOfLog { .. }), "{error}");
}

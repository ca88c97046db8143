//! What do the tests with a log share: movements whose sums are known, and a projection that adds them up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use factum::{Codec, Event, Handle, Projections, TypedProjection, Waited};
use factum_core::read_model::ReadModels;
use factum_core::{Checkpoint, EventStore, EventStoreExt, ExpectedRevision, Read, Selector, StreamName};
use factum_engine::{Engine, Options};

/// A deadline that only ends a hang.
pub(crate) const LONG: Duration = Duration::from_secs(300);

#[derive(Debug, PartialEq, Event)]
pub(crate) enum Movement {
    Moved { account: String, cents: i64 },
}

/// The same movements each time, so that the sum is known without asking what is tested.
pub(crate) fn movement(n: u64) -> Movement {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Movement::Moved { account: format!("{}", mixed % 13), cents: (mixed >> 40) as i64 % 10_000 - 4_000 }
}

pub(crate) fn expected(events: u64) -> (i64, i64) {
    let cents = (0..events).map(|n| match movement(n) {
        Movement::Moved { cents, .. } => cents,
    });
    (cents.sum(), events as i64)
}

pub(crate) fn sums() -> TypedProjection<Movement> {
    TypedProjection::new(
        "sums",
        "create table sums (account text primary key, cents bigint not null, events bigint not null)",
        |Movement::Moved { account, cents }: &Movement, _, model| {
            Ok(model.execute(
                "insert into sums (account, cents, events) values (:account, :cents, 1) on conflict (account)
                 do update set cents = sums.cents + excluded.cents, events = sums.events + 1",
                &[("account", account.into()), ("cents", (*cents).into())],
            )?)
        },
    )
    .unwrap()
}

/// A log in a directory. Its files are not the matter of these tests.
pub(crate) fn log(dir: &Path) -> Arc<dyn EventStore> {
    Arc::new(Engine::open(dir.join("log"), Options::default()).unwrap())
}

/// Appends the movements from `from` up to `to`, spread over so many streams.
pub(crate) async fn append(store: &dyn EventStore, from: u64, to: u64, streams: u64) {
    let codec = Codec::<Movement>::new().unwrap();
    let mut next = from;
    while next < to {
        let stream = StreamName::new(format!("movements-{}", (next / 100) % streams)).unwrap();
        let upto = to.min(next + 100 - next % 100);
        let new = (next..upto).map(|n| codec.encode(&movement(n)).unwrap()).collect();
        store.append_to(stream, ExpectedRevision::Any, new).await.unwrap();
        next = upto;
    }
}

/// The end of the log.
pub(crate) async fn end(store: &dyn EventStore) -> Checkpoint {
    store.read(Read::forwards(Selector::All).limit(1)).await.unwrap().head().snapshot.clone()
}

pub(crate) async fn project(
    store: &Arc<dyn EventStore>,
    read_models: Arc<dyn ReadModels>,
    projection: TypedProjection<Movement>,
) -> (Projections, Handle) {
    let projections = Projections::open(Arc::clone(store), read_models).await.unwrap();
    let handle = projections.start(projection).await.unwrap();
    (projections, handle)
}

/// Waits until all of the log is applied, and gives the sums of cents and of events in the rows.
pub(crate) async fn totals(store: &dyn EventStore, handle: &Handle) -> (i64, i64) {
    let waited = handle.wait(&end(store).await, LONG).await.unwrap();
    assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
    let (rows, _) = handle.query("select sum(cents), sum(events) from sums", &[]).unwrap();
    let value = |column: usize| rows.rows[0][column].as_integer().unwrap();
    (value(0), value(1))
}

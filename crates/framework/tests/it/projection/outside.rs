//! A database that cannot be reached: the projection waits and goes on by itself.

use super::*;

use factum::Status;
use factum_core::read_model::*;

/// Passes everything on, but says for a while that the database is not there.
struct Flaky {
    inner: Arc<dyn ReadModels>,
    refusals: Arc<AtomicU64>,
}

impl Flaky {
    fn refuse(refusals: &AtomicU64) -> Result<(), ReadModelError> {
        let refuses =
            refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if !refuses {
            return Ok(());
        }
        Err(ReadModelError::Unavailable { database: "it".to_owned(), why: "is restarting".to_owned() })
    }
}

impl ReadModels for Flaky {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn versions(&self) -> Result<Vec<Version>, ReadModelError> {
        self.inner.versions()
    }
    fn create(&self, new: &NewVersion) -> Result<Version, ReadModelError> {
        self.inner.create(new)
    }
    fn writer(&self, partition: &Partition) -> Result<Box<dyn ReadModelWriter>, ReadModelError> {
        Self::refuse(&self.refusals)?;
        let inner = self.inner.writer(partition)?;
        Ok(Box::new(FlakyWriter { inner, refusals: Arc::clone(&self.refusals) }))
    }
    fn reader(
        &self,
        versions: &[(ProjectionName, VersionNumber)],
    ) -> Result<Box<dyn ReadModelReader>, ReadModelError> {
        self.inner.reader(versions)
    }
    fn progress(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<Progress>, ReadModelError> {
        self.inner.progress(name, version)
    }
    fn skips(&self, name: &ProjectionName, version: VersionNumber) -> Result<Vec<Skip>, ReadModelError> {
        self.inner.skips(name, version)
    }
    fn promote(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.inner.promote(name, version)
    }
    fn discard(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.inner.discard(name, version)
    }
    fn delete(&self, name: &ProjectionName) -> Result<(), ReadModelError> {
        self.inner.delete(name)
    }
    fn purge(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.inner.purge(name, version)
    }
    fn accept(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        fingerprint: &str,
        definition: &str,
    ) -> Result<(), ReadModelError> {
        self.inner.accept(name, version, fingerprint, definition)
    }
    fn set_stopped(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        stopped: bool,
    ) -> Result<(), ReadModelError> {
        self.inner.set_stopped(name, version, stopped)
    }
    fn record(&self, action: &Action) -> Result<(), ReadModelError> {
        self.inner.record(action)
    }
    fn history(&self, name: &ProjectionName) -> Result<Vec<Action>, ReadModelError> {
        self.inner.history(name)
    }
    fn compare(
        &self,
        name: &ProjectionName,
        versions: (VersionNumber, VersionNumber),
        options: CompareOptions,
    ) -> Result<Vec<TableDifference>, ReadModelError> {
        self.inner.compare(name, versions, options)
    }
    fn watch(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Box<dyn AppliedWatch>, ReadModelError> {
        self.inner.watch(name, version)
    }
    fn scratch(&self, new: &NewVersion) -> Result<Box<dyn ReadModelWriter>, ReadModelError> {
        self.inner.scratch(new)
    }
    fn tables(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<(String, Vec<String>)>, ReadModelError> {
        self.inner.tables(name, version)
    }
}

struct FlakyWriter {
    inner: Box<dyn ReadModelWriter>,
    refusals: Arc<AtomicU64>,
}

impl Tables for FlakyWriter {
    fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError> {
        self.inner.execute(statement, parameters)
    }
    fn query(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<Rows, ReadModelError> {
        self.inner.query(statement, parameters)
    }
}

impl ReadModelWriter for FlakyWriter {
    fn progress(&self) -> &Progress {
        self.inner.progress()
    }
    fn begin(&mut self) -> Result<(), ReadModelError> {
        Flaky::refuse(&self.refusals)?;
        self.inner.begin()
    }
    fn commit(&mut self, progress: &Progress) -> Result<(), ReadModelError> {
        Flaky::refuse(&self.refusals)?;
        self.inner.commit(progress)
    }
    fn rollback(&mut self) -> Result<(), ReadModelError> {
        self.inner.rollback()
    }
    fn set_fault(&mut self, fault: Option<&Fault>) -> Result<(), ReadModelError> {
        self.inner.set_fault(fault)
    }
    fn skip(&mut self, skip: &Skip) -> Result<(), ReadModelError> {
        self.inner.skip(skip)
    }
}

#[tokio::test]
async fn it_goes_on_by_itself_when_the_database_is_back() {
    let world = World::new().await;
    let refusals = Arc::new(AtomicU64::new(0));
    let flaky = Flaky { inner: Arc::clone(&world.read_models), refusals: Arc::clone(&refusals) };
    let projections = Projections::open(Arc::clone(&world.store), Arc::new(flaky)).await.unwrap();
    let handle = projections.start(balances()).await.unwrap();
    for round in 1..=5 {
        refusals.store(round, Ordering::SeqCst);
        let token = world.pay("a", 1).await;
        ready(&handle, &token).await;
        assert_eq!(refusals.load(Ordering::SeqCst), 0, "it did meet the refusals");
        assert_eq!(rows(&handle), [row("a", round as i64, round as i64)]);
    }
    assert_eq!(status(&handle).await.status, Status::Running);
}

#[tokio::test]
async fn while_it_cannot_be_reached_it_says_why() {
    let world = World::new().await;
    let refusals = Arc::new(AtomicU64::new(u64::MAX));
    let flaky = Flaky { inner: Arc::clone(&world.read_models), refusals: Arc::clone(&refusals) };
    let projections = Projections::open(Arc::clone(&world.store), Arc::new(flaky)).await.unwrap();
    let handle = projections.start(balances()).await.unwrap();
    let token = world.pay("a", 1).await;
    until(&handle, |reports| reports[0].why.as_ref().is_some_and(|why| why.contains("is restarting"))).await;
    refusals.store(0, Ordering::SeqCst);
    handle.retry();
    ready(&handle, &token).await;
}

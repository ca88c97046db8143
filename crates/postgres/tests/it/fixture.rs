//! What do these tests share: a fresh database, and short words for the contract's types.

use factum_core::read_model::{
    NewVersion, Partition, PersonalData, Progress, ProjectionName, ReadModelWriter, ReadModels, Value,
    VersionNumber,
};
use factum_core::{Checkpoint, Position, StoreId, Timestamp};
use factum_postgres::PostgresReadModels;
use factum_testkit::PostgresDatabase;
use uuid::Uuid;

pub(crate) const V1: VersionNumber = VersionNumber(1);
pub(crate) const V2: VersionNumber = VersionNumber(2);
pub(crate) const V3: VersionNumber = VersionNumber(3);

pub(crate) const TABLES: &str =
    "CREATE TABLE accounts (account text PRIMARY KEY, amount bigint NOT NULL, owner text)";
pub(crate) const ADD: &str = "INSERT INTO accounts AS a (account, amount) VALUES (:account, :amount) \
                              ON CONFLICT (account) DO UPDATE SET amount = a.amount + excluded.amount";

/// A database of its own, with read models in it.
pub(crate) struct Fixture {
    pub(crate) read_models: PostgresReadModels,
    // Dropped last: it takes the database away.
    pub(crate) database: PostgresDatabase,
}

impl Fixture {
    /// `None`, and the test skipped, where there is no server.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let database = PostgresDatabase::fresh(test)?;
        Some(Self { read_models: PostgresReadModels::open(database.url()).unwrap(), database })
    }

    pub(crate) fn create(&self, name: &str, tables: &str) -> VersionNumber {
        self.read_models.create(&new_version(name, tables)).unwrap().number
    }

    pub(crate) fn writer(&self, name: &str, version: VersionNumber) -> Box<dyn ReadModelWriter> {
        self.read_models.writer(&partition(name, version, 0)).unwrap()
    }

    /// Adds an amount to an account and comes to `next`, in one transaction.
    pub(crate) fn add(&self, version: VersionNumber, account: &str, amount: i64, next: u64) {
        let mut writer = self.writer("balances", version);
        writer.begin().unwrap();
        writer.execute(ADD, &[("account", account.into()), ("amount", amount.into())]).unwrap();
        writer.commit(&progress(next)).unwrap();
    }

    pub(crate) fn read(&self, version: VersionNumber, statement: &str) -> Vec<Vec<Value<'static>>> {
        let mut reader = self.read_models.reader(&[(name("balances"), version)]).unwrap();
        reader.query(statement, &[]).unwrap().0.rows
    }
}

pub(crate) fn name(name: &str) -> ProjectionName {
    ProjectionName::new(name).unwrap()
}

pub(crate) fn partition(of: &str, version: VersionNumber, index: u16) -> Partition {
    Partition { name: name(of), version, index }
}

/// The place before `next` in the store of these tests.
pub(crate) fn at(next: u64) -> Checkpoint {
    Checkpoint::before(StoreId(Uuid::from_u128(7)), 1, Position(next))
}

pub(crate) fn progress(next: u64) -> Progress {
    Progress { applied: at(next), recorded_at: Some(Timestamp(5)), events: next, fault: None }
}

pub(crate) fn new_version(of: &str, tables: &str) -> NewVersion {
    NewVersion {
        name: name(of),
        fingerprint: "f1".to_owned(),
        definition: "declared".to_owned(),
        tables: tables.to_owned(),
        partitions: 1,
        personal: PersonalData::None,
        start: at(0),
        at: Timestamp(1),
    }
}

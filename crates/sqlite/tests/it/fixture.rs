//! What do these tests share: a directory of read models, and short words for the contract's types.

use std::path::PathBuf;
use std::time::Duration;

use factum_core::read_model::{
    NewVersion, Partition, PersonalData, Progress, ProjectionName, ReadModelError, ReadModelWriter,
    ReadModels, Role, Value, VersionNumber,
};
use factum_core::{Checkpoint, Position, StoreId, Timestamp};
use factum_sqlite::SqliteReadModels;
use tempfile::TempDir;

pub(crate) const V1: VersionNumber = VersionNumber(1);
pub(crate) const V2: VersionNumber = VersionNumber(2);

/// How long these tests wait for a lock.
pub(crate) const BUSY: Duration = Duration::from_millis(100);

pub(crate) const TABLES: &str = "CREATE TABLE accounts (account TEXT PRIMARY KEY, amount INTEGER NOT NULL)";
pub(crate) const ADD: &str = "INSERT INTO accounts VALUES (:account, :amount) \
                              ON CONFLICT DO UPDATE SET amount = amount + excluded.amount";

/// A directory, and the read models in it.
pub(crate) struct Fixture {
    pub(crate) models: SqliteReadModels,
    // Dropped last.
    pub(crate) directory: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let models = SqliteReadModels::open_waiting(directory.path().join("models"), BUSY).unwrap();
        Self { models, directory }
    }

    /// With version 1 of `balances`, which holds `a=1`.
    pub(crate) fn with_balances() -> Self {
        let fixture = Self::new();
        fixture.models.create(&new_version("balances", TABLES)).unwrap();
        fixture.add(V1, 1);
        fixture
    }

    /// With nothing open, as after the process ended: what is written past SQLite is seen by whoever opens it next.
    pub(crate) fn close(self) -> Closed {
        Closed(self.directory)
    }

    pub(crate) fn again(&self) -> Result<SqliteReadModels, ReadModelError> {
        SqliteReadModels::open_waiting(self.path(""), BUSY)
    }

    /// A file or folder within the directory.
    pub(crate) fn path(&self, within: &str) -> PathBuf {
        self.directory.path().join("models").join(within)
    }

    /// The files of `balances`, by name.
    pub(crate) fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path("balances")) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn writer(&self, version: VersionNumber) -> Box<dyn ReadModelWriter> {
        self.models.writer(&partition("balances", version)).unwrap()
    }

    /// Adds 1 to account `a` of `balances`, up to a position.
    pub(crate) fn add(&self, version: VersionNumber, position: u64) {
        add(&mut *self.writer(version), position).unwrap();
    }

    pub(crate) fn amount(&self, version: VersionNumber) -> Result<Value<'static>, ReadModelError> {
        let mut reader = self.models.reader(&[(name("balances"), version)])?;
        let (rows, _) = reader.query("SELECT amount FROM accounts", &[])?;
        Ok(rows.first_value().cloned().unwrap_or_default())
    }

    pub(crate) fn roles(&self) -> Vec<(VersionNumber, Role)> {
        self.models.versions().unwrap().iter().map(|version| (version.number, version.role)).collect()
    }
}

/// A directory of read models that nobody has open.
pub(crate) struct Closed(TempDir);

impl Closed {
    pub(crate) fn path(&self, within: &str) -> PathBuf {
        self.0.path().join("models").join(within)
    }

    pub(crate) fn open(&self) -> Result<SqliteReadModels, ReadModelError> {
        SqliteReadModels::open_waiting(self.path(""), BUSY)
    }

    /// Opens the read models and takes version 1 of `balances` over: what refuses first, if something does.
    pub(crate) fn use_it(&self) -> Result<(), ReadModelError> {
        self.open()?.writer(&partition("balances", V1)).map(drop)
    }
}

pub(crate) fn add(writer: &mut dyn ReadModelWriter, position: u64) -> Result<(), ReadModelError> {
    writer.begin()?;
    writer.execute(ADD, &[("account", "a".into()), ("amount", 1.into())])?;
    writer.commit(&progress(position))
}

pub(crate) fn name(name: &str) -> ProjectionName {
    ProjectionName::new(name).unwrap()
}

pub(crate) fn partition(projection: &str, version: VersionNumber) -> Partition {
    Partition { name: name(projection), version, index: 0 }
}

pub(crate) fn at(position: u64) -> Checkpoint {
    Checkpoint::before(StoreId(uuid::Uuid::from_u128(7)), 0, Position(position))
}

pub(crate) fn progress(position: u64) -> Progress {
    Progress { events: position, ..Progress::start(at(position)) }
}

pub(crate) fn new_version(projection: &str, tables: &str) -> NewVersion {
    NewVersion {
        name: name(projection),
        fingerprint: "f1".to_owned(),
        definition: String::new(),
        tables: tables.to_owned(),
        partitions: 1,
        personal: PersonalData::None,
        start: at(0),
        at: Timestamp(0),
    }
}

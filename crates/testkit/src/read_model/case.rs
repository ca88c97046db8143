//! What does one rule for read-model databases work with? A fresh database and short forms of what tests ask of it.

use std::any::Any;
use std::sync::Arc;

use factum_core::read_model::{
    NewVersion, Partition, PersonalData, Progress, ProjectionName, ReadModelError, ReadModelReader,
    ReadModelWriter, ReadModels, Role, Row, TableDifference, Value, Version, VersionNumber,
};
use factum_core::{Checkpoint, Position, StoreId, Timestamp};

/// An empty database of read models for one test.
pub struct FreshReadModels {
    /// Opens the database once more, as another process would: with nothing shared in memory.
    pub open: Box<dyn Fn() -> Arc<dyn ReadModels>>,
    /// What must outlive the database, such as its directory.
    pub keep: Box<dyn Any>,
}

/// One rule's database, with short forms. What must succeed panics where it does not.
pub struct Models {
    /// The database under test.
    pub models: Arc<dyn ReadModels>,
    open: Box<dyn Fn() -> Arc<dyn ReadModels>>,
    // Dropped last.
    _keep: Box<dyn Any>,
}

/// Runs one rule on a fresh database. Without one the test is skipped, and whoever makes it says so.
///
/// # Panics
/// Where the database breaks the rule.
pub fn check_read_models(
    make: impl FnOnce(&str) -> Option<FreshReadModels>,
    test: &str,
    rule: impl FnOnce(&Models),
) {
    let Some(FreshReadModels { open, keep }) = make(test) else { return };
    rule(&Models { models: open(), open, _keep: keep });
}

/// The tables that most rules use.
pub(crate) const ACCOUNTS: &str =
    "CREATE TABLE accounts (account TEXT PRIMARY KEY, amount BIGINT NOT NULL, note TEXT)";

/// Adds to an account, and opens it where it is not there.
pub(crate) const ADD: &str = "INSERT INTO accounts (account, amount) VALUES (:account, :amount) \
     ON CONFLICT (account) DO UPDATE SET amount = accounts.amount + excluded.amount";

pub(crate) const V1: VersionNumber = VersionNumber(1);
pub(crate) const V2: VersionNumber = VersionNumber(2);

pub(crate) fn name(text: &str) -> ProjectionName {
    ProjectionName::new(text).expect("a projection's name")
}

/// The place before this position, in the store that all rules use.
pub(crate) fn at(position: u64) -> Checkpoint {
    let store = StoreId(uuid::Uuid::from_u128(0x5f3a_9c41_7d20_4e8b_9a6f_1c2d_3e4f_5061));
    Checkpoint::before(store, 3, Position(position))
}

/// Everything before this position has been applied, and it was as many events.
pub(crate) fn progress(position: u64) -> Progress {
    let recorded_at =
        Some(Timestamp(17_672_256_000_000_000).saturating_add(std::time::Duration::from_secs(position)));
    Progress { recorded_at, events: position, ..Progress::start(at(position)) }
}

pub(crate) fn new_version(projection: &str, tables: &str) -> NewVersion {
    NewVersion {
        name: name(projection),
        fingerprint: "f1".to_owned(),
        definition: "the definition".to_owned(),
        tables: tables.to_owned(),
        partitions: 1,
        personal: PersonalData::None,
        start: at(0),
        at: Timestamp(17_672_256_000_000_000),
    }
}

pub(crate) fn partition(projection: &str, version: VersionNumber, index: u16) -> Partition {
    Partition { name: name(projection), version, index }
}

/// What must succeed.
#[track_caller]
pub(crate) fn done<T>(result: Result<T, ReadModelError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// Panics unless the call was refused in this way.
macro_rules! assert_refused {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            Err(other) => panic!("expected {}, got {other:?}", stringify!($pattern)),
            Ok(_) => panic!("expected {}, and it was done", stringify!($pattern)),
        }
    };
}
pub(crate) use assert_refused;

impl Models {
    /// The database once more, as another process has it.
    pub(crate) fn again(&self) -> Arc<dyn ReadModels> {
        (self.open)()
    }

    pub(crate) fn create(&self, projection: &str, tables: &str) -> VersionNumber {
        done(self.models.create(&new_version(projection, tables))).number
    }

    /// `balances` with [`ACCOUNTS`], twice: the first serves, the second is in the making.
    pub(crate) fn serving_and_building(&self) {
        assert_eq!(self.create("balances", ACCOUNTS), V1);
        assert_eq!(self.create("balances", ACCOUNTS), V2);
    }

    pub(crate) fn writer(&self, projection: &str, version: VersionNumber) -> Box<dyn ReadModelWriter> {
        self.writer_of(projection, version, 0)
    }

    pub(crate) fn writer_of(
        &self,
        projection: &str,
        version: VersionNumber,
        index: u16,
    ) -> Box<dyn ReadModelWriter> {
        done(self.models.writer(&partition(projection, version, index)))
    }

    pub(crate) fn reader(&self, versions: &[(&str, VersionNumber)]) -> Box<dyn ReadModelReader> {
        let versions: Vec<_> =
            versions.iter().map(|(projection, version)| (name(projection), *version)).collect();
        done(self.models.reader(&versions))
    }

    /// The rows of a query over one version.
    pub(crate) fn read(&self, projection: &str, version: VersionNumber, statement: &str) -> Vec<Row> {
        done(self.reader(&[(projection, version)]).query(statement, &[])).0.rows
    }

    /// The accounts of a version, `account=amount` each, in order.
    pub(crate) fn accounts(&self, projection: &str, version: VersionNumber) -> Vec<String> {
        let rows = self.read(projection, version, "SELECT account, amount FROM accounts ORDER BY account");
        rows.iter().map(|row| format!("{}={}", row[0], row[1])).collect()
    }

    /// Applies statements to a version in one transaction, up to a position.
    pub(crate) fn apply(&self, projection: &str, version: VersionNumber, statements: &[&str], position: u64) {
        let mut writer = self.writer(projection, version);
        done(writer.begin());
        for statement in statements {
            done(writer.execute(statement, &[]));
        }
        done(writer.commit(&progress(position)));
    }

    pub(crate) fn progress(&self, projection: &str, version: VersionNumber) -> Vec<Progress> {
        done(self.models.progress(&name(projection), version))
    }

    /// A projection's versions, by number.
    pub(crate) fn versions(&self, projection: &str) -> Vec<Version> {
        let mut all = done(self.models.versions());
        all.retain(|version| version.name == name(projection));
        all
    }

    /// A projection's versions with what each is for.
    pub(crate) fn roles(&self, projection: &str) -> Vec<(VersionNumber, Role)> {
        self.versions(projection).iter().map(|version| (version.number, version.role)).collect()
    }

    pub(crate) fn promote(&self, projection: &str, version: VersionNumber) -> Result<(), ReadModelError> {
        self.models.promote(&name(projection), version)
    }
}

/// Adds to an account within the writer's transaction.
#[track_caller]
pub(crate) fn add(writer: &mut dyn ReadModelWriter, account: &str, amount: i64) {
    done(writer.execute(ADD, &[("account", account.into()), ("amount", amount.into())]));
}

/// Adds to an account in a transaction that ends at `position`.
pub(crate) fn add_until(
    writer: &mut dyn ReadModelWriter,
    account: &str,
    amount: i64,
    position: u64,
) -> Result<(), ReadModelError> {
    writer.begin()?;
    writer.execute(ADD, &[("account", account.into()), ("amount", amount.into())])?;
    writer.commit(&progress(position))
}

/// The only difference of a comparison with one table.
#[track_caller]
pub(crate) fn only(differences: Vec<TableDifference>) -> TableDifference {
    assert_eq!(differences.len(), 1, "{differences:?}");
    differences.into_iter().next().expect("there is one")
}

pub(crate) fn text(value: &str) -> Value<'static> {
    Value::from(value.to_owned())
}

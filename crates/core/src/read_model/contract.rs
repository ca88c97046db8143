//! The contract of a database that holds read models.

use std::time::Duration;

use super::{
    Action, Fault, NewVersion, Parameters, Partition, Progress, ProjectionName, ReadModelError, Row, Rows,
    Skip, Version, VersionNumber,
};

/// A database of read models, shared by all who project into it or read from it. Calls block.
pub trait ReadModels: Send + Sync + 'static {
    /// Which database it is, for messages. Without a password.
    fn describe(&self) -> String;

    /// Every version of every projection, by name and number.
    ///
    /// # Errors
    /// Where the database fails.
    fn versions(&self) -> Result<Vec<Version>, ReadModelError>;

    /// Makes a version with its tables, all or nothing. The first of a projection serves, a later one is building.
    ///
    /// # Errors
    /// `Statement` where the database does not take the tables, `AlreadyBuilding` where another is in the making,
    /// `OtherHistory` where the database holds read models of another store.
    fn create(&self, new: &NewVersion) -> Result<Version, ReadModelError>;

    /// Becomes the one owner of a partition. Whoever owned it before is fenced: its next commit is refused.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there, or what the database says.
    fn writer(&self, partition: &Partition) -> Result<Box<dyn ReadModelWriter>, ReadModelError>;

    /// A view of these versions together: each projection's tables in a schema of its name, and also unqualified. The
    /// reader can change nothing.
    ///
    /// # Errors
    /// `UnknownVersion` where one is not there, or what the database says.
    fn reader(
        &self,
        versions: &[(ProjectionName, VersionNumber)],
    ) -> Result<Box<dyn ReadModelReader>, ReadModelError>;

    /// How far a version's partitions have come, by index.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there, or what the database says.
    fn progress(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<Progress>, ReadModelError>;

    /// The events of a version that an operator decided to pass over, in order.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there, or what the database says.
    fn skips(&self, name: &ProjectionName, version: VersionNumber) -> Result<Vec<Skip>, ReadModelError>;

    /// Lets `version` serve from now on, in one step: readers see the old rows or the new ones. The one that served is
    /// kept as the previous one; a previous one before that is discarded.
    ///
    /// # Errors
    /// `NotCaughtUp` where it has not come as far as the furthest partition of the one that serves now: nobody shall see
    /// a state go back.
    fn promote(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError>;

    /// Drops a version that does not serve, with its tables.
    ///
    /// # Errors
    /// `Serves` where it does, `UnknownVersion` where it is not there.
    fn discard(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError>;

    /// Drops all of a projection.
    ///
    /// # Errors
    /// `UnknownProjection` where it is not there.
    fn delete(&self, name: &ProjectionName) -> Result<(), ReadModelError>;

    /// Sees to it that the database's files hold no bytes of rows that a version's projection changed or removed before: as
    /// far as the database can. Its own documentation says what remains elsewhere.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there, `Unavailable` where somebody reads old rows right now, or what the database says.
    fn purge(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError>;

    /// Keeps another fingerprint and definition for a version: someone declared the change compatible.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there.
    fn accept(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        fingerprint: &str,
        definition: &str,
    ) -> Result<(), ReadModelError>;

    /// Notes that an operator stopped a version, or lets it run.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there.
    fn set_stopped(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        stopped: bool,
    ) -> Result<(), ReadModelError>;

    /// Keeps an action in the history.
    ///
    /// # Errors
    /// Where the database fails.
    fn record(&self, action: &Action) -> Result<(), ReadModelError>;

    /// The history of a projection, the oldest action first.
    ///
    /// # Errors
    /// Where the database fails.
    fn history(&self, name: &ProjectionName) -> Result<Vec<Action>, ReadModelError>;

    /// Compares the rows of two versions, table by table, by primary key; a table without one by whole rows.
    ///
    /// # Errors
    /// `UnknownVersion` where one is not there, or what the database says.
    fn compare(
        &self,
        name: &ProjectionName,
        versions: (VersionNumber, VersionNumber),
        options: CompareOptions,
    ) -> Result<Vec<TableDifference>, ReadModelError>;

    /// Wakes whoever wants to know that a version has come further, in whichever process it is applied.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there, or what the database says.
    fn watch(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Box<dyn AppliedWatch>, ReadModelError>;

    /// A copy of the version's empty tables that vanishes with the writer: to apply events once more and look.
    ///
    /// # Errors
    /// `Statement` where the database does not take the tables.
    fn scratch(&self, new: &NewVersion) -> Result<Box<dyn ReadModelWriter>, ReadModelError>;

    /// A table's primary key columns, in their order, in a version; empty where it has none.
    ///
    /// # Errors
    /// `UnknownVersion` where it is not there, or what the database says.
    fn tables(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<(String, Vec<String>)>, ReadModelError>;
}

/// The tables of one version, within a transaction.
///
/// A statement that failed leaves only the rollback: whatever follows it is refused, the commit too.
pub trait Tables {
    /// Executes a statement that changes rows. Parameters are given by name.
    ///
    /// A database behind a network may send it later: then its error comes with a later call, at the latest with the
    /// commit. Nothing is lost by that, since nothing is kept before the commit.
    ///
    /// # Errors
    /// `Statement` or `MissingParameter` where the statement is wrong, or what the database says.
    fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError>;

    /// Reads rows. It sees what was executed before it in the same transaction.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    fn query(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<Rows, ReadModelError>;
}

/// The one owner of a partition of a version. Dropped within a transaction, it leaves nothing of it.
pub trait ReadModelWriter: Tables + Send {
    /// How far the partition has come: what was committed last.
    fn progress(&self) -> &Progress;

    /// Begins a transaction.
    ///
    /// # Errors
    /// `Fenced` where another owner took over, or what the database says.
    fn begin(&mut self) -> Result<(), ReadModelError>;

    /// Commits rows and progress together, and wakes those who watch.
    ///
    /// # Errors
    /// `Fenced` where another owner took over, or what the database says: then nothing was kept.
    fn commit(&mut self, progress: &Progress) -> Result<(), ReadModelError>;

    /// Gives the transaction up: rows and progress are as before it.
    ///
    /// # Errors
    /// Where the database fails; nothing was kept.
    fn rollback(&mut self) -> Result<(), ReadModelError>;

    /// Keeps or clears what the partition stands still at, in a transaction of its own.
    ///
    /// # Errors
    /// `Fenced` where another owner took over, or what the database says.
    fn set_fault(&mut self, fault: Option<&Fault>) -> Result<(), ReadModelError>;

    /// Keeps that an event is to be passed over, in a transaction of its own.
    ///
    /// # Errors
    /// `Fenced` where another owner took over, or what the database says.
    fn skip(&mut self, skip: &Skip) -> Result<(), ReadModelError>;
}

/// A view of what is served.
pub trait ReadModelReader: Send {
    /// Reads rows, with how far each of the reader's projections had come in the very state that the rows are of (the
    /// least of its partitions).
    ///
    /// # Errors
    /// `Statement` where it is wrong or would change something, or what the database says.
    fn query(
        &mut self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<(Rows, Vec<Progress>), ReadModelError>;
}

/// What woke a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There was a commit, or may have been.
    Committed,
    /// The time was over.
    TimedOut,
}

/// Wakes when a version comes further. It is woken by the commit and does not ask again and again.
pub trait AppliedWatch: Send {
    /// Waits for the next commit after this watch was made or last woke, at most so long.
    ///
    /// # Errors
    /// Where the database fails.
    fn wait(&mut self, at_most: Duration) -> Result<Woken, ReadModelError>;
}

/// How a comparison is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareOptions {
    /// Most rows of each kind of difference that are given as examples.
    pub examples: usize,
}

/// How the rows of a table differ between two versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableDifference {
    /// The table.
    pub table: String,
    /// The columns of the examples.
    pub columns: Vec<String>,
    /// The columns of its primary key; empty where it has none.
    pub key: Vec<String>,
    /// Whether the two versions have different columns; then no rows are compared.
    pub other_columns: Option<String>,
    /// Rows that are the same.
    pub same: u64,
    /// Rows that only the old version has.
    pub only_old: u64,
    /// Rows that only the new version has.
    pub only_new: u64,
    /// Rows with the same key and other values.
    pub changed: u64,
    /// Some of the rows that differ.
    pub examples: Vec<RowDifference>,
}

impl TableDifference {
    /// Whether there is any.
    pub fn differs(&self) -> bool {
        self.other_columns.is_some() || self.only_old + self.only_new + self.changed > 0
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq)]
pub enum RowDifference {
    /// Only the old version has it.
    OnlyOld(Row),
    /// Only the new version has it.
    OnlyNew(Row),
    /// Both have its key.
    Changed {
        /// The old version's row.
        old: Row,
        /// The new version's row.
        new: Row,
    },
}

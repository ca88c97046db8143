//! How does the one owner of a partition write rows and progress together?

use factum_core::Position;
use factum_core::read_model::{
    Fault, Parameters, Partition, Progress, ReadModelError, ReadModelWriter, Rows, Skip, Tables,
};
use rusqlite::Connection;

use crate::directory::Applied;
use crate::guard::{Guard, Whose};
use crate::statements::Statements;
use crate::{error, version_file};

/// The one owner of a partition of a version, with a connection of its own.
///
/// Every transaction takes the file's write lock when it begins and looks then whether the partition is still its own.
/// Nobody can take it over before the transaction ends.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: Connection,
    statements: Statements,
    database: String,
    partition: Partition,
    owner: i64,
    progress: Progress,
    transaction: Transaction,
    /// Touched after each commit. A writer in memory has nobody who watches.
    applied: Option<Applied>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A statement failed: it can only be rolled back.
    Failed,
}

impl Writer {
    /// Takes the partition over, on a connection of which `guard` watches the statements.
    pub(crate) fn take_over(
        connection: Connection,
        guard: Guard,
        database: String,
        partition: Partition,
        applied: Option<Applied>,
    ) -> Result<Self, ReadModelError> {
        let ours = |failure| error::of_database(&database, &failure);
        connection.execute_batch("BEGIN IMMEDIATE").map_err(ours)?;
        let owner = version_file::own(&connection, partition.index).map_err(ours)?;
        let progress = version_file::progress(&database, &connection, "main")?;
        let (Some(owner), Some(progress)) = (owner, progress.into_iter().nth(partition.index.into())) else {
            return Err(ReadModelError::UnknownVersion {
                name: partition.name,
                wanted: format!("{}, partition {}", partition.version, partition.index),
            });
        };
        connection.execute_batch("COMMIT").map_err(ours)?;
        let statements = Statements::new(database.clone(), guard, Whose::Rows);
        let transaction = Transaction::None;
        Ok(Self { connection, statements, database, partition, owner, progress, transaction, applied })
    }

    fn failed(&self, failure: &rusqlite::Error) -> ReadModelError {
        error::of_database(&self.database, failure)
    }

    fn control(&self, sql: &str) -> Result<(), ReadModelError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|failure| self.failed(&failure))?;
        statement.raw_execute().map(drop).map_err(|failure| self.failed(&failure))
    }

    /// Refuses a call that does not fit the state of the transaction.
    fn must_be(&self, wanted: Transaction) -> Result<(), ReadModelError> {
        let why = match (self.transaction, wanted) {
            (is, wanted) if is == wanted => return Ok(()),
            (Transaction::Failed, _) => {
                "a statement before it failed: the transaction can only be rolled back"
            }
            (Transaction::Open, _) => "a transaction is open",
            (Transaction::None, _) => "no transaction is open",
        };
        Err(ReadModelError::Failed { database: self.database.clone(), why: why.to_owned() })
    }

    fn fenced(&self) -> ReadModelError {
        ReadModelError::Fenced { partition: self.partition.clone() }
    }

    /// Leaves the transaction, whatever state it is in.
    fn leave(&mut self) -> Result<(), ReadModelError> {
        self.transaction = Transaction::None;
        // SQLite rolls some failures back by itself.
        if self.connection.is_autocommit() { Ok(()) } else { self.control("ROLLBACK") }
    }

    /// Does `change` in a transaction of its own, if the partition is still this owner's.
    fn alone(
        &mut self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), ReadModelError> {
        self.begin()?;
        let done = change(&self.connection).map_err(|failure| self.failed(&failure));
        let done = done.and_then(|()| self.control("COMMIT"));
        let left = self.leave();
        done.and(left)
    }

    fn touch(&mut self) {
        let next = self.progress.applied.next_position().unwrap_or(Position(0));
        if let Some(applied) = &mut self.applied {
            applied.touch(next.0);
        }
    }
}

impl Tables for Writer {
    fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError> {
        self.must_be(Transaction::Open)?;
        let done = self.statements.execute(&self.connection, statement, parameters);
        if done.is_err() {
            self.transaction = Transaction::Failed;
        }
        done
    }

    fn query(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<Rows, ReadModelError> {
        self.must_be(Transaction::Open)?;
        let read = self.statements.query(&self.connection, statement, parameters);
        if read.is_err() {
            self.transaction = Transaction::Failed;
        }
        read
    }
}

impl ReadModelWriter for Writer {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn begin(&mut self) -> Result<(), ReadModelError> {
        self.must_be(Transaction::None)?;
        self.control("BEGIN IMMEDIATE")?;
        let owns = version_file::owns(&self.connection, self.partition.index, self.owner);
        let owns = owns.map_err(|failure| self.failed(&failure));
        if matches!(owns, Ok(true)) {
            self.transaction = Transaction::Open;
            return Ok(());
        }
        let left = self.leave();
        owns.and(left).and(Err(self.fenced()))
    }

    fn commit(&mut self, progress: &Progress) -> Result<(), ReadModelError> {
        self.must_be(Transaction::Open)?;
        let (connection, index) = (&self.connection, self.partition.index);
        let saved = version_file::save(connection, index, self.owner, progress).and_then(|owns| {
            if owns && progress.fault != self.progress.fault {
                version_file::save_fault(connection, index, progress.fault.as_ref())?;
            }
            Ok(owns)
        });
        let done = match saved {
            Ok(true) => self.control("COMMIT"),
            Ok(false) => Err(self.fenced()),
            Err(failure) => Err(self.failed(&failure)),
        };
        let left = self.leave();
        done.and(left)?;
        self.progress.clone_from(progress);
        self.touch();
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), ReadModelError> {
        self.leave()
    }

    fn set_fault(&mut self, fault: Option<&Fault>) -> Result<(), ReadModelError> {
        let index = self.partition.index;
        self.alone(|connection| version_file::save_fault(connection, index, fault))?;
        self.progress.fault = fault.cloned();
        self.touch();
        Ok(())
    }

    fn skip(&mut self, skip: &Skip) -> Result<(), ReadModelError> {
        let index = self.partition.index;
        self.alone(|connection| version_file::save_skip(connection, index, skip))
    }
}

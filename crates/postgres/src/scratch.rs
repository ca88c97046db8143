//! How are events applied once more without keeping anything?
//!
//! All of it lies in one transaction that is never committed: the server forgets it with the session, however that ends.

use std::sync::Arc;

use factum_core::read_model::{
    Fault, NewVersion, Parameters, Progress, ReadModelError, ReadModelWriter, Rows, Skip, Tables,
};

use crate::address::Address;
use crate::error::Whose;
use crate::guard;
use crate::link::Link;
use crate::words::quote;
use crate::writer::Transaction;

/// The name of the schema, which nobody else sees.
const SCHEMA: &str = "factum_scratch";

/// A writer of tables that nobody else sees. What it commits is a savepoint that it does not go back behind.
#[derive(Debug)]
pub(crate) struct Scratch {
    link: Link,
    progress: Progress,
    transaction: Transaction,
}

impl Scratch {
    pub(crate) fn open(database: &Arc<Address>, new: &NewVersion) -> Result<Self, ReadModelError> {
        let statements = guard::check_tables(&new.tables)?;
        let mut link = Link::open(database)?;
        // A name of its own: two scratches with one name would wait for each other.
        let pid = crate::catalog::ours(&mut link, "SELECT pg_backend_pid()", &[])?;
        let pid = pid.first_value().map_or_else(String::new, ToString::to_string);
        let schema = quote(&format!("{SCHEMA}_{pid}"));
        link.batch(Whose::Ours, "BEGIN")?;
        link.batch(Whose::Ours, &format!("CREATE SCHEMA {schema}; SET LOCAL search_path = {schema}"))?;
        for statement in statements {
            link.batch(Whose::Tables, statement)?;
        }
        let progress = Progress::start(new.start.clone());
        Ok(Self { link, progress, transaction: Transaction::None })
    }

    fn must_be(&self, wanted: Transaction) -> Result<(), ReadModelError> {
        self.transaction.must_be(wanted, self.link.database())
    }
}

impl Tables for Scratch {
    fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError> {
        self.must_be(Transaction::Open)?;
        let done = self.link.execute(Whose::Rows, statement, parameters);
        done.inspect_err(|_| self.transaction = Transaction::Failed)
    }

    fn query(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<Rows, ReadModelError> {
        self.must_be(Transaction::Open)?;
        let read = self.link.query(Whose::Rows, statement, parameters);
        read.inspect_err(|_| self.transaction = Transaction::Failed)
    }
}

impl ReadModelWriter for Scratch {
    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn begin(&mut self) -> Result<(), ReadModelError> {
        self.must_be(Transaction::None)?;
        self.link.batch(Whose::Ours, "SAVEPOINT committed")?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn commit(&mut self, progress: &Progress) -> Result<(), ReadModelError> {
        self.must_be(Transaction::Open)?;
        let done = self.link.batch(Whose::Ours, "RELEASE committed");
        if done.is_err() {
            let _ = self.rollback();
            return done;
        }
        self.transaction = Transaction::None;
        self.progress.clone_from(progress);
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), ReadModelError> {
        if std::mem::replace(&mut self.transaction, Transaction::None) == Transaction::None {
            return Ok(());
        }
        self.link.back_to("committed")
    }

    fn set_fault(&mut self, fault: Option<&Fault>) -> Result<(), ReadModelError> {
        self.progress.fault = fault.cloned();
        Ok(())
    }

    fn skip(&mut self, _: &Skip) -> Result<(), ReadModelError> {
        Ok(())
    }
}

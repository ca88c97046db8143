//! How are the rows of several projections read, each with how far it has come?

use factum_core::read_model::{Parameters, Progress, ProjectionName, ReadModelError, ReadModelReader, Rows};
use rusqlite::Connection;

use crate::guard::{Guard, Whose};
use crate::statements::Statements;
use crate::{error, version_file};

/// Most projections that one reader may see together: as many files as SQLite attaches.
const MAX_PROJECTIONS: usize = 10;

/// A view of several versions' files. It can write to none of them.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Connection,
    statements: Statements,
    database: String,
    projections: Vec<ProjectionName>,
}

impl Reader {
    /// Refuses more projections than can be seen together.
    pub(crate) fn must_not_be_more(database: &str, projections: usize) -> Result<(), ReadModelError> {
        if projections <= MAX_PROJECTIONS {
            return Ok(());
        }
        Err(ReadModelError::Failed {
            database: database.to_owned(),
            why: format!(
                "a query sees at most {MAX_PROJECTIONS} projections together, and {projections} were asked for"
            ),
        })
    }

    /// A reader on a connection to which the files of these projections are attached.
    pub(crate) fn new(
        database: String,
        mut connection: Connection,
        projections: Vec<ProjectionName>,
    ) -> Result<Self, ReadModelError> {
        let guard =
            Guard::install(&mut connection).map_err(|failure| error::of_database(&database, &failure))?;
        let statements = Statements::new(database.clone(), guard, Whose::Reader);
        Ok(Self { connection, statements, database, projections })
    }

    fn control(&self, sql: &str) -> Result<(), ReadModelError> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        done.map(drop).map_err(|failure| error::of_database(&self.database, &failure))
    }

    fn within(
        &mut self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<(Rows, Vec<Progress>), ReadModelError> {
        let rows = self.statements.query(&self.connection, statement, parameters)?;
        let progress = self.projections.iter().map(|name| {
            let partitions = version_file::progress(&self.database, &self.connection, name.as_str())?;
            Ok(version_file::least(partitions))
        });
        Ok((rows, progress.collect::<Result<_, ReadModelError>>()?))
    }
}

impl ReadModelReader for Reader {
    /// Reads within one transaction: each file is seen as it was when the transaction first looked at it, and so are its
    /// rows and its progress together.
    fn query(
        &mut self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<(Rows, Vec<Progress>), ReadModelError> {
        self.control("BEGIN")?;
        let read = self.within(statement, parameters);
        let left = self.control("COMMIT");
        let read = read?;
        left.map(|()| read)
    }
}

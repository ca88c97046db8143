//! How fast is SQLite itself? The limit that a projection is measured against, in the same run.

use std::path::Path;
use std::time::Duration;

use factum_core::read_model::{NamedStatement, ReadModelError, Value};

use crate::value::Bound;
use crate::{connection, error};

/// Executions of one transaction: as many as a projection that catches up puts into one.
const PER_TRANSACTION: usize = 8_192;

/// Executes statements on a fresh file with the settings of a read model, and with nothing of ours around them: prepared
/// once, bound by number. `calls` are pairs of a statement's index and its values, in the order in which the statement names
/// them first. The caller measures how long it takes.
///
/// # Errors
/// Where SQLite refuses.
pub fn execute_bare(
    path: &Path,
    tables: &str,
    statements: &[String],
    calls: &[(usize, Vec<Value<'static>>)],
) -> Result<(), ReadModelError> {
    let connection = connection::to_write(path, true, Duration::ZERO)?;
    let failed = |failure| error::of_database(&path.display().to_string(), &failure);
    let execute = || {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(tables)?;
        let numbered = statements
            .iter()
            .map(|statement| NamedStatement::parse(statement).render(|index| format!("?{}", index + 1)));
        let prepared: rusqlite::Result<Vec<_>> = numbered.map(|sql| connection.prepare(&sql)).collect();
        let mut prepared = prepared?;
        for transaction in calls.chunks(PER_TRANSACTION) {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for (statement, values) in transaction {
                let statement = &mut prepared[*statement];
                for (index, value) in values.iter().enumerate() {
                    statement.raw_bind_parameter(index + 1, Bound(value))?;
                }
                statement.raw_execute()?;
            }
            connection.execute_batch("COMMIT")?;
        }
        Ok(())
    };
    execute().map_err(failed)
}

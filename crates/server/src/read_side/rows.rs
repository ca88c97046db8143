//! The rows of a read model, as they are.

use std::time::Duration;

use factum::{ProjectionError, Waited};
use factum_core::read_model::{PersonalData, ProjectionName, ReadModelError, Role, Rows, VersionNumber};
use factum_core::{Position, Read, Selector};

use super::{ReadSide, ReadSideError};

/// Rows of one table.
pub(crate) struct Shown {
    /// Of which version.
    pub(crate) version: VersionNumber,
    /// The rows.
    pub(crate) rows: Rows,
}

impl ReadSide {
    /// The version of that number, or the one that serves; and whether its rows hold personal data in clear.
    ///
    /// # Errors
    /// `Unknown`, `Missing`.
    pub(crate) async fn version(
        &self,
        name: &ProjectionName,
        number: Option<VersionNumber>,
    ) -> Result<(VersionNumber, bool), ReadSideError> {
        let versions = self.versions_of(name).await?;
        let found = match number {
            Some(number) => versions.iter().find(|version| version.number == number),
            None => versions.iter().find(|version| version.role == Role::Serving),
        };
        let found = found.ok_or_else(|| match number {
            Some(number) => self.missing(name, &format!("version {number}")),
            None => self.missing(name, "version that serves"),
        })?;
        let personal = !matches!(found.personal, PersonalData::None | PersonalData::Sealed);
        Ok((found.number, personal))
    }

    /// The first rows of a table, in the database's order.
    ///
    /// # Errors
    /// `Missing` where there is no such table, or what the database says.
    pub(crate) async fn rows(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        table: &str,
        limit: u64,
    ) -> Result<Shown, ReadSideError> {
        let (asked, wanted) = (name.clone(), table.to_owned());
        let rows = self
            .blocking(move |read_models| {
                let tables = read_models.tables(&asked, version)?;
                // Only a name that the database itself gave goes into the statement.
                let Some((table, key)) = tables.into_iter().find(|(table, _)| *table == wanted) else {
                    return Ok(None);
                };
                let order: Vec<String> = key.iter().map(|column| quoted(column)).collect();
                let order = match order.is_empty() {
                    true => String::new(),
                    false => format!(" order by {}", order.join(", ")),
                };
                let statement = format!("select * from {}{order} limit {limit}", quoted(&table));
                let mut reader = read_models.reader(&[(asked.clone(), version)])?;
                Ok::<_, ReadModelError>(Some(reader.query(&statement, &[])?.0))
            })
            .await?;
        let rows = rows.ok_or_else(|| self.missing(name, &format!("table '{table}'")))?;
        Ok(Shown { version, rows })
    }
}

impl ReadSide {
    /// Waits until the serving rows hold what is before `position` and at it, at most so long. Says why, where they do not.
    ///
    /// # Errors
    /// `Elsewhere` where the projection does not run here, or what the log says.
    pub(crate) async fn wait(
        &self,
        name: &ProjectionName,
        position: Position,
        at_most: Duration,
    ) -> Result<Option<String>, ReadSideError> {
        let serving = self.version(name, None).await?.0;
        let handle = self.running().handle(name);
        let handle = handle.map_err(|_| ReadSideError::Elsewhere { name: name.clone(), version: serving })?;
        let origin = self.store.read(Read::forwards(Selector::All).limit(1)).await?.head().snapshot.clone();
        let waited = handle.wait(&origin.at(position.next()), at_most).await;
        let waited = waited.map_err(|error| ReadSideError::Projection(ProjectionError::Log(error.into())))?;
        Ok(match waited {
            Waited::Ready { .. } => None,
            Waited::Behind { lag, .. } => Some(format!("'{name}' is {lag} positions behind")),
            Waited::Faulted { position, .. } => {
                Some(format!("'{name}' stands still at the event at position {position}"))
            }
            Waited::Stopped { why, .. } => Some(format!("'{name}' is not applied: {why}")),
            Waited::Rebuilding { version, .. } => Some(format!("'{name}' is being rebuilt as {version}")),
        })
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

//! The rows of a read model, as they are.

use factum_core::read_model::{PersonalData, ProjectionName, ReadModelError, Role, Rows, VersionNumber};

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

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

//! How are the rows of several projections read, each with how far it has come?

use std::sync::Arc;

use factum_core::read_model::{
    Parameters, Progress, ProjectionName, ReadModelError, ReadModelReader, Rows, VersionNumber,
};

use crate::address::Address;
use crate::catalog::{self, schema_of};
use crate::error::Whose;
use crate::link::Link;
use crate::qualify::Qualify;
use crate::words::quote;

/// A view of several versions' schemas, with a session of its own. Every query is a transaction that only reads.
#[derive(Debug)]
pub(crate) struct Reader {
    database: Arc<Address>,
    link: Option<Link>,
    versions: Vec<(ProjectionName, VersionNumber)>,
}

impl Reader {
    pub(crate) fn open(
        database: &Arc<Address>,
        versions: &[(ProjectionName, VersionNumber)],
    ) -> Result<Self, ReadModelError> {
        let mut reader = Self { database: Arc::clone(database), link: None, versions: versions.to_vec() };
        reader.link = Some(reader.connect()?);
        Ok(reader)
    }

    fn connect(&self) -> Result<Link, ReadModelError> {
        let mut link = Link::open(&self.database)?;
        let mut qualify = Qualify::default();
        let mut path = Vec::new();
        for (name, number) in &self.versions {
            catalog::must_be_there(&mut link, name, *number)?;
            let schema = schema_of(name, *number);
            let tables = catalog::relations(&mut link, &schema)?;
            path.push(quote(&schema));
            qualify.add(name.as_str(), schema, tables);
        }
        // With no schema at all, unqualified names would not even be looked for.
        let path = if path.is_empty() { "''".to_owned() } else { path.join(", ") };
        link.set_qualify(qualify);
        link.batch(
            Whose::Ours,
            &format!("SET search_path = {path}; SET default_transaction_read_only = on"),
        )?;
        Ok(link)
    }

    fn read(
        link: &mut Link,
        versions: &[(ProjectionName, VersionNumber)],
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<(Rows, Vec<Progress>), ReadModelError> {
        link.execute(Whose::Ours, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &[])?;
        let rows = link.query(Whose::Reader, statement, parameters)?;
        let mut applied = Vec::with_capacity(versions.len());
        for (name, number) in versions {
            let least = catalog::least(catalog::progress(link, name, *number)?);
            applied.push(least.ok_or_else(|| catalog::unknown(name, *number))?);
        }
        link.batch(Whose::Ours, "COMMIT")?;
        Ok((rows, applied))
    }
}

impl ReadModelReader for Reader {
    fn query(
        &mut self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<(Rows, Vec<Progress>), ReadModelError> {
        // After the server was away, the next query connects anew.
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.connect()?,
        };
        let read = Self::read(&mut link, &self.versions, statement, parameters);
        let usable = match &read {
            Ok(_) => true,
            Err(error) => !error.is_transient() && link.rollback().is_ok(),
        };
        if usable {
            self.link = Some(link);
            return read;
        }
        read
    }
}

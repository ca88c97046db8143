//! Does PostgreSQL keep every rule that all databases of read models keep?

use std::sync::Arc;

use factum_postgres::PostgresReadModels;
use factum_testkit::{FreshReadModels, PostgresDatabase};

fn postgres(test: &str) -> Option<FreshReadModels> {
    let database = PostgresDatabase::fresh(test)?;
    let url = database.url().to_owned();
    let open = move || Arc::new(PostgresReadModels::open(&url).unwrap()) as _;
    Some(FreshReadModels { open: Box::new(open), keep: Box::new(database) })
}

factum_testkit::read_model_conformance!(crate::conformance::postgres);

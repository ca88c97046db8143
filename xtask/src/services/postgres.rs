//! How do tests get their PostgreSQL server?

use factum_testserver::{Binaries, Server};

use super::{Service, install};

/// The environment variable that tests read; `factum_testkit::POSTGRES_VARIABLE` is the same.
pub(super) const VARIABLE: &str = "FACTUM_TEST_POSTGRES";

pub(super) fn start() -> Result<Service, String> {
    let server = Server::start(&binaries()?)?;
    Ok(Service {
        name: "PostgreSQL",
        variables: vec![(VARIABLE, server.url())],
        _running: Some(Box::new(server)),
    })
}

fn binaries() -> Result<Binaries, String> {
    Binaries::find().or_else(|missing| {
        install::with_apt("PostgreSQL", "postgresql", &missing)?;
        Binaries::find()
    })
}

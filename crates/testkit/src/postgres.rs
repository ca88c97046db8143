//! How does a test get a PostgreSQL database, or a server of its own, and what if there is none?

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use factum_testserver::{Binaries, Server};

use crate::skip;

/// The environment variable with the URL of the server that tests may use. `cargo xtask test` sets it.
pub const POSTGRES_VARIABLE: &str = "FACTUM_TEST_POSTGRES";

/// A fresh, empty database on the tests' PostgreSQL server. Dropping it drops the database, sessions included.
#[derive(Debug)]
pub struct PostgresDatabase {
    binaries: Binaries,
    server: String,
    name: String,
    url: String,
}

impl PostgresDatabase {
    /// A database for the test `test`; `None`, and the test skipped by that name, where no server was given.
    ///
    /// # Panics
    /// Where a server was given and it does not make the database: that is a failure, not a reason to skip.
    #[must_use]
    pub fn fresh(test: &str) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(POSTGRES_VARIABLE).unwrap_or_default();
        if server.is_empty() || server == "off" {
            skip(test, &format!("no {POSTGRES_VARIABLE}: `cargo xtask services` starts a PostgreSQL server"));
            return None;
        }
        let binaries = found();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        // The standard library seeds its hashes at random: no other process has the same name.
        let random = RandomState::new().build_hasher().finish();
        let name = format!("factum_test_{}_{number}_{random:x}", std::process::id());
        run(&binaries, &server, &format!("CREATE DATABASE {name}"));
        let url = with_database(&server, &name);
        Some(Self { binaries, server, name, url })
    }

    /// `postgres://user:password@host:port/database`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement past the code under test and gives its rows: columns divided by `|`, rows by a line end.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn sql(&self, statement: &str) -> String {
        run(&self.binaries, &self.url, statement)
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // The server goes with the tests, so what a failed test leaves behind does not stay.
        let _ = self.binaries.sql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// A PostgreSQL server for one test, which may stop it and start it again. It ends with the test.
#[derive(Debug)]
pub struct PrivatePostgres {
    binaries: Binaries,
    server: Server,
}

impl PrivatePostgres {
    /// A server for the test `test`; `None`, and the test skipped by that name, where this machine has no PostgreSQL.
    ///
    /// # Panics
    /// Where PostgreSQL is there and does not start.
    #[must_use]
    pub fn start(test: &str) -> Option<Self> {
        match Binaries::find() {
            Ok(binaries) => {
                let server = Server::start(&binaries).unwrap_or_else(|why| panic!("{why}"));
                Some(Self { binaries, server })
            }
            Err(why) => {
                skip(test, &why);
                None
            }
        }
    }

    /// `postgres://user:password@host:port/database`, the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The same through the server's Unix socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        self.server.socket_url()
    }

    /// Runs a statement past the code under test, as [`PostgresDatabase::sql`] does.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn sql(&self, statement: &str) -> String {
        run(&self.binaries, &self.url(), statement)
    }

    /// Ends all sessions and stops the server.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn stop(&mut self) {
        self.server.stop().unwrap_or_else(|why| panic!("{why}"));
    }

    /// Ends the server as a crash does.
    ///
    /// # Panics
    /// Where that is not possible.
    pub fn crash(&mut self) {
        self.server.crash().unwrap_or_else(|why| panic!("{why}"));
    }

    /// Starts the stopped server on the same port, with the same data.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&mut self) {
        self.server.start_again().unwrap_or_else(|why| panic!("{why}"));
    }
}

fn found() -> Binaries {
    Binaries::find().unwrap_or_else(|why| panic!("{POSTGRES_VARIABLE} is set, but: {why}"))
}

fn run(binaries: &Binaries, url: &str, statement: &str) -> String {
    binaries.sql(url, statement).unwrap_or_else(|why| panic!("{statement}: {why}"))
}

/// The same server, another database.
fn with_database(server: &str, name: &str) -> String {
    let (url, query) = server.split_once('?').map_or((server, ""), |(url, query)| (url, query));
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let host_ends = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    format!("{}/{name}{query}", &url[..host_ends])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        assert_eq!(with_database("postgres://a:b@h:1/postgres", "x"), "postgres://a:b@h:1/x");
        assert_eq!(with_database("postgres://h", "x"), "postgres://h/x");
        assert_eq!(with_database("postgres://h/?host=/tmp", "x"), "postgres://h/x?host=/tmp");
    }
}

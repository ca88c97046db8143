//! How fast do other servers append, over loopback and with a connection for each client?
//!
//! The scenarios are those of `factum bench remote`: appends of one event by 1, 16 and 64 clients, and batches of 1,000 by
//! two. Nothing is expected of a stream, there as here.

mod nats;
mod postgres;
mod process;
mod umadb;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::scenario::{Measured, event};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// One connection to a server, with a stream of its own.
trait Connection: Send {
    /// Appends, and returns when it is safe.
    fn append<'a>(&'a mut self, events: &'a [Vec<u8>]) -> Answer<'a, ()>;
}

/// A server to measure. It ends with this value.
trait Server {
    fn connect(&self, client: usize) -> Answer<'_, Box<dyn Connection>>;
}

/// Which servers, and how they are started.
#[derive(Default)]
pub(crate) struct Servers {
    pub(crate) nats: Option<PathBuf>,
    pub(crate) umadb: Option<PathBuf>,
    pub(crate) postgres: Option<String>,
}

impl Servers {
    pub(crate) fn any(&self) -> bool {
        self.nats.is_some() || self.umadb.is_some() || self.postgres.is_some()
    }
}

struct Scenario {
    name: &'static str,
    clients: usize,
    batch: usize,
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "remote: 1 client, 1 event", clients: 1, batch: 1 },
    Scenario { name: "remote: 16 clients, 1 event", clients: 16, batch: 1 },
    Scenario { name: "remote: 64 clients, 1 event", clients: 64, batch: 1 },
    Scenario { name: "remote: 2 clients, batches of 1000", clients: 2, batch: 1_000 },
];

/// Measures each server in each scenario. Each starts once, with an empty store.
pub(crate) fn run(servers: &Servers, directory: &Path, duration: Duration) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let fresh = || {
        let made = tempfile::Builder::new().prefix("rivals-").tempdir_in(directory);
        made.map_err(|error| format!("cannot make a directory: {error}"))
    };
    if let Some(binary) = &servers.umadb {
        let directory = fresh()?;
        measure("umadb-server", &umadb::start(binary, directory.path())?, &runtime, duration)?;
    }
    if let Some(binary) = &servers.nats {
        let directory = fresh()?;
        let server = runtime.block_on(nats::start(binary, directory.path()))?;
        measure("nats-jetstream", &server, &runtime, duration)?;
    }
    if let Some(url) = &servers.postgres {
        let server = runtime.block_on(postgres::prepare(url))?;
        measure("postgresql", &server, &runtime, duration)?;
    }
    Ok(())
}

fn measure(system: &str, server: &dyn Server, runtime: &Runtime, duration: Duration) -> Result<(), String> {
    for scenario in SCENARIOS {
        let measured = scenario.measure(server, runtime, duration)?;
        println!("{}", measured.json(system, scenario.name));
    }
    Ok(())
}

impl Scenario {
    fn measure(
        &self,
        server: &dyn Server,
        runtime: &Runtime,
        duration: Duration,
    ) -> Result<Measured, String> {
        let connect = |client| runtime.block_on(server.connect(client));
        let connections = (0..self.clients).map(connect).collect::<Result<Vec<_>, _>>()?;
        let started = Instant::now();
        let clients: Vec<_> = connections
            .into_iter()
            .map(|mut connection| {
                let events: Vec<_> = (0..self.batch).map(event).collect();
                runtime.spawn(async move {
                    let mut own = Vec::new();
                    while started.elapsed() < duration {
                        let before = Instant::now();
                        connection.append(&events).await?;
                        own.push(before.elapsed().as_micros() as u64);
                    }
                    Ok::<_, String>(own)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(runtime.block_on(client).map_err(|_| "a client panicked")??);
        }
        let seconds = started.elapsed().as_secs_f64();
        latencies.sort_unstable();
        Ok(Measured { events: (latencies.len() * self.batch) as u64, seconds, latencies })
    }
}

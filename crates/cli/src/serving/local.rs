//! A store that a program serves on its own machine, to everybody there.

use std::io::ErrorKind as IoErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use factum::Domain;
use factum_core::EventStore;
use factum_core::read_model::ReadModels;
use factum_server::{KnownProjections, RunningServer, ServeError, ServerOptions};
use factum_vault::SealingStore;

use super::{Files, Parts};
use crate::failure::{Failure, NotDone};
use crate::serve::{ConsoleArgs, Signals, failure};

/// Where it listens, unless it is told to or somebody does already.
const USUAL: &str = "127.0.0.1:2113";
/// A port that is free.
const ANY: &str = "127.0.0.1:0";

/// What a program serves.
pub struct Served {
    /// Its log.
    pub log: Arc<dyn EventStore>,
    /// The same behind its vault, where it has one.
    pub sealing: Option<SealingStore>,
    /// The log's files, where it has any.
    pub files: Option<Files>,
    /// Its read models, where it has any.
    pub read_models: Option<Arc<dyn ReadModels>>,
    /// The projections that it knows the code of.
    pub known: Arc<dyn KnownProjections>,
    /// Its types: what its aggregates and events are.
    pub domain: Option<Arc<Domain>>,
    /// Where to listen: an address of this machine; `None`: the usual one, or a free port where that is taken.
    pub listen: Option<String>,
}

/// Serves it to everybody on this machine until Ctrl-C, SIGTERM, or a client that ends it. `began` is told where it listens.
///
/// # Errors
/// Why it cannot be served.
pub async fn serve_locally(served: Served, began: impl FnOnce(SocketAddr) + Send) -> Result<(), NotDone> {
    let mut signals = Signals::listen().map_err(|error| Failure::io("the server did not start", &error))?;
    let Served { log, files, sealing, read_models, known, domain, listen } = served;
    let mut parts = Parts::of(log, sealing, read_models, known).await?.with_files(files);
    if let Some(domain) = domain {
        parts = parts.with_domain(domain);
    }
    let server = listen_locally(&parts, listen.as_deref(), &ConsoleArgs::full()).await?;
    began(server.address());
    tokio::select! {
        () = signals.ended() => {}
        () = server.wait() => {}
    }
    server.stop().await;
    Ok(())
}

/// Listens where it is told to, or at the usual place, or at a free port where that is taken.
pub(crate) async fn listen_locally(
    parts: &Parts,
    address: Option<&str>,
    console: &ConsoleArgs,
) -> Result<RunningServer, Failure> {
    let server = || {
        let options = ServerOptions { console: console.mode(), ..ServerOptions::default() };
        console.beside(parts.server(options))
    };
    match server().listen(address.unwrap_or(USUAL)).await {
        Err(ServeError::Bind { source, .. })
            if address.is_none() && source.kind() == IoErrorKind::AddrInUse =>
        {
            server().listen(ANY).await.map_err(failure)
        }
        other => other.map_err(failure),
    }
}

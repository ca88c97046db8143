//! The server: one port, many connections, one end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use factum_core::EventStore;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::access::Access;
use crate::limited::Limited;
use crate::maintenance::Maintenance;
use crate::metrics::{Counted, Gauge, Metrics, Present};
use crate::observe::observe;
use crate::ops::Ops;
use crate::options::{FirstEvents, LimitError, ServerOptions};
use crate::otlp::{self, Spans};
use crate::shared::Shared;
use crate::stopping::Stopping;
use crate::{boot, connection, groups, grpc, http};

/// How long calls that are under way may go on after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be taken: the system may be out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port cannot be listened on.
    #[error("{address} cannot be listened on: {source}")]
    Bind {
        /// The address asked for.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// A limit cannot be.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

/// A server that has not started.
pub struct Server {
    store: Arc<dyn EventStore>,
    options: ServerOptions,
    maintenance: Option<Arc<dyn Maintenance>>,
}

/// A server that runs. Dropping it stops it at once; [`stop`](RunningServer::stop) lets calls end.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    groups: JoinHandle<()>,
}

impl Server {
    /// A server over `store`.
    pub fn new(store: Arc<dyn EventStore>, options: ServerOptions) -> Self {
        Self { store, options, maintenance: None }
    }

    /// With the store's upkeep.
    #[must_use]
    pub fn with_maintenance(mut self, maintenance: Arc<dyn Maintenance>) -> Self {
        self.maintenance = Some(maintenance);
        self
    }

    /// Listens on `address` (`host:port`; port 0 takes a free one) and answers from then on.
    ///
    /// # Errors
    /// `ServeError` where a limit cannot be, or the address cannot be listened on.
    pub async fn listen(self, address: &str) -> Result<RunningServer, ServeError> {
        self.options.limits.check()?;
        let bind = |source| ServeError::Bind { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let local = listener.local_addr().map_err(bind)?;
        let (stop, stopping) = Stopping::channel();
        let metrics = Arc::new(Metrics::default());
        let (spans, gathered) = Spans::channel(metrics.clone());
        let spans = self.options.telemetry.is_some().then_some(spans);
        let (groups, unstarted) = groups::channel();
        let shared = Arc::new(Shared {
            store: Arc::new(Counted::new(self.store, metrics.clone())),
            limited: Limited::default(),
            started: self.options.clock.now(),
            ops: Ops::new(self.maintenance, metrics, spans, stop.clone()),
            options: self.options,
            access: Access::default(),
            groups,
            address: local,
            instance: Uuid::new_v4(),
            stopping: stopping.clone(),
        });
        let groups = unstarted.start(shared.clone());
        let router =
            grpc::routes(&shared).into_axum_router().merge(http::routes(&shared)).fallback(http::unknown);
        let router = router.layer(from_fn_with_state(shared.clone(), observe));
        if let Some(telemetry) = shared.options.telemetry.clone() {
            tokio::spawn(otlp::export(shared.clone(), telemetry, gathered));
        }
        let accepting = tokio::spawn(accept(listener, router, shared.clone(), stopping));
        make_ready(&shared).await;
        Ok(RunningServer { address: local, stop, accepting, groups })
    }
}

impl RunningServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server is to end, because a client with the right to it asked for that or [`stop`](Self::stop) was
    /// called. Then it takes no more calls; [`stop`](Self::stop) waits for those that are under way.
    pub async fn wait(&self) {
        // Without a sender it has ended.
        let _ = self.stop.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Stops: takes no more connections, tells subscriptions, and lets other calls end for some seconds.
    pub async fn stop(mut self) {
        // Nobody listens any more where the server has ended by itself.
        let _ = self.stop.send(true);
        let _ = (&mut self.accepting).await;
        // Groups write their progress while calls end; a store that takes longer is not waited for.
        let _ = tokio::time::timeout(DRAIN, &mut self.groups).await;
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.accepting.abort();
    }
}

/// Writes what the log is to begin with, and lets calls in.
async fn make_ready(shared: &Arc<Shared>) {
    if shared.options.first_events == FirstEvents::Write
        && let Err(error) = boot::write(shared).await
    {
        // A log that cannot be written can still be read.
        tracing::warn!(error = %error, "the server's own first events are not in the log");
    }
    tokio::spawn(boot::keep_figures(shared.clone()));
    shared.ops.set_ready();
    tracing::info!(address = %shared.address, instance = %shared.instance, "the server is ready");
}

async fn accept(listener: TcpListener, router: Router, shared: Arc<Shared>, mut stopping: Stopping) {
    let places = Arc::new(Semaphore::new(shared.options.limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let (socket, peer) = tokio::select! {
            () = stopping.wait() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Over the limit: the socket is closed at once, and those that are served stay served.
        let Ok(place) = places.clone().try_acquire_owned() else {
            shared.ops.metrics.refused_connections.add(1);
            tracing::warn!(%peer, "a connection was refused: there are too many");
            continue;
        };
        serve(socket, peer, router.clone(), &shared, graceful.watcher(), place);
    }
    // Calls that do not end in time end with their connections.
    tracing::info!("the server stops");
    let drained = tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_ok();
    tracing::info!(drained, "the server has stopped");
}

fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
    shared: &Arc<Shared>,
    graceful: Watcher,
    place: OwnedSemaphorePermit,
) {
    // Answers are small and wanted at once. A socket that refuses this is served all the same.
    let _ = socket.set_nodelay(true);
    let shared = shared.clone();
    let present = Present::new(Connections(shared.ops.metrics.clone()));
    tokio::spawn(async move {
        connection::serve(socket, peer, router, &shared.options.limits, graceful).await;
        drop((place, present));
    });
}

struct Connections(Arc<Metrics>);

impl AsRef<Gauge> for Connections {
    fn as_ref(&self) -> &Gauge {
        &self.0.connections
    }
}

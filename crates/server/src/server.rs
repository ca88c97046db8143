//! The server: one port, many connections, one end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use factum_core::EventStore;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::access::Access;
use crate::options::{LimitError, ServerOptions};
use crate::shared::Shared;
use crate::stopping::Stopping;
use crate::{connection, groups, grpc, http};

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
        Self { store, options }
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
        let (groups, unstarted) = groups::channel();
        let shared = Arc::new(Shared {
            store: self.store,
            options: self.options,
            access: Access::default(),
            groups,
            address: local,
            instance: Uuid::new_v4(),
            stopping: stopping.clone(),
        });
        let groups = unstarted.start(shared.clone());
        let router = grpc::routes(&shared).into_axum_router().merge(http::routes(&shared));
        let accepting = tokio::spawn(accept(listener, router, shared, stopping));
        Ok(RunningServer { address: local, stop, accepting, groups })
    }
}

impl RunningServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
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

async fn accept(listener: TcpListener, router: Router, shared: Arc<Shared>, mut stopping: Stopping) {
    let places = Arc::new(Semaphore::new(shared.options.limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let (socket, peer) = tokio::select! {
            () = stopping.wait() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Over the limit: the socket is closed at once, and those that are served stay served.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        serve(socket, peer, router.clone(), &shared, &graceful, place);
    }
    // Calls that do not end in time end with their connections.
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
    shared: &Arc<Shared>,
    graceful: &GracefulShutdown,
    place: tokio::sync::OwnedSemaphorePermit,
) {
    // Answers are small and wanted at once. A socket that refuses this is served all the same.
    let _ = socket.set_nodelay(true);
    let builder = connection::builder(&shared.options.limits);
    let service = service_fn(move |request| connection::answer(&router, peer, request));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(socket), service).into_owned();
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        // A connection that breaks is the client's business: its calls have their own answers.
        let _ = watched.await;
        drop(place);
    });
}

//! The server: one port, many connections, one end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use factum::Domain;
use factum_core::{EventStore, ReadError};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use crate::backups::Backups;
use crate::call::{Call, Wire};
use crate::limited::Limited;
use crate::local_consumer::{ConsumeError, LocalConsumer};
use crate::maintenance::Maintenance;
use crate::metrics::{Counted, Gauge, Metrics, Present};
use crate::observe::observe;
use crate::ops::{Beside, Ops};
use crate::options::{FirstEvents, LimitError, ServerOptions};
use crate::otlp::{self, Spans};
use crate::privacy_desk::PrivacyDesk;
use crate::read_side::ReadSide;
use crate::sessions::Sessions;
use crate::shared::Shared;
use crate::stopping::Stopping;
use crate::tls::{Certificates, TlsError};
use crate::users::{FirstStart, UserError};
use crate::{boot, connection, groups, grpc, http, security, sign_in, v1};

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
    /// Anybody who reaches the port could do everything.
    #[error("{address} can be reached from other machines, and nobody would be asked who they are")]
    ExposedInsecure {
        /// The address.
        address: SocketAddr,
    },
    /// Passwords and events could be read on the way.
    #[error(
        "{address} can be reached from other machines, and without a certificate others on the way see passwords and events"
    )]
    ExposedPlaintext {
        /// The address.
        address: SocketAddr,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Changes of rights cannot be followed.
    #[error("changes of access lists cannot be followed: {0}")]
    Rights(#[source] ReadError),
    /// The first users cannot be created.
    #[error("the first users cannot be created: {0}")]
    Users(#[source] UserError),
}

/// A server that has not started.
pub struct Server {
    store: Arc<dyn EventStore>,
    options: ServerOptions,
    beside: Beside,
    more: Router,
}

/// A server that runs. Dropping it stops it at once; [`stop`](RunningServer::stop) lets calls end.
pub struct RunningServer {
    address: SocketAddr,
    first_start: FirstStart,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    groups: JoinHandle<()>,
    shared: Arc<Shared>,
}

impl Server {
    /// A server over `store`.
    pub fn new(store: Arc<dyn EventStore>, options: ServerOptions) -> Self {
        Self { store, options, beside: Beside::default(), more: Router::new() }
    }

    /// With the store's upkeep.
    #[must_use]
    pub fn with_maintenance(mut self, maintenance: Arc<dyn Maintenance>) -> Self {
        self.beside.maintenance = Some(maintenance);
        self
    }

    /// With a directory that backups may be made in.
    #[must_use]
    pub fn with_backups(mut self, backups: Arc<dyn Backups>) -> Self {
        self.beside.backups = Some(backups);
        self
    }

    /// With projections that run in this process.
    #[must_use]
    pub fn with_projections(mut self, read_side: Arc<ReadSide>) -> Self {
        self.beside.read_side = Some(read_side);
        self
    }

    /// With the vault of its log.
    #[must_use]
    pub fn with_privacy(mut self, desk: Arc<dyn PrivacyDesk>) -> Self {
        self.beside.privacy = Some(desk);
        self
    }

    /// With the types of the application: states are then shown as its aggregates fold them, and events as it reads them.
    #[must_use]
    pub fn with_domain(mut self, domain: Arc<Domain>) -> Self {
        self.beside.domain = Some(domain);
        self
    }

    /// With routes beside its own, which must not overlap with them: the console's. They pass what every request passes.
    #[must_use]
    pub fn with_routes(mut self, routes: Router) -> Self {
        self.more = self.more.merge(routes);
        self
    }

    /// Listens on `address` (`host:port`; port 0 takes a free one) and answers from then on.
    ///
    /// # Errors
    /// `ServeError` where a limit cannot be, the address cannot or may not be listened on, the certificate cannot be used,
    /// or the store cannot be asked for users.
    pub async fn listen(self, address: &str) -> Result<RunningServer, ServeError> {
        self.options.limits.check()?;
        let bind = |source| ServeError::Bind { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let local = listener.local_addr().map_err(bind)?;
        security::check_exposure(&self.options, local)?;
        let (stop, stopping) = Stopping::channel();
        let certificates = self.certificates(&stopping).await?;
        let sessions = Sessions::new(self.options.clock.clone(), local.port());
        let secured = security::secure(self.store, &self.options.security, sessions, &stopping).await?;
        let metrics = Arc::new(Metrics::default());
        let (spans, gathered) = Spans::channel(metrics.clone());
        let spans = self.options.telemetry.is_some().then_some(spans);
        let (groups, unstarted) = groups::channel();
        let shared = Arc::new(Shared {
            store: Arc::new(Counted::new(secured.store, metrics.clone(), self.options.clock.clone())),
            limited: Limited::default(),
            started: self.options.clock.now(),
            ops: Ops::new(self.beside, metrics, spans, stop.clone()),
            options: self.options,
            access: secured.access,
            users: secured.users,
            groups,
            address: local,
            instance: Uuid::new_v4(),
            v1: v1::Own::default(),
            stopping: stopping.clone(),
        });
        let groups = unstarted.start(shared.clone());
        let router =
            grpc::routes(&shared).into_axum_router().merge(http::routes(&shared)).merge(v1::routes(&shared));
        let router = router.merge(self.more).fallback(http::unknown);
        let router = match shared.access.guard() {
            Some(guard) => router.layer(from_fn_with_state(guard.clone(), sign_in::sign_in)),
            None => router,
        };
        let router = router.layer(from_fn_with_state(shared.clone(), v1::front));
        // Outermost, so that calls that were refused are seen too.
        let router = router.layer(from_fn_with_state(shared.clone(), observe));
        if let Some(telemetry) = shared.options.telemetry.clone() {
            tokio::spawn(otlp::export(shared.clone(), telemetry, gathered));
        }
        if let Some(read_side) = shared.ops.read_side.clone() {
            tokio::spawn(read_side.follow(stopping.clone()));
        }
        let accepting = tokio::spawn(accept(listener, certificates, router, shared.clone(), stopping));
        make_ready(&shared).await;
        let first_start = secured.first_start;
        Ok(RunningServer { address: local, first_start, stop, accepting, groups, shared })
    }

    async fn certificates(&self, stopping: &Stopping) -> Result<Option<Arc<Certificates>>, TlsError> {
        let Some(options) = &self.options.tls else { return Ok(None) };
        let ServerOptions { clock, notices, .. } = &self.options;
        let (certificates, pem) = Certificates::read(options, clock.as_ref()).await?;
        let renewing = certificates.clone().renew(
            pem,
            options.clone(),
            clock.clone(),
            notices.clone(),
            stopping.clone(),
        );
        tokio::spawn(renewing);
        Ok(Some(certificates))
    }
}

impl RunningServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Joins a persistent subscription from this process: `group` over a stream, or over what looks like one (`$ce-order`). It is
    /// made where there is none, and begins at the beginning then.
    ///
    /// # Errors
    /// Where the stream's name cannot be one, or the group cannot be made or joined.
    pub async fn consumer(&self, stream: &str, group: &str) -> Result<LocalConsumer, ConsumeError> {
        LocalConsumer::join(&self.shared, stream, group).await
    }

    /// Waits until the server is to end, because a client with the right to it asked for that or [`stop`](Self::stop) was
    /// called. Then it takes no more calls; [`stop`](Self::stop) waits for those that are under way.
    pub async fn wait(&self) {
        // Without a sender it has ended.
        let _ = self.stop.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Whether it found users when it started, or created the first ones.
    pub fn first_start(&self) -> FirstStart {
        self.first_start
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

impl fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer").field("address", &self.address).finish_non_exhaustive()
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

async fn accept(
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    router: Router,
    shared: Arc<Shared>,
    mut stopping: Stopping,
) {
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
        let connection = Connection {
            peer,
            router: router.clone(),
            shared: shared.clone(),
            watcher: graceful.watcher(),
            _place: place,
        };
        tokio::spawn(connection.begin(
            socket,
            certificates.as_ref().map(|of| of.acceptor()),
            stopping.clone(),
        ));
    }
    // Calls that do not end in time end with their connections.
    tracing::info!("the server stops");
    let drained = tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_ok();
    tracing::info!(drained, "the server has stopped");
}

/// A connection that was taken, with its place among those that may be.
struct Connection {
    peer: SocketAddr,
    router: Router,
    shared: Arc<Shared>,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Agrees on TLS, where there is a certificate, and serves. Nobody else waits for it.
    async fn begin(self, socket: TcpStream, acceptor: Option<TlsAcceptor>, mut stopping: Stopping) {
        // Answers are small and wanted at once. A socket that refuses this is served all the same.
        let _ = socket.set_nodelay(true);
        let Some(acceptor) = acceptor else { return self.serve(socket, Wire::Plain).await };
        let handshake =
            tokio::time::timeout(self.shared.options.limits.handshake_timeout, acceptor.accept(socket));
        tokio::select! {
            () = stopping.wait() => {}
            agreed = handshake => {
                // A handshake that fails or takes too long ends the connection: that is the client's answer.
                if let Ok(Ok(stream)) = agreed {
                    self.serve(stream, Wire::Tls).await;
                }
            }
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, wire: Wire) {
        let Self { peer, router, shared, watcher, _place } = self;
        let _present = Present::new(Connections(shared.ops.metrics.clone()));
        let caller = shared.access.stranger();
        let origin = Call { caller, peer: Some(peer), wire, ..Call::default() };
        connection::serve(stream, origin, router, &shared.options.limits, watcher).await;
    }
}

struct Connections(Arc<Metrics>);

impl AsRef<Gauge> for Connections {
    fn as_ref(&self) -> &Gauge {
        &self.0.connections
    }
}

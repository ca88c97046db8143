//! A server over a store in memory, and a remote store that talks to it.

use std::sync::Arc;

use factum_core::{EventStore, ManualClock, MemoryStore};
use factum_protocol::remote::{ConnectionString, RemoteStore, Ways};
use factum_server::{FirstEvents, RunningServer, Server, ServerOptions};

/// Serves `store` on a free port.
pub(crate) async fn serve(store: Arc<dyn EventStore>, clock: Arc<ManualClock>) -> RunningServer {
    // The suite begins with an empty log.
    let options = ServerOptions { clock, first_events: FirstEvents::None, ..ServerOptions::default() };
    Server::new(store, options).listen("127.0.0.1:0").await.unwrap()
}

/// How the server is dialled.
pub(crate) fn connection_string(server: &RunningServer) -> ConnectionString {
    ConnectionString::parse(&format!("kurrentdb://{}?tls=false", server.address())).unwrap()
}

/// A server over an empty store, and a remote store that uses those ways.
pub(crate) async fn memory(clock: Arc<ManualClock>, ways: Ways) -> (RunningServer, RemoteStore) {
    let server = serve(Arc::new(MemoryStore::with_clock(clock.clone())), clock).await;
    let store = RemoteStore::connect_by(connection_string(&server), ways).await.unwrap();
    (server, store)
}

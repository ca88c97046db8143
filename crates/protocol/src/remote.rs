//! A store that is elsewhere: on a Factum server, or on a KurrentDB cluster.
//!
//! [`RemoteStore`] is an [`EventStore`] like any other. A server that has Factum's own service (`factum.v1.Store`) is
//! talked to by it, and then the store can do whatever the one behind the server can. Any other server is talked to by
//! KurrentDB's calls; what those have no words for is refused as `Unsupported` or done here over the log, and
//! [`capabilities`](EventStore::capabilities) says which.
//!
//! **Invariant:** an append whose answer did not come is sent again with the same ids, and where it stays unknown what
//! became of it, the error says so; a subscription goes on after a broken connection where it was, with no gap and no
//! duplicate.

mod cluster;
mod connection_string;
mod dial;
mod failure;
mod kurrent;
mod own;
mod pipeline;
mod pump;
mod reactor;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore, Read,
    ReadError, Subscribe, Subscription,
};

pub use cluster::{Way, Ways};
pub use connection_string::{ConnectionString, ConnectionStringError, Finding, Node, NodePreference, Tls};
pub use dial::TlsError;

use cluster::Cluster;
use reactor::Reactor;

/// Why a remote store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Connections cannot be encrypted as asked.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No thread can be started for the network.
    #[error("no thread can be started for the network: {0}")]
    Thread(#[from] io::Error),
    /// Nobody answers, or not to this caller.
    #[error(transparent)]
    Store(#[from] ReadError),
}

/// A store that is elsewhere. A clone is a handle on the same connection.
///
/// It has a thread of its own for the network, so its futures need no particular runtime.
#[derive(Clone)]
pub struct RemoteStore {
    shared: Arc<Shared>,
}

struct Shared {
    reactor: Reactor,
    cluster: Arc<Cluster>,
}

impl RemoteStore {
    /// Connects, and finds out what the server can do.
    ///
    /// # Errors
    /// `ConnectError` where nobody answers after the tries that the connection string allows.
    pub async fn connect(to: ConnectionString) -> Result<Self, ConnectError> {
        Self::connect_by(to, Ways::Best).await
    }

    /// Connects, and uses only the ways that are named.
    ///
    /// # Errors
    /// As `connect`.
    pub async fn connect_by(to: ConnectionString, ways: Ways) -> Result<Self, ConnectError> {
        let cluster = Arc::new(Cluster::new(to, ways)?);
        let store = Self { shared: Arc::new(Shared { reactor: Reactor::start()?, cluster }) };
        store.run(|cluster| async move { way(&cluster).await.map(drop) }, || Err(ReadError::Closed)).await?;
        Ok(store)
    }

    /// How the node is talked to that was connected to last.
    pub fn way(&self) -> Way {
        self.shared.cluster.told().way
    }

    /// Does `work` on the network's thread; `ended` is what is told if that is no more.
    fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Cluster>) -> F + Send + 'static,
        ended: fn() -> T,
    ) -> BoxFuture<'_, T> {
        Box::pin(async move {
            match self.shared.reactor.run(work(self.shared.cluster.clone())) {
                Some(work) => work.done().await.unwrap_or_else(|_| ended()),
                None => ended(),
            }
        })
    }
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStore").field("way", &self.way()).finish_non_exhaustive()
    }
}

impl EventStore for RemoteStore {
    fn capabilities(&self) -> Capabilities {
        self.shared.cluster.told().capabilities
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            // Most appends share a call, and need nothing of the network's thread but that it carries it.
            let unshared = match own::append_shared(&self.shared.cluster, append).await {
                Ok(outcome) => return outcome,
                Err(unshared) => unshared,
            };
            let work = |cluster: Arc<Cluster>| async move {
                match way(&cluster).await? {
                    Way::Own => own::append(&cluster, unshared).await,
                    Way::Kurrent => kurrent::append(&cluster, unshared.append).await,
                }
            };
            self.run(work, || Err(AppendError::Closed)).await
        })
    }

    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        Box::pin(pump::read(self.shared.clone(), read))
    }

    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        Box::pin(pump::subscribe(self.shared.clone(), subscribe))
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        let work = |cluster: Arc<Cluster>| async move {
            match way(&cluster).await? {
                Way::Own => own::delete(&cluster, delete).await,
                Way::Kurrent => kurrent::delete(&cluster, delete).await,
            }
        };
        self.run(work, || Err(AppendError::Closed))
    }
}

/// How the cluster is talked to now; connects where there is no connection.
async fn way(cluster: &Cluster) -> Result<Way, ReadError> {
    cluster.call(|link| Box::pin(async move { Ok(link.way) })).await.map_err(|fault| fault.into_read(None))
}

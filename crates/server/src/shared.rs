//! What every call shares: the store, the options, who may do what, and whether the server is about to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::stopping::Stopping;
use factum_core::{EventStore, Timestamp};
use uuid::Uuid;

use crate::access::Access;
use crate::call::Call;
use crate::groups::RegistryHandle;
use crate::limited::Limited;
use crate::ops::Ops;
use crate::options::{Endpoint, ServerOptions};
use crate::users::UserDirectory;

/// One per server, behind an `Arc`.
pub(crate) struct Shared {
    /// The log.
    pub(crate) store: Arc<dyn EventStore>,
    /// What was chosen.
    pub(crate) options: ServerOptions,
    /// Who may do what.
    pub(crate) access: Access,
    /// Persistent subscriptions.
    pub(crate) groups: RegistryHandle,
    /// Who there is.
    pub(crate) users: UserDirectory,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// This run of the server, for gossip.
    pub(crate) instance: Uuid,
    /// When it started.
    pub(crate) started: Timestamp,
    /// Streams of which some events may be hidden.
    pub(crate) limited: Limited,
    /// What running it needs.
    pub(crate) ops: Ops,
    /// What the HTTP API remembers.
    pub(crate) v1: crate::v1::Own,
    /// Becomes true when the server is to stop: whatever has no end of its own ends then.
    pub(crate) stopping: Stopping,
}

#[cfg(test)]
impl Shared {
    /// What the parts of an insecure server over `store` share, for tests of single parts.
    pub(crate) fn of_test(store: Arc<dyn EventStore>, groups: RegistryHandle, stopping: Stopping) -> Self {
        let options = ServerOptions::default();
        let metrics = Arc::new(crate::metrics::Metrics::default());
        let (stop, _) = Stopping::channel();
        Self {
            users: UserDirectory::new(store.clone()),
            store,
            started: options.clock.now(),
            options,
            access: Access::default(),
            groups,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            instance: Uuid::nil(),
            limited: Limited::default(),
            ops: Ops::new(crate::ops::Beside::default(), metrics, None, stop),
            v1: crate::v1::Own::default(),
            stopping,
        }
    }
}

impl Shared {
    /// What a client is told to dial: what was chosen, or what it dialled.
    pub(crate) fn endpoint(&self, call: &Call) -> Endpoint {
        if let Some(endpoint) = &self.options.advertise {
            return endpoint.clone();
        }
        let dialled =
            call.authority.as_ref().and_then(|authority| authority.parse::<http::uri::Authority>().ok());
        match dialled {
            Some(authority) => Endpoint {
                host: authority.host().to_owned(),
                port: authority.port_u16().unwrap_or(self.address.port()),
            },
            None => Endpoint { host: self.address.ip().to_string(), port: self.address.port() },
        }
    }
}

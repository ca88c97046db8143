//! What is known about a call before its message is looked at.

use std::net::SocketAddr;

use tonic::Request;

use crate::access::Caller;
use crate::sessions::SessionKey;

/// Longest connection name that is kept, in characters.
const CONNECTION_NAME_CHARS: usize = 256;

/// What is known about a call before its message is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// Who is calling.
    pub(crate) caller: Caller,
    /// The host and port that the client dialled.
    pub(crate) authority: Option<String>,
    /// Where the connection comes from.
    pub(crate) peer: Option<SocketAddr>,
    /// Whether others on the way can read what is said.
    pub(crate) wire: Wire,
    /// The session that the caller was known by, where it was one.
    pub(crate) session: Option<SessionKey>,
    /// What the client calls its connection.
    pub(crate) connection_name: String,
}

/// Whether others on the way can read what is said on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wire {
    /// They can.
    #[default]
    Plain,
    /// They cannot.
    Tls,
}

impl Call {
    /// What the server does for itself.
    pub(crate) fn of_server() -> Self {
        Self { caller: Caller::System, ..Self::default() }
    }

    /// What came with a gRPC request.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        let mut call: Call = request.extensions().get::<Call>().cloned().unwrap_or_default();
        if let Some(name) = request.metadata().get("connection-name").and_then(|name| name.to_str().ok()) {
            call.connection_name = name.chars().take(CONNECTION_NAME_CHARS).collect();
        }
        call
    }
}

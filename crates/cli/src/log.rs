//! The log that a command works on: the store in a directory, or one that is elsewhere.

use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Checkpoint, Delete, Deleted, ErrorKind,
    EventReader, EventStore, Position, Read, ReadError, Redact, RedactError, Redacted, Selector, Subscribe,
    Subscription, block_on,
};
use factum_engine::Engine;
use factum_protocol::remote::{ConnectError, ConnectionString, RemoteStore};

use crate::failure::{Exit, Failure};

/// The log, wherever it is. A clone is the same log.
#[derive(Clone)]
pub(crate) struct OpenLog(Arc<dyn EventStore>);

impl From<Engine> for OpenLog {
    fn from(engine: Engine) -> Self {
        Self(Arc::new(engine))
    }
}

impl OpenLog {
    /// Connects to the store that a connection string names.
    pub(crate) fn connect(text: &str) -> Result<Self, Failure> {
        let to = ConnectionString::parse(text).map_err(|error| {
            let next =
                "kurrentdb://HOST:2113?tls=false, or kurrentdb+discover://USER:PASSWORD@HOST for a cluster";
            Failure::usage("the --store cannot be understood", error.to_string(), next)
        })?;
        let to = match to.ca_file().map(std::fs::read) {
            None => to,
            Some(Ok(pem)) => to.with_ca(pem),
            Some(Err(error)) => return Err(Failure::io("the file of tlsCaFile cannot be read", &error)),
        };
        // The store has a thread of its own for the network: this one may wait.
        block_on(RemoteStore::connect(to)).map(|store| Self(Arc::new(store))).map_err(|error| failure(&error))
    }

    /// The beginning of this log.
    pub(crate) fn origin(&self) -> Result<Checkpoint, Failure> {
        let reader = block_on(self.0.read(Read::backwards(Selector::All).limit(1)))?;
        Ok(reader.head().snapshot.at(Position::START))
    }

    /// As whoever shares it wants it.
    pub(crate) fn shared(self) -> Arc<dyn EventStore> {
        self.0
    }
}

fn failure(error: &ConnectError) -> Failure {
    let what = "the store did not answer";
    match error {
        ConnectError::Store(error) => {
            let failure = Failure::of_store(error.kind(), what, error.to_string());
            if error.kind() == ErrorKind::Denied {
                failure.advise("give USER:PASSWORD@ in the --store")
            } else {
                failure
                    .advise("check the --store: its host, its port, and tls=false for a server without TLS")
            }
        }
        ConnectError::Tls(error) => Failure::usage(what, error.to_string(), ""),
        ConnectError::Thread(error) => Failure::new((Exit::Error, "io"), what, error.to_string(), ""),
    }
}

impl EventStore for OpenLog {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.0.append(append)
    }
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        self.0.read(read)
    }
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.0.subscribe(subscribe)
    }
    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.0.delete(delete)
    }
    fn redact(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        self.0.redact(redact)
    }
}

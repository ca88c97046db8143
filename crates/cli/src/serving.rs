//! What is served beside the log: read models that follow it, and a vault that seals what is appended.

mod known;
mod local;
mod sealed;

use std::path::PathBuf;
use std::sync::Arc;

use factum::Domain;
use factum_core::EventStore;
use factum_core::read_model::ReadModels;
use factum_engine::Engine;
use factum_server::{KnownProjections, PrivacyDesk, ReadSide, RowsMade, Server, ServerOptions};
use factum_vault::{KeyVault, Ledger, SealingStore};

pub use known::KnownHere;
pub(crate) use local::listen_locally;
pub use local::{Served, serve_locally};

use crate::failure::Failure;
use crate::privacy::desk::Desk;
use crate::serve::Upkeep;
use sealed::SealedStore;

/// The files of a log, for whoever looks after them: scavenges, verifications, figures.
#[derive(Clone)]
pub struct Files {
    /// What has them open.
    pub engine: Engine,
    /// Where they are.
    pub dir: PathBuf,
}

/// A log and what is served beside it. A clone is the same.
#[derive(Clone)]
pub(crate) struct Parts {
    store: Arc<dyn EventStore>,
    read_side: Option<Arc<ReadSide>>,
    desk: Option<Arc<Desk>>,
    domain: Option<Arc<Domain>>,
    files: Option<Files>,
}

impl Parts {
    /// Of this log. Projections whose code is `known` follow it from now on.
    pub(crate) async fn assemble(
        log: Arc<dyn EventStore>,
        vault: Option<KeyVault>,
        read_models: Option<Arc<dyn ReadModels>>,
        known: Arc<dyn KnownProjections>,
    ) -> Result<Self, Failure> {
        let sealing = vault.map(|vault| SealingStore::new(Arc::clone(&log), vault));
        Self::of(log, sealing, read_models, known).await
    }

    async fn of(
        log: Arc<dyn EventStore>,
        sealing: Option<SealingStore>,
        read_models: Option<Arc<dyn ReadModels>>,
        known: Arc<dyn KnownProjections>,
    ) -> Result<Self, Failure> {
        let read_side = match &read_models {
            Some(read_models) => {
                let (opened, rows) = match &sealing {
                    Some(sealing) => (Arc::new(sealing.clone()) as Arc<dyn EventStore>, RowsMade::All),
                    // What was sealed with a vault that is not here cannot be read here.
                    None if Ledger::read(&*log).await?.vault.is_some() => {
                        (Arc::clone(&log), RowsMade::NotPersonal)
                    }
                    None => (Arc::clone(&log), RowsMade::All),
                };
                Some(ReadSide::open(opened, Arc::clone(read_models), known, rows).await?)
            }
            None => None,
        };
        let desk = sealing.as_ref().map(|sealing| Arc::new(Desk::new(sealing, read_models)));
        let store = match sealing {
            Some(sealing) => Arc::new(SealedStore(sealing)) as Arc<dyn EventStore>,
            None => log,
        };
        Ok(Self { store, read_side, desk, domain: None, files: None })
    }

    /// With the files of the log, where it has any.
    pub(crate) fn with_files(mut self, files: Option<Files>) -> Self {
        self.files = files;
        self
    }

    /// With the types of the application.
    pub(crate) fn with_domain(mut self, domain: Arc<Domain>) -> Self {
        self.domain = Some(domain);
        self
    }

    /// A server of all that.
    pub(crate) fn server(&self, options: ServerOptions) -> Server {
        let mut server = Server::new(Arc::clone(&self.store), options);
        if let Some(read_side) = &self.read_side {
            server = server.with_projections(Arc::clone(read_side));
        }
        if let Some(desk) = &self.desk {
            server = server.with_privacy(Arc::clone(desk) as Arc<dyn PrivacyDesk>);
        }
        if let Some(domain) = &self.domain {
            server = server.with_domain(Arc::clone(domain));
        }
        if let Some(files) = &self.files {
            server = server.with_maintenance(Arc::new(Upkeep(files.clone())));
        }
        server
    }
}

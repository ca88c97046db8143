//! The projections that run in the server's process: how they are, and what an operator may do with them.

mod acting;
mod rows;
mod standing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use factum::{ProjectionError, Projections};
use factum_core::read_model::{
    PersonalData, ProjectionName, ReadModelError, ReadModels, Version, VersionNumber,
};
use factum_core::{BoxFuture, Clock, ErrorKind, EventStore, Position, ReadError, SystemClock, Timestamp};

use crate::stopping::Stopping;

pub(crate) use acting::Act;

/// How often it is looked whether another process made, swapped, stopped or mended a projection.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// The projections that a program knows the code of.
pub trait KnownProjections: Send + Sync + 'static {
    /// Lets `projections` apply a version.
    ///
    /// # Errors
    /// `Elsewhere` where the version was made by code that this program does not have, or what failed.
    fn start<'a>(
        &'a self,
        projections: &'a Projections,
        version: &'a Version,
    ) -> BoxFuture<'a, Result<(), ReadSideError>>;

    /// Makes a new version of a projection and lets `projections` apply it: from `definition`, or from what the serving version
    /// was made from.
    ///
    /// # Errors
    /// As [`start`](Self::start); `Declaration` where the definition cannot be one, or is of another projection.
    fn build<'a>(
        &'a self,
        projections: &'a Projections,
        serving: &'a Version,
        definition: Option<&'a str>,
        by: By<'a>,
    ) -> BoxFuture<'a, Result<Version, ReadSideError>>;
}

/// Who does something, and why: both are kept in the projection's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By<'a> {
    /// Who.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// Which rows this process may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowsMade {
    /// All: the store opens personal data, or has none.
    #[default]
    All,
    /// Those without personal data: the store does not open it.
    NotPersonal,
}

/// Why something about a projection was not done.
#[derive(Debug, thiserror::Error)]
pub enum ReadSideError {
    /// There is no such projection.
    #[error("there is no projection '{name}'")]
    Unknown {
        /// The name.
        name: ProjectionName,
    },
    /// There is no such version of it, or no such table in it.
    #[error("'{name}' has no {what}")]
    Missing {
        /// The projection.
        name: ProjectionName,
        /// What it has not.
        what: String,
    },
    /// The code that makes its rows is in another program.
    #[error("{version} of '{name}' is applied by another program: only a declaration is kept with its rows")]
    Elsewhere {
        /// The projection.
        name: ProjectionName,
        /// Its version.
        version: VersionNumber,
    },
    /// That is no declaration of it.
    #[error("{0}")]
    Declaration(String),
    /// Something else is being done with the projections.
    #[error("something else is being done with the projections: try again")]
    Busy,
    /// It could not be done.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

impl From<ReadModelError> for ReadSideError {
    fn from(error: ReadModelError) -> Self {
        Self::Projection(error.into())
    }
}

impl From<ReadError> for ReadSideError {
    fn from(error: ReadError) -> Self {
        Self::Projection(error.into())
    }
}

impl ReadSideError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } | Self::Missing { .. } => ErrorKind::NotFound,
            Self::Elsewhere { .. } | Self::Busy => ErrorKind::Conflict,
            Self::Declaration(_) => ErrorKind::Invalid,
            Self::Projection(error) => error.kind(),
        }
    }
}

/// The projections that run in the server's process, over its log and one database of read models.
pub struct ReadSide {
    store: Arc<dyn EventStore>,
    read_models: Arc<dyn ReadModels>,
    known: Arc<dyn KnownProjections>,
    rows: RowsMade,
    clock: Arc<dyn Clock>,
    /// As they run. Whoever looks has them for a moment; another process's doings make them anew.
    running: RwLock<Arc<Projections>>,
    /// Held while something is done: what the database said after it was done last.
    acting: tokio::sync::Mutex<String>,
    /// Since when a version that does not run here stands where it stands.
    seen: Mutex<BTreeMap<(String, u32), (Position, Timestamp)>>,
}

impl ReadSide {
    /// Lets all projections run whose code is `known`. One that does not start keeps no other from it; it is told to the log of
    /// the server.
    ///
    /// # Errors
    /// Where log or database cannot be read.
    pub async fn open(
        store: Arc<dyn EventStore>,
        read_models: Arc<dyn ReadModels>,
        known: Arc<dyn KnownProjections>,
        rows: RowsMade,
    ) -> Result<Arc<Self>, ReadSideError> {
        let running = Projections::open(Arc::clone(&store), Arc::clone(&read_models)).await?;
        let side = Self {
            store,
            read_models,
            known,
            rows,
            clock: Arc::new(SystemClock),
            running: RwLock::new(Arc::new(running)),
            acting: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
        };
        *side.acting.lock().await = side.state().await?;
        side.start_all(&side.running()).await?;
        Ok(Arc::new(side))
    }

    /// The database of the read models.
    pub fn read_models(&self) -> &Arc<dyn ReadModels> {
        &self.read_models
    }

    /// The projections as they run now.
    fn running(&self) -> Arc<Projections> {
        Arc::clone(&self.running.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn start_all(&self, projections: &Projections) -> Result<(), ReadSideError> {
        for version in self.versions().await? {
            let (name, number) = (&version.name, version.number);
            if self.rows == RowsMade::NotPersonal && version.personal != PersonalData::None {
                tracing::info!(%name, %number, "left alone: it holds personal data, and there is no vault");
                continue;
            }
            match self.known.start(projections, &version).await {
                Ok(()) => {}
                Err(ReadSideError::Elsewhere { .. }) => {
                    tracing::info!(%name, %number, "left to the program that it is compiled into");
                }
                Err(error) => tracing::warn!(%name, %number, %error, "a projection does not run"),
            }
        }
        Ok(())
    }

    /// Every version of every projection.
    pub(crate) async fn versions(&self) -> Result<Vec<Version>, ReadSideError> {
        Ok(self.blocking(factum_core::read_model::ReadModels::versions).await?)
    }

    /// The versions of one projection, by number.
    pub(crate) async fn versions_of(&self, name: &ProjectionName) -> Result<Vec<Version>, ReadSideError> {
        let mut versions = self.versions().await?;
        versions.retain(|version| version.name == *name);
        if versions.is_empty() { Err(ReadSideError::Unknown { name: name.clone() }) } else { Ok(versions) }
    }

    /// Asks the database, on a thread that may wait for it.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn ReadModels) -> T + Send + 'static,
    ) -> T {
        let read_models = Arc::clone(&self.read_models);
        on_a_thread(move || ask(&*read_models)).await
    }

    /// What another process may change: once this is another one, everything is opened anew.
    async fn state(&self) -> Result<String, ReadSideError> {
        let state = self
            .blocking(|read_models| {
                let mut state = String::new();
                for Version { name, number, role, fingerprint, stopped, .. } in read_models.versions()? {
                    let done = read_models.history(&name)?.len();
                    state.push_str(&format!(
                        "{name} {number} {} {stopped} {fingerprint} {done}\n",
                        role.as_str()
                    ));
                }
                Ok::<_, ReadModelError>(state)
            })
            .await?;
        Ok(state)
    }

    /// Sees what other processes do with the projections, until the server stops.
    pub(crate) async fn follow(self: Arc<Self>, mut stopping: Stopping) {
        loop {
            tokio::select! {
                () = stopping.wait() => return,
                () = tokio::time::sleep(LOOK_AROUND) => {}
            }
            if let Err(error) = self.look_around().await {
                tracing::debug!(%error, "the read models cannot be looked at");
            }
        }
    }

    async fn look_around(&self) -> Result<(), ReadSideError> {
        // While something is done here, what changes is known.
        let Ok(mut seen) = self.acting.try_lock() else { return Ok(()) };
        let state = self.state().await?;
        if *seen == state {
            return Ok(());
        }
        let fresh = Projections::open(Arc::clone(&self.store), Arc::clone(&self.read_models)).await?;
        self.start_all(&fresh).await?;
        let former = {
            let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *running, Arc::new(fresh))
        };
        // Its threads are waited for elsewhere.
        on_a_thread(move || drop(former)).await;
        *seen = self.state().await?;
        Ok(())
    }
}

/// Does what may take its time where nobody waits for it.
pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("the runtime ends only after the server has"),
        },
    }
}

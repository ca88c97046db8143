//! Which projections run in this process, which versions of them, and may they?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_core::read_model::{
    Action, Partition, PersonalData, ProjectionName, ReadModelError, ReadModelReader, ReadModels, Role,
    Version, VersionNumber,
};
use factum_core::{
    Checkpoint, Clock, ErrorKind, EventStore, Read, ReadError, Selector, SystemClock, Timestamp,
};

use super::Projection;
use super::board::{Board, Condition};
use super::changes::Subscribers;
use super::handle::Handle;
use super::status::LogEnd;
use super::worker::{Work, Worker};

/// Why a projection cannot run, or cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The rows were made from another declaration or other code.
    #[error(
        "projection '{name}' has changed since {version} was built: rebuild it (`rebuild`), or say that its rows are \
         the same (`accept`)"
    )]
    Changed {
        /// The projection.
        name: ProjectionName,
        /// The version that serves.
        version: VersionNumber,
        /// What the rows were made from.
        stored: String,
        /// What is declared now.
        declared: String,
    },
    /// The rows have events that the log does not have.
    #[error(
        "the read model '{name}' is ahead of the log: it has come to {applied}, the log ends at {end}. Was the log \
         restored from a backup? Delete the projection and create it again: a rebuild would have to catch up with \
         events that are gone"
    )]
    AheadOfLog {
        /// The projection.
        name: ProjectionName,
        /// How far the rows are.
        applied: Box<Checkpoint>,
        /// Where the log ends.
        end: Box<Checkpoint>,
    },
    /// Its events have personal data, and it does not say how that is forgotten.
    #[error(
        "the events of projection '{name}' have personal data, and it does not say how its rows forget it: keep it sealed, \
         forget it when keys are destroyed, or have the rows rebuilt (`personal_data`, `forgets`)"
    )]
    PersonalData {
        /// The projection.
        name: ProjectionName,
    },
    /// It wants to be told of erasures, and its selection has no room for that.
    #[error(
        "projection '{name}' is to forget personal data: let it select its events by a query, or the whole log"
    )]
    CannotBeTold {
        /// The projection.
        name: ProjectionName,
    },
    /// Another treatment of personal data is no compatible change.
    #[error(
        "projection '{name}' treats personal data in another way than {version} ({stored}, now {declared}): rebuild it"
    )]
    OtherPersonalData {
        /// The projection.
        name: ProjectionName,
        /// The version that serves.
        version: VersionNumber,
        /// How its rows forget.
        stored: &'static str,
        /// What is declared now.
        declared: &'static str,
    },
    /// It is not running in this process.
    #[error("projection '{name}' does not run here: start it first")]
    NotRunning {
        /// The projection.
        name: ProjectionName,
    },
    /// It stands still at no such event.
    #[error("projection '{name}' does not stand still at position {position}: look at its status again")]
    NotFaulted {
        /// The projection.
        name: ProjectionName,
        /// The position named.
        position: factum_core::Position,
    },
    /// A decision that must be accounted for came without a reason.
    #[error("say why: what is passed over by hand is kept with its reason")]
    NoReason,
    /// The read-model database refused.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// No thread could be started.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl ProjectionError {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Changed { .. } | Self::AheadOfLog { .. } | Self::NotFaulted { .. } => ErrorKind::Conflict,
            Self::OtherPersonalData { .. } => ErrorKind::Conflict,
            Self::NotRunning { .. } => ErrorKind::NotFound,
            Self::NoReason | Self::PersonalData { .. } | Self::CannotBeTold { .. } => ErrorKind::Invalid,
            Self::ReadModel(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Thread(_) => ErrorKind::Unavailable,
        }
    }
}

/// What all projections of a process share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) read_models: Arc<dyn ReadModels>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Any place of the log: its identity and epoch are what counts.
    pub(crate) origin: Checkpoint,
}

impl Shared {
    /// Where the log ends now.
    pub(crate) async fn log_end(&self) -> Result<LogEnd, ReadError> {
        LogEnd::of(&*self.store).await
    }
}

/// Starts one partition of a version, whatever the projection's type.
type Starter = Arc<
    dyn Fn(&Arc<Shared>, Partition, Arc<Board>, Arc<Subscribers>) -> std::io::Result<Worker> + Send + Sync,
>;

/// A version in this process.
pub(crate) struct Running {
    pub(crate) version: Version,
    pub(crate) board: Arc<Board>,
    /// One per partition; none where it is stopped.
    pub(crate) workers: Vec<Worker>,
    starter: Option<Starter>,
}

impl Running {
    /// Starts its workers, unless they run.
    pub(crate) fn start(
        &mut self,
        shared: &Arc<Shared>,
        subscribers: &Arc<Subscribers>,
    ) -> Result<(), ProjectionError> {
        let Some(starter) = &self.starter else { return Ok(()) };
        if !self.workers.is_empty() {
            return Ok(());
        }
        for index in 0..self.version.partitions {
            let partition =
                Partition { name: self.version.name.clone(), version: self.version.number, index };
            // Who asks from now on waits for it, and is not told that it stands still.
            self.board.condition(index, Condition::CatchingUp);
            self.workers.push(starter(shared, partition, Arc::clone(&self.board), Arc::clone(subscribers))?);
        }
        Ok(())
    }

    pub(crate) fn stop(&mut self, why: &str) {
        for mut worker in self.workers.drain(..) {
            worker.stop(why);
        }
    }
}

/// One projection in this process.
pub(crate) struct Entry {
    pub(crate) name: ProjectionName,
    pub(crate) subscribers: Arc<Subscribers>,
    pub(crate) versions: Mutex<BTreeMap<VersionNumber, Running>>,
    /// Held while another version is made to serve: the old one is fenced before the roles are known here, and whoever
    /// finds it stopped looks again after that.
    pub(crate) swapping: Mutex<()>,
    /// Readers that are not in use, each of the version that it reads.
    pub(crate) readers: Mutex<Vec<IdleReader>>,
}

/// A reader between two queries: opening one costs far more than a query.
pub(crate) type IdleReader = (VersionNumber, Box<dyn ReadModelReader>);

impl Entry {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<VersionNumber, Running>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The projections that run in this process, over one log and one database of read models.
///
/// Each partition of a version has a thread that reads and one that applies. Dropped, all of them stop, also where there
/// are handles still.
pub struct Projections {
    shared: Arc<Shared>,
    entries: Mutex<BTreeMap<ProjectionName, Arc<Entry>>>,
}

impl Projections {
    /// Over this log and this database.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn open(
        store: Arc<dyn EventStore>,
        read_models: Arc<dyn ReadModels>,
    ) -> Result<Self, ReadError> {
        Self::open_with(store, read_models, Arc::new(SystemClock)).await
    }

    /// As [`open`](Self::open), on this clock.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn open_with(
        store: Arc<dyn EventStore>,
        read_models: Arc<dyn ReadModels>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ReadError> {
        let origin = store.read(Read::forwards(Selector::All).limit(1)).await?.head().snapshot.clone();
        let shared = Arc::new(Shared { store, read_models, clock, origin });
        Ok(Self { shared, entries: Mutex::default() })
    }

    /// The database of the read models.
    pub fn read_models(&self) -> &Arc<dyn ReadModels> {
        &self.shared.read_models
    }

    /// Runs a projection: its first version is made where there is none, and serves. A version of it that is being
    /// built goes on too.
    ///
    /// # Errors
    /// `Changed` where the rows were made from another declaration, `AheadOfLog` or `ReadModel` where they do not
    /// belong to this log. Nothing has been written then.
    pub async fn start<P: Projection>(&self, projection: P) -> Result<Handle, ProjectionError> {
        let projection = Arc::new(projection);
        check_personal_data(&*projection)?;
        if self.versions(projection.definition().name())?.is_empty() {
            self.create(&*projection)?;
        }
        self.run(projection).await
    }

    /// Runs the versions that were made from this declaration, and shows the others.
    async fn run<P: Projection>(&self, projection: Arc<P>) -> Result<Handle, ProjectionError> {
        let (name, declared) =
            (projection.definition().name().clone(), projection.definition().fingerprint());
        let versions = self.versions(&name)?;
        let serving = role(&versions, Role::Serving).ok_or_else(|| ReadModelError::UnknownVersion {
            name: name.clone(),
            wanted: "serving version".to_owned(),
        })?;
        let same = |version: &Version| version.fingerprint == declared;
        if !versions.iter().any(same) {
            let (version, stored) = (serving.number, serving.fingerprint.clone());
            return Err(ProjectionError::Changed { name, version, stored, declared });
        }
        let entry = self.entry(&name, serving.number);
        let building = role(&versions, Role::Building).map(|version| version.number);
        for version in &versions {
            let starter = same(version).then(|| starter(Arc::clone(&projection)));
            self.adopt(&entry, version.clone(), starter, building).await?;
        }
        Ok(self.handle_of(entry))
    }

    /// Runs one version, with the very declaration that it was made from. For versions whose declarations are kept as
    /// text, and differ.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_version<P: Projection>(
        &self,
        version: VersionNumber,
        projection: P,
    ) -> Result<Handle, ProjectionError> {
        let name = projection.definition().name().clone();
        let versions = self.versions(&name)?;
        let wanted = versions.iter().find(|known| known.number == version).cloned().ok_or_else(|| {
            ReadModelError::UnknownVersion { name: name.clone(), wanted: version.to_string() }
        })?;
        let declared = projection.definition().fingerprint();
        if wanted.fingerprint != declared {
            let stored = wanted.fingerprint;
            return Err(ProjectionError::Changed { name, version, stored, declared });
        }
        let serving = role(&versions, Role::Serving).map_or(version, |serving| serving.number);
        let entry = self.entry(&name, serving);
        self.adopt(&entry, wanted, Some(starter(Arc::new(projection))), None).await?;
        Ok(self.handle_of(entry))
    }

    /// Builds a new version beside the one that serves, from the beginning of the log. The serving one goes on.
    ///
    /// # Errors
    /// `ReadModel` where one is already being built, or the database does not take the tables.
    pub async fn rebuild<P: Projection>(&self, projection: P) -> Result<Handle, ProjectionError> {
        let projection = Arc::new(projection);
        check_personal_data(&*projection)?;
        self.create(&*projection)?;
        self.run(projection).await
    }

    /// As [`rebuild`](Self::rebuild), in the name of `actor`, for versions whose declarations are kept as text and may differ:
    /// what runs already goes on as it is.
    ///
    /// # Errors
    /// As [`rebuild`](Self::rebuild).
    pub async fn build<P: Projection>(
        &self,
        projection: P,
        actor: &str,
        reason: &str,
    ) -> Result<Version, ProjectionError> {
        check_personal_data(&projection)?;
        let version = self.create_by(&projection, actor, reason)?;
        self.start_version(version.number, projection).await?;
        Ok(version)
    }

    /// Builds a new version, or goes on with one that is being built and was not made before that time, and lets it serve.
    pub(crate) async fn replace<P: Projection>(
        &self,
        projection: Arc<P>,
        before: Timestamp,
        at_most: Duration,
        (actor, reason): (&str, &str),
    ) -> Result<(), ProjectionError> {
        check_personal_data(&*projection)?;
        let name = projection.definition().name();
        let versions = self.versions(name)?;
        match role(&versions, Role::Building) {
            Some(building) if building.created_at >= before => {}
            building => {
                if let Some(stale) = building {
                    // What runs of it here stops before its rows go: the next version may get its number.
                    let entry = self.lock().get(name).cloned();
                    drop(entry.and_then(|entry| entry.lock().remove(&stale.number)));
                    self.shared.read_models.discard(name, stale.number)?;
                    self.record(stale, "discarded", actor, reason)?;
                }
                self.create(&*projection)?;
            }
        }
        self.run(projection).await?.promote(at_most, actor, reason).await?;
        Ok(())
    }

    /// Says that the serving rows are the same as those that this declaration would make.
    ///
    /// # Errors
    /// `ReadModel` where there is no such projection.
    pub fn accept<P: Projection>(
        &self,
        projection: &P,
        actor: &str,
        reason: &str,
    ) -> Result<Version, ProjectionError> {
        let definition = projection.definition();
        let name = definition.name();
        let versions = self.versions(name)?;
        let serving = role(&versions, Role::Serving)
            .ok_or_else(|| ReadModelError::UnknownProjection { name: name.clone() })?;
        if serving.personal != definition.personal() {
            return Err(ProjectionError::OtherPersonalData {
                name: name.clone(),
                version: serving.number,
                stored: serving.personal.as_str(),
                declared: definition.personal().as_str(),
            });
        }
        let fingerprint = definition.fingerprint();
        let database = &self.shared.read_models;
        database.accept(name, serving.number, &fingerprint, definition.declaration())?;
        self.record(serving, "accepted", actor, reason)?;
        Ok(Version { fingerprint, ..serving.clone() })
    }

    /// A projection that runs here.
    ///
    /// # Errors
    /// `NotRunning` where it does not.
    pub fn handle(&self, name: &ProjectionName) -> Result<Handle, ProjectionError> {
        let entry = self.lock().get(name).cloned();
        entry
            .map(|entry| self.handle_of(entry))
            .ok_or_else(|| ProjectionError::NotRunning { name: name.clone() })
    }

    /// Every projection that runs here, by name.
    pub fn handles(&self) -> Vec<Handle> {
        self.lock().values().map(|entry| self.handle_of(Arc::clone(entry))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProjectionName, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle_of(&self, entry: Arc<Entry>) -> Handle {
        Handle::new(Arc::clone(&self.shared), entry)
    }

    fn entry(&self, name: &ProjectionName, serving: VersionNumber) -> Arc<Entry> {
        let new = || {
            let subscribers = Arc::new(Subscribers::new(serving));
            Arc::new(Entry {
                name: name.clone(),
                subscribers,
                versions: Mutex::default(),
                swapping: Mutex::default(),
                readers: Mutex::default(),
            })
        };
        Arc::clone(self.lock().entry(name.clone()).or_insert_with(new))
    }

    fn versions(&self, name: &ProjectionName) -> Result<Vec<Version>, ProjectionError> {
        let mut versions = self.shared.read_models.versions()?;
        versions.retain(|version| version.name == *name);
        Ok(versions)
    }

    fn create<P: Projection>(&self, projection: &P) -> Result<Version, ProjectionError> {
        self.create_by(projection, "factum", "")
    }

    fn create_by<P: Projection>(
        &self,
        projection: &P,
        actor: &str,
        reason: &str,
    ) -> Result<Version, ProjectionError> {
        let definition = projection.definition();
        let new = definition.new_version(&self.shared.origin, self.shared.clock.now());
        let version = self.shared.read_models.create(&new)?;
        self.record(&version, "created", actor, reason)?;
        Ok(version)
    }

    fn record(&self, version: &Version, what: &str, actor: &str, reason: &str) -> Result<(), ReadModelError> {
        self.shared.read_models.record(&Action {
            name: version.name.clone(),
            version: version.number,
            what: what.to_owned(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            at: self.shared.clock.now(),
        })
    }

    /// Puts a version on the board and lets it run, if it may. What does not belong to this log is refused first.
    async fn adopt(
        &self,
        entry: &Entry,
        version: Version,
        starter: Option<Starter>,
        building: Option<VersionNumber>,
    ) -> Result<(), ProjectionError> {
        if entry.lock().get(&version.number).is_some_and(|running| !running.workers.is_empty()) {
            return Ok(());
        }
        let progress = self.shared.read_models.progress(&version.name, version.number)?;
        let end = self.shared.log_end().await?.position;
        for progress in &progress {
            let applied = &progress.applied;
            applied.check(self.shared.origin.store(), self.shared.origin.epoch()).map_err(|source| {
                ReadModelError::OtherHistory { database: self.shared.read_models.describe(), source }
            })?;
            if applied.next_position().unwrap_or_default() > end {
                let (applied, end) = (Box::new(applied.clone()), Box::new(self.shared.origin.at(end)));
                return Err(ProjectionError::AheadOfLog { name: version.name, applied, end });
            }
        }
        let condition = match (&starter, version.role, building) {
            (_, _, _) if version.stopped => Condition::Stopped("an operator stopped it".to_owned()),
            (_, Role::Previous, _) => Condition::Stopped("another version took its place".to_owned()),
            (None, Role::Serving, Some(building)) => Condition::Superseded(building),
            (None, ..) => Condition::Stopped("it was made from another declaration".to_owned()),
            (Some(_), ..) => Condition::CatchingUp,
        };
        let runs = condition == Condition::CatchingUp;
        let board = Board::new(progress, &condition, Arc::clone(&self.shared.clock));
        let number = version.number;
        let mut running = Running { version, board, workers: Vec::new(), starter };
        if runs {
            running.start(&self.shared, &entry.subscribers)?;
        }
        let before = entry.lock().insert(number, running);
        // Its workers are waited for outside of the lock.
        drop(before);
        Ok(())
    }
}

impl Drop for Projections {
    fn drop(&mut self) {
        // Handles may outlive this, the threads do not.
        for entry in self.lock().values() {
            for running in entry.lock().values_mut() {
                running.stop("the process ends");
            }
        }
    }
}

/// Rows that could never be made to forget are not made.
fn check_personal_data<P: Projection>(projection: &P) -> Result<(), ProjectionError> {
    let definition = projection.definition();
    if definition.forgets() && !definition.can_be_told() {
        return Err(ProjectionError::CannotBeTold { name: definition.name().clone() });
    }
    if definition.personal() == PersonalData::None && projection.has_personal_data() {
        return Err(ProjectionError::PersonalData { name: definition.name().clone() });
    }
    Ok(())
}

fn role(versions: &[Version], role: Role) -> Option<&Version> {
    versions.iter().find(|version| version.role == role)
}

fn starter<P: Projection>(projection: Arc<P>) -> Starter {
    Arc::new(move |shared, partition, board, subscribers| {
        Work {
            store: Arc::clone(&shared.store),
            read_models: Arc::clone(&shared.read_models),
            projection: Arc::clone(&projection),
            partition,
            board,
            subscribers,
            clock: Arc::clone(&shared.clock),
        }
        .start()
    })
}

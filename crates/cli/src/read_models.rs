//! Where the command line gets its read models from: the one place that names their databases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use factum::{DeclarationCheckError, ProjectionError};
use factum_core::read_model::{
    Partition, Progress, ProjectionName, ReadModelError, ReadModels, Role, Version, VersionNumber,
};
use factum_core::{Checkpoint, CheckpointError, Position};
use factum_postgres::PostgresReadModels;
use factum_sqlite::SqliteReadModels;

use crate::context::Context;
use crate::failure::{Exit, Failure, of_kind};

/// Where the read models are.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReadModelsArgs {
    /// Where the read models are: a directory, or postgres://... [default: read-models in the store's directory]
    #[arg(
        long = "read-models",
        value_name = "DIR|URL",
        env = "FACTUM_READ_MODELS",
        hide_env_values = true,
        global = true
    )]
    place: Option<String>,
}

/// What a command wants of the read models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// To look at them: where there are none is an error.
    Existing,
    /// To make one.
    Create,
}

/// The place of the read models.
#[derive(Clone, Debug)]
enum Place {
    Directory(PathBuf),
    Postgres(String),
}

impl ReadModelsArgs {
    fn place(&self, context: &Context) -> Result<Place, Failure> {
        self.given().map_or_else(|| Ok(beside(context.data()?)), Ok)
    }

    fn given(&self) -> Option<Place> {
        let place = self.place.as_ref()?;
        Some(match place.starts_with("postgres://") || place.starts_with("postgresql://") {
            true => Place::Postgres(place.clone()),
            false => Place::Directory(PathBuf::from(place)),
        })
    }

    /// Opens the read models.
    pub(crate) fn open(&self, context: &Context, want: Want) -> Result<Arc<dyn ReadModels>, Failure> {
        self.place(context)?.open(want)
    }

    /// Opens the read models, if there are any.
    pub(crate) fn open_if_there(&self, context: &Context) -> Result<Option<Arc<dyn ReadModels>>, Failure> {
        match self.place(context)? {
            Place::Directory(directory) if self.place.is_none() && !directory.exists() => Ok(None),
            place => place.open(Want::Existing).map(Some),
        }
    }

    /// Opens the read models, and makes them where there are none; those of the store in `data`, if none were named.
    pub(crate) fn open_for(&self, data: &Path) -> Result<Arc<dyn ReadModels>, Failure> {
        self.given().unwrap_or_else(|| beside(data)).open(Want::Create)
    }

    /// The read models to try a declaration in, where nothing may be made yet.
    pub(crate) fn open_to_try(&self, context: &Context) -> Result<Trial, Failure> {
        match self.place(context)? {
            Place::Directory(directory) if !directory.exists() => {
                let failed = |e| Failure::io("a temporary directory could not be made", &e);
                let temporary = tempfile::tempdir().map_err(failed)?;
                let read_models = open_directory(temporary.path(), Want::Create)?;
                Ok(Trial { read_models, _temporary: Some(temporary) })
            }
            Place::Directory(directory) => {
                Ok(Trial { read_models: open_directory(&directory, Want::Existing)?, _temporary: None })
            }
            // Its statements are tried in a transaction of that database, which is given up. Where no projection was ever made
            // there, our own tables are made for it, and stay: they are empty.
            Place::Postgres(url) => {
                Ok(Trial { read_models: open_postgres(&url, Want::Create)?, _temporary: None })
            }
        }
    }
}

/// Where the read models of a store are, unless they are somewhere else.
fn beside(data: &Path) -> Place {
    Place::Directory(data.join("read-models"))
}

impl Place {
    fn open(&self, want: Want) -> Result<Arc<dyn ReadModels>, Failure> {
        match self {
            Place::Directory(directory) => open_directory(directory, want),
            Place::Postgres(url) => open_postgres(url, want),
        }
    }
}

/// Read models that nothing is kept in.
pub(crate) struct Trial {
    pub(crate) read_models: Arc<dyn ReadModels>,
    _temporary: Option<tempfile::TempDir>,
}

fn open_directory(directory: &Path, want: Want) -> Result<Arc<dyn ReadModels>, Failure> {
    let opened = match want {
        Want::Existing => SqliteReadModels::open_existing(directory),
        Want::Create => SqliteReadModels::open(directory),
    };
    Ok(Arc::new(opened?))
}

fn open_postgres(url: &str, want: Want) -> Result<Arc<dyn ReadModels>, Failure> {
    let opened = match want {
        Want::Existing => PostgresReadModels::open_existing(url),
        Want::Create => PostgresReadModels::open(url),
    };
    Ok(Arc::new(opened?))
}

/// Every version of a projection, by number.
///
/// A projection that is not there is an error that names those that are.
pub(crate) fn versions_of(
    read_models: &dyn ReadModels,
    name: &ProjectionName,
) -> Result<Vec<Version>, Failure> {
    let all = read_models.versions()?;
    if all.iter().any(|version| version.name == *name) {
        return Ok(all.into_iter().filter(|version| version.name == *name).collect());
    }
    let mut names: Vec<&str> = all.iter().map(|version| version.name.as_str()).collect();
    names.dedup();
    let there = if names.is_empty() { "there are none".to_owned() } else { names.join(", ") };
    Err(Failure::not_found(
        format!("there is no projection '{name}'"),
        format!("the projections in {} are: {there}", read_models.describe()),
        "`factum projections ls` lists them, `factum projections create FILE` makes one",
    ))
}

/// The version of a projection with this role.
pub(crate) fn in_role(versions: &[Version], role: Role) -> Option<&Version> {
    versions.iter().find(|version| version.role == role)
}

/// The version that serves.
pub(crate) fn serving(versions: &[Version]) -> Result<&Version, Failure> {
    in_role(versions, Role::Serving).ok_or_else(|| {
        Failure::not_found("no version serves", "", "`factum projections ls` shows the versions")
    })
}

/// Every partition of a version.
pub(crate) fn partitions(version: &Version) -> impl Iterator<Item = Partition> + '_ {
    (0..version.partitions).map(|index| Partition {
        name: version.name.clone(),
        version: version.number,
        index,
    })
}

/// How far all partitions have come.
pub(crate) fn least(progress: &[Progress]) -> Option<&Checkpoint> {
    progress.iter().map(|progress| &progress.applied).min_by_key(|applied| next(applied))
}

/// The next position of a place.
pub(crate) fn next(place: &Checkpoint) -> Position {
    place.next_position().unwrap_or_default()
}

/// A number as people say it: `v3`.
pub(crate) fn numbered(number: VersionNumber) -> serde_json::Value {
    number.to_string().into()
}

impl From<ReadModelError> for Failure {
    fn from(error: ReadModelError) -> Self {
        let (exit, slug) = of_kind(error.kind());
        let why = error.to_string();
        let (code, what, next) = match &error {
            ReadModelError::Missing { .. } => (
                (exit, "read-models-missing"),
                "there are no read models there",
                "check --read-models; `factum projections create FILE` makes the first",
            ),
            ReadModelError::ReadOnly { .. } => {
                ((exit, "read-models-read-only"), "the read models cannot be written to", "")
            }
            ReadModelError::Unavailable { .. } => (
                (exit, slug),
                "the read models are not available now",
                "wait until whoever uses them is done, or see that their server runs; then try again",
            ),
            ReadModelError::OtherHistory { .. } => (
                (exit, "other-history"),
                "the read models belong to another store, or to another history of this one",
                "name other read models with --read-models; or, if the log was restored from a backup, keep each \
                 declaration with `factum projections show NAME --declaration`, delete all projections, and create \
                 them again",
            ),
            ReadModelError::UnknownProjection { .. } | ReadModelError::UnknownVersion { .. } => {
                ((exit, slug), "there is no such version", "`factum projections ls` lists what there is")
            }
            ReadModelError::AlreadyBuilding { .. } => (
                (exit, "already-building"),
                "another version is being built",
                "`factum projections promote NAME` lets it serve, `factum projections discard NAME` drops it",
            ),
            ReadModelError::NotCaughtUp { .. } => (
                (exit, "not-caught-up"),
                "the version cannot serve yet",
                "`factum projections run` applies it",
            ),
            ReadModelError::Statement { .. } | ReadModelError::MissingParameter { .. } => {
                ((exit, "bad-sql"), "the database does not take the statement", "")
            }
            ReadModelError::Fenced { .. } => ((exit, "fenced"), "another process took over", ""),
            ReadModelError::Serves { .. } => ((exit, "serves"), "the version serves", ""),
            ReadModelError::NewerLayout { .. } | ReadModelError::Failed { .. } => {
                ((exit, slug), "the read models failed", "")
            }
            ReadModelError::Damaged { .. } => (
                (exit, slug),
                "the read models are damaged",
                "remove them and create the projections again: the log has everything",
            ),
        };
        Failure::new(code, what, why, next)
    }
}

impl From<ProjectionError> for Failure {
    fn from(error: ProjectionError) -> Self {
        let (exit, slug) = of_kind(error.kind());
        let why = error.to_string();
        match error {
            ProjectionError::ReadModel(error) => error.into(),
            ProjectionError::Log(error) => error.into(),
            ProjectionError::Changed { .. } => Failure::new(
                (exit, "projection-changed"),
                "the projection has changed since its rows were made",
                why,
                "`factum projections rebuild NAME FILE` builds new rows beside the old ones; \
                 `factum projections edit FILE --compatible` says that the rows are the same",
            ),
            ProjectionError::AheadOfLog { name, applied, end } => Failure::new(
                (exit, "ahead-of-log"),
                format!("the read model '{name}' has events that the log does not have"),
                format!("it has come to position {}, and the log ends at {}", next(&applied), next(&end)),
                "if the log was restored from a backup, make the rows anew: \
                 `factum projections show NAME --declaration > FILE`, then `delete NAME` and `create FILE`",
            ),
            ProjectionError::NotFaulted { .. } => Failure::new(
                (exit, "not-faulted"),
                "nothing was done",
                why,
                "`factum projections show NAME` says where it stands still",
            ),
            ProjectionError::OtherPersonalData { .. } => Failure::new(
                (exit, "projection-changed"),
                "the projection forgets personal data in another way than its rows do",
                why,
                "`factum projections rebuild NAME FILE` builds new rows beside the old ones",
            ),
            ProjectionError::PersonalData { .. } | ProjectionError::CannotBeTold { .. } => {
                Failure::new((exit, "personal-data"), "nothing was done", why, "see docs/personal-data.md")
            }
            ProjectionError::NotRunning { .. } | ProjectionError::NoReason | ProjectionError::Thread(_) => {
                Failure::new((exit, slug), "nothing was done", why, "")
            }
        }
    }
}

impl From<DeclarationCheckError> for Failure {
    fn from(error: DeclarationCheckError) -> Self {
        let why = error.to_string();
        match error {
            DeclarationCheckError::ReadModel(error) => error.into(),
            DeclarationCheckError::Tables(_) | DeclarationCheckError::Statement { .. } => Failure::new(
                (Exit::Usage, "bad-sql"),
                "the database does not take the declaration; nothing was made",
                why,
                "mend the statement; --dry-run tries it without making anything",
            ),
        }
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        let why = error.to_string();
        match error {
            CheckpointError::Malformed(_) => {
                Failure::usage("that is no token", why, "give the token that an append printed, whole")
            }
            CheckpointError::OtherStore { .. } | CheckpointError::OtherEpoch { .. } => Failure::new(
                (Exit::Precondition, "other-history"),
                "the token is not of this store's history",
                why,
                "give a token of this store, from after its last restore",
            ),
        }
    }
}

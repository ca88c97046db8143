//! Where the command line gets its store from: the one place that names a concrete one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use factum_core::{Checkpoint, ErrorKind};
use factum_engine::{Create, Engine, OpenError, Options, origin_of};

use crate::failure::Failure;

/// What a command wants of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads: a directory without a store is an error.
    Existing,
    /// It writes: a store is created where there is none.
    Create,
}

/// How often a directory is tried that another process has open.
const RETRY_EVERY: Duration = Duration::from_millis(20);
/// How many times: 10 s in all.
const RETRIES: u32 = 500;

/// The data directory, from `--data` or `FACTUM_DATA`.
pub(crate) fn data_dir(given: Option<&PathBuf>) -> Result<&Path, Failure> {
    given.map(PathBuf::as_path).ok_or_else(|| {
        Failure::usage(
            "no data directory was given",
            "neither --data nor the environment variable FACTUM_DATA names one",
            "give --data DIR, or `export FACTUM_DATA=DIR`; `factum demo --data DIR` makes one to look at",
        )
    })
}

/// Opens the store in `data`.
pub(crate) fn open(data: &Path, access: Access) -> Result<Engine, Failure> {
    try_open(data, access).map_err(|e| failure(&e))
}

/// Opens the store in `data`, and waits some seconds for another process that has it open.
///
/// For the end of a pipe, whose beginning may be reading the same store.
pub(crate) async fn open_waiting(data: &Path, access: Access) -> Result<Engine, Failure> {
    for _ in 0..RETRIES {
        match try_open(data, access) {
            Err(OpenError::Locked { .. }) => tokio::time::sleep(RETRY_EVERY).await,
            other => return other.map_err(|e| failure(&e)),
        }
    }
    open(data, access)
}

/// Opens the store in `data`; `None` where another process has it open.
pub(crate) fn open_unless_locked(data: &Path, access: Access) -> Result<Option<Engine>, Failure> {
    match try_open(data, access) {
        Ok(engine) => Ok(Some(engine)),
        Err(OpenError::Locked { .. }) => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

/// The beginning of the log in `data`, also where another process has it open.
pub(crate) fn origin(data: &Path) -> Result<Checkpoint, Failure> {
    match origin_of(data) {
        Ok(Some(origin)) => Ok(origin),
        Ok(None) => Err(failure(&OpenError::NotFound { path: data.to_owned() })),
        Err(error) => Err(failure(&error)),
    }
}

fn try_open(data: &Path, access: Access) -> Result<Engine, OpenError> {
    let create = match access {
        Access::Existing => Create::Never,
        Access::Create => Create::IfMissing,
    };
    Engine::open(data, Options { create, ..Options::default() })
}

/// What a store that does not open means for a person.
pub(crate) fn failure(error: &OpenError) -> Failure {
    let (what, next) = match error {
        OpenError::NotFound { path } => (
            format!("there is no store in {}", path.display()),
            "check --data; `factum append` and `factum import` create a store, `factum demo` fills one",
        ),
        OpenError::Locked { path } => (
            format!("the store in {} is in use", path.display()),
            "wait until the other process is done, or end it",
        ),
        OpenError::NewerFormat { .. } => {
            ("the store is newer than this build".to_owned(), "use a newer build")
        }
        OpenError::Damaged(_) => (
            "the store is damaged".to_owned(),
            "`factum storage verify` names every damaged place; `factum backup restore` goes back",
        ),
        OpenError::Io { .. } | OpenError::Option(_) => ("the store did not open".to_owned(), ""),
    };
    let why = match error {
        OpenError::NotFound { .. } => "the directory does not exist, or holds no store".to_owned(),
        other => other.to_string(),
    };
    let kind = match error {
        // A directory that cannot be used is not a store that will be free later.
        OpenError::Io { .. } => return Failure::new((crate::failure::Exit::Error, "io"), what, why, next),
        other => other.kind(),
    };
    let failure = Failure::of_store(kind, what, why);
    if kind == ErrorKind::Invalid { failure } else { failure.advise(next) }
}

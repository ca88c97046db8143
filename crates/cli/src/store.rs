//! Where the command line gets its store from: the one place that names a concrete one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum_core::{EventStore, MemoryStore};

use crate::failure::{Exit, Failure};

/// What a command wants of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads: a directory without a store is an error.
    Existing,
    /// It writes: a store is created where there is none.
    Create,
}

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
pub(crate) fn open(data: &Path, access: Access) -> Result<Arc<dyn EventStore>, Failure> {
    if access == Access::Existing && !data.exists() {
        return Err(Failure::new(
            (Exit::NotFound, "store-not-found"),
            format!("there is no store in {}", data.display()),
            "the directory does not exist",
            "check --data; `factum append` and `factum import` create a store, `factum demo` fills one",
        ));
    }
    Ok(Arc::new(MemoryStore::new()))
}

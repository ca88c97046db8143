//! What is done with the read models in a PostgreSQL database?

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use factum_core::read_model::{
    Action, AppliedWatch, CompareOptions, NewVersion, Partition, Progress, ProjectionName, ReadModelError,
    ReadModelReader, ReadModelWriter, ReadModels, Skip, TableDifference, Version, VersionNumber,
};

use crate::address::Address;
use crate::catalog::{self, schema_of};
use crate::compare::compare;
use crate::error::Whose;
use crate::link::Link;
use crate::reader::Reader;
use crate::scratch::Scratch;
use crate::versions;
use crate::watch::Listener;
use crate::words::quote;
use crate::writer::Writer;

/// Most sessions for calls that are not a writer's, a reader's or the listener's. Whoever comes beyond that waits.
const MAX_SESSIONS: usize = 4;

/// Read models in a PostgreSQL database.
///
/// Sessions: one for each writer, one for each reader, one that listens where something is watched, and up to four for
/// everything else. Rows and progress are committed together with the server's own durability.
#[derive(Debug)]
pub struct PostgresReadModels {
    address: Arc<Address>,
    sessions: Mutex<Sessions>,
    freed: Condvar,
    listener: Mutex<Weak<Listener>>,
}

#[derive(Debug, Default)]
struct Sessions {
    idle: Vec<Link>,
    open: usize,
}

impl PostgresReadModels {
    /// Connects to `postgres://user:password@host:port/database`, and makes the schema `factum` there where it is not.
    ///
    /// The user needs `CREATE` on the database. There is no TLS: a loopback address, a Unix socket
    /// (`postgres:///database?host=/run/postgresql`) or a tunnel.
    ///
    /// # Errors
    /// `Missing` where the URL or the database is wrong, `Unavailable` where the server cannot be reached, `Failed` where
    /// it refuses the user, `ReadOnly`, `NewerLayout`. None holds the password.
    pub fn open(url: &str) -> Result<Self, ReadModelError> {
        let opened = Self::at(url)?;
        opened.with(catalog::ensure)?;
        Ok(opened)
    }

    /// Opens read models that must be there already, such as to look at them. Nothing is made.
    ///
    /// # Errors
    /// `Missing` where there are none, else as [`open`](Self::open).
    pub fn open_existing(url: &str) -> Result<Self, ReadModelError> {
        let opened = Self::at(url)?;
        opened.with(|link| {
            if catalog::is_there(link)? {
                return catalog::check(link);
            }
            let database = link.database().to_owned();
            Err(ReadModelError::Missing { database, why: "no projection was ever made in it".to_owned() })
        })?;
        Ok(opened)
    }

    fn at(url: &str) -> Result<Self, ReadModelError> {
        Ok(Self {
            address: Arc::new(Address::parse(url)?),
            sessions: Mutex::default(),
            freed: Condvar::new(),
            listener: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `run` with a session that answers: one that lay idle may have died with the server.
    fn with<T>(&self, run: impl FnOnce(&mut Link) -> Result<T, ReadModelError>) -> Result<T, ReadModelError> {
        let full = |sessions: &mut Sessions| sessions.idle.is_empty() && sessions.open >= MAX_SESSIONS;
        let mut sessions = self.freed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        let idle = sessions.idle.pop();
        if idle.is_none() {
            sessions.open += 1;
        }
        drop(sessions);
        let place = Place(self);
        let mut link = match idle.filter(Link::answers) {
            Some(link) => link,
            None => Link::open(&self.address)?,
        };
        let done = run(&mut link);
        // What ended with a transient error may have lost its connection.
        let keep = done.as_ref().err().is_none_or(|error| !error.is_transient());
        if keep {
            std::mem::forget(place);
            self.lock().idle.push(link);
            self.freed.notify_one();
        }
        done
    }
}

/// The right to one session. Dropped, another may open one.
struct Place<'a>(&'a PostgresReadModels);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
        self.0.freed.notify_one();
    }
}

impl ReadModels for PostgresReadModels {
    fn describe(&self) -> String {
        self.address.described().to_owned()
    }

    fn versions(&self) -> Result<Vec<Version>, ReadModelError> {
        self.with(catalog::versions)
    }

    fn create(&self, new: &NewVersion) -> Result<Version, ReadModelError> {
        self.with(|link| versions::create(link, new))
    }

    fn writer(&self, partition: &Partition) -> Result<Box<dyn ReadModelWriter>, ReadModelError> {
        Ok(Box::new(Writer::take_over(&self.address, partition)?))
    }

    fn reader(
        &self,
        versions: &[(ProjectionName, VersionNumber)],
    ) -> Result<Box<dyn ReadModelReader>, ReadModelError> {
        Ok(Box::new(Reader::open(&self.address, versions)?))
    }

    fn progress(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<Progress>, ReadModelError> {
        let progress = self.with(|link| catalog::progress(link, name, version))?;
        if progress.is_empty() { Err(catalog::unknown(name, version)) } else { Ok(progress) }
    }

    fn skips(&self, name: &ProjectionName, version: VersionNumber) -> Result<Vec<Skip>, ReadModelError> {
        self.with(|link| {
            catalog::must_be_there(link, name, version)?;
            catalog::skips(link, name, version)
        })
    }

    fn promote(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.with(|link| versions::promote(link, name, version))
    }

    fn discard(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.with(|link| versions::discard(link, name, version))
    }

    fn delete(&self, name: &ProjectionName) -> Result<(), ReadModelError> {
        self.with(|link| versions::delete(link, name))
    }

    /// Writes the version's tables and their indexes anew, so that no byte of a dead row is left in them, and their statistics,
    /// which hold values too. Whoever reads them waits meanwhile. A plain `VACUUM` frees the bytes in a page, and leaves them there.
    /// The server's write-ahead log, its archives and its replicas are out of reach.
    fn purge(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.with(|link| {
            catalog::must_be_there(link, name, version)?;
            let schema = schema_of(name, version);
            for (table, _) in catalog::tables(link, &schema)? {
                link.batch(
                    Whose::Ours,
                    &format!("VACUUM (FULL, ANALYZE) {}.{}", quote(&schema), quote(&table)),
                )?;
            }
            Ok(())
        })
    }

    fn accept(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        fingerprint: &str,
        definition: &str,
    ) -> Result<(), ReadModelError> {
        let set = "fingerprint = :fingerprint, definition = :definition";
        let values = [("fingerprint", fingerprint.into()), ("definition", definition.into())];
        self.with(|link| versions::change(link, name, version, set, &values))
    }

    fn set_stopped(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        stopped: bool,
    ) -> Result<(), ReadModelError> {
        let values = [("stopped", stopped.into())];
        self.with(|link| versions::change(link, name, version, "stopped = :stopped", &values))
    }

    fn record(&self, action: &Action) -> Result<(), ReadModelError> {
        self.with(|link| catalog::record(link, action))
    }

    fn history(&self, name: &ProjectionName) -> Result<Vec<Action>, ReadModelError> {
        self.with(|link| catalog::history(link, name))
    }

    fn compare(
        &self,
        name: &ProjectionName,
        versions: (VersionNumber, VersionNumber),
        options: CompareOptions,
    ) -> Result<Vec<TableDifference>, ReadModelError> {
        self.with(|link| compare(link, name, versions, options))
    }

    fn watch(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Box<dyn AppliedWatch>, ReadModelError> {
        self.with(|link| catalog::must_be_there(link, name, version))?;
        // The lock is held while the thread starts: two watches at once share one.
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let listens = match listener.upgrade() {
            Some(listens) => listens,
            None => {
                let started = Listener::start(&self.address)?;
                *listener = Arc::downgrade(&started);
                started
            }
        };
        Ok(Box::new(listens.watch(name, version)))
    }

    fn scratch(&self, new: &NewVersion) -> Result<Box<dyn ReadModelWriter>, ReadModelError> {
        Ok(Box::new(Scratch::open(&self.address, new)?))
    }

    fn tables(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<(String, Vec<String>)>, ReadModelError> {
        self.with(|link| {
            catalog::must_be_there(link, name, version)?;
            Ok(catalog::tables(link, &schema_of(name, version))?.into_iter().collect())
        })
    }
}

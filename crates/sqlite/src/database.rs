//! What is done with the versions of read models that lie in a directory?

use std::path::Path;
use std::time::Duration;

use factum_core::read_model::{
    Action, AppliedWatch, CompareOptions, NewVersion, Partition, Progress, ProjectionName, ReadModelError,
    ReadModelReader, ReadModelWriter, ReadModels, Role, Skip, TableDifference, Version, VersionNumber,
};
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::directory::{Applied, Directory, is_file};
use crate::guard::Guard;
use crate::reader::Reader;
use crate::watch::Watch;
use crate::writer::Writer;
use crate::{compare, connection, error, version_file};

/// How long a call waits for another that writes to the same file.
const BUSY: Duration = Duration::from_secs(5);

/// Read models in a directory of SQLite files.
///
/// Rows and progress are committed together into a write-ahead log that is not synced each time. A killed process loses
/// nothing. A power failure may take the latest commits, rows and progress alike; the projection then applies those
/// events once more.
#[derive(Debug)]
pub struct SqliteReadModels {
    directory: Directory,
    catalog: Catalog,
    busy: Duration,
}

impl SqliteReadModels {
    /// Opens the read models in a directory, and makes it where it is not there. What a crash left half made is removed.
    ///
    /// # Errors
    /// `ReadOnly`, `Unavailable` where it is locked, `Damaged` where the catalog is not one, `NewerLayout`.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, ReadModelError> {
        Self::open_waiting(directory.as_ref(), BUSY)
    }

    /// As [`open`](Self::open), where a call waits at most `busy` for another that writes to the same file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_waiting(directory: impl AsRef<Path>, busy: Duration) -> Result<Self, ReadModelError> {
        let directory = Directory::create(directory.as_ref())?;
        let catalog = Catalog::open(&directory.catalog(), true, busy)?;
        let opened = Self { directory, catalog, busy };
        opened.remove_leftovers()?;
        Ok(opened)
    }

    /// Opens read models that must be there already, such as to look at them. Nothing is made or removed.
    ///
    /// # Errors
    /// `Missing` where there are none, else as [`open`](Self::open).
    pub fn open_existing(directory: impl AsRef<Path>) -> Result<Self, ReadModelError> {
        let directory = Directory::existing(directory.as_ref())?;
        let catalog = Catalog::open(&directory.catalog(), false, BUSY)?;
        Ok(Self { directory, catalog, busy: BUSY })
    }

    /// Removes files that the catalog does not name: a version's files are made before its entry and removed after it, so
    /// a crash in between leaves files and never an entry without them. Only numbers that were given are looked at.
    fn remove_leftovers(&self) -> Result<(), ReadModelError> {
        self.catalog.change(|entries| {
            for name in entries.projections()? {
                let (known, last) = (entries.of(&name)?, entries.last_number(&name)?);
                for number in self.directory.versions(&name)? {
                    if number.0 <= last && !known.iter().any(|version| version.number == number) {
                        self.directory.remove(&name, number)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Makes the file of a version, filled and safe on the disk.
    fn make_file(&self, new: &NewVersion, number: VersionNumber) -> Result<(), ReadModelError> {
        self.directory.make_room(&new.name, number)?;
        let path = self.directory.version(&new.name, number);
        let database = path.display().to_string();
        let mut connection = connection::to_write(&path, true, self.busy)?;
        let guard =
            prepare_file(&mut connection).map_err(|failure| error::of_database(&database, &failure))?;
        version_file::fill(&database, &connection, &guard, new)?;
        // Closing carries the write-ahead log over into the file and syncs it.
        connection.close().map_err(|(_, failure)| error::of_database(&database, &failure))?;
        self.directory.sync(&new.name)
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Does something with versions that the catalog names. Nothing within may ask the catalog again.
    fn with<T>(
        &self,
        versions: &[(&ProjectionName, VersionNumber)],
        run: impl FnOnce() -> Result<T, ReadModelError>,
    ) -> Result<T, ReadModelError> {
        let known =
            || versions.iter().try_for_each(|(name, number)| self.catalog.version(name, *number).map(drop));
        known()?;
        let done = run();
        if matches!(done, Err(ReadModelError::Damaged { .. } | ReadModelError::Missing { .. })) {
            // It may have been discarded in between.
            known()?;
        }
        done
    }

    /// How far a version has come, as last committed.
    pub(crate) fn progress_of(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
    ) -> Result<Vec<Progress>, ReadModelError> {
        let connection = self.to_read(&[("version", name, number)])?;
        let database = self.directory.version(name, number).display().to_string();
        version_file::progress(&database, &connection, "version")
    }

    /// A connection that reads versions' files, each as a schema of the given name.
    fn to_read(
        &self,
        versions: &[(&str, &ProjectionName, VersionNumber)],
    ) -> Result<Connection, ReadModelError> {
        let mut files = Vec::new();
        for (schema, name, number) in versions {
            self.must_have_file(name, *number)?;
            files.push((*schema, self.directory.version(name, *number)));
        }
        let files: Vec<_> = files.iter().map(|(schema, path)| (*schema, path.as_path())).collect();
        connection::to_read(&files, self.busy)
    }

    /// A connection that writes to a version's file.
    pub(crate) fn file_of(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
    ) -> Result<Connection, ReadModelError> {
        let path = self.directory.version(name, number);
        self.must_have_file(name, number)?;
        let connection = connection::to_write(&path, false, self.busy)?;
        connection::check(&connection, "main", &path)?;
        Ok(connection)
    }

    /// A file that the catalog names and that is not there is damage.
    fn must_have_file(&self, name: &ProjectionName, number: VersionNumber) -> Result<(), ReadModelError> {
        let path = self.directory.version(name, number);
        if is_file(&path)? {
            return Ok(());
        }
        Err(ReadModelError::Damaged {
            database: path.display().to_string(),
            why: format!("{number} of '{name}' is in the catalog, and its file is gone"),
        })
    }

    fn take_over(&self, partition: &Partition) -> Result<Writer, ReadModelError> {
        let (name, number) = (&partition.name, partition.version);
        let mut connection = self.file_of(name, number)?;
        let database = self.directory.version(name, number).display().to_string();
        let guard =
            Guard::install(&mut connection).map_err(|failure| error::of_database(&database, &failure))?;
        let applied = Applied::open(&self.directory.applied(name, number))?;
        Writer::take_over(connection, guard, database, partition.clone(), Some(applied))
    }
}

/// Turns on the write-ahead log of a fresh file, and the guard.
fn prepare_file(connection: &mut Connection) -> rusqlite::Result<Guard> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Guard::install(connection)
}

impl ReadModels for SqliteReadModels {
    fn describe(&self) -> String {
        format!("SQLite in {}", self.directory.root().display())
    }

    fn versions(&self) -> Result<Vec<Version>, ReadModelError> {
        self.catalog.versions()
    }

    fn create(&self, new: &NewVersion) -> Result<Version, ReadModelError> {
        self.catalog.change(|entries| {
            entries.check_origin(&new.start)?;
            let there = entries.of(&new.name)?;
            if let Some(building) = there.iter().find(|version| version.role == Role::Building) {
                let (name, building) = (new.name.clone(), building.number);
                return Err(ReadModelError::AlreadyBuilding { name, building });
            }
            let serves = there.iter().any(|version| version.role == Role::Serving);
            let version = Version {
                name: new.name.clone(),
                number: entries.next_number(&new.name)?,
                role: if serves { Role::Building } else { Role::Serving },
                fingerprint: new.fingerprint.clone(),
                definition: new.definition.clone(),
                partitions: new.partitions.max(1),
                personal: new.personal,
                stopped: false,
                created_at: new.at,
            };
            let made = self.make_file(new, version.number).and_then(|()| entries.add(&version));
            if made.is_err() {
                // What failed is told. A file that stays is overwritten by the next attempt.
                let _ = self.directory.remove(&new.name, version.number);
                self.directory.remove_folder(&new.name);
            }
            made.map(|()| version)
        })
    }

    fn writer(&self, partition: &Partition) -> Result<Box<dyn ReadModelWriter>, ReadModelError> {
        let version = [(&partition.name, partition.version)];
        Ok(Box::new(self.with(&version, || self.take_over(partition))?))
    }

    fn reader(
        &self,
        versions: &[(ProjectionName, VersionNumber)],
    ) -> Result<Box<dyn ReadModelReader>, ReadModelError> {
        let database = self.describe();
        Reader::must_not_be_more(&database, versions.len())?;
        let known: Vec<_> = versions.iter().map(|(name, number)| (name, *number)).collect();
        let schemas: Vec<_> = versions.iter().map(|(name, number)| (name.as_str(), name, *number)).collect();
        let connection = self.with(&known, || self.to_read(&schemas))?;
        let names = versions.iter().map(|(name, _)| name.clone()).collect();
        Ok(Box::new(Reader::new(database, connection, names)?))
    }

    fn progress(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<Progress>, ReadModelError> {
        self.with(&[(name, version)], || self.progress_of(name, version))
    }

    fn skips(&self, name: &ProjectionName, version: VersionNumber) -> Result<Vec<Skip>, ReadModelError> {
        let connection = self.with(&[(name, version)], || self.to_read(&[("version", name, version)]))?;
        let skips = version_file::skips(&connection, "version");
        skips.map_err(|failure| error::of_database(&self.describe(), &failure))
    }

    fn promote(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.promote_version(name, version)
    }

    fn discard(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        self.discard_version(name, version)
    }

    fn delete(&self, name: &ProjectionName) -> Result<(), ReadModelError> {
        self.delete_projection(name)
    }

    /// Deleted bytes are overwritten when a page is written, but a page that is split or merged leaves copies of the rows that
    /// moved: so the file is written anew. Then the write-ahead log is carried over and cut off.
    fn purge(&self, name: &ProjectionName, version: VersionNumber) -> Result<(), ReadModelError> {
        let connection = self.with(&[(name, version)], || self.file_of(name, version))?;
        let database = self.directory.version(name, version).display().to_string();
        let carried = connection.execute_batch("VACUUM").and_then(|()| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        match carried.map_err(|failure| error::of_database(&database, &failure))? {
            0 => Ok(()),
            _ => {
                let why = "somebody reads it, so that its write-ahead log cannot be cut off".to_owned();
                Err(ReadModelError::Unavailable { database, why })
            }
        }
    }

    fn accept(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        fingerprint: &str,
        definition: &str,
    ) -> Result<(), ReadModelError> {
        self.catalog.change(|entries| entries.accept(name, version, fingerprint, definition))
    }

    fn set_stopped(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        stopped: bool,
    ) -> Result<(), ReadModelError> {
        self.catalog.change(|entries| entries.set_stopped(name, version, stopped))
    }

    fn record(&self, action: &Action) -> Result<(), ReadModelError> {
        self.catalog.change(|entries| entries.record(action))
    }

    fn history(&self, name: &ProjectionName) -> Result<Vec<Action>, ReadModelError> {
        self.catalog.history(name)
    }

    fn compare(
        &self,
        name: &ProjectionName,
        (old, new): (VersionNumber, VersionNumber),
        options: CompareOptions,
    ) -> Result<Vec<TableDifference>, ReadModelError> {
        let connection = self
            .with(&[(name, old), (name, new)], || self.to_read(&[("old", name, old), ("new", name, new)]))?;
        let compared = compare::tables(&connection, options);
        compared.map_err(|failure| error::of_database(&self.describe(), &failure))
    }

    fn watch(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Box<dyn AppliedWatch>, ReadModelError> {
        let applied = self.directory.applied(name, version);
        let watch = self.with(&[(name, version)], || {
            if !is_file(&applied)? {
                Applied::open(&applied)?;
            }
            Watch::open(&applied)
        })?;
        Ok(Box::new(watch))
    }

    fn scratch(&self, new: &NewVersion) -> Result<Box<dyn ReadModelWriter>, ReadModelError> {
        let database = "SQLite's memory".to_owned();
        let prepare = || {
            let mut connection = Connection::open_in_memory()?;
            connection::prepare_for_writing(&connection)?;
            let guard = Guard::install(&mut connection)?;
            Ok((connection, guard))
        };
        let (connection, guard) = prepare().map_err(|failure| error::of_database(&database, &failure))?;
        version_file::fill(&database, &connection, &guard, new)?;
        let partition = Partition { name: new.name.clone(), version: VersionNumber(0), index: 0 };
        Ok(Box::new(Writer::take_over(connection, guard, database, partition, None)?))
    }

    fn tables(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
    ) -> Result<Vec<(String, Vec<String>)>, ReadModelError> {
        let connection = self.with(&[(name, version)], || self.to_read(&[("version", name, version)]))?;
        let tables = compare::tables_of(&connection, "version");
        let tables = tables.map_err(|failure| error::of_database(&self.describe(), &failure))?;
        Ok(tables.into_iter().map(|table| (table.name, table.key)).collect())
    }
}

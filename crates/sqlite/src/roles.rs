//! How does a version begin to serve, and how does one go?

use factum_core::read_model::{Progress, ProjectionName, ReadModelError, Role, VersionNumber};
use rusqlite::Connection;

use crate::catalog::unknown;
use crate::database::SqliteReadModels;
use crate::directory::Applied;
use crate::{error, version_file};

/// A version's file with its write lock taken and its owners fenced: while this lives it comes no further, and whoever
/// wrote to it learns that it does so no more. Given up, it leaves no trace.
struct Held {
    database: String,
    connection: Connection,
    progress: Vec<Progress>,
}

impl Held {
    fn take(database: String, connection: Connection) -> Result<Self, ReadModelError> {
        let ours = |failure| error::of_database(&database, &failure);
        connection.execute_batch("BEGIN IMMEDIATE").map_err(ours)?;
        let progress = version_file::progress(&database, &connection, "main")?;
        version_file::fence(&connection).map_err(ours)?;
        Ok(Self { database, connection, progress })
    }

    /// Keeps that its owners are fenced, and lets go of it.
    fn release(self) -> Result<(), ReadModelError> {
        self.connection
            .execute_batch("COMMIT")
            .map_err(|failure| error::of_database(&self.database, &failure))
    }
}

impl SqliteReadModels {
    /// The catalog changes while the old version's file is held, so it cannot come further between the comparison and the
    /// swap. A crash after the catalog's commit leaves at most an owner that is not fenced and files without an entry.
    pub(crate) fn promote_version(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
    ) -> Result<(), ReadModelError> {
        let mut held = None;
        let discarded = self.catalog().change(|entries| {
            let there = entries.of(name)?;
            let Some(wanted) = there.iter().find(|version| version.number == number) else {
                return Err(unknown(name, number));
            };
            if wanted.role == Role::Serving {
                return Ok(Vec::new());
            }
            if let Some(serving) = there.iter().find(|version| version.role == Role::Serving) {
                held = self.hold(name, serving.number)?;
                let serving_at = held.as_ref().map_or(&[][..], |held| &held.progress);
                self.must_have_caught_up(name, number, serving_at)?;
                entries.set_role(name, serving.number, Role::Previous)?;
            }
            entries.set_role(name, number, Role::Serving)?;
            let older =
                there.iter().filter(|version| version.role == Role::Previous && version.number != number);
            let older: Vec<_> = older.map(|version| version.number).collect();
            let mut discarded = Vec::new();
            for number in older {
                discarded.push((number, self.hold(name, number)?));
                entries.remove(name, number)?;
            }
            Ok(discarded)
        })?;
        if let Some(held) = held {
            held.release()?;
            self.tell(name);
        }
        self.drop_files(name, discarded)
    }

    pub(crate) fn discard_version(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
    ) -> Result<(), ReadModelError> {
        let held = self.catalog().change(|entries| {
            let version = entries.of(name)?.into_iter().find(|version| version.number == number);
            match version.map(|version| version.role) {
                None => Err(unknown(name, number)),
                Some(Role::Serving) => Err(ReadModelError::Serves { name: name.clone(), version: number }),
                Some(_) => {
                    let held = self.hold(name, number)?;
                    entries.remove(name, number)?;
                    Ok(held)
                }
            }
        })?;
        self.drop_files(name, vec![(number, held)])
    }

    pub(crate) fn delete_projection(&self, name: &ProjectionName) -> Result<(), ReadModelError> {
        let held = self.catalog().change(|entries| {
            let there = entries.of(name)?;
            if there.is_empty() {
                return Err(ReadModelError::UnknownProjection { name: name.clone() });
            }
            let mut all = Vec::new();
            for version in there {
                all.push((version.number, self.hold(name, version.number)?));
                entries.remove(name, version.number)?;
            }
            Ok(all)
        })?;
        self.drop_files(name, held)?;
        self.directory().remove_folder(name);
        Ok(())
    }

    /// Wakes those who watch a version of the projection: another one serves.
    fn tell(&self, name: &ProjectionName) {
        for number in self.directory().versions(name).unwrap_or_default() {
            let applied = self.directory().applied(name, number);
            // Who is not woken looks again when its time is over.
            if let Ok(mut applied) = Applied::open(&applied) {
                applied.touch(0);
            }
        }
    }

    /// Takes a version's file, or nothing where it is gone or damaged: what is broken must not stand in the way of what
    /// takes its place.
    fn hold(&self, name: &ProjectionName, number: VersionNumber) -> Result<Option<Held>, ReadModelError> {
        let database = self.directory().version(name, number).display().to_string();
        match self.file_of(name, number).and_then(|connection| Held::take(database, connection)) {
            Ok(held) => Ok(Some(held)),
            Err(ReadModelError::Damaged { .. } | ReadModelError::Missing { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Refuses a version that has not come as far as the furthest partition of the one that serves.
    fn must_have_caught_up(
        &self,
        name: &ProjectionName,
        version: VersionNumber,
        serving: &[Progress],
    ) -> Result<(), ReadModelError> {
        let applied = version_file::least(self.progress_of(name, version)?).applied;
        let ahead = serving.iter().filter(|progress| !applied.reaches(&progress.applied).unwrap_or(false));
        match ahead.max_by_key(|progress| progress.applied.next_position()) {
            None => Ok(()),
            Some(furthest) => {
                let (applied, serving) = (Box::new(applied), Box::new(furthest.applied.clone()));
                Err(ReadModelError::NotCaughtUp { name: name.clone(), version, applied, serving })
            }
        }
    }

    /// Removes the files of versions that the catalog names no longer.
    fn drop_files(
        &self,
        name: &ProjectionName,
        versions: Vec<(VersionNumber, Option<Held>)>,
    ) -> Result<(), ReadModelError> {
        for (number, held) in versions {
            held.map_or(Ok(()), Held::release)?;
            // The version is gone for everyone. Files that stay are removed when the directory is next opened.
            let _ = self.directory().remove(name, number);
        }
        Ok(())
    }
}

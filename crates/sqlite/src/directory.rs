//! Where do the files lie, and in which order are they made and removed? The one file here that touches the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use factum_core::read_model::{ProjectionName, ReadModelError, VersionNumber};

use crate::error::of_file;

/// What SQLite puts beside a file of its own.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The directory of a database of read models:
///
/// ```text
/// catalog.sqlite           projections, their versions and roles, the history
/// balances/v3.sqlite       one version: rows and progress
/// balances/v3.applied      touched after each commit, for those who watch
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory, made where it is not there.
    pub(crate) fn create(root: &Path) -> Result<Self, ReadModelError> {
        fs::create_dir_all(root).map_err(|failure| of_file(root, &failure))?;
        Self::existing(root)
    }

    /// The directory, which must be there.
    pub(crate) fn existing(root: &Path) -> Result<Self, ReadModelError> {
        // The path is kept whole, so that a later change of the working directory does not matter.
        let root = fs::canonicalize(root).map_err(|failure| of_file(root, &failure))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The catalog's file.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.root.join("catalog.sqlite")
    }

    /// The file of a version.
    pub(crate) fn version(&self, name: &ProjectionName, number: VersionNumber) -> PathBuf {
        self.root.join(name.as_str()).join(format!("{number}.sqlite"))
    }

    /// The file that is touched when a version comes further.
    pub(crate) fn applied(&self, name: &ProjectionName, number: VersionNumber) -> PathBuf {
        self.root.join(name.as_str()).join(format!("{number}.applied"))
    }

    /// Makes room for a version that is about to be made: what a crash left of an attempt with the same number goes.
    pub(crate) fn make_room(
        &self,
        name: &ProjectionName,
        number: VersionNumber,
    ) -> Result<(), ReadModelError> {
        let folder = self.root.join(name.as_str());
        fs::create_dir_all(&folder).map_err(|failure| of_file(&folder, &failure))?;
        self.remove(name, number)?;
        let applied = self.applied(name, number);
        File::create(&applied).map_err(|failure| of_file(&applied, &failure))?;
        Ok(())
    }

    /// Makes sure that the files of a version outlast a power failure, before the catalog names it.
    pub(crate) fn sync(&self, name: &ProjectionName) -> Result<(), ReadModelError> {
        let sync = |folder: &Path| {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|failure| of_file(folder, &failure))
        };
        sync(&self.root.join(name.as_str()))?;
        sync(&self.root)
    }

    /// Removes the files of a version. Whoever has them open goes on with what is gone.
    pub(crate) fn remove(&self, name: &ProjectionName, number: VersionNumber) -> Result<(), ReadModelError> {
        let version = self.version(name, number);
        // The file goes first: without it nothing opens what is left beside it.
        let beside = BESIDE.iter().map(|end| with_end(&version, end));
        let files = [version.clone(), self.applied(name, number)].into_iter().chain(beside);
        for path in files {
            match fs::remove_file(&path) {
                Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => {
                    return Err(of_file(&path, &failure));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The versions of a projection that have files, whether the catalog knows them or not.
    pub(crate) fn versions(&self, name: &ProjectionName) -> Result<Vec<VersionNumber>, ReadModelError> {
        let folder = self.root.join(name.as_str());
        let entries = match fs::read_dir(&folder) {
            Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|failure| of_file(&folder, &failure))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|failure| of_file(&folder, &failure))?;
            let number = entry.file_name().to_str().and_then(number_of);
            found.extend(number.map(VersionNumber));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes the folder of a projection, if nothing is left in it.
    pub(crate) fn remove_folder(&self, name: &ProjectionName) {
        // Something in it is no reason to fail: it is not ours.
        let _ = fs::remove_dir(self.root.join(name.as_str()));
    }
}

/// The number in `v3.sqlite`, `v3.sqlite-wal` or `v3.applied`.
fn number_of(file: &str) -> Option<u32> {
    let (number, end) = file.strip_prefix('v')?.split_once('.')?;
    let of_sqlite = end.strip_prefix("sqlite").is_some_and(|end| end.is_empty() || BESIDE.contains(&end));
    let parsed: u32 = number.parse().ok()?;
    let is_ours = (of_sqlite || end == "applied") && parsed.to_string() == number;
    is_ours.then_some(parsed)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    PathBuf::from(path)
}

/// Makes an empty file for its owner only, where none is there. One that is there is not opened: closing it would drop SQLite's
/// locks on it.
pub(crate) fn make_private(path: &Path) -> Result<(), ReadModelError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(failure) if failure.kind() != std::io::ErrorKind::AlreadyExists => Err(of_file(path, &failure)),
        _ => Ok(()),
    }
}

/// Whether a file is there.
pub(crate) fn is_file(path: &Path) -> Result<bool, ReadModelError> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(failure) => Err(of_file(path, &failure)),
    }
}

/// Whether commits of this file may still lie in a write-ahead log.
pub(crate) fn has_log(path: &Path) -> bool {
    fs::metadata(with_end(path, "-wal")).is_ok_and(|found| found.len() > 0)
}

/// The file that is touched after each commit.
#[derive(Debug)]
pub(crate) struct Applied(File);

impl Applied {
    /// Opens it; makes it where it is gone.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadModelError> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        opened.map(Self).map_err(|failure| of_file(path, &failure))
    }

    /// Touches it: eight bytes are written over, the next position in little-endian order, or 0 where the version came no
    /// further and something else is to be looked at.
    pub(crate) fn touch(&mut self, next: u64) {
        // The commit is done. Who watches and is not woken looks again when its time is over.
        let _ = self.0.seek(SeekFrom::Start(0)).and_then(|_| self.0.write_all(&next.to_le_bytes()));
    }
}

/// What the file holds and when it was written: another value means that it was touched in between.
#[cfg(not(target_os = "linux"))]
pub(crate) type Touched = (Vec<u8>, Option<std::time::SystemTime>);

/// Looks at the file that is touched after each commit.
#[cfg(not(target_os = "linux"))]
pub(crate) fn touched(path: &Path) -> Result<Touched, ReadModelError> {
    let look = || Ok((fs::read(path)?, fs::metadata(path)?.modified().ok()));
    look().map_err(|failure| of_file(path, &failure))
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn only_our_own_files_have_a_number() {
        for ours in ["v3.sqlite", "v3.sqlite-wal", "v3.sqlite-shm", "v3.sqlite-journal", "v3.applied"] {
            assert_eq!(number_of(ours), Some(3), "{ours}");
        }
        for other in
            ["v3", "v03.sqlite", "v+3.sqlite", "v3.sqlite.bak", "3.sqlite", "v.sqlite", "v3.sqlite-x"]
        {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}

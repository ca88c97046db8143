//! Where does the key store lie, who may read it, and how is a copy put in its place?

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};

use factum_vault::KeyStoreError;

/// The database's file. SQLite puts its journal beside it, with the same permissions.
const FILE: &str = "keys.sqlite";

/// What SQLite may put beside it.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The directory of a key store. It holds one file, and what SQLite puts beside that.
///
/// The file is never opened here while a connection has it open: closing it again would drop SQLite's locks on it, which on
/// Unix belong to the process and not to the one who opened.
#[derive(Clone, Debug)]
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// The directory, made where it is not there, and an empty file in it, unless there is one already.
    pub(super) fn create(directory: &Path) -> Result<Self, KeyStoreError> {
        let failed = |failure| failed(&called(directory), "made", &failure);
        let mut builder = DirBuilder::new();
        private_directory(builder.recursive(true)).create(directory).map_err(failed)?;
        let files = Self { directory: fs::canonicalize(directory).map_err(failed)? };
        files.must_be_private()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        match private_file(&mut options).open(files.database()) {
            Ok(_) => sync_directory(&files.directory).map_err(failed)?,
            Err(failure) if failure.kind() == IoKind::AlreadyExists => files.must_be_private()?,
            Err(failure) => return Err(failed(failure)),
        }
        Ok(files)
    }

    /// The directory with a file, which both must be there.
    pub(super) fn existing(directory: &Path) -> Result<Self, KeyStoreError> {
        let missing = |why: String| KeyStoreError::Missing { store: shown(directory), why };
        let found = match fs::canonicalize(directory) {
            Err(failure) if failure.kind() == IoKind::NotFound => {
                return Err(missing(
                    "there is no such directory; restore it, or create a new one".to_owned(),
                ));
            }
            other => other.map_err(|failure| failed(&called(directory), "read", &failure))?,
        };
        let files = Self { directory: found };
        match fs::metadata(files.database()) {
            Ok(file) if file.is_file() => {}
            Ok(_) => return Err(missing(format!("'{FILE}' in it is no file"))),
            Err(failure) if matches!(failure.kind(), IoKind::NotFound | IoKind::NotADirectory) => {
                return Err(missing(format!("it holds no '{FILE}'; restore it, or create a new one")));
            }
            Err(failure) => return Err(failed(&called(directory), "read", &failure)),
        }
        files.must_be_private()?;
        Ok(files)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// For people.
    pub(super) fn called(&self) -> String {
        called(&self.directory)
    }

    /// Nobody but the owner may come in, and nobody else may read what is there.
    fn must_be_private(&self) -> Result<(), KeyStoreError> {
        must_be_private(&self.directory)?;
        let database = self.database();
        must_be_private(&database)?;
        BESIDE.iter().try_for_each(|end| must_be_private(&with_end(&database, end)))
    }
}

fn called(directory: &Path) -> String {
    format!("the key store in {}", shown(directory))
}

fn shown(path: &Path) -> String {
    format!("'{}'", path.display())
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    PathBuf::from(path)
}

/// A copy in the making. It lies beside its place until it is whole; dropped before that, nothing is left.
pub(super) struct Copy {
    target: PathBuf,
    part: PathBuf,
    placed: bool,
}

impl Copy {
    /// Reserves the place, which must be free, and makes an empty file beside it.
    pub(super) fn begin(target: &Path) -> Result<Self, KeyStoreError> {
        let mut options = OpenOptions::new();
        private_file(options.write(true).create_new(true));
        match options.open(target) {
            Err(failure) if failure.kind() == IoKind::AlreadyExists => {
                return Err(KeyStoreError::Failed {
                    store: shown(target),
                    why: "it is there already, and a backup is never written over: name another file"
                        .to_owned(),
                });
            }
            other => drop(other.map_err(|failure| failed(&shown(target), "written", &failure))?),
        }
        let copy = Self { target: target.to_owned(), part: with_end(target, ".part"), placed: false };
        // What a crash left of an earlier one is no copy.
        match fs::remove_file(&copy.part) {
            Err(failure) if failure.kind() != IoKind::NotFound => return Err(copy.failed(&failure)),
            _ => {}
        }
        options.open(&copy.part).map_err(|failure| copy.failed(&failure))?;
        Ok(copy)
    }

    /// The file to write to.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Puts the copy in its place, safe on the disk.
    pub(super) fn place(mut self) -> Result<(), KeyStoreError> {
        let done = (|| {
            File::open(&self.part)?.sync_all()?;
            fs::rename(&self.part, &self.target)?;
            let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_directory(parent.unwrap_or(Path::new(".")))
        })();
        done.map_err(|failure| self.failed(&failure))?;
        self.placed = true;
        Ok(())
    }

    fn failed(&self, failure: &std::io::Error) -> KeyStoreError {
        failed(&shown(&self.target), "written", failure)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.placed {
            // What failed is told by whoever dropped it.
            let _ = fs::remove_file(&self.part);
            let _ = fs::remove_file(&self.target);
        }
    }
}

fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed(store: &str, verb: &str, failure: &std::io::Error) -> KeyStoreError {
    let why = match failure.kind() {
        IoKind::PermissionDenied | IoKind::ReadOnlyFilesystem => {
            format!(
                "it may not be {verb}: {failure}; it has to belong to the user who runs this, and be writable"
            )
        }
        _ => format!("it cannot be {verb}: {failure}"),
    };
    KeyStoreError::Failed { store: store.to_owned(), why }
}

#[cfg(unix)]
fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn private_directory(builder: &mut DirBuilder) -> &mut DirBuilder {
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700)
}

#[cfg(not(unix))]
fn private_directory(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder
}

#[cfg(unix)]
fn must_be_private(path: &Path) -> Result<(), KeyStoreError> {
    use std::os::unix::fs::PermissionsExt;
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Err(KeyStoreError::Exposed { store: shown(path), mode: found.permissions().mode() & 0o777 })
        }
        Err(failure) if failure.kind() != IoKind::NotFound => Err(failed(&shown(path), "read", &failure)),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn must_be_private(_path: &Path) -> Result<(), KeyStoreError> {
    Ok(())
}

//! Copying a store while it is in use, and putting a copy back.
//!
//! A backup knows nothing of redactions that come after it: it holds what those events said, and a restore brings it back.
//! A backup is a store directory of its own with a manifest that is written last: a backup without one was not finished.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use factum_core::{
    EventReader, PRIVACY_STREAM, Position, Read, ReadError, ReadFrom, Selector, StoreId, StreamName,
    StreamView, block_on,
};
use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::identity::{Identity, write_tail};
use crate::options::OpenError;
use crate::segment::format::HEADER_BYTES;
use crate::segment::{Segment, segment_name};
use crate::vfs::{OpenMode, Vfs, VfsFile, replace};

/// Name of the manifest in a backup's directory.
const MANIFEST: &str = "backup.json";
/// Version of the manifest.
const MANIFEST_VERSION: u64 = 1;
/// Bytes copied at a time.
const COPY_BYTES: usize = 1024 * 1024;
/// Largest manifest that is read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// The store that it is a copy of.
    pub store: StoreId,
    /// That store's epoch.
    pub epoch: u32,
    /// Position after the last event in it.
    pub end: Position,
    /// Bytes of its segments.
    pub bytes: u64,
    /// Number of its segments.
    pub segments: u64,
    /// How far its record of erasures goes; `None` where it has none, or the backup is older than this member.
    pub ledger: Option<LedgerEnd>,
}

/// How far the record of erasures in a log goes. A restored log has to be given what was erased after this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEnd {
    /// Events in the stream `$privacy`.
    pub events: u64,
    /// Position of the last one.
    pub last: Position,
}

/// Why a backup or a restore was not done.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place is taken.
    #[error("{} is not empty: name a directory that is empty or does not exist yet", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// There is no finished backup here.
    #[error("{} is no finished backup: it has no readable {MANIFEST} ({why})", path.display())]
    NoBackup {
        /// The directory.
        path: PathBuf,
        /// What is wrong with the manifest.
        why: String,
    },
    /// A file is not as the manifest says.
    #[error("the backup is damaged: {} {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it differs.
        what: String,
    },
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The directory is no store, or in use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file could not be used.
    #[error("{action} {} failed: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { action, path, source }
}

/// One file of a backup.
struct Copied {
    name: String,
    bytes: u64,
    checksum: u32,
}

impl Engine {
    /// Copies everything that is committed now to `to`, while appends and reads go on. `progress` is told the bytes copied, and
    /// about how many there are.
    ///
    /// # Errors
    /// `NotEmpty`, or the failure; what was copied until then is no backup, since it has no manifest.
    pub fn backup(&self, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<BackupInfo, BackupError> {
        let made = self.backup_while(to, |done, all| {
            progress(done, all);
            ControlFlow::Continue(())
        })?;
        Ok(made.unwrap_or_else(|| unreachable!("nobody broke it off")))
    }

    /// The same, until `progress` breaks it off: then the answer is `None`, and what is in `to` is no backup.
    ///
    /// # Errors
    /// As of [`backup`](Engine::backup).
    pub fn backup_while(
        &self,
        to: &Path,
        mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Option<BackupInfo>, BackupError> {
        let shared = self.shared();
        let vfs = &*shared.vfs;
        let log_dir = prepare(vfs, to)?;
        // First the end, then the segments: every segment below the end is in the list, and none shrinks below it.
        let end = shared.log.committed();
        let segments: Vec<_> = shared
            .log
            .segments()
            .iter()
            .filter(|s| s.base() < end || s.base() == Position::START)
            .cloned()
            .collect();
        let mut plan = Vec::with_capacity(segments.len());
        for segment in &segments {
            plan.push((Arc::clone(&segment.file), segment.base(), used_bytes(segment, end)?));
        }
        let total = plan.iter().map(|(_, _, bytes)| bytes).sum();
        let mut copied = Vec::new();
        let mut so_far = 0;
        for (file, base, bytes) in plan {
            let name = segment_name(base);
            let path = log_dir.join(&name);
            let Some(checksum) = copy(vfs, &*file, &path, bytes, |n| progress(so_far + n, total))? else {
                return Ok(None);
            };
            so_far += bytes;
            copied.push(Copied { name, bytes, checksum });
        }
        vfs.sync_dir(&log_dir).map_err(io("syncing", &log_dir))?;
        // After the segments: none of them is newer than this format.
        let identity = Identity { format: shared.format.load(Ordering::Acquire), ..shared.identity };
        let manifest = Manifest { end, ledger: self.ledger_end(end)?, files: copied };
        finish(vfs, to, &identity, &manifest)?;
        Ok(Some(info(&identity, &manifest)))
    }

    /// How far the record of erasures goes below `end`.
    fn ledger_end(&self, end: Position) -> Result<Option<LedgerEnd>, ReadError> {
        let stream = StreamName::new(PRIVACY_STREAM).unwrap_or_else(|_| unreachable!("a constant name"));
        let read = Read::backwards(Selector::Stream(stream)).from(ReadFrom::Position(end)).limit(1);
        let mut reader = match self.shared().read(read.view(StreamView::Recorded)) {
            Ok(reader) => reader,
            Err(ReadError::StreamNotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let page = block_on(reader.next_page())?;
        let last = page.and_then(|page| page.events.into_iter().next());
        Ok(last.map(|event| LedgerEnd { events: event.revision().0 + 1, last: event.position() }))
    }
}

fn info(identity: &Identity, manifest: &Manifest) -> BackupInfo {
    BackupInfo {
        store: identity.id,
        epoch: identity.epoch,
        end: manifest.end,
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        segments: manifest.files.len() as u64,
        ledger: manifest.ledger,
    }
}

/// Bytes of a segment up to the committed end.
pub(crate) fn used_bytes(segment: &Segment, end: Position) -> Result<u64, ReadError> {
    match segment.seal {
        Some(_) => segment.file.len().map_err(|error| crate::segment::failed(&segment.path, 0, error)),
        None if end <= segment.base() => Ok(HEADER_BYTES as u64),
        None => segment.end_of(end.0 - 1),
    }
}

fn prepare(vfs: &dyn Vfs, to: &Path) -> Result<PathBuf, BackupError> {
    let log_dir = to.join("log");
    vfs.create_dir_all(&log_dir).map_err(io("creating", &log_dir))?;
    for dir in [to, &log_dir] {
        if !vfs.list(dir).map_err(io("listing", dir))?.is_empty() {
            return Err(BackupError::NotEmpty { path: to.to_owned() });
        }
    }
    Ok(log_dir)
}

/// Copies a file and gives back its checksum; `None`: `progress` broke it off.
fn copy(
    vfs: &dyn Vfs,
    from: &dyn VfsFile,
    to: &Path,
    bytes: u64,
    mut progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<u32>, BackupError> {
    let file = vfs.open(to, OpenMode::CreateNew).map_err(io("creating", to))?;
    let mut buffer = vec![0; COPY_BYTES.min(bytes as usize)];
    let (mut at, mut checksum) = (0, 0);
    while at < bytes {
        let take = (bytes - at).min(COPY_BYTES as u64) as usize;
        from.read_exact_at(&mut buffer[..take], at).map_err(io("reading for", to))?;
        checksum = crc32c::crc32c_append(checksum, &buffer[..take]);
        file.write_all_at(&buffer[..take], at).map_err(io("writing", to))?;
        at += take as u64;
        if progress(at).is_break() {
            return Ok(None);
        }
    }
    file.sync_data().map_err(io("syncing", to))?;
    Ok(Some(checksum))
}

fn finish(vfs: &dyn Vfs, to: &Path, identity: &Identity, finished: &Manifest) -> Result<(), BackupError> {
    write_tail(vfs, to, finished.end).map_err(io("writing into", to))?;
    identity.write(vfs, to).map_err(io("writing into", to))?;
    let files: Map<String, Value> = finished
        .files
        .iter()
        .map(|file| (file.name.clone(), json!({ "bytes": file.bytes, "crc32c": file.checksum })))
        .collect();
    let ledger = finished.ledger.map(|ledger| json!({ "events": ledger.events, "last": ledger.last.0 }));
    let manifest = json!({
        "factumBackup": MANIFEST_VERSION,
        "store": identity.id.to_string(),
        "epoch": identity.epoch,
        "end": finished.end.0,
        "ledger": ledger,
        "files": files,
    });
    let path = to.join(MANIFEST);
    replace(vfs, &path, format!("{manifest:#}\n").as_bytes()).map_err(io("writing", &path))
}

struct Manifest {
    end: Position,
    ledger: Option<LedgerEnd>,
    files: Vec<Copied>,
}

fn read_manifest(vfs: &dyn Vfs, dir: &Path, identity: &Identity) -> Result<Manifest, BackupError> {
    let path = dir.join(MANIFEST);
    let no_backup = |why: &str| BackupError::NoBackup { path: dir.to_owned(), why: why.to_owned() };
    let file = vfs.open(&path, OpenMode::Read).map_err(|error| no_backup(&error.to_string()))?;
    let length = file.len().map_err(io("reading", &path))?;
    if length > MAX_MANIFEST_BYTES {
        return Err(no_backup("it is too large"));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).map_err(io("reading", &path))?;
    let manifest: Value = serde_json::from_slice(&bytes).map_err(|_| no_backup("it is not JSON"))?;
    if manifest["factumBackup"] != json!(MANIFEST_VERSION) {
        return Err(no_backup("it is of another version"));
    }
    if manifest["store"] != json!(identity.id.to_string()) || manifest["epoch"] != json!(identity.epoch) {
        return Err(no_backup("it is of another store"));
    }
    let end = manifest["end"].as_u64().map(Position).ok_or_else(|| no_backup("its end is missing"))?;
    let files = manifest["files"].as_object().ok_or_else(|| no_backup("its files are missing"))?;
    let files = files.iter().map(|(name, file)| {
        let known = crate::segment::base_in_name(name).is_some();
        let (bytes, checksum) = (file["bytes"].as_u64(), file["crc32c"].as_u64());
        match (known, bytes, checksum.and_then(|checksum| u32::try_from(checksum).ok())) {
            (true, Some(bytes), Some(checksum)) => Ok(Copied { name: name.clone(), bytes, checksum }),
            _ => Err(no_backup("an entry of its files is malformed")),
        }
    });
    let ledger = match &manifest["ledger"] {
        Value::Null => None,
        ledger => match (ledger["events"].as_u64(), ledger["last"].as_u64()) {
            (Some(events), Some(last)) => Some(LedgerEnd { events, last: Position(last) }),
            _ => return Err(no_backup("its ledger is malformed")),
        },
    };
    Ok(Manifest { end, ledger, files: files.collect::<Result<_, _>>()? })
}

fn identity_of(vfs: &dyn Vfs, backup: &Path) -> Result<Identity, BackupError> {
    Identity::read(vfs, backup)?.ok_or_else(|| BackupError::NoBackup {
        path: backup.to_owned(),
        why: "it has no identity".to_owned(),
    })
}

/// What a backup's manifest says, and whether its files are there with their lengths. What is in them is not read.
///
/// # Errors
/// `NoBackup` where it was not finished, `Damaged` with the first file that is missing or of another length.
pub fn look_at_backup(vfs: &dyn Vfs, backup: &Path) -> Result<BackupInfo, BackupError> {
    let identity = identity_of(vfs, backup)?;
    let manifest = read_manifest(vfs, backup, &identity)?;
    for file in &manifest.files {
        open_file(vfs, &backup.join("log").join(&file.name), file)?;
    }
    Ok(info(&identity, &manifest))
}

/// Checks a backup's files against its manifest, and walks its log. The second part needs `verify` of the same directory.
///
/// # Errors
/// `NoBackup` where it was not finished, `Damaged` with the first file that differs.
pub fn verify_backup(vfs: &dyn Vfs, backup: &Path) -> Result<BackupInfo, BackupError> {
    let identity = identity_of(vfs, backup)?;
    let manifest = read_manifest(vfs, backup, &identity)?;
    for file in &manifest.files {
        let path = backup.join("log").join(&file.name);
        check_file(vfs, &path, file)?;
    }
    Ok(info(&identity, &manifest))
}

fn open_file(vfs: &dyn Vfs, path: &Path, expected: &Copied) -> Result<Arc<dyn VfsFile>, BackupError> {
    let differs = |what: String| BackupError::Damaged { path: path.to_owned(), what };
    let file =
        vfs.open(path, OpenMode::Read).map_err(|error| differs(format!("cannot be opened: {error}")))?;
    let length = file.len().map_err(io("reading", path))?;
    if length != expected.bytes {
        return Err(differs(format!("has {length} bytes, the manifest says {}", expected.bytes)));
    }
    Ok(file)
}

fn check_file(vfs: &dyn Vfs, path: &Path, expected: &Copied) -> Result<Arc<dyn VfsFile>, BackupError> {
    let file = open_file(vfs, path, expected)?;
    let length = expected.bytes;
    let mut buffer = vec![0; COPY_BYTES.min(length as usize)];
    let (mut at, mut checksum) = (0, 0);
    while at < length {
        let take = (length - at).min(COPY_BYTES as u64) as usize;
        file.read_exact_at(&mut buffer[..take], at).map_err(io("reading", path))?;
        checksum = crc32c::crc32c_append(checksum, &buffer[..take]);
        at += take as u64;
    }
    if checksum != expected.checksum {
        let what = "has another checksum than the manifest says".to_owned();
        return Err(BackupError::Damaged { path: path.to_owned(), what });
    }
    Ok(file)
}

/// Puts a backup back as a store in `to`, which must be empty or not exist. The backup is checked first, and not changed.
///
/// The restored store is in a new epoch: tokens and checkpoints from after the backup are refused instead of pointing
/// to other events.
///
/// # Errors
/// As [`verify_backup`], or `NotEmpty`.
pub fn restore(
    vfs: &dyn Vfs,
    backup: &Path,
    to: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<BackupInfo, BackupError> {
    let found = verify_backup(vfs, backup)?;
    let identity = identity_of(vfs, backup)?;
    let manifest = read_manifest(vfs, backup, &identity)?;
    let log_dir = prepare(vfs, to)?;
    let mut so_far = 0;
    for file in &manifest.files {
        let from = check_file(vfs, &backup.join("log").join(&file.name), file)?;
        let path = log_dir.join(&file.name);
        let checksum = copy(vfs, &*from, &path, file.bytes, |n| {
            progress(so_far + n, found.bytes);
            ControlFlow::Continue(())
        })?;
        if checksum != Some(file.checksum) {
            return Err(BackupError::Damaged { path, what: "changed while it was copied".to_owned() });
        }
        so_far += file.bytes;
    }
    vfs.sync_dir(&log_dir).map_err(io("syncing", &log_dir))?;
    write_tail(vfs, to, manifest.end).map_err(io("writing into", to))?;
    // The identity comes last: a directory without it is no store, so that half a restore cannot be opened by mistake.
    let restored = Identity { epoch: identity.epoch + 1, ..identity };
    restored.write(vfs, to).map_err(io("writing into", to))?;
    Ok(BackupInfo { epoch: restored.epoch, ..found })
}

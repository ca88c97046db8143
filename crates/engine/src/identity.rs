//! Who a store is (`store`), and how far it is known to be safe (`tail`).

use std::io;
use std::path::{Path, PathBuf};

use factum_core::{Checkpoint, Position, StoreId, Timestamp};

use crate::options::OpenError;
use crate::segment::damaged;
use crate::segment::format::{FORMAT, i64_at, u32_at, u64_at, uuid_at};
use crate::vfs::{OpenMode, OsVfs, Vfs, replace};

const STORE_MAGIC: &[u8; 8] = b"FACTUMST";
const STORE_BYTES: usize = 64;
const TAIL_MAGIC: &[u8; 8] = b"FACTUMTL";
const TAIL_BYTES: usize = 32;

/// Who a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) format: u32,
    pub(crate) id: StoreId,
    pub(crate) epoch: u32,
    pub(crate) created_at: Timestamp,
}

/// The beginning of the log in `dir`, as a place of that store; `None` where there is no store. It can be asked while
/// another process has the store open.
///
/// # Errors
/// Where the identity cannot be read.
pub fn origin_of(dir: impl AsRef<Path>) -> Result<Option<Checkpoint>, OpenError> {
    let identity = Identity::read(&OsVfs, dir.as_ref())?;
    Ok(identity.map(|identity| Checkpoint::before(identity.id, identity.epoch, Position::START)))
}

pub(crate) fn store_path(dir: &Path) -> PathBuf {
    dir.join("store")
}

pub(crate) fn tail_path(dir: &Path) -> PathBuf {
    dir.join("tail")
}

impl Identity {
    pub(crate) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
        let mut bytes = [0; STORE_BYTES];
        bytes[0..8].copy_from_slice(STORE_MAGIC);
        bytes[8..12].copy_from_slice(&self.format.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..32].copy_from_slice(self.id.0.as_bytes());
        bytes[32..40].copy_from_slice(&self.created_at.0.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        replace(vfs, &store_path(dir), &bytes)
    }

    /// The identity of the store in `dir`; `None` where there is none.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = store_path(dir);
        let io = |source| OpenError::Io { action: "reading", path: path.clone(), source };
        let file = match vfs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let length = file.len().map_err(io)?;
        let mut bytes = [0; STORE_BYTES];
        let have = length.min(STORE_BYTES as u64) as usize;
        file.read_exact_at(&mut bytes[..have], 0).map_err(io)?;
        if &bytes[..8] != STORE_MAGIC {
            return Err(damaged(&path, 0, "this is not the identity of a store").into());
        }
        // The format comes first: a newer one may have another length and another checksum.
        let found = u32_at(&bytes, 8);
        let whole = have == STORE_BYTES && crc32c::crc32c(&bytes[..60]) == u32_at(&bytes, 60);
        if found > FORMAT && (whole || length != STORE_BYTES as u64) {
            return Err(OpenError::NewerFormat { path: dir.to_owned(), found, known: FORMAT });
        }
        if !whole {
            return Err(damaged(&path, 0, "the checksum of the store's identity is wrong").into());
        }
        Ok(Some(Self {
            format: found,
            id: StoreId(uuid_at(&bytes, 16)),
            epoch: u32_at(&bytes, 12),
            created_at: Timestamp(i64_at(&bytes, 32)),
        }))
    }
}

/// Notes that everything before `position` is synced.
pub(crate) fn write_tail(vfs: &dyn Vfs, dir: &Path, position: Position) -> io::Result<()> {
    let mut bytes = [0; TAIL_BYTES];
    bytes[0..8].copy_from_slice(TAIL_MAGIC);
    bytes[8..16].copy_from_slice(&position.0.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
    replace(vfs, &tail_path(dir), &bytes)
}

/// What `tail` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    Missing,
    Damaged,
    SafeTo(Position),
}

/// Reads the lower bound of what is safe.
pub(crate) fn read_tail(vfs: &dyn Vfs, dir: &Path) -> io::Result<Tail> {
    let file = match vfs.open(&tail_path(dir), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tail::Missing),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; TAIL_BYTES];
    if file.len()? != TAIL_BYTES as u64 {
        return Ok(Tail::Damaged);
    }
    file.read_exact_at(&mut bytes, 0)?;
    let whole = &bytes[..8] == TAIL_MAGIC && crc32c::crc32c(&bytes[..28]) == u32_at(&bytes, 28);
    Ok(if whole { Tail::SafeTo(Position(u64_at(&bytes, 8))) } else { Tail::Damaged })
}

//! Where the record of each position starts in its segment: in memory while it is new, in a file once sealed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use super::format::{SegmentHeader, u32_at, u64_at};
use crate::vfs::{OpenMode, Vfs, VfsFile};

const MAGIC: &[u8; 8] = b"FACTUMOF";
/// The format of a table: its own, whatever that of its segment is.
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 64;
/// Entries read at once when a table is checked, in bytes.
const CHECK_BYTES: usize = 256 * 1024;

/// The offsets of one segment's records.
pub(crate) enum Offsets {
    /// Of the open segment, or of one whose table is not written yet. The writer adds, readers look.
    Memory(Arc<RwLock<Vec<u32>>>),
    /// Of a sealed segment: four bytes an event, on disk.
    File { file: Arc<dyn VfsFile>, count: u64 },
}

impl Offsets {
    /// Offsets of `count` records from index `from` on; fewer where the table ends.
    pub(crate) fn get(&self, from: u64, count: usize) -> io::Result<Vec<u32>> {
        match self {
            Offsets::Memory(offsets) => {
                let offsets = offsets.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                let from = (from as usize).min(offsets.len());
                let to = (from + count).min(offsets.len());
                Ok(offsets[from..to].to_vec())
            }
            Offsets::File { file, count: have } => {
                let count = (*have).saturating_sub(from).min(count as u64) as usize;
                let mut bytes = vec![0; count * 4];
                file.read_exact_at(&mut bytes, HEADER_BYTES as u64 + from * 4)?;
                Ok(bytes.chunks_exact(4).map(|b| u32_at(b, 0)).collect())
            }
        }
    }
}

/// The name of the table beside a segment.
pub(crate) fn table_path(segment: &Path) -> PathBuf {
    segment.with_extension("off")
}

/// Writes the table of a sealed segment.
pub(crate) fn write_table(
    vfs: &dyn Vfs,
    segment: &Path,
    header: &SegmentHeader,
    offsets: &[u32],
) -> io::Result<()> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    let checksum = crc32c::crc32c(&bytes[HEADER_BYTES..]);
    bytes[0..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..16].copy_from_slice(&header.generation.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.base.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&(offsets.len() as u64).to_le_bytes());
    bytes[56..60].copy_from_slice(&checksum.to_le_bytes());
    let own = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&own.to_le_bytes());
    crate::vfs::replace(vfs, &table_path(segment), &bytes)
}

/// Opens the table of a sealed segment of `count` events; `None` where it is missing or is of another generation or
/// damaged in its head: it can be rebuilt. Entries are not read here; each record that they lead to is checked.
pub(crate) fn open_table(
    vfs: &dyn Vfs,
    segment: &Path,
    header: &SegmentHeader,
    count: u64,
) -> Option<Offsets> {
    let file = vfs.open(&table_path(segment), OpenMode::Read).ok()?;
    let mut head = [0; HEADER_BYTES];
    file.read_exact_at(&mut head, 0).ok()?;
    let whole = &head[..8] == MAGIC
        && crc32c::crc32c(&head[..60]) == u32_at(&head, 60)
        && u32_at(&head, 8) == FORMAT
        && u32_at(&head, 12) == header.generation
        && u64_at(&head, 16) == header.base.0
        && u64_at(&head, 24) == count
        && file.len().ok()? == HEADER_BYTES as u64 + count * 4;
    whole.then_some(Offsets::File { file, count })
}

/// Whether the entries of a table have the checksum that its head gives.
pub(crate) fn check_table(vfs: &dyn Vfs, segment: &Path) -> io::Result<bool> {
    let file = vfs.open(&table_path(segment), OpenMode::Read)?;
    let mut head = [0; HEADER_BYTES];
    file.read_exact_at(&mut head, 0)?;
    let (mut at, end, mut checksum) = (HEADER_BYTES as u64, file.len()?, 0);
    let mut buffer = vec![0; CHECK_BYTES];
    while at < end {
        let take = (end - at).min(CHECK_BYTES as u64) as usize;
        file.read_exact_at(&mut buffer[..take], at)?;
        checksum = crc32c::crc32c_append(checksum, &buffer[..take]);
        at += take as u64;
    }
    Ok(crc32c::crc32c(&head[..60]) == u32_at(&head, 60) && checksum == u32_at(&head, 56))
}

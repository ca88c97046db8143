//! What does an immutable run of the index say about a key?
//!
//! Open, a run keeps its bloom filter (10 bits per key) and its fanout (about 1 bit per key) in memory. A lookup of an absent key
//! costs one cache miss; of a present one, one read of about 2 KiB. docs/format-index.md draws the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bloom::Bloom;
use super::error::IndexError;
use super::format::{
    BLOCK_BYTES, BlockHead, Bucket, FANOUT_BYTES, Fault, Found, HEADER_BYTES, Header, ListPlace, bucket_of,
    long, word,
};
use super::key::KeyHash;
use crate::vfs::{OpenMode, Vfs, VfsFile};

/// An open run. It can be read even after its file was removed.
pub(super) struct Run {
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    header: Header,
    fanout: Fanout,
    bloom: Bloom,
    /// Set by the first read that finds damage.
    damaged: AtomicBool,
}

/// Where each bucket is.
#[derive(Debug, Default)]
pub(super) struct Fanout {
    at: Vec<u64>,
    len: Vec<u32>,
}

impl Fanout {
    pub(super) fn push(&mut self, at: u64, len: u32) {
        self.at.push(at);
        self.len.push(len);
    }

    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() * FANOUT_BYTES);
        for (at, len) in self.at.iter().zip(&self.len) {
            out.extend(at.to_le_bytes());
            out.extend(len.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8], header: &Header) -> Result<Self, Fault> {
        let entries = bytes.as_chunks::<FANOUT_BYTES>().0;
        let mut fanout =
            Self { at: Vec::with_capacity(entries.len()), len: Vec::with_capacity(entries.len()) };
        let mut end = HEADER_BYTES as u64;
        for entry in entries {
            let (at, len) = (long(entry, 0), word(entry, 8));
            let next = at.checked_add(u64::from(len)).filter(|next| at >= end && *next <= header.fanout_at);
            end = next.ok_or("a bucket lies outside the file's section for buckets")?;
            fanout.push(at, len);
        }
        Ok(fanout)
    }
}

impl Run {
    /// Opens a run and checks what stays in memory. Buckets and blocks are checked as they are read.
    pub(super) fn open(vfs: &dyn Vfs, path: &Path) -> Result<Self, IndexError> {
        let io = |error| IndexError::io(path, error);
        let damaged = |offset: u64| move |what| IndexError::Damaged { path: path.to_owned(), offset, what };
        let file = vfs.open(path, OpenMode::Read).map_err(io)?;
        let len = file.len().map_err(io)?;
        if len < HEADER_BYTES as u64 {
            return Err(damaged(len)("the file ends inside its header"));
        }
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        let header = Header::decode(&bytes, len).map_err(damaged(0))?;
        let section = |from: u64, to: u64, crc: u32, what: Fault| {
            // The header's sections lie inside the file, so this takes no more memory than the file has bytes.
            let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, from).map_err(io)?;
            if crc32c::crc32c(&bytes) == crc { Ok(bytes) } else { Err(damaged(from)(what)) }
        };
        let bytes =
            section(header.fanout_at, header.bloom_at, header.fanout_crc, "the fanout's checksum is wrong")?;
        let fanout = Fanout::decode(&bytes, &header).map_err(damaged(header.fanout_at))?;
        let bytes = section(
            header.bloom_at,
            header.file_len,
            header.bloom_crc,
            "the bloom filter's checksum is wrong",
        )?;
        let bloom = Bloom::from_bytes(&bytes)
            .ok_or(damaged(header.bloom_at)("the bloom filter is not made of whole lines"))?;
        Ok(Self { path: path.to_owned(), file, header, fanout, bloom, damaged: AtomicBool::new(false) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Number of buckets.
    pub(super) fn buckets(&self) -> usize {
        self.fanout.len()
    }

    /// Where a bucket is, and how long.
    pub(super) fn bucket_place(&self, bucket: usize) -> (u64, u32) {
        (self.fanout.at[bucket], self.fanout.len[bucket])
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bloom.bytes() + self.fanout.len() * FANOUT_BYTES
    }

    /// Where the postings of a key are, if it has any.
    pub(super) fn find(&self, key: KeyHash) -> Result<Option<Found>, IndexError> {
        if !self.bloom.may_have(key) {
            return Ok(None);
        }
        let (at, len) = self.bucket_place(bucket_of(key, self.header.bits));
        if len == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; len as usize];
        self.read(at, &mut bytes)?;
        let found = Bucket::decode(&bytes).map_err(|what| self.damaged(at, what))?.find(key);
        found.map(|found| self.check(at, found)).transpose()
    }

    /// Checks that what a bucket says is possible.
    pub(super) fn check(&self, bucket_at: u64, found: Found) -> Result<Found, IndexError> {
        let positions = self.header.to - self.header.from;
        let possible = match found {
            Found::Single(posting) => u64::from(posting) < positions,
            Found::Many(list) => {
                let before_last = u64::from(list.blocks).saturating_sub(1) * BLOCK_BYTES as u64;
                list.blocks > 0
                    && list.count > 1
                    && u64::from(list.last) < positions
                    && list.at >= HEADER_BYTES as u64
                    && list.at.checked_add(before_last).is_some_and(|at| at < bucket_at)
            }
        };
        if possible {
            Ok(found)
        } else {
            Err(self.damaged(bucket_at, "a key's postings lie outside the run"))
        }
    }

    /// Calls `with` with the head of a block of a list.
    pub(super) fn with_block<T>(
        &self,
        list: &ListPlace,
        block: u32,
        with: impl FnOnce(&BlockHead<'_>) -> Result<T, Fault>,
    ) -> Result<T, IndexError> {
        let at = list.at + u64::from(block) * BLOCK_BYTES as u64;
        let mut bytes = [0; BLOCK_BYTES];
        let len = self.header.fanout_at.saturating_sub(at).min(BLOCK_BYTES as u64) as usize;
        let bytes = &mut bytes[..len];
        self.read(at, bytes)?;
        with(&self.check_block(list, block, bytes)?).map_err(|what| self.damaged(at, what))
    }

    /// The head of the block of a list that `bytes` begin with.
    pub(super) fn check_block<'a>(
        &self,
        list: &ListPlace,
        block: u32,
        bytes: &'a [u8],
    ) -> Result<BlockHead<'a>, IndexError> {
        let damaged = |what| self.damaged(list.at + u64::from(block) * BLOCK_BYTES as u64, what);
        let head = BlockHead::decode(bytes).map_err(damaged)?;
        let end = u64::from(head.ordinal) + u64::from(head.count);
        let fits =
            if block + 1 == list.blocks { end == u64::from(list.count) } else { end < u64::from(list.count) };
        if fits && (block == 0) == (head.ordinal == 0) {
            Ok(head)
        } else {
            Err(damaged("a block does not belong to its list"))
        }
    }

    /// Reads raw bytes: for a scan that buffers them itself.
    pub(super) fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), IndexError> {
        self.file.read_exact_at(bytes, at).map_err(|error| IndexError::io(&self.path, error))
    }

    /// Whether a read has found damage.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Marks the run as damaged, and says where.
    pub(super) fn damaged(&self, offset: u64, what: Fault) -> IndexError {
        self.damaged.store(true, Ordering::Relaxed);
        IndexError::Damaged { path: self.path.clone(), offset, what }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("path", &self.path).field("header", &self.header).finish_non_exhaustive()
    }
}

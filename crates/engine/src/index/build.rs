//! How does a run come onto the disk? Keys come in ascending order, each with its postings, and memory stays bounded.
//!
//! What grows with the run is what stays in memory anyway: the bloom filter and the fanout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bloom::Bloom;
use super::error::IndexError;
use super::format::{
    BlockBuilder, BucketBuilder, Found, HEADER_BYTES, Header, ListPlace, MAX_BITS, bucket_of,
};
use super::key::KeyHash;
use super::run::{Fanout, Run};
use crate::vfs::{OpenMode, Vfs, VfsFile};

/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = 1024 * 1024;
/// Keys for which one bucket is planned at most.
const KEYS_PER_BUCKET: u64 = 128;

/// End of the names of runs.
const SUFFIX: &str = ".run";
/// End of the names of files that are not finished.
pub(super) const UNFINISHED: &str = ".tmp";

/// The name of the run for these positions.
pub(super) fn file_name(from: u64, to: u64) -> String {
    format!("{from:020}-{to:020}{SUFFIX}")
}

/// The positions that a run's name gives; `None`: it is not the name of a run.
pub(super) fn parse_file_name(name: &str) -> Option<(u64, u64)> {
    let (from, to) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from < to && file_name(from, to) == name).then_some((from, to))
}

/// Writes one run.
pub(super) struct RunWriter<'a> {
    vfs: &'a dyn Vfs,
    dir: &'a Path,
    unfinished: PathBuf,
    file: Arc<dyn VfsFile>,
    header: Header,
    /// Bytes that are not written yet, and where they go.
    out: Vec<u8>,
    out_at: u64,
    bloom: Bloom,
    fanout: Fanout,
    bucket: BucketBuilder,
    key: Option<KeyHash>,
    list: ListPlace,
    block: BlockBuilder,
}

impl<'a> RunWriter<'a> {
    /// Begins the run for the positions `from..to` of at most `keys` keys.
    pub(super) fn create(
        vfs: &'a dyn Vfs,
        dir: &'a Path,
        (from, to): (u64, u64),
        level: u32,
        keys: u64,
    ) -> Result<Self, IndexError> {
        let unfinished = dir.join(file_name(from, to) + UNFINISHED);
        let io = |error| IndexError::io(&unfinished, error);
        let file = match vfs.open(&unfinished, OpenMode::CreateNew) {
            // What a failed attempt left behind.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                vfs.remove(&unfinished).map_err(io)?;
                vfs.open(&unfinished, OpenMode::CreateNew)
            }
            opened => opened,
        };
        let bits = keys.div_ceil(KEYS_PER_BUCKET).max(1).next_power_of_two().trailing_zeros();
        Ok(Self {
            vfs,
            dir,
            file: file.map_err(io)?,
            header: Header { level, from, to, bits: bits.min(MAX_BITS), ..Header::default() },
            unfinished,
            out: vec![0; HEADER_BYTES],
            out_at: 0,
            bloom: Bloom::for_keys(keys),
            fanout: Fanout::default(),
            bucket: BucketBuilder::default(),
            key: None,
            list: ListPlace { at: 0, blocks: 0, count: 0, last: 0 },
            block: BlockBuilder::default(),
        })
    }

    /// Begins the next key: above the one before, and with at least one posting to come.
    pub(super) fn key(&mut self, key: KeyHash) -> Result<(), IndexError> {
        self.end_key();
        let bucket = bucket_of(key, self.header.bits);
        while self.fanout.len() < bucket {
            self.end_bucket();
        }
        self.key = Some(key);
        if self.out.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Adds a posting to the key: above the one before.
    pub(super) fn posting(&mut self, posting: u32) -> Result<(), IndexError> {
        if !self.block.add(posting) {
            self.end_block(true);
            self.block.add(posting);
            if self.out.len() >= WRITE_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn end_block(&mut self, filled_up: bool) {
        if self.list.blocks == 0 {
            self.list.at = self.out_at + self.out.len() as u64;
        }
        self.list.last = self.block.last();
        self.list.count += self.block.finish(self.list.count, filled_up, &mut self.out);
        self.list.blocks += 1;
    }

    fn end_key(&mut self) {
        let Some(key) = self.key.take() else { return };
        let single = self.list.blocks == 0 && self.block.len() == 1;
        let found = if single {
            self.list.count = 1;
            Found::Single(self.block.take_single())
        } else {
            self.end_block(false);
            Found::Many(self.list)
        };
        self.bucket.add(key, found);
        self.bloom.insert(key);
        self.header.keys += 1;
        self.header.postings += u64::from(self.list.count);
        self.list = ListPlace { at: 0, blocks: 0, count: 0, last: 0 };
    }

    fn end_bucket(&mut self) {
        let start = self.out.len();
        if !self.bucket.is_empty() {
            self.bucket.finish(&mut self.out);
        }
        self.fanout.push(self.out_at + start as u64, (self.out.len() - start) as u32);
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        self.file
            .write_all_at(&self.out, self.out_at)
            .map_err(|error| IndexError::io(&self.unfinished, error))?;
        self.out_at += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    /// Makes the run safe under its name, and opens it.
    pub(super) fn finish(mut self) -> Result<Run, IndexError> {
        self.end_key();
        while self.fanout.len() < 1 << self.header.bits {
            self.end_bucket();
        }
        self.header.fanout_at = self.out_at + self.out.len() as u64;
        let fanout = self.fanout.encode();
        self.header.fanout_crc = crc32c::crc32c(&fanout);
        self.out.extend(fanout);
        self.header.bloom_at = self.out_at + self.out.len() as u64;
        let bloom = std::mem::replace(&mut self.bloom, Bloom::for_keys(0));
        for line in bloom.lines() {
            self.header.bloom_crc = crc32c::crc32c_append(self.header.bloom_crc, &line);
            self.out.extend(line);
            if self.out.len() >= WRITE_BYTES {
                self.flush()?;
            }
        }
        self.header.file_len = self.out_at + self.out.len() as u64;
        self.flush()?;
        let io = |error| IndexError::io(&self.unfinished, error);
        self.file.write_all_at(&self.header.encode(), 0).map_err(io)?;
        self.file.sync_data().map_err(io)?;
        let path = self.dir.join(file_name(self.header.from, self.header.to));
        self.vfs.rename(&self.unfinished, &path).map_err(io)?;
        self.vfs.sync_dir(self.dir).map_err(io)?;
        Run::open(self.vfs, &path)
    }

    /// Gives up, and leaves nothing behind where the disk allows it.
    pub(super) fn abandon(self) {
        // What stays is removed when the index is opened the next time.
        let _ = self.vfs.remove(&self.unfinished);
    }
}

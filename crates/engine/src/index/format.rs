//! Which bytes make up a run? The header, the buckets and the blocks, as drawn in docs/format-index.md.

use super::key::KeyHash;

/// First bytes of every run.
const MAGIC: [u8; 8] = *b"FACTMIDX";
const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 88;
/// Bytes of a list's block, all but its last one.
pub(super) const BLOCK_BYTES: usize = 1_024;
/// Bytes of a block before its differences.
const BLOCK_HEAD_BYTES: usize = 16;
/// Bytes of a bucket before its keys.
const BUCKET_HEAD_BYTES: usize = 12;
/// Bytes of a key with one posting.
const SINGLE_BYTES: usize = 12;
/// Bytes of a key with more.
const MANY_BYTES: usize = 28;
/// Bytes of a bucket's place in the fanout.
pub(super) const FANOUT_BYTES: usize = 12;
/// Most buckets, as a power of two.
pub(super) const MAX_BITS: u32 = 32;

/// What bytes are wrong, for an error that also names the file and the offset.
pub(super) type Fault = &'static str;

/// The header of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) level: u32,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) keys: u64,
    pub(super) postings: u64,
    pub(super) fanout_at: u64,
    pub(super) bloom_at: u64,
    pub(super) file_len: u64,
    pub(super) bits: u32,
    pub(super) fanout_crc: u32,
    pub(super) bloom_crc: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend(MAGIC);
        for word in [VERSION, self.level] {
            out.extend(word.to_le_bytes());
        }
        for long in
            [self.from, self.to, self.keys, self.postings, self.fanout_at, self.bloom_at, self.file_len]
        {
            out.extend(long.to_le_bytes());
        }
        for word in [self.bits, self.fanout_crc, self.bloom_crc] {
            out.extend(word.to_le_bytes());
        }
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// Reads a header and checks that its parts fit a file of `len` bytes.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES], len: u64) -> Result<Self, Fault> {
        if bytes[..8] != MAGIC {
            return Err("it does not begin like an index run");
        }
        if crc32c::crc32c(&bytes[..84]) != word(bytes, 84) {
            return Err("the header's checksum is wrong");
        }
        if word(bytes, 8) != VERSION {
            return Err("its version is not known to this build");
        }
        let header = Self {
            level: word(bytes, 12),
            from: long(bytes, 16),
            to: long(bytes, 24),
            keys: long(bytes, 32),
            postings: long(bytes, 40),
            fanout_at: long(bytes, 48),
            bloom_at: long(bytes, 56),
            file_len: long(bytes, 64),
            bits: word(bytes, 72),
            fanout_crc: word(bytes, 76),
            bloom_crc: word(bytes, 80),
        };
        let positions = header.to.checked_sub(header.from);
        if !positions.is_some_and(|n| n > 0 && n <= u64::from(u32::MAX)) {
            return Err("its range of positions is not one");
        }
        if header.file_len != len {
            return Err("the file's length is not the one that its header gives");
        }
        let fanout = (header.bits <= MAX_BITS).then(|| FANOUT_BYTES as u64 * (1 << header.bits));
        let in_order = header.fanout_at >= HEADER_BYTES as u64
            && header.bloom_at >= header.fanout_at
            && header.file_len > header.bloom_at;
        if !in_order || Some(header.bloom_at - header.fanout_at) != fanout {
            return Err("its sections do not fit together");
        }
        Ok(header)
    }
}

/// Number of the bucket that holds a key.
pub(super) fn bucket_of(key: KeyHash, bits: u32) -> usize {
    key.0.checked_shr(64 - bits).unwrap_or(0) as usize
}

/// Where the postings of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is one, and this is it.
    Single(u32),
    /// There are more.
    Many(ListPlace),
}

/// A list in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListPlace {
    pub(super) at: u64,
    pub(super) blocks: u32,
    pub(super) count: u32,
    pub(super) last: u32,
}

/// Collects the keys of one bucket.
#[derive(Debug, Default)]
pub(super) struct BucketBuilder {
    singles: Vec<u8>,
    many: Vec<u8>,
}

impl BucketBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.singles.is_empty() && self.many.is_empty()
    }

    /// Adds a key; keys come in ascending order.
    pub(super) fn add(&mut self, key: KeyHash, found: Found) {
        match found {
            Found::Single(posting) => {
                self.singles.extend(key.0.to_le_bytes());
                self.singles.extend(posting.to_le_bytes());
            }
            Found::Many(list) => {
                self.many.extend(key.0.to_le_bytes());
                self.many.extend(list.at.to_le_bytes());
                for word in [list.blocks, list.count, list.last] {
                    self.many.extend(word.to_le_bytes());
                }
            }
        }
    }

    /// Appends the bucket to `out` and empties the builder.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend([0; 4]);
        out.extend(((self.singles.len() / SINGLE_BYTES) as u32).to_le_bytes());
        out.extend(((self.many.len() / MANY_BYTES) as u32).to_le_bytes());
        out.append(&mut self.singles);
        out.append(&mut self.many);
        let crc = crc32c::crc32c(&out[at + 4..]);
        out[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A bucket whose checksum and lengths are right.
pub(super) struct Bucket<'a> {
    singles: &'a [[u8; SINGLE_BYTES]],
    many: &'a [[u8; MANY_BYTES]],
}

impl<'a> Bucket<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.len() < BUCKET_HEAD_BYTES {
            return Err("a bucket is too short");
        }
        if crc32c::crc32c(&bytes[4..]) != word(bytes, 0) {
            return Err("a bucket's checksum is wrong");
        }
        let singles = word(bytes, 4) as usize;
        let keys = &bytes[BUCKET_HEAD_BYTES..];
        let (singles, many) = singles
            .checked_mul(SINGLE_BYTES)
            .and_then(|len| keys.split_at_checked(len))
            .ok_or("a bucket has fewer keys than it says")?;
        let (many, rest) = many.as_chunks();
        if !rest.is_empty() || many.len() != word(bytes, 8) as usize {
            return Err("a bucket has not as many keys as it says");
        }
        Ok(Self { singles: singles.as_chunks().0, many })
    }

    pub(super) fn find(&self, key: KeyHash) -> Option<Found> {
        if let Ok(i) = self.singles.binary_search_by_key(&key.0, |entry| long(entry, 0)) {
            return Some(single(&self.singles[i]).1);
        }
        let i = self.many.binary_search_by_key(&key.0, |entry| long(entry, 0)).ok()?;
        Some(many(&self.many[i]).1)
    }

    /// All keys, by hash.
    pub(super) fn sorted(&self, out: &mut Vec<(KeyHash, Found)>) {
        out.extend(self.singles.iter().map(single));
        out.extend(self.many.iter().map(many));
        out.sort_unstable_by_key(|(key, _)| *key);
    }
}

fn single(entry: &[u8; SINGLE_BYTES]) -> (KeyHash, Found) {
    (KeyHash(long(entry, 0)), Found::Single(word(entry, 8)))
}

fn many(entry: &[u8; MANY_BYTES]) -> (KeyHash, Found) {
    let place = ListPlace {
        at: long(entry, 8),
        blocks: word(entry, 16),
        count: word(entry, 20),
        last: word(entry, 24),
    };
    (KeyHash(long(entry, 0)), Found::Many(place))
}

/// The block of a list that is being written.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    first: u32,
    last: u32,
    count: u16,
    differences: Vec<u8>,
}

impl BlockBuilder {
    /// Number of its postings.
    pub(super) fn len(&self) -> u16 {
        self.count
    }

    /// The one posting that was added; empties the builder.
    pub(super) fn take_single(&mut self) -> u32 {
        self.count = 0;
        self.first
    }

    /// The last posting that was added.
    pub(super) fn last(&self) -> u32 {
        self.last
    }

    /// Adds a posting; `false` where the block is full. Postings come in ascending order.
    pub(super) fn add(&mut self, posting: u32) -> bool {
        if self.count == 0 {
            (self.first, self.last, self.count) = (posting, posting, 1);
            return true;
        }
        // A difference takes at most 5 bytes.
        if self.differences.len() + 5 > BLOCK_BYTES - BLOCK_HEAD_BYTES {
            return false;
        }
        let mut rest = posting - self.last;
        while rest >= 0x80 {
            self.differences.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.differences.push(rest as u8);
        self.last = posting;
        self.count += 1;
        true
    }

    /// Appends the block to `out` and empties the builder. Returns the number of its postings.
    pub(super) fn finish(&mut self, ordinal: u32, filled_up: bool, out: &mut Vec<u8>) -> u32 {
        let at = out.len();
        out.extend([0; 4]);
        out.extend(self.first.to_le_bytes());
        out.extend(ordinal.to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend((self.differences.len() as u16).to_le_bytes());
        out.append(&mut self.differences);
        let crc = crc32c::crc32c(&out[at + 4..]);
        out[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        if filled_up {
            out.resize(at + BLOCK_BYTES, 0);
        }
        u32::from(std::mem::take(&mut self.count))
    }
}

/// The fixed part of a block whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHead<'a> {
    pub(super) first: u32,
    pub(super) ordinal: u32,
    pub(super) count: u16,
    differences: &'a [u8],
}

impl<'a> BlockHead<'a> {
    /// Reads the block that `bytes` begin with.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.len() < BLOCK_HEAD_BYTES {
            return Err("a block is too short");
        }
        let end = BLOCK_HEAD_BYTES + usize::from(half(bytes, 14));
        let checked = bytes.get(4..end).ok_or("a block is longer than its place")?;
        if crc32c::crc32c(checked) != word(bytes, 0) {
            return Err("a block's checksum is wrong");
        }
        let head = Self {
            first: word(bytes, 4),
            ordinal: word(bytes, 8),
            count: half(bytes, 12),
            differences: &bytes[BLOCK_HEAD_BYTES..end],
        };
        if head.count == 0 { Err("a block has no postings") } else { Ok(head) }
    }

    /// Appends the block's postings to `out`: ascending, none above `last`.
    pub(super) fn postings(&self, last: u32, out: &mut Vec<u32>) -> Result<(), Fault> {
        const FAULT: Fault = "a block's postings are not ascending";
        let mut at = self.first;
        out.push(at);
        let mut bytes = self.differences.iter();
        for _ in 1..self.count {
            let mut difference = 0_u64;
            let mut shift = 0;
            loop {
                let byte = *bytes.next().ok_or(FAULT)?;
                difference |= u64::from(byte & 0x7F) << shift;
                if byte < 0x80 {
                    break;
                }
                shift += 7;
                if shift > 28 {
                    return Err(FAULT);
                }
            }
            let next = u64::from(at) + difference;
            if difference == 0 || next > u64::from(last) {
                return Err(FAULT);
            }
            at = next as u32;
            out.push(at);
        }
        if at > last || bytes.next().is_some() { Err(FAULT) } else { Ok(()) }
    }
}

/// The little-endian `u16` at `at`. Callers have checked the length.
pub(super) fn half(bytes: &[u8], at: usize) -> u16 {
    let mut raw = [0; 2];
    raw.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(raw)
}

/// The little-endian `u32` at `at`. Callers have checked the length.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

/// The little-endian `u64` at `at`. Callers have checked the length.
pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_its_postings_back() {
        let postings = [7, 8, 200, 100_000, u32::MAX - 1];
        let mut builder = BlockBuilder::default();
        assert!(postings.iter().all(|posting| builder.add(*posting)));
        let mut bytes = Vec::new();
        assert_eq!(builder.finish(3, true, &mut bytes), 5);
        assert_eq!(bytes.len(), BLOCK_BYTES);
        let head = BlockHead::decode(&bytes).unwrap();
        assert_eq!((head.first, head.ordinal, head.count), (7, 3, 5));
        let mut out = Vec::new();
        head.postings(u32::MAX - 1, &mut out).unwrap();
        assert_eq!(out, postings);
        assert!(head.postings(100_000, &mut out).is_err(), "a posting above the last one is a fault");
    }

    #[test]
    fn a_header_that_does_not_fit_its_file_is_refused() {
        let header = Header { to: 9, fanout_at: 88, bloom_at: 100, file_len: 164, ..Header::default() };
        assert_eq!(Header::decode(&header.encode(), 164), Ok(header));
        assert!(Header::decode(&header.encode(), 165).is_err());
        for wrong in [
            Header { to: 0, ..header },
            Header { bits: 33, ..header },
            Header { bloom_at: 101, ..header },
            Header { bloom_at: 50, ..header },
            Header { fanout_at: 152, bloom_at: 164, ..header },
        ] {
            assert!(Header::decode(&wrong.encode(), 164).is_err(), "{wrong:?}");
        }
    }
}

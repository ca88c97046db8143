//! Is a key surely not in a run? A filter of one cache line per key, as drawn in docs/format-index.md.

use super::key::KeyHash;

/// Bytes of a line.
pub(super) const LINE_BYTES: usize = 64;
/// Keys for which one line is planned: about 10 bits for each, so that about 1 absent key in 80 passes.
const KEYS_PER_LINE: u64 = 51;
const BITS_PER_KEY: u32 = 6;

/// One cache line, so that a test touches memory once.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u64; 8]);

/// A blocked bloom filter.
#[derive(Debug)]
pub(super) struct Bloom {
    lines: Vec<Line>,
}

impl Bloom {
    /// An empty filter for about so many keys.
    pub(super) fn for_keys(keys: u64) -> Self {
        let lines = keys.div_ceil(KEYS_PER_LINE).max(1);
        Self { lines: vec![Line([0; 8]); usize::try_from(lines).unwrap_or(usize::MAX)] }
    }

    /// The filter in these bytes: a multiple of a line, at least one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<LINE_BYTES>();
        if chunks.is_empty() || !rest.is_empty() {
            return None;
        }
        let line = |chunk: &[u8; LINE_BYTES]| {
            let mut words = [0; 8];
            for (word, bytes) in words.iter_mut().zip(chunk.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            Line(words)
        };
        Some(Self { lines: chunks.iter().map(line).collect() })
    }

    /// The filter's bytes, appended to `out` line by line.
    pub(super) fn lines(&self) -> impl Iterator<Item = [u8; LINE_BYTES]> {
        self.lines.iter().map(|line| {
            let mut bytes = [0; LINE_BYTES];
            for (word, bytes) in line.0.iter().zip(bytes.as_chunks_mut::<8>().0) {
                *bytes = word.to_le_bytes();
            }
            bytes
        })
    }

    /// Adds a key.
    pub(super) fn insert(&mut self, key: KeyHash) {
        let line = self.line(key);
        for bit in bits(key) {
            self.lines[line].0[bit >> 6] |= 1 << (bit & 63);
        }
    }

    /// `false`: the key was surely not added.
    pub(super) fn may_have(&self, key: KeyHash) -> bool {
        let line = &self.lines[self.line(key)].0;
        bits(key).all(|bit| line[bit >> 6] & (1 << (bit & 63)) != 0)
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }

    fn line(&self, key: KeyHash) -> usize {
        ((u128::from(key.0) * self.lines.len() as u128) >> 64) as usize
    }
}

fn bits(key: KeyHash) -> impl Iterator<Item = usize> {
    let mixed = key.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (1..=BITS_PER_KEY).map(move |i| (mixed >> (64 - 9 * i)) as usize & 511)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_keys_are_found_and_few_others_pass() {
        let keys = 10_000;
        let mut bloom = Bloom::for_keys(keys);
        for n in 0..keys {
            bloom.insert(KeyHash::stream(&n.to_string()));
        }
        let bytes = bloom.lines().flatten().collect::<Vec<_>>();
        let bloom = Bloom::from_bytes(&bytes).unwrap();
        assert!((0..keys).all(|n| bloom.may_have(KeyHash::stream(&n.to_string()))));
        let passed = (0..keys).filter(|n| bloom.may_have(KeyHash::tag(&n.to_string()))).count();
        assert!(passed < 250, "{passed} of 10,000 absent keys passed");
    }

    #[test]
    fn odd_bytes_are_no_filter() {
        assert!(Bloom::from_bytes(&[]).is_none());
        assert!(Bloom::from_bytes(&[0; 65]).is_none());
    }
}

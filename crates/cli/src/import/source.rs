//! Where an import's bytes come from: plain or gzip, counted in bytes and lines, with a bound on one token.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use factum_core::limits::MAX_EVENT_BYTES;
use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 64 * 1024;
/// Longest line or XML token that is read into memory, in bytes: no event of legal size needs more.
pub(super) const MAX_TOKEN_BYTES: usize = 2 * MAX_EVENT_BYTES;

/// The uncompressed input.
pub(super) struct Input<'r> {
    inner: Box<dyn BufRead + Send + 'r>,
    raw_bytes: Arc<AtomicU64>,
    newlines: u64,
    token_bytes: usize,
}

impl<'r> Input<'r> {
    /// Looks at the first bytes to tell gzip from plain text.
    pub(super) fn open(reader: impl Read + Send + 'r) -> io::Result<Self> {
        let raw_bytes = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: reader, bytes: Arc::clone(&raw_bytes) };
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, counted);
        let inner: Box<dyn BufRead + Send + 'r> = if plain.fill_buf()?.starts_with(&GZIP_MAGIC) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(Self { inner, raw_bytes, newlines: 0, token_bytes: 0 })
    }

    /// Bytes taken from the file so far.
    pub(super) fn raw_bytes(&self) -> u64 {
        self.raw_bytes.load(Ordering::Relaxed)
    }

    /// The line that is being read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.newlines + 1
    }

    /// A token is done: the next one may again have `MAX_TOKEN_BYTES`.
    pub(super) fn token_done(&mut self) {
        self.token_bytes = 0;
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.token_bytes > MAX_TOKEN_BYTES {
            let why = format!("no end of a tag or line within {MAX_TOKEN_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // The buffer is filled already: this does no I/O.
        if let Ok(buffer) = self.inner.fill_buf() {
            self.newlines +=
                buffer[..count.min(buffer.len())].iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.token_bytes += count;
        self.inner.consume(count);
    }
}

/// Whether reading failed because of what the input is, and not because of the machine.
pub(super) fn is_malformed(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gzip_is_known_by_its_first_bytes() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"one\ntwo\n").unwrap();
        let gzip = gzip.finish().unwrap();
        for bytes in [b"one\ntwo\n".as_slice(), &gzip] {
            let mut input = Input::open(bytes).unwrap();
            let mut text = String::new();
            input.read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), input.line()), ("one\ntwo\n", 3));
            assert_eq!(input.raw_bytes(), bytes.len() as u64);
        }
    }

    #[test]
    fn a_cut_gzip_is_malformed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[7; 1_000]).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut input = Input::open(&gzip[..gzip.len() - 5]).unwrap();
        let error = input.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(is_malformed(&error), "{error}");
    }

    #[test]
    fn a_token_is_bounded() {
        let endless = io::repeat(b'x');
        let mut input = Input::open(endless).unwrap();
        let error = input.read_until(b'\n', &mut Vec::new()).unwrap_err();
        assert!(is_malformed(&error), "{error}");
    }
}

//! Which files is the console made of, and where do they come from?

use std::fmt;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The page that every address of the console answers.
pub(crate) const INDEX: &str = "index.html";

/// Files below this size in bytes are not worth compressing.
const WORTH_COMPRESSING: usize = 1_024;

/// Hexadecimal digits of the hash in the assets' addresses.
const HASH_DIGITS: usize = 16;

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        /// Each file of `ui/` that a browser may ask for, by its path.
        pub(crate) const EMBEDDED: &[(&str, &[u8])] =
            &[$(($path, include_bytes!(concat!("../ui/", $path)))),+];
    };
}

// A list, and neither a build script nor a macro crate: a test holds it against the folder.
embedded![
    "index.html",
    "app.js",
    "core.js",
    "live-worker.js",
    "pure.js",
    "widgets.js",
    "style.css",
    "screens/compare.js",
    "screens/correlation.js",
    "screens/event.js",
    "screens/events.js",
    "screens/overview.js",
    "screens/privacy.js",
    "screens/processes.js",
    "screens/projections.js",
    "screens/schemas.js",
    "screens/state.js",
    "screens/stream.js",
    "screens/streams.js",
    "screens/subscriptions.js",
    "screens/system.js",
    "vendor/preact.js",
];

/// Reads a file of the console by its path, for development.
pub type FromFolder = Arc<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Where the files come from.
#[derive(Clone, Default)]
pub enum Assets {
    /// Out of the binary, named by the hash of them all and kept by browsers for a year.
    #[default]
    Embedded,
    /// Read anew for each request: edit, reload.
    Folder(FromFolder),
}

impl fmt::Debug for Assets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Embedded => "Embedded",
            Self::Folder(_) => "Folder",
        })
    }
}

/// One file, as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) plain: Bytes,
    /// Absent where it would not be smaller, and in development.
    pub(crate) gzip: Option<Bytes>,
}

impl Assets {
    /// What stands in the assets' addresses. The same files have the same hash; a changed one changes all addresses, so
    /// that a page never mixes two versions.
    pub(crate) fn hash(&self) -> &str {
        static HASH: OnceLock<String> = OnceLock::new();
        match self {
            Self::Folder(_) => "folder",
            Self::Embedded => HASH.get_or_init(|| {
                let mut hash = Sha256::new();
                for (path, bytes) in EMBEDDED {
                    hash.update((path.len() as u64).to_le_bytes());
                    hash.update(path);
                    hash.update((bytes.len() as u64).to_le_bytes());
                    hash.update(bytes);
                }
                let mut text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                text.truncate(HASH_DIGITS);
                text
            }),
        }
    }

    pub(crate) fn file(&self, path: &str) -> Option<File> {
        match self {
            Self::Folder(read) => is_plain(path)
                .then(|| read(path))
                .flatten()
                .map(|bytes| File { plain: Bytes::from(bytes), gzip: None }),
            Self::Embedded => {
                let place = EMBEDDED.iter().position(|(name, _)| *name == path)?;
                let plain = EMBEDDED[place].1;
                Some(File { plain: Bytes::from_static(plain), gzip: compressed(place, plain) })
            }
        }
    }
}

/// Compressed when it is first asked for, and kept.
fn compressed(place: usize, plain: &'static [u8]) -> Option<Bytes> {
    static KEPT: [OnceLock<Option<Bytes>>; EMBEDDED.len()] = [const { OnceLock::new() }; EMBEDDED.len()];
    KEPT[place]
        .get_or_init(|| {
            if plain.len() < WORTH_COMPRESSING {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(plain).ok()?;
            let packed = encoder.finish().ok()?;
            (packed.len() < plain.len()).then(|| Bytes::from(packed))
        })
        .clone()
}

/// Whether `path` names a file below the folder and none beside it.
fn is_plain(path: &str) -> bool {
    !path.contains('\\') && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

/// The content type of a file, by the end of its name.
pub(crate) fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::{Assets, EMBEDDED, is_plain};

    fn collect(folder: &Path, below: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                collect(&entry.path(), &format!("{name}/"), found);
            } else if !name.ends_with(".md") {
                found.push(name);
            }
        }
    }

    #[test]
    fn the_list_is_the_folder() {
        let mut found = Vec::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ui"), "", &mut found);
        let mut listed: Vec<&str> = EMBEDDED.iter().map(|(path, _)| *path).collect();
        found.sort();
        listed.sort_unstable();
        assert_eq!(listed, found, "src/assets.rs lists what is embedded");
    }

    #[test]
    fn a_folder_is_not_left() {
        for path in ["../secret", "a/../../b", "/etc/passwd", "a//b", ".git/config", "", "a\\..\\b"] {
            assert!(!is_plain(path), "{path}");
        }
        assert!(is_plain("screens/stream.js"));
        let asked = Assets::Folder(Arc::new(|path| Some(path.as_bytes().to_vec())));
        assert!(asked.file("../Cargo.toml").is_none());
        assert_eq!(asked.file("app.js").unwrap().plain, "app.js");
    }

    #[test]
    fn big_files_are_compressed_and_the_hash_is_steady() {
        let assets = Assets::Embedded;
        let file = assets.file("vendor/preact.js").unwrap();
        assert!(file.gzip.unwrap().len() < file.plain.len());
        assert_eq!(assets.hash(), Assets::Embedded.hash());
        assert_eq!(assets.hash().len(), super::HASH_DIGITS);
    }
}

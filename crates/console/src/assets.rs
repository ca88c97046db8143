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

/// The file that knows which address is which screen.
const ROUTER: &str = "app.js";

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
    "cards.js",
    "core.js",
    "fixture.js",
    "palette.js",
    "live-worker.js",
    "pure.js",
    "sample.js",
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

    /// The screen that an address of the console shows, so that the page can say early that it is needed. The list is
    /// the router's own, in `app.js`: `['/ui/streams/{stream}', 'stream', ...],`.
    pub(crate) fn screen_of(&self, address: &str) -> Option<String> {
        let router = self.file(ROUTER)?;
        let text = std::str::from_utf8(&router.plain).ok()?;
        let routes = text.split_once("const ROUTES = [")?.1.split_once("\n];")?.0;
        let parts: Vec<&str> = address.trim_end_matches('/').split('/').collect();
        routes.lines().find_map(|line| {
            let mut quoted = line.split('\'').skip(1).step_by(2);
            let (pattern, screen) = (quoted.next()?, quoted.next()?);
            let wanted: Vec<&str> = pattern.split('/').collect();
            let fits = wanted.len() == parts.len()
                && wanted
                    .iter()
                    .zip(&parts)
                    .all(|(want, part)| want == part || want.starts_with('{') && !part.is_empty());
            fits.then(|| screen.to_owned())
        })
    }

    pub(crate) fn file(&self, path: &str) -> Option<File> {
        match self {
            Self::Folder(read) => is_plain(path)
                .then(|| read(path))
                .flatten()
                .map(|bytes| File { plain: without_comments(path, &bytes), gzip: None }),
            Self::Embedded => Some(sent(EMBEDDED.iter().position(|(name, _)| *name == path)?)),
        }
    }
}

/// As it is sent: made when it is first asked for, and kept.
fn sent(place: usize) -> File {
    static KEPT: [OnceLock<File>; EMBEDDED.len()] = [const { OnceLock::new() }; EMBEDDED.len()];
    KEPT[place]
        .get_or_init(|| {
            let (path, source) = EMBEDDED[place];
            let plain = without_comments(path, source);
            let gzip = compressed(&plain);
            File { plain, gzip }
        })
        .clone()
}

fn compressed(plain: &Bytes) -> Option<Bytes> {
    if plain.len() < WORTH_COMPRESSING {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < plain.len()).then(|| Bytes::from(packed))
}

/// The file without its lines of comment: a browser does not read them, and they are a tenth of what it fetches. The
/// lines stay, empty, so that a place in an error is one in the source. Comments beside code stay too: to find those
/// needs a parser.
fn without_comments(path: &str, source: &[u8]) -> Bytes {
    let is_ours = (path.ends_with(".js") || path.ends_with(".css")) && !path.starts_with("vendor/");
    let Some(text) = std::str::from_utf8(source).ok().filter(|_| is_ours) else {
        return Bytes::copy_from_slice(source);
    };
    let mut out = String::with_capacity(text.len());
    let mut is_inside = false;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let begins = trimmed.starts_with("/*") && trimmed.find("*/").is_none_or(|at| at + 2 == trimmed.len());
        if !is_inside && !begins && !trimmed.starts_with("//") {
            out.push_str(line);
            continue;
        }
        if line.ends_with('\n') {
            out.push('\n');
        }
        is_inside = (is_inside || begins) && !trimmed.ends_with("*/");
    }
    Bytes::from(out)
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

    use super::{Assets, EMBEDDED, is_plain, without_comments};

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
    fn lines_of_comment_are_not_sent_and_all_else_is() {
        let source = "// one\nlet a = 1; // beside\n  /** two\n   * lines */\nlet b = `http://x`;\n/* c */ let d;\n/* e */\nlast";
        assert_eq!(
            without_comments("a.js", source.as_bytes()),
            "\nlet a = 1; // beside\n\n\nlet b = `http://x`;\n/* c */ let d;\n\nlast"
        );
        assert_eq!(without_comments("vendor/a.js", b"// kept"), "// kept");
        assert_eq!(without_comments("a.html", b"// kept"), "// kept");
    }

    #[test]
    fn an_address_has_the_screen_that_the_router_gives_it() {
        for (address, screen) in [
            ("/ui/", Some("overview")),
            ("/ui/streams", Some("streams")),
            ("/ui/streams/a%2Fb", Some("stream")),
            ("/ui/streams/a/state", Some("state")),
            ("/ui/streams/a/7", Some("event")),
            ("/ui/no/such/page", None),
        ] {
            assert_eq!(Assets::Embedded.screen_of(address).as_deref(), screen, "{address}");
        }
    }

    /// A text of several lines may hold what looks like a comment: no file of ours has one.
    #[test]
    fn no_text_of_several_lines_looks_like_a_comment() {
        for (path, bytes) in EMBEDDED.iter().filter(|(path, _)| !path.starts_with("vendor/")) {
            let sent = without_comments(path, bytes);
            let (text, sent) = (std::str::from_utf8(bytes).unwrap(), std::str::from_utf8(&sent).unwrap());
            assert_eq!(text.lines().count(), sent.lines().count(), "{path}");
            if !path.ends_with(".js") {
                continue;
            }
            for (number, (before, after)) in text.lines().zip(sent.lines()).enumerate() {
                // A comment has no quotes of a text's end, and no text goes over it: the backquotes before it pair up.
                if before != after {
                    let open = sent.lines().take(number).map(|line| line.matches('`').count()).sum::<usize>();
                    assert_eq!(open % 2, 0, "{path}:{}: {before}", number + 1);
                }
            }
        }
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

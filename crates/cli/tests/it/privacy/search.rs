//! Is a text anywhere in these bytes: as it is, encoded, or compressed?

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::files;

/// Bytes of a piece of the mark that give it away by themselves. Databases store long texts in pieces.
const PIECE: usize = 8;
/// Most bytes that are taken out of one compressed stream.
const MAX_INFLATED: u64 = 64 << 20;

/// A text that appears nowhere by accident, and what it looks like encoded.
pub(crate) struct Mark {
    pub(crate) text: String,
    needles: Vec<(&'static str, Vec<u8>)>,
    /// Whether a needle begins with these two bytes.
    begins: Vec<bool>,
}

impl Mark {
    /// A new one: letters that no hexadecimal number has.
    pub(crate) fn fresh() -> Self {
        let letters = uuid::Uuid::new_v4().simple().to_string();
        let letters = letters.chars().map(|c| char::from(b'g' + c.to_digit(16).unwrap() as u8));
        Self::of(&letters.collect::<String>())
    }

    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut needles: Vec<(&'static str, Vec<u8>)> =
            bytes.windows(PIECE).map(|piece| ("as it is", piece.to_vec())).collect();
        let mut add = |form, needle: String| needles.push((form, needle.into_bytes()));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        add("hexadecimal", hex.to_uppercase());
        add("hexadecimal", hex);
        for digits in [|c: char| format!("\\u{:04x}", c as u32), |c: char| format!("\\u{:04X}", c as u32)] {
            add("escaped", text.chars().map(digits).collect());
        }
        add("escaped", text.chars().map(|c| format!("%{:02X}", c as u32)).collect());
        for (form, engine) in [("base64", &STANDARD), ("base64 for URLs", &URL_SAFE)] {
            for before in 0..3 {
                // What stands before and after has a share in the outermost characters.
                let encoded = engine.encode([&[0; 2][..before], bytes].concat());
                let whole = (before + bytes.len()) * 8 / 6;
                add(form, encoded[(before * 8).div_ceil(6)..whole].to_owned());
            }
        }
        let wide: Vec<u16> = text.encode_utf16().collect();
        needles.push(("UTF-16", wide.iter().flat_map(|unit| unit.to_le_bytes()).collect()));
        needles.push(("UTF-16", wide.iter().flat_map(|unit| unit.to_be_bytes()).collect()));
        needles.push(("backwards", bytes.iter().rev().copied().collect()));
        let mut begins = vec![false; 1 << 16];
        for (_, needle) in &needles {
            begins[usize::from(u16::from_be_bytes([needle[0], needle[1]]))] = true;
        }
        Self { text: text.to_owned(), needles, begins }
    }

    /// In which forms it is in these bytes.
    pub(crate) fn forms_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = self.plain_in(bytes);
        for (how, inflated) in inflated(bytes) {
            found.extend(self.plain_in(&inflated).iter().map(|form| format!("{how}, {form}")));
            for (again, inflated) in self::inflated(&inflated) {
                found.extend(self.plain_in(&inflated).iter().map(|form| format!("{how}, {again}, {form}")));
            }
        }
        found
    }

    fn plain_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (at, two) in bytes.windows(2).enumerate() {
            if self.begins[usize::from(u16::from_be_bytes([two[0], two[1]]))] {
                let here = &bytes[at..];
                let hits = self.needles.iter().filter(|(_, needle)| here.starts_with(needle));
                found.extend(hits.map(|(form, _)| (*form).to_owned()));
            }
        }
        found
    }

    /// The files below a directory that have it, in their names or in their bytes, as paths from there.
    pub(crate) fn files_in(&self, root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for path in files(root) {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let bytes = std::fs::read(&path).unwrap();
            if !self.forms_in(name.as_bytes()).is_empty() || !self.forms_in(&bytes).is_empty() {
                found.push(name);
            }
        }
        found
    }
}

/// Every compressed stream that begins in these bytes, as far as it can be read.
fn inflated(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut found = Vec::new();
    let mut keep = |how, from: &mut dyn Read| {
        let mut out = Vec::new();
        // A stream that is cut or damaged has given what it has.
        let _ = from.take(MAX_INFLATED).read_to_end(&mut out);
        if !out.is_empty() {
            found.push((how, out));
        }
    };
    for at in 0..bytes.len().saturating_sub(1) {
        let here = &bytes[at..];
        match here {
            [0x1f, 0x8b, 8, ..] => keep("gzip", &mut GzDecoder::new(here)),
            [0x78, level, ..] if (0x7800 + u16::from(*level)) % 31 == 0 => {
                keep("zlib", &mut ZlibDecoder::new(here));
            }
            // The header of a file in a ZIP archive: 30 bytes, its name, and what belongs to it.
            [b'P', b'K', 3, 4, rest @ ..] if rest.len() > 26 => {
                let long = |at: usize| usize::from(u16::from_le_bytes([rest[at], rest[at + 1]]));
                let data = 26 + long(22) + long(24);
                keep("ZIP", &mut DeflateDecoder::new(rest.get(data..).unwrap_or_default()));
            }
            _ => {}
        }
    }
    keep("deflate", &mut DeflateDecoder::new(bytes));
    found
}

#[test]
fn a_mark_is_found_in_every_form() {
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
    let mark = Mark::fresh();
    let text = &mark.text;
    let read = |from: &mut dyn Read| {
        let mut out = Vec::new();
        from.read_to_end(&mut out).unwrap();
        out
    };
    let packed = |level| {
        let text =
            format!("{}{text}{}", "much of the same ".repeat(50), "and so on ".repeat(50)).into_bytes();
        let level = Compression::new(level);
        [
            ("gzip", read(&mut GzEncoder::new(&text[..], level))),
            ("zlib", read(&mut ZlibEncoder::new(&text[..], level))),
            ("deflate", read(&mut DeflateEncoder::new(&text[..], level))),
        ]
    };
    let mut forms: Vec<(&str, Vec<u8>)> = vec![
        ("as it is", text.clone().into_bytes()),
        ("as it is", text.as_bytes()[5..20].to_vec()),
        ("hexadecimal", text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()),
        ("escaped", text.chars().map(|c| format!("\\u{:04x}", c as u32)).collect::<String>().into_bytes()),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("backwards", text.bytes().rev().collect()),
    ];
    for before in ["", "a", "ab", "abc"] {
        for after in ["", "z", "zy"] {
            let json = format!("{before}{text}{after}");
            forms.push(("base64", STANDARD.encode(&json).into_bytes()));
            forms.push(("base64 for URLs", URL_SAFE.encode(&json).into_bytes()));
        }
    }
    for level in [1, 6, 9] {
        forms.extend(packed(level));
    }
    for (form, bytes) in forms {
        // A raw stream has no beginning that can be told; the others are found anywhere.
        let before: &[u8] = if form == "deflate" { b"" } else { b"\0x\x1f\x8b--" };
        let found = mark.forms_in(&[before, &bytes, b"\0\xff"].concat());
        assert!(found.iter().any(|found| found.starts_with(form)), "{form}: {found:?}");
        if form.starts_with("base64") || form == "hexadecimal" {
            assert!(Mark::of("another text of a good length").forms_in(&bytes).is_empty(), "{form}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("other"), Mark::of("another text of a good length").text).unwrap();
    assert!(mark.files_in(dir.path()).is_empty());
    std::fs::write(dir.path().join(text), "").unwrap();
    assert_eq!(mark.files_in(dir.path()), [text.as_str()]);
}

//! Which files is the manual made of?

macro_rules! files {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../docs/", $folder, $path)))),+]
    };
}

macro_rules! pictures {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../../docs/book/src/pictures/", $name)).as_slice())),+]
    };
}

/// What stands in which order: a list of links.
pub(super) const SUMMARY: &str = include_str!("../../../../docs/book/src/SUMMARY.md");

/// Each page by its path, as Markdown. A test holds the list against the folder.
pub(super) const PAGES: &[(&str, &str)] = files![
    "book/src/":
    "README.md",
    "guides/aggregate.md",
    "guides/append.md",
    "guides/backup.md",
    "guides/bug.md",
    "guides/domain.md",
    "guides/erase.md",
    "guides/kurrentdb.md",
    "guides/parked.md",
    "guides/process.md",
    "guides/rebuild.md",
    "guides/time-travel.md",
    "guides/upcast.md",
    "reference/api.md",
    "reference/cli.md",
    "reference/format.md",
    "reference/glossary.md",
    "reference/http.md",
    "reference/metrics.md",
    "reference/persistent-subscriptions.md",
    "reference/personal-data.md",
    "reference/projections.md",
    "reference/security.md",
    "start/concepts.md",
    "start/quickstart.md",
    "start/tour.md",
];

/// What pages take in with `{{#include}}`, by file name.
pub(super) const INCLUDED: &[(&str, &str)] = files![
    "":
    "format.md",
    "glossary.md",
    "http.md",
    "persistent-subscriptions.md",
    "personal-data.md",
    "projections.md",
    "security.md",
];

/// The pictures, by name; browser tests take them.
pub(super) const PICTURES: &[(&str, &[u8])] = pictures![
    "compare.png",
    "event.png",
    "fault.png",
    "overview.png",
    "parked.png",
    "person.png",
    "process.png",
    "receipt.png",
    "stream.png",
    "streams.png",
    "time-travel-dark.png",
    "time-travel.png",
];

/// The Markdown of a page, with what it includes in its place.
pub(super) fn markdown(path: &str) -> Option<String> {
    let (_, text) = PAGES.iter().find(|(name, _)| *name == path)?;
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(included(line).unwrap_or(line));
        out.push('\n');
    }
    Some(out)
}

fn included(line: &str) -> Option<&'static str> {
    let path = line.trim().strip_prefix("{{#include ")?.strip_suffix("}}")?;
    let name = path.rsplit('/').next()?;
    INCLUDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// An entry of the table of contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A part: what follows belongs to it.
    Part(&'static str),
    /// A page: its title and its path.
    Page(&'static str, &'static str),
}

/// The table of contents, in reading order.
pub(super) fn contents() -> impl Iterator<Item = Entry> {
    SUMMARY.lines().filter_map(|line| match line.strip_prefix("# ") {
        Some("Summary") => None,
        Some(part) => Some(Entry::Part(part)),
        None => {
            let (title, rest) = line.trim_start_matches("- ").strip_prefix('[')?.split_once("](")?;
            Some(Entry::Page(title, rest.strip_suffix(')')?))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Entry, INCLUDED, PAGES, PICTURES, contents, markdown};

    fn files(folder: &Path, ending: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(at) = folders.pop() {
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(path.strip_prefix(folder).unwrap().display().to_string()),
                }
            }
        }
        found.retain(|name| name.ends_with(ending) && name != "SUMMARY.md");
        found.sort();
        found
    }

    #[test]
    fn the_lists_are_the_folder() {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src");
        let pages: Vec<&str> = PAGES.iter().map(|(path, _)| *path).collect();
        assert_eq!(pages, files(&book, ".md"), "src/manual/pages.rs lists the pages");
        let pictures: Vec<&str> = PICTURES.iter().map(|(name, _)| *name).collect();
        assert_eq!(pictures, files(&book.join("pictures"), ".png"), "src/manual/pages.rs lists the pictures");
    }

    #[test]
    fn the_contents_name_every_page_once() {
        let mut named: Vec<&str> = contents()
            .filter_map(|entry| match entry {
                Entry::Page(_, path) => Some(path),
                Entry::Part(_) => None,
            })
            .collect();
        named.sort_unstable();
        assert_eq!(named, PAGES.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_included_stands_in_the_page() {
        for (path, _) in PAGES {
            assert!(!markdown(path).unwrap().contains("{{#"), "{path}");
        }
        assert!(markdown("reference/http.md").unwrap().contains(INCLUDED[2].1.trim_end()));
    }
}

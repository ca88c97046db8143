//! Is each source file named after its answer, short, and where a reader looks for it?

use super::Finding;
use super::source::SourceFile;

/// Most lines before the unit tests.
const PRODUCTION_LINES: usize = 700;

/// Most folders between `src/` and a file.
const LEVELS_BELOW_SRC: usize = 2;

/// Names that say nothing: what is in such a file belongs beside the type that it serves.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "types", "manager"];

pub(super) fn check(file: &SourceFile<'_>, findings: &mut Vec<Finding>) {
    let path = file.path;
    // Samples that a derive must refuse show a reader's mistakes, not our style.
    if path.contains("/tests/ui/") {
        return;
    }
    let mut say = |line, what: String| findings.push(Finding::new(path, line, what));
    if !file.lines.first().is_some_and(|line| line.comment.starts_with("//! ")) {
        say(1, "the first line must be `//! ...`: which question does this file answer?".to_owned());
    }
    if file.production > PRODUCTION_LINES {
        say(
            0,
            format!("{} production lines, at most {PRODUCTION_LINES}: split it by question", file.production),
        );
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "mod.rs" {
        say(0, "no mod.rs: put `foo.rs` beside `foo/`".to_owned());
    }
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    if EMPTY_NAMES.contains(&stem) {
        say(0, format!("'{stem}' says nothing: name the file after what it answers"));
    }
    if let Some((_, below)) = path.split_once("/src/")
        && below.matches('/').count() > LEVELS_BELOW_SRC
    {
        say(0, format!("more than {LEVELS_BELOW_SRC} folders below src/"));
    }
    if let Some((_, below)) = path.split_once("/tests/")
        && !below.contains('/')
    {
        say(0, "one test binary per crate: make it a module of tests/it/main.rs".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::super::source::SourceFile;

    fn refused(path: &str, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        super::check(&SourceFile::new(path, text), &mut findings);
        findings
    }

    fn assert_refused(path: &str, text: &str, words: &str) {
        let findings = refused(path, text);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].what.contains(words), "{findings:?}");
    }

    const GOOD: &str = "//! What is good?\n\nfn f() {}\n";

    #[test]
    fn a_good_file_passes() {
        assert_eq!(refused("crates/core/src/names/stream.rs", GOOD), []);
    }

    #[test]
    fn a_file_without_a_question_is_refused() {
        assert_refused("crates/core/src/a.rs", "fn f() {}\n", "which question");
        assert_refused("crates/core/src/a.rs", "", "which question");
    }

    #[test]
    fn a_long_file_is_refused_and_tests_do_not_count() {
        let long = format!("//! x\n{}", "fn f() {}\n".repeat(700));
        assert_refused("crates/core/src/a.rs", &long, "701 production lines");
        let tested = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(700));
        assert_eq!(refused("crates/core/src/a.rs", &tested), []);
    }

    #[test]
    fn mod_rs_is_refused() {
        assert_refused("crates/core/src/a/mod.rs", GOOD, "no mod.rs");
    }

    #[test]
    fn empty_names_are_refused() {
        for name in ["utils", "util", "helpers", "common", "misc", "types", "manager"] {
            assert_refused(&format!("crates/core/src/{name}.rs"), GOOD, "says nothing");
        }
    }

    #[test]
    fn deep_folders_are_refused() {
        assert_eq!(refused("crates/core/src/a/b/c.rs", GOOD), []);
        assert_refused("crates/core/src/a/b/c/d.rs", GOOD, "folders below src/");
    }

    #[test]
    fn a_second_test_binary_is_refused() {
        assert_eq!(refused("crates/core/tests/it/main.rs", GOOD), []);
        assert_refused("crates/core/tests/more.rs", GOOD, "one test binary");
    }
}

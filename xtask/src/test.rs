//! Did every test pass, and which could not run? Ends with one plain line: `N passed, N failed, N skipped`.
//!
//! A test that cannot run here says so with `factum_testkit::skip`, which adds a line to the file that `FACTUM_SKIPS`
//! names. The runner counts it as passed; this task moves it to the skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::acceptance;
use crate::services::Services;
use crate::step::Step;

/// What the runners counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Whether a closing line was seen at all: a runner without one did not get to its tests.
    pub(crate) closed: bool,
}

impl Counts {
    /// Names the tests that said they could not run, and counts them so: their runner took them as passed.
    pub(crate) fn move_skipped(&mut self, skips: &SkipFile) {
        let said = skips.read();
        for (name, reason) in &said {
            println!("SKIPPED {name}: {reason}");
        }
        self.passed = self.passed.saturating_sub(said.len() as u64);
        self.skipped += said.len() as u64;
    }
}

/// Runs unit, integration and documentation tests, and those of the published clients. Further arguments go to the runner, as
/// a filter.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let skips = SkipFile::new()?;
    let services = Services::start();
    let mut counts = Counts::default();
    let mut ignored = BTreeSet::new();
    let mut broken = Vec::new();
    for (step, read) in runners(arguments) {
        let shown = step.shown().to_owned();
        let mut here = Counts::default();
        let succeeded = skips.tell(services.tell(step)).watch(|line| {
            read(line, &mut here);
            ignored.extend(ignored_test(line));
        })?;
        if !succeeded && here.failed == 0 || !here.closed {
            broken.push(shown);
        }
        counts.passed += here.passed;
        counts.failed += here.failed;
        counts.skipped += here.skipped;
    }
    // A filter is one of Rust's tests: the clients' have other names.
    if arguments.is_empty() {
        let (acceptance, unfinished) = acceptance::all(&skips)?;
        counts.passed += acceptance.passed;
        counts.failed += acceptance.failed;
        counts.skipped += acceptance.skipped;
        broken.extend(unfinished);
    }
    counts.move_skipped(&skips);
    for name in &ignored {
        println!("SKIPPED {name}: marked #[ignore]");
    }
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    if !broken.is_empty() {
        return Err(format!("did not finish: {}", broken.join(", ")));
    }
    if counts.failed > 0 {
        return Err(format!("{} tests failed: see FAIL or 'failures:' above", counts.failed));
    }
    Ok(())
}

type ReadLine = fn(&str, &mut Counts);

fn runners(arguments: &[String]) -> Vec<(Step, ReadLine)> {
    let more: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let with = |base: &[&'static str]| -> Vec<String> {
        base.iter().chain(&more).map(|&argument| argument.to_owned()).collect()
    };
    let nextest = Step::cargo(&["nextest", "--version"]).output().is_ok();
    let main = if nextest {
        with(&[
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--no-tests",
            "pass",
            "--status-level",
            "skip",
        ])
    } else {
        println!("cargo-nextest is not installed: using cargo test");
        with(&["test", "--workspace", "--all-targets", "--no-fail-fast"])
    };
    let docs = with(&["test", "--workspace", "--doc", "--no-fail-fast"]);
    let step = |arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Step::cargo(&arguments)
    };
    let read_main: ReadLine = if nextest { read_nextest } else { read_cargo_test };
    vec![(step(&main), read_main), (step(&docs), read_cargo_test)]
}

/// `Summary [ 0.1s] 7 tests run: 5 passed (1 slow), 1 failed, 1 timed out, 2 skipped`
fn read_nextest(line: &str, counts: &mut Counts) {
    let line = line.trim();
    if !line.starts_with("Summary [") {
        return;
    }
    let Some((_, results)) = line.split_once(" run: ") else { return };
    counts.closed = true;
    for part in results.split(", ") {
        let mut words = part.split_whitespace();
        let Some(number) = words.next().and_then(|number| number.parse::<u64>().ok()) else { continue };
        match words.next() {
            Some("passed") => counts.passed += number,
            Some("skipped") => counts.skipped += number,
            Some("failed" | "timed" | "exec") => counts.failed += number,
            _ => {}
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
pub(crate) fn read_cargo_test(line: &str, counts: &mut Counts) {
    let Some(results) = line.trim().strip_prefix("test result: ") else { return };
    counts.closed = true;
    let Some((_, results)) = results.split_once(". ") else { return };
    for part in results.split("; ") {
        match part.split_once(' ') {
            Some((number, "passed")) => counts.passed += number.parse().unwrap_or(0),
            Some((number, "failed")) => counts.failed += number.parse().unwrap_or(0),
            Some((number, "ignored")) => counts.skipped += number.parse().unwrap_or(0),
            _ => {}
        }
    }
}

/// The name of a test that the runner left out: `SKIP [   ] crate name`, or `test name ... ignored`.
fn ignored_test(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("SKIP [") {
        return rest.rsplit_once([']', ')']).map(|(_, name)| name.trim().to_owned());
    }
    let name = line.strip_prefix("test ")?;
    name.split_once(" ... ignored").map(|(name, _)| name.to_owned())
}

/// The file in which tests say that they could not run. Gone when the task ends.
pub(crate) struct SkipFile(PathBuf);

impl SkipFile {
    pub(crate) fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("factum-skips-{}", std::process::id()));
        fs::write(&path, "").map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// `step`, told of the file.
    pub(crate) fn tell(&self, step: Step) -> Step {
        step.env("FACTUM_SKIPS", &self.0)
    }

    /// Name and reason of each test, sorted; a test that said it twice counts once.
    fn read(&self) -> BTreeSet<(String, String)> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        parse_skips(&text)
    }
}

fn parse_skips(text: &str) -> BTreeSet<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("SKIPPED "));
    lines.filter_map(|line| line.split_once(": ")).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

impl Drop for SkipFile {
    fn drop(&mut self) {
        // A file left in the temporary directory harms nobody.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, ignored_test, parse_skips, read_cargo_test, read_nextest};

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped, closed: true }
    }

    #[test]
    fn nextest_summaries_are_read() {
        let mut seen = Counts::default();
        read_nextest(
            "     Summary [   0.013s] 9 tests run: 5 passed (1 slow), 3 failed, 1 timed out, 2 skipped",
            &mut seen,
        );
        assert_eq!(seen, counts(5, 4, 2));
    }

    #[test]
    fn cargo_test_summaries_add_up() {
        let mut seen = Counts::default();
        read_cargo_test(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            &mut seen,
        );
        read_cargo_test("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured", &mut seen);
        assert_eq!(seen, counts(4, 2, 1));
    }

    #[test]
    fn a_compile_error_is_no_closing_line() {
        let mut seen = Counts::default();
        read_nextest("error: could not compile `factum`", &mut seen);
        read_cargo_test("error: could not compile `factum`", &mut seen);
        assert!(!seen.closed);
    }

    #[test]
    fn ignored_tests_are_named() {
        let name = ignored_test("        SKIP [         ] (1/2) factum-core a::b");
        assert_eq!(name.as_deref(), Some("factum-core a::b"));
        assert_eq!(ignored_test("test a::b ... ignored").as_deref(), Some("a::b"));
        assert_eq!(ignored_test("test a::b ... ok"), None);
    }

    #[test]
    fn a_skip_said_twice_counts_once() {
        let skips = parse_skips("SKIPPED loans: no log\nSKIPPED loans: no log\nnoise\n");
        assert_eq!(skips.into_iter().collect::<Vec<_>>(), [("loans".to_owned(), "no log".to_owned())]);
    }
}

//! Do the clients that others publish work with our server? Installs them below the target folder and runs the tests of
//! `acceptance/` against `factum serve`.
//!
//! A suite whose client cannot be installed here is skipped by its name: a machine may have no Python, no Node or no way to
//! a registry.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;
use crate::services::install_with_apt;
use crate::step::Step;
use crate::test::{Counts, SkipFile, read_cargo_test};

/// Which binary is tested, for the suites; from outside it names another one than that of the debug build.
const BINARY: &str = "FACTUM_BINARY";
/// Longest time for one test of Node's, in milliseconds.
const NODE_TEST_LIMIT: &str = "--test-timeout=120000";

/// Tests that are run with one installed client.
struct Suite {
    name: &'static str,
    install: fn(&Suite, &Path) -> Result<(), String>,
    step: fn(&Suite, &Path) -> Result<Step, String>,
    read: fn(&str, &mut Counts),
    /// What names the packages, from `acceptance/`.
    packages: &'static str,
    /// Where its tests are, from `acceptance/`; of Node's, the client that they load.
    tests: &'static [&'static str],
}

const SUITES: &[Suite] = &[
    Suite {
        name: "python_kurrentdbclient",
        install: install_python,
        step: pytest,
        read: read_pytest,
        packages: "python/kurrentdbclient.txt",
        tests: &["acceptance/python", "acceptance/eventsourcing"],
    },
    Suite {
        name: "python_esdbclient",
        install: install_python,
        step: pytest,
        read: read_pytest,
        packages: "python/esdbclient.txt",
        tests: &["acceptance/python"],
    },
    Suite {
        name: "python_schemathesis",
        install: install_python,
        step: pytest,
        read: read_pytest,
        packages: "python/schemathesis.txt",
        tests: &["acceptance/api"],
    },
    Suite {
        name: "node_kurrentdb_client",
        install: install_node,
        step: node,
        read: read_node,
        packages: "node/package-lock.json",
        tests: &["@kurrent/kurrentdb-client"],
    },
    Suite {
        name: "node_db_client",
        install: install_node,
        step: node,
        read: read_node,
        packages: "node/package-lock.json",
        tests: &["@eventstore/db-client"],
    },
    Suite {
        name: "rust_kurrentdb",
        install: install_rust,
        step: cargo_test,
        read: read_cargo_test,
        packages: "rust/Cargo.lock",
        tests: &[],
    },
    Suite {
        name: "console",
        install: install_console,
        step: console,
        read: read_node,
        packages: "../crates/console/tests-ui/package-lock.json",
        tests: &[],
    },
];

/// The browser that shows the console to its tests, unless `CHROMIUM` names another.
const CHROMIUM: &str = "/usr/bin/chromium";
/// Where the console's tests are.
const CONSOLE: &str = "crates/console/tests-ui";

/// Runs the suites whose names contain one of the arguments; without arguments all of them.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let chosen =
        |suite: &&Suite| arguments.is_empty() || arguments.iter().any(|name| suite.name.contains(name));
    let skips = SkipFile::new()?;
    let (mut counts, broken) = of_suites(SUITES.iter().filter(chosen), &skips)?;
    counts.move_skipped(&skips);
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    if counts.failed > 0 || !broken.is_empty() {
        return Err(format!("{} tests failed; did not finish: {}", counts.failed, broken.join(", ")));
    }
    Ok(())
}

/// Runs every suite. What did not finish is named.
pub(crate) fn all(skips: &SkipFile) -> Result<(Counts, Vec<String>), String> {
    of_suites(SUITES.iter(), skips)
}

fn of_suites<'a>(
    suites: impl Iterator<Item = &'a Suite>,
    skips: &SkipFile,
) -> Result<(Counts, Vec<String>), String> {
    let binary = binary()?;
    let mut counts = Counts::default();
    let mut broken = Vec::new();
    for suite in suites {
        let place = target().join("acceptance").join(suite.place());
        if let Err(why) = suite.install_once(&place) {
            println!("SKIPPED acceptance::{}: {why}", suite.name);
            counts.skipped += 1;
            continue;
        }
        let step = (suite.step)(suite, &place)?.env(BINARY, &binary);
        let step = skips.tell(step);
        let shown = step.shown().to_owned();
        let mut here = Counts::default();
        let succeeded = step.watch(|line| (suite.read)(line, &mut here))?;
        if !here.closed || (!succeeded && here.failed == 0) {
            broken.push(shown);
        }
        counts.passed += here.passed;
        counts.failed += here.failed;
        counts.skipped += here.skipped;
    }
    Ok((counts, broken))
}

/// The server to test: the one that is named, or what is built here.
fn binary() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os(BINARY) {
        return Ok(given.into());
    }
    Step::cargo(&["build", "--package", "factum-cli"]).run()?;
    Ok(target().join("debug").join("factum"))
}

impl Suite {
    /// Where its packages are, below `target/acceptance`: those who share a lock share it.
    fn place(&self) -> &'static str {
        match self.packages.split_once('/') {
            Some((language @ ("node" | "rust"), _)) => language,
            _ => self.name,
        }
    }

    /// Installs, unless what is asked for was installed before.
    fn install_once(&self, place: &Path) -> Result<(), String> {
        let asked = root().join("acceptance").join(self.packages);
        let asked = fs::read(&asked).map_err(|error| format!("cannot read {}: {error}", asked.display()))?;
        let mark = place.join("installed");
        if fs::read(&mark).is_ok_and(|installed| installed == asked) {
            return Ok(());
        }
        fs::create_dir_all(place).map_err(|error| format!("cannot create {}: {error}", place.display()))?;
        (self.install)(self, place)?;
        fs::write(&mark, asked).map_err(|error| format!("cannot write {}: {error}", mark.display()))
    }
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn install_python(suite: &Suite, place: &Path) -> Result<(), String> {
    let place = place.display().to_string();
    Step::new("python3", &["-m", "venv", &place]).run()?;
    let packages = format!("acceptance/{}", suite.packages);
    // A machine without a network should learn it soon.
    let quick = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"];
    let install = [&["-m", "pip", "install"][..], &quick, &["-r", &packages]].concat();
    Step::new(&format!("{place}/bin/python"), &install).run()
}

fn pytest(suite: &Suite, place: &Path) -> Result<Step, String> {
    let python = place.join("bin").join("python").display().to_string();
    let options = ["-m", "pytest", "-c", "acceptance/pytest.ini", "--rootdir", "acceptance", "--tb", "short"];
    Ok(Step::new(&python, &[&options[..], suite.tests].concat()).env("PYTHONDONTWRITEBYTECODE", "1"))
}

fn install_node(_: &Suite, place: &Path) -> Result<(), String> {
    install_packages("acceptance/node", place)
}

fn install_console(_: &Suite, place: &Path) -> Result<(), String> {
    let browser = std::env::var_os("CHROMIUM").map_or_else(|| PathBuf::from(CHROMIUM), PathBuf::from);
    if !browser.exists() {
        install_with_apt("Chromium", "chromium", &format!("there is no {}", browser.display()))?;
    }
    install_packages(CONSOLE, place)
}

fn install_packages(folder: &str, place: &Path) -> Result<(), String> {
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        let from = root().join(folder).join(file);
        fs::copy(&from, place.join(file))
            .map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    }
    Step::new("node", &["--version"]).output()?;
    let place = place.display().to_string();
    Step::new("npm", &["ci", "--prefix", &place, "--ignore-scripts", "--fetch-retries", "1"]).run()
}

fn node(suite: &Suite, place: &Path) -> Result<Step, String> {
    let client = suite.tests.first().copied().unwrap_or_default();
    Ok(node_tests("acceptance/node", "--test-concurrency=2")?
        .env("FACTUM_CLIENT", client)
        .env("FACTUM_NODE_MODULES", place.join("package.json")))
}

/// One file after the other: a browser each, and figures that nobody else disturbs.
fn console(_: &Suite, place: &Path) -> Result<Step, String> {
    Ok(node_tests(CONSOLE, "--test-concurrency=1")?.env("CONSOLE_TEST_MODULES", place))
}

fn node_tests(folder: &str, concurrency: &str) -> Result<Step, String> {
    let tests = root().join(folder);
    let unreadable = |error| format!("cannot read {}: {error}", tests.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&tests).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".test.mjs") {
            files.push(format!("{folder}/{name}"));
        }
    }
    files.sort();
    let options = ["--test", "--test-reporter=spec", concurrency, NODE_TEST_LIMIT];
    let arguments: Vec<&str> = options.into_iter().chain(files.iter().map(String::as_str)).collect();
    Ok(Step::new("node", &arguments))
}

/// Cargo fetches what it lacks: asked for by itself, so that a machine without a network skips instead of failing.
fn install_rust(_: &Suite, _: &Path) -> Result<(), String> {
    Step::cargo(&["fetch", "--locked", "--manifest-path", "acceptance/rust/Cargo.toml"]).run()
}

fn cargo_test(_: &Suite, place: &Path) -> Result<Step, String> {
    let step =
        Step::cargo(&["test", "--locked", "--test", "it", "--manifest-path", "acceptance/rust/Cargo.toml"]);
    Ok(step.env("CARGO_TARGET_DIR", place))
}

/// `1 failed, 171 passed, 2 skipped in 40.97s`
fn read_pytest(line: &str, counts: &mut Counts) {
    let Some((results, seconds)) = line.trim().trim_matches('=').trim().rsplit_once(" in ") else { return };
    let closing = seconds
        .split_whitespace()
        .next()
        .is_some_and(|time| time.strip_suffix('s').is_some_and(|time| time.parse::<f64>().is_ok()));
    if !closing {
        return;
    }
    counts.closed = true;
    for part in results.split(", ") {
        match part.split_once(' ') {
            Some((number, "passed" | "xpassed")) => counts.passed += number.parse().unwrap_or(0),
            Some((number, "failed" | "error" | "errors")) => counts.failed += number.parse().unwrap_or(0),
            Some((number, "skipped" | "xfailed")) => counts.skipped += number.parse().unwrap_or(0),
            _ => {}
        }
    }
}

/// `ℹ pass 25`, and so on for the other ends of a test.
fn read_node(line: &str, counts: &mut Counts) {
    let mut words = line.trim().trim_start_matches(['\u{2139}', '#']).split_whitespace();
    let (Some(what), Some(number), None) = (words.next(), words.next(), words.next()) else { return };
    let Ok(number) = number.parse::<u64>() else { return };
    match what {
        "pass" => {
            counts.closed = true;
            counts.passed += number;
        }
        "fail" | "cancelled" => counts.failed += number,
        "skipped" | "todo" => counts.skipped += number,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{SUITES, read_node, read_pytest};
    use crate::test::Counts;

    #[test]
    fn summaries_of_pytest_are_read() {
        let mut seen = Counts::default();
        read_pytest("FAILED python/test_read.py::test_a - assert 1 in 2s", &mut Counts::default());
        read_pytest("1 failed, 171 passed, 2 skipped, 1 error in 40.97s", &mut seen);
        assert_eq!(seen, Counts { passed: 171, failed: 2, skipped: 2, closed: true });
        let mut long = Counts::default();
        read_pytest("===== 3 passed in 61.02s (0:01:01) =====", &mut long);
        assert_eq!(long, Counts { passed: 3, failed: 0, skipped: 0, closed: true });
    }

    #[test]
    fn summaries_of_node_are_read() {
        let mut seen = Counts::default();
        for line in [
            "\u{2139} tests 9",
            "\u{2139} pass 5",
            "\u{2139} fail 1",
            "\u{2139} cancelled 2",
            "\u{2139} skipped 1",
        ] {
            read_node(line, &mut seen);
        }
        assert_eq!(seen, Counts { passed: 5, failed: 3, skipped: 1, closed: true });
    }

    #[test]
    fn every_suite_has_the_list_of_its_packages() {
        for suite in SUITES {
            let list = crate::root().join("acceptance").join(suite.packages);
            assert!(list.is_file(), "{}", list.display());
        }
    }

    #[test]
    fn no_lock_names_a_registry() {
        for folder in ["acceptance/node", super::CONSOLE] {
            let lock = crate::root().join(folder).join("package-lock.json");
            let lock = std::fs::read_to_string(lock).unwrap();
            assert!(!lock.contains("\"resolved\""), "npm install with the .npmrc beside it leaves them out");
        }
    }
}

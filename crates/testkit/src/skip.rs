//! How does a test say that it cannot run here?

use std::fs::OpenOptions;
use std::io::{self, Write};

/// Says that the test `name` cannot run on this machine, and why. The test then returns.
///
/// `cargo xtask test` collects what is said here, names it and counts it as skipped, not as passed. Only what a machine
/// lacks is a reason (a service, a data file); a test that fails is not skipped.
///
/// ```no_run
/// if !std::path::Path::new("/no/such/data.xes").exists() {
///     factum_testkit::skip("imports_the_whole_log", "/no/such/data.xes is not there");
///     return;
/// }
/// ```
pub fn skip(name: &str, reason: &str) {
    let line = format!("SKIPPED {name}: {reason}\n");
    // Telling is all that can be done here: a test must not fail because its excuse could not be written.
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("FACTUM_SKIPS") {
        // One short write in append mode, so that tests in other processes do not interleave.
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

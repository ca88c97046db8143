//! How fast is Factum beside its rivals, on this machine's disk and in the same run?

use crate::root;
use crate::step::Step;

/// Runs `factum bench`, then UmaDB and SQLite on the same append scenarios. `--data DIR` says on which disk, for all of
/// them; other arguments go to `factum bench`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let more: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let data = more.windows(2).find(|pair| pair[0] == "--data").map_or(&[][..], |pair| pair);
    let factum = ["run", "--release", "--package", "factum-cli", "--", "bench"];
    Step::cargo(&[&factum[..], &more[..]].concat()).run()?;
    let manifest = root().join("xtask/rivals/Cargo.toml");
    let manifest = manifest.to_string_lossy();
    let rivals = ["run", "--release", "--manifest-path", &manifest, "--"];
    Step::cargo(&[&rivals[..], data].concat()).run()
}

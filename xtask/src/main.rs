//! Which development tasks are there, and how is one started? `cargo xtask` lists them.

mod acceptance;
mod bench;
mod ci;
mod services;
mod step;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

/// A task: its name, what it does, and the function that does it.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<(), String>,
}

const TASKS: &[Task] = &[
    Task { name: "test", about: "run every test: unit, integration and documentation tests", run: test::run },
    Task {
        name: "acceptance",
        about: "only the tests of acceptance/: KurrentDB's published clients against factum serve (part of test)",
        run: acceptance::run,
    },
    Task {
        name: "tidy",
        about: "check the house rules that compilers do not know (STYLE.md lists them)",
        run: tidy::run,
    },
    Task { name: "ci", about: "fmt, clippy, tidy, docs and test: what CI runs", run: ci::run },
    Task {
        name: "codegen",
        about: "write the Rust of crates/protocol/proto; --check: see that what is committed is that",
        run: codegen,
    },
    Task {
        name: "soak",
        about: "ten minutes of clients against the release binary, killed every minute (build it first)",
        run: soak,
    },
    Task {
        name: "services",
        about: "start what tests need (PostgreSQL, OpenBao, SoftHSM) and keep it until Ctrl-C, to run single tests",
        run: services::run,
    },
    Task {
        name: "bench",
        about: "factum bench, then its rivals UmaDB and SQLite (slow: builds them in release)",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        print!("{}", listing());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", listing());
        return ExitCode::SUCCESS;
    }
    let rest: Vec<String> = arguments.collect();
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("there is no task '{name}'\n\n{}", listing());
        return ExitCode::from(2);
    };
    match (task.run)(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask {name}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn listing() -> String {
    let mut text = String::from("Factum's development tasks:\n\n");
    for task in TASKS {
        text.push_str(&format!("  cargo xtask {:<10} {}\n", task.name, task.about));
    }
    text
}

/// The generator is a package of its own, so that the other tasks do not wait for it to be built.
fn codegen(arguments: &[String]) -> Result<(), String> {
    let mut cargo = vec!["run", "--quiet", "--package", "codegen", "--"];
    cargo.extend(arguments.iter().map(String::as_str));
    step::Step::cargo(&cargo).run()
}

/// A package of its own: it is a client of the server.
fn soak(arguments: &[String]) -> Result<(), String> {
    let mut cargo = vec!["run", "--quiet", "--package", "soak", "--"];
    cargo.extend(arguments.iter().map(String::as_str));
    step::Step::cargo(&cargo).run()
}

/// The repository's root. Read when the task runs, so that a copied build directory does not point elsewhere.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map_or_else(|| manifest.clone(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_listing_names_every_task() {
        let text = super::listing();
        for task in super::TASKS {
            assert!(text.contains(&format!("cargo xtask {}", task.name)), "{} is missing", task.name);
        }
    }
}

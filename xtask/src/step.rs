//! How does a task run another program, and show what it does while it runs?

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::root;

/// A program to run from the repository's root.
pub(crate) struct Step {
    command: Command,
    shown: String,
}

impl Step {
    /// `program` with `arguments`.
    pub(crate) fn new(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root()).stdin(Stdio::null());
        Self { command, shown: format!("{program} {}", arguments.join(" ")) }
    }

    /// Cargo, the same one that runs this task.
    pub(crate) fn cargo(arguments: &[&str]) -> Self {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut step = Self::new(&cargo, arguments);
        step.shown = format!("cargo {}", arguments.join(" "));
        // What `cargo run` tells this task about its own package would make the other cargo rebuild.
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "RUST_RECURSION_COUNT"] {
            step.command.env_remove(name);
        }
        step
    }

    /// With an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The command as one would type it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Runs it with its output on this task's own.
    pub(crate) fn run(mut self) -> Result<(), String> {
        println!("\n>>> {}", self.shown);
        let status =
            self.command.status().map_err(|error| format!("cannot start `{}`: {error}", self.shown))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", self.shown)) }
    }

    /// Runs it, shows both outputs as they come and hands each line to `seen`. Says whether it succeeded.
    pub(crate) fn watch(mut self, mut seen: impl FnMut(&str)) -> Result<bool, String> {
        println!("\n>>> {}", self.shown);
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            self.command.spawn().map_err(|error| format!("cannot start `{}`: {error}", self.shown))?;
        let (lines, incoming) = mpsc::channel();
        let mut readers = Vec::new();
        let streams: [Option<Box<dyn std::io::Read + Send>>; 2] = [
            child.stdout.take().map(|out| Box::new(out) as Box<dyn std::io::Read + Send>),
            child.stderr.take().map(|err| Box::new(err) as Box<dyn std::io::Read + Send>),
        ];
        for stream in streams.into_iter().flatten() {
            let lines = lines.clone();
            readers.push(thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if lines.send(line).is_err() {
                        return;
                    }
                }
            }));
        }
        drop(lines);
        for line in incoming {
            println!("{line}");
            seen(&line);
        }
        for reader in readers {
            reader.join().map_err(|_| "a reader of the output panicked".to_owned())?;
        }
        let status = child.wait().map_err(|error| format!("lost `{}`: {error}", self.shown))?;
        Ok(status.success())
    }

    /// Runs it quietly and gives its standard output.
    pub(crate) fn output(mut self) -> Result<Vec<u8>, String> {
        let output =
            self.command.output().map_err(|error| format!("cannot start `{}`: {error}", self.shown))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(format!("`{}` failed: {}", self.shown, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn watching_sees_both_outputs_and_the_end() {
        let mut lines = Vec::new();
        let step = Step::new("sh", &["-c", "echo out; echo err >&2; exit 3"]);
        let good = step.watch(|line| lines.push(line.to_owned())).unwrap();
        lines.sort();
        assert_eq!((lines, good), (vec!["err".to_owned(), "out".to_owned()], false));
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let why = Step::new("no-such-program-here", &[]).run().unwrap_err();
        assert!(why.contains("no-such-program-here"), "{why}");
    }
}

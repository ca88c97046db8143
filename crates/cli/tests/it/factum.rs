//! The real binary, run in an empty directory of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// One data directory and the binary that works on it.
pub(crate) struct Factum {
    dir: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Factum {
    /// An empty directory: there is no store yet.
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), environment: Vec::new() }
    }

    /// A store with stream `order-1`: placed, paid, shipped.
    pub(crate) fn with_an_order() -> Self {
        let factum = Self::new();
        let lines = concat!(
            r#"{"type":"Placed","occurredTime":"2026-01-01T10:00:00Z","tags":["customer:7"],"#,
            r#""data":{"total":1.10,"status":"placed","to":{"town":"Graz"}},"metadata":{"actor":"ada"}}"#,
            "\n",
            r#"{"type":"Paid","occurredTime":"2026-01-02T10:00:00Z","data":{"status":"paid"},"#,
            r#""metadata":{"actor":"bob","$correlationId":"c-1"}}"#,
            "\n",
            r#"{"type":"Shipped","occurredTime":"2026-01-03T10:00:00Z","#,
            r#""data":{"status":"shipped","to":{"town":"Linz"},"parcel":[1,2]}}"#,
            "\n",
        );
        factum.feed(&["append", "order-1", "--ndjson"], lines).ok();
        factum
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in the directory, beside the store.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The command, with this directory's store.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("FACTUM_DATA", self.path("data"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Every later command finds this in its environment.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.into()));
    }

    /// What every command finds there under this name.
    pub(crate) fn environment(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Runs the binary.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.feed(args, "")
    }

    /// Runs the binary with this on its stdin.
    pub(crate) fn feed(&self, args: &[&str], input: &str) -> Ran {
        finish(self.command(args), input)
    }

    /// The JSON objects that a successful run printed, one per line.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        self.run(args).ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The command without any store.
pub(crate) fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factum"));
    command.args(args);
    for variable in [
        "FACTUM_DATA",
        "FACTUM_STORE",
        "FACTUM_VAULT",
        "FACTUM_KEK",
        "FACTUM_TENANT",
        "FACTUM_READ_MODELS",
        "COLUMNS",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command, input: &str) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// What it printed, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(&self) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.stdout.clone()
    }

    /// What it said on stderr, if it ended with this code and printed nothing.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32) -> String {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stderr.clone()
    }
}

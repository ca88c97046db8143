//! The help of every command, as people see it. `FACTUM_UPDATE_GOLDEN=1` writes the files anew.

use std::path::Path;

use crate::factum::{bare, finish};

/// Every command that has a help.
pub(crate) const COMMANDS: &[&str] = &[
    "",
    "append",
    "read",
    "tail",
    "event",
    "event redact",
    "streams",
    "streams ls",
    "streams find",
    "streams info",
    "streams meta",
    "streams truncate",
    "streams delete",
    "streams tombstone",
    "state",
    "projections",
    "projections ls",
    "projections show",
    "projections lag",
    "projections create",
    "projections edit",
    "projections run",
    "projections rebuild",
    "projections compare",
    "projections promote",
    "projections rollback",
    "projections discard",
    "projections retry",
    "projections skip",
    "projections start",
    "projections stop",
    "projections history",
    "projections delete",
    "sql",
    "explain",
    "privacy",
    "privacy init",
    "privacy show",
    "privacy export",
    "privacy erase",
    "privacy receipts",
    "privacy verify",
    "privacy allow",
    "privacy expire",
    "privacy rotate",
    "privacy check",
    "privacy backup",
    "privacy hold",
    "privacy release",
    "privacy holds",
    "privacy sinks",
    "privacy ack",
    "privacy ledger",
    "privacy apply-ledger",
    "processes",
    "processes ls",
    "processes show",
    "processes timeline",
    "processes retry",
    "processes cancel",
    "processes answer",
    "schema",
    "schema ls",
    "schema register",
    "schema check",
    "schema export",
    "demo",
    "bench",
    "import",
    "import xes",
    "import ndjson",
    "export",
    "export ndjson",
    "storage",
    "storage info",
    "storage verify",
    "storage scavenge",
    "backup",
    "backup create",
    "backup verify",
    "backup restore",
    "serve",
    "users",
    "users ls",
    "users add",
    "users passwd",
    "users disable",
    "users enable",
    "users rm",
    "users token",
    "completions",
    "version",
];

#[test]
fn help_is_as_it_was_read_and_approved() {
    let update = std::env::var_os("FACTUM_UPDATE_GOLDEN").is_some();
    for command in COMMANDS {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("--help");
        let help = finish(bare(&args), "").ok();
        let name = if command.is_empty() { "factum".to_owned() } else { command.replace(' ', "-") };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        if update {
            std::fs::write(&path, &help).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(help, golden, "{}: FACTUM_UPDATE_GOLDEN=1 writes it anew", path.display());
    }
}

#[test]
fn no_command_is_forgotten() {
    let help = finish(bare(&["--help"]), "").ok();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        let Some(verb) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else { continue };
        let verb = verb.split_whitespace().next().unwrap();
        assert!(COMMANDS.contains(&verb), "{verb} has no golden file");
    }
}

#[test]
fn version_and_completions_answer() {
    let version = finish(bare(&["version", "-o", "raw"]), "").ok();
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(finish(bare(&["completions", shell]), "").ok().contains("tombstone"), "{shell}");
    }
}

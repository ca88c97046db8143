//! Does every command of the manual work, does every link lead somewhere, and is what is generated of it as the program is?
//! `FACTUM_UPDATE_GOLDEN=1` writes the generated pages anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::factum::{Factum, bare};
use crate::help::COMMANDS;
use crate::served::{Served, Web};

/// Where the manual says that servers listen.
const USUAL_ADDRESS: &str = "127.0.0.1:2113";
/// How a newcomer starts the program in a clone.
const FROM_A_CLONE: &str = "cargo run --release -- ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn source() -> PathBuf {
    root().join("docs/book/src")
}

/// Every page, by its path in the manual.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                let name = path.strip_prefix(source()).unwrap().display().to_string();
                pages.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    pages
}

/// What a page does.
enum Step {
    /// A file, whose name stands behind the kind of its block, and its text.
    File(String, String),
    /// A command, and what stands below it.
    Command(String, Vec<String>),
}

/// What a page does with its files and console blocks, in order.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block: Option<&str> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(info), None) => {
                block = Some(info);
                if let Some((_, file)) = info.split_once(' ') {
                    steps.push(Step::File(file.to_owned(), String::new()));
                }
            }
            (Some(_), Some(_)) => block = None,
            (None, Some("console")) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step::Command(command.to_owned(), Vec::new())),
                // A command goes on below: a backslash says so, or a quote that is open.
                (None, Some(Step::Command(command, _)))
                    if command.ends_with('\\') || command.matches('\'').count() % 2 == 1 =>
                {
                    command.push('\n');
                    command.push_str(line);
                }
                (None, Some(Step::Command(_, expected))) => expected.push(line.to_owned()),
                (None, _) => panic!("output before any command: {line}"),
            },
            (None, Some(info)) if info.contains(' ') => {
                let Some(Step::File(_, text)) = steps.last_mut() else { panic!("{info}") };
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    steps
}

/// Whether a line is as expected; `[..]` stands for anything.
fn fits(line: &str, expected: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

/// Runs the steps of one page in a directory of its own, with the server that the page starts.
fn run(page: &str, steps: &[Step]) {
    let factum = Factum::new();
    let mut server: Option<(Served, Web)> = None;
    for step in steps {
        let (command, expected) = match step {
            Step::File(name, text) => {
                factum.file(name, text);
                continue;
            }
            Step::Command(command, expected) => (command, expected),
        };
        let command = command.replace(FROM_A_CLONE, "factum ");
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["factum", "serve", rest @ ..] => {
                let mut serve = bare(&["serve"]);
                serve.args(rest).current_dir(factum.path(""));
                server = Some(Served::serve(serve));
            }
            ["factum", "demo", rest @ ..] if !rest.contains(&"--once") => {
                let mut demo = bare(&["demo", "--listen", "127.0.0.1:0", "--still", "-o", "ndjson"]);
                demo.args(rest).current_dir(factum.path(""));
                server = Some(Served::demo(demo));
            }
            _ => {
                shell(
                    page,
                    &factum,
                    server.as_ref().map(|(_, web)| web.address.as_str()),
                    &command,
                    expected,
                );
            }
        }
    }
}

fn shell(page: &str, factum: &Factum, address: Option<&str>, command: &str, expected: &[String]) {
    let command = match address {
        Some(address) => command.replace(USUAL_ADDRESS, address),
        None => command.to_owned(),
    };
    let binary = Path::new(env!("CARGO_BIN_EXE_factum")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    // A page may not go on after an answer that is no success.
    let script = format!("curl() {{ command curl --fail-with-body \"$@\"; }}\n{command}\n");
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &script]).current_dir(factum.path("")).env("PATH", path).stdin(Stdio::null());
    let ran = shell.env_remove("FACTUM_DATA").env_remove("FACTUM_STORE").output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{page}: $ {command}\n{stdout}{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    let as_expected = expected.is_empty()
        || lines.len() == expected.len()
            && lines.iter().zip(expected).all(|(line, wanted)| fits(line, wanted));
    assert!(as_expected, "{page}: $ {command}\n{stdout}{stderr}");
}

#[test]
fn every_command_of_the_manual_works() {
    let mut ran = 0;
    for (name, page) in pages() {
        let steps = steps(&page);
        ran += steps.iter().filter(|step| matches!(step, Step::Command(..))).count();
        run(&name, &steps);
    }
    assert!(ran >= 40, "{ran} commands were run");
}

#[test]
fn every_link_of_the_manual_leads_somewhere() {
    let pages = pages();
    let mut followed = 0;
    for (name, page) in &pages {
        let folder = source().join(name).parent().unwrap().to_owned();
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(folder.join(file).exists(), "{name}: {link}");
            followed += 1;
        }
        if name != "SUMMARY.md" {
            assert!(pages["SUMMARY.md"].contains(&format!("({name})")), "{name} is in no chapter");
        }
    }
    assert!(followed >= 20, "{followed} links were followed");
}

#[test]
fn generated_pages_are_as_the_program_is() {
    for (name, text) in [("cli.md", commands()), ("api.md", operations()), ("metrics.md", metrics())] {
        let path = source().join("reference").join(name);
        if std::env::var_os("FACTUM_UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == there, "{}: FACTUM_UPDATE_GOLDEN=1 writes it anew", path.display());
    }
}

/// The help of every command.
fn commands() -> String {
    let mut page = "# Commands\n\nGenerated from the program's own help.\n".to_owned();
    for command in COMMANDS {
        let name = if command.is_empty() { "factum".to_owned() } else { command.replace(' ', "-") };
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        let help = std::fs::read_to_string(golden).unwrap();
        // What every command has is told once.
        let own = help.split("\nOptions of every command:").next().unwrap();
        let examples = help.split("\nEXAMPLES:").nth(1).map(|rest| format!("\nEXAMPLES:{rest}"));
        let own =
            if command.is_empty() { help.clone() } else { format!("{own}{}", examples.unwrap_or_default()) };
        let title = format!("factum {command}");
        write!(page, "\n## {}\n\n```text\n{}\n```\n", title.trim(), own.trim_end()).unwrap();
    }
    page
}

/// Every operation of the HTTP API.
fn operations() -> String {
    let document = std::fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut parts: BTreeMap<&str, String> = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(summary) = operation["summary"].as_str() else { continue };
            let part = parts.entry(operation["tags"][0].as_str().unwrap_or("Other")).or_default();
            write!(part, "\n### `{} {path}`\n\n{summary}.\n", method.to_uppercase()).unwrap();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let mut rows = String::new();
            for parameter in parameters.filter(|parameter| parameter["in"] != "path") {
                let text = |key: &str| parameter[key].as_str().unwrap_or_default().replace('|', "\\|");
                writeln!(rows, "| `{}` | {} | {} |", text("name"), text("in"), text("description")).unwrap();
            }
            if !rows.is_empty() {
                write!(part, "\n| parameter | in | |\n|---|---|---|\n{rows}").unwrap();
            }
        }
    }
    let mut page =
        "# Operations of the HTTP API\n\nGenerated from `/openapi.json`, which programs read.\n".to_owned();
    for (name, part) in parts {
        write!(page, "\n## {name}\n{part}").unwrap();
    }
    page
}

/// Every figure of `/metrics`.
fn metrics() -> String {
    let (_served, web) = Served::serve(bare(&["serve", "--memory", "--insecure"]));
    let text = web.text("/metrics");
    let mut kinds = BTreeMap::new();
    let mut figures = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, what)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            figures.insert(name.to_owned(), what.to_owned());
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            kinds.insert(name.to_owned(), kind.to_owned());
        }
    }
    assert!(figures.len() > 5, "{text}");
    let mut page = "# Metrics\n\nGenerated from what a server without a single caller answers under `/metrics`; a store \
        in files adds figures of its own (`factum_log_...`).\n\n| name | kind | |\n|---|---|---|\n"
        .to_owned();
    for (name, what) in figures {
        writeln!(page, "| `{name}` | {} | {what} |", kinds.get(&name).map_or("", String::as_str)).unwrap();
    }
    page
}

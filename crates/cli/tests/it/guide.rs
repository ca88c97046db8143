//! Does every example of docs/projections.md do what the page says?

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::factum::Factum;

/// A fenced block: what follows the opening fence, and the lines.
struct Block<'d> {
    info: &'d str,
    lines: Vec<&'d str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                blocks.push(Block { info, lines: Vec::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => blocks.last_mut().unwrap().lines.push(line),
            None => {}
        }
    }
    blocks
}

/// The binary as it is on a terminal: results are tables.
fn on_a_terminal(factum: &Factum) {
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' -o '*|*' --format '*) exec {0} \"$@\";; *) exec {0} \"$@\" -o table;; esac\n",
        env!("CARGO_BIN_EXE_factum")
    );
    std::fs::create_dir(factum.path("bin")).unwrap();
    let path = factum.file("bin/factum", &script);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a console block in one shell: a command that fails, or prints something else than what stands below it, is an
/// error. Where nothing stands below a command, its output does not matter.
fn run(factum: &Factum, block: &Block<'_>, shell_state: &Path) {
    let mut at = 0;
    while at < block.lines.len() {
        let command = block.lines[at].strip_prefix("$ ").unwrap_or_else(|| panic!("{}", block.lines[at]));
        let output = block.lines[at + 1..].iter().take_while(|line| !line.starts_with("$ "));
        let expected: Vec<&str> = output.copied().collect();
        at += 1 + expected.len();
        let state = shell_state.display();
        let script = format!(". {state}\n{command}\ncode=$?\nset | grep '^token=' > {state}\nexit $code\n");
        let path = format!("{}:{}", factum.path("bin").display(), std::env::var("PATH").unwrap());
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(factum.path(""))
            .env("PATH", path)
            .env("FACTUM_DATA", factum.path("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "$ {command}\n{stderr}");
        let stdout = String::from_utf8(ran.stdout).unwrap();
        if !expected.is_empty() {
            assert_eq!(stdout.lines().collect::<Vec<_>>(), expected, "$ {command}\n{stderr}");
        }
    }
}

#[test]
fn every_example_of_the_guide_to_projections_works() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/projections.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let factum = Factum::new();
    on_a_terminal(&factum);
    let state = factum.file("state", "");
    let mut ran = 0;
    for block in blocks(&guide) {
        if let Some((_, file)) = block.info.split_once(' ') {
            factum.file(file, &(block.lines.join("\n") + "\n"));
        } else if block.info == "console" {
            run(&factum, &block, Path::new(&state));
            ran += 1;
        } else {
            assert_eq!(block.info, "rust", "the framework's documentation tests run those");
        }
    }
    assert!(ran >= 6, "{ran} blocks were run");
}

//! Does a line of code do what only a few places may: print, unwrap, touch the disk, read the clock?

use super::Finding;
use super::source::{Line, SourceFile};

/// Where people are spoken to.
const MAY_PRINT: &[&str] = &["crates/cli/", "xtask/", "examples/"];

/// Where files are opened without the engine's `Vfs`. SQLite reads and writes its files itself; ours makes and removes them.
/// The vault's key file is one small file that is replaced whole.
const MAY_TOUCH_DISK: &[&str] = &[
    "crates/engine/src/vfs/os.rs",
    "crates/vault/src/kek/local.rs",
    "crates/sqlite/src/directory.rs",
    "crates/sqlite/src/key_store/files.rs",
    "crates/cli/",
    "crates/testkit/",
    "crates/testserver/",
    "xtask/",
    "examples/",
];

/// Where the clock is read. Beside the one clock, only what shows progress or measures speed.
const MAY_READ_CLOCK: &[&str] = &[
    "crates/core/src/clock.rs",
    "crates/cli/src/bench.rs",
    "crates/cli/src/bench/",
    "crates/cli/src/demo.rs",
    "crates/cli/src/progress.rs",
    "examples/",
    "xtask/",
];

pub(super) fn check(file: &SourceFile<'_>, findings: &mut Vec<Finding>) {
    if file.path.contains("/tests/ui/") {
        return;
    }
    for (number, line) in file.numbered() {
        let in_production = number <= file.production;
        let mut say = |what: &str| findings.push(Finding::new(file.path, number, what));
        if has_macro(&line.code, "todo") || has_macro(&line.code, "unimplemented") {
            say("unfinished: half-built work stays on a branch");
        }
        if has_macro(&line.code, "dbg") {
            say("dbg! is for the moment, not for the tree");
        }
        if is_commented_out_code(&line.comment) {
            say("commented-out code: delete it, git remembers");
        }
        if line.comment.contains('\u{2014}') {
            say("em dash in a comment: use a full stop, a colon or a comma");
        }
        if in_production {
            production_rules(file.path, line, &mut say);
        }
    }
}

fn production_rules(path: &str, line: &Line, say: &mut impl FnMut(&str)) {
    let may = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let code = &line.code;
    if !may(MAY_PRINT) && ["println", "eprintln", "print", "eprint"].iter().any(|name| has_macro(code, name))
    {
        say("only cli, xtask and examples print: return a value or an error");
    }
    if code.contains(".unwrap()") {
        say("no .unwrap() outside tests: return the error, or say why it cannot be with unreachable!");
    }
    if !may(MAY_TOUCH_DISK) && names_fs(code) {
        say(
            "the disk is behind the engine's Vfs: only engine/src/vfs/os.rs, vault/src/kek/local.rs, sqlite/src/directory.rs, \
             sqlite/src/key_store/files.rs, cli, xtask and examples use std::fs",
        );
    }
    let clocks = ["SystemTime::now", "Instant::now", "Timestamp::now()", "Zoned::now()"];
    // The core's own `Timestamp` has no `now`: what matches is jiff's.
    if !may(MAY_READ_CLOCK) && clocks.iter().any(|clock| code.contains(clock)) {
        say("only core/src/clock.rs reads the clock: take a Clock");
    }
}

/// Whether `code` calls the macro `name!`, and not one whose name merely ends so.
fn has_macro(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}!")).any(|(at, _)| {
        !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && !code[at + name.len() + 1..].starts_with('=')
    })
}

fn names_fs(code: &str) -> bool {
    let listed = code.split_once("use std::{").is_some_and(|(_, list)| {
        list.split([',', '}'])
            .any(|item| matches!(item.trim(), "fs" | "fs::self") || item.trim().starts_with("fs::"))
    });
    code.contains("std::fs") || code.contains("tokio::fs") || listed
}

/// Whether a comment looks like code that was switched off. Documentation may show code; a remark may not.
fn is_commented_out_code(comment: &str) -> bool {
    let Some(text) = comment.strip_prefix("//") else { return false };
    if text.starts_with('/') || text.starts_with('!') {
        return false;
    }
    let text = text.trim();
    if matches!(text, "}" | "};" | "})" | "});" | "{") {
        return true;
    }
    let starts = [
        "let ", "fn ", "pub ", "use ", "impl ", "mod ", "struct ", "enum ", "#[", "return ", "self.", "if ",
        "for ", "match ", "assert",
    ];
    let ends_like_code =
        text.ends_with(';') || text.ends_with('{') || text.ends_with("},") || text.ends_with(")?");
    let a_call_or_assignment =
        text.ends_with(';') && (text.contains('(') || text.contains(" = ")) && !text.contains(". ");
    (starts.iter().any(|start| text.starts_with(start))
        && (ends_like_code || text.ends_with(']') && text.starts_with("#[")))
        || a_call_or_assignment
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;

    fn refusals(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        super::check(&SourceFile::new(path, text), &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    fn assert_refused(path: &str, line: &str, words: &str) {
        let text = format!("//! x\n{line}\n");
        let said = refusals(path, &text);
        assert!(said.len() == 1 && said[0].contains(words), "{line}: {said:?}");
    }

    fn assert_allowed(path: &str, line: &str) {
        let said = refusals(path, &format!("//! x\n{line}\n"));
        assert!(said.is_empty(), "{line}: {said:?}");
    }

    const CORE: &str = "crates/core/src/a.rs";

    #[test]
    fn unfinished_code_is_refused_even_in_tests() {
        assert_refused(CORE, "fn f() { todo!() }", "unfinished");
        assert_refused("crates/core/tests/it/a.rs", "fn f() { unimplemented!(\"x\") }", "unfinished");
        assert_refused(CORE, "fn f() { dbg!(1); }", "dbg!");
        assert_allowed(CORE, "let s = \"todo!()\";");
    }

    #[test]
    fn printing_is_for_the_command_line() {
        for line in ["println!();", "eprintln!(\"x\");", "print!(\"x\");", "eprint!(\"x\");"] {
            assert_refused(CORE, line, "print");
        }
        for path in [
            "crates/cli/src/a.rs",
            "xtask/src/a.rs",
            "examples/bank/src/main.rs",
            "crates/core/tests/it/a.rs",
        ] {
            assert_allowed(path, "println!(\"x\");");
        }
        assert_allowed(CORE, "my_println!(); if print != 0 {}");
    }

    #[test]
    fn unwrap_is_for_tests() {
        assert_refused(CORE, "let x = y.unwrap();", "unwrap");
        assert_allowed(CORE, "let x = y.unwrap_or(0);");
        assert_allowed("crates/core/tests/it/a.rs", "let x = y.unwrap();");
        assert_allowed(CORE, "#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap(); }\n}");
    }

    #[test]
    fn the_disk_has_one_seam() {
        for line in [
            "use std::fs;",
            "use std::fs::File;",
            "use std::{fs, io};",
            "use std::{io, fs::File};",
            "tokio::fs::read(p)",
        ] {
            assert_refused("crates/engine/src/writer.rs", line, "Vfs");
        }
        assert_allowed("crates/engine/src/vfs/os.rs", "use std::fs;");
        assert_allowed("crates/engine/src/vfs.rs", "use std::{io, path::Path};");
    }

    #[test]
    fn the_clock_has_one_reader() {
        for line in ["let t = SystemTime::now();", "let t = std::time::Instant::now();", "Zoned::now()"] {
            assert_refused("crates/engine/src/writer.rs", line, "Clock");
        }
        assert_allowed("crates/core/src/clock.rs", "let t = SystemTime::now();");
        assert_allowed("crates/cli/src/bench.rs", "let t = Instant::now();");
        assert_refused("crates/cli/src/append.rs", "let t = Instant::now();", "Clock");
    }

    #[test]
    fn commented_out_code_is_refused() {
        for line in [
            "// let x = 1;",
            "// fn f() {",
            "    // }",
            "x(); // y(z);",
            "// self.tail += 1;",
            "// use std::io;",
            "// #[derive(Debug)]",
            "// if a {",
        ] {
            assert_refused(CORE, line, "commented-out");
        }
        for line in [
            "// The tail moves first; readers follow.",
            "// If a reader asks for more, it waits.",
            "/// let x = 1;",
            "//! let x = 1;",
            "// Sealed (no more writes).",
            "// for a long time",
        ] {
            assert_allowed(CORE, line);
        }
    }

    #[test]
    fn em_dashes_are_refused_in_comments_only() {
        assert_refused(CORE, "// one \u{2014} two", "em dash");
        assert_allowed(CORE, "let none = \"\u{2014}\";");
    }
}

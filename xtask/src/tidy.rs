//! Does the tree keep the house rules that no compiler knows? STYLE.md says them in words; each has its test here.

mod code;
mod documents;
mod edges;
mod layout;
mod source;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::root;
use crate::step::Step;
use source::SourceFile;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// 1-based; 0 where the whole file is meant.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Checks the whole repository.
pub(crate) fn run(_arguments: &[String]) -> Result<(), String> {
    let findings = check(&root())?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: nothing to say");
        return Ok(());
    }
    Err(format!("{} places break the rules of STYLE.md", findings.len()))
}

fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let mut findings = Vec::new();
    let mut functions = BTreeSet::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".rs")) {
        let file = SourceFile::new(path, text);
        layout::check(&file, &mut findings);
        code::check(&file, &mut findings);
        functions.extend(file.functions());
    }
    // The tests of Python's clients prove rows of COMPAT.md too.
    for (_, text) in files.iter().filter(|(path, _)| path.ends_with(".py")) {
        functions.extend(python_functions(text));
    }
    documents::check(root, &files, &functions, &mut findings);
    edges::check(&metadata()?, &mut findings)?;
    Ok(findings)
}

fn metadata() -> Result<serde_json::Value, String> {
    let output = Step::cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]).output()?;
    serde_json::from_slice(&output).map_err(|error| format!("cargo metadata is not JSON: {error}"))
}

fn python_functions(text: &str) -> impl Iterator<Item = String> {
    let named = text.lines().filter_map(|line| line.trim_start().strip_prefix("def "));
    named.filter_map(|rest| rest.split_once('(')).map(|(name, _)| name.to_owned())
}

/// Every `.rs`, `.md` and `.py` file below `dir`, by its path from the root. Build output, generated code and hidden folders are left
/// out.
fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) -> Result<(), String> {
    let unreadable = |error| format!("cannot read {}: {error}", dir.display());
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.')
                && !matches!(name.as_str(), "target" | "tmp" | "node_modules" | "generated")
            {
                collect(root, &path, files)?;
            }
        } else if [".rs", ".md", ".py"].iter().any(|end| name.ends_with(end)) {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let from_root = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push((from_root, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        let findings = super::check(&crate::root()).unwrap();
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{}", said.join("\n"));
    }
}

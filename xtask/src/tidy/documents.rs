//! Are decisions numbered without gaps, does every compatibility row name its test, and does every link lead somewhere?

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Finding;

/// Sections of every decision record.
const SECTIONS: &[&str] = &["## Context", "## Decision", "## Consequences", "## Non-goals", "## Testing"];

pub(super) fn check(
    root: &Path,
    files: &[(String, String)],
    functions: &BTreeSet<String>,
    findings: &mut Vec<Finding>,
) {
    let documents = || files.iter().filter(|(path, _)| path.ends_with(".md"));
    let decisions: Vec<_> = documents().filter(|(path, _)| path.starts_with("docs/adr/")).collect();
    check_decisions(&decisions, findings);
    for (path, text) in documents() {
        if path == "COMPAT.md" {
            check_compatibility(path, text, functions, findings);
        }
        check_words(path, text, |target| exists(root, path, target), findings);
    }
}

/// Numbers run from 0001, in four digits, each once.
fn check_decisions(decisions: &[&(String, String)], findings: &mut Vec<Finding>) {
    for (index, (path, text)) in decisions.iter().enumerate() {
        let name = path.rsplit('/').next().unwrap_or(path);
        let expected = format!("{:04}-", index + 1);
        if !name.starts_with(&expected) {
            findings.push(Finding::new(path, 0, format!("decision out of sequence: expected {expected}...")));
        }
        for section in SECTIONS {
            if !text.lines().any(|line| line.trim_end() == *section) {
                findings.push(Finding::new(path, 0, format!("no section '{section}'")));
            }
        }
    }
}

/// A row that says "yes" ends with the name of a test, in backticks; "not yet" and "no" need none.
fn check_compatibility(path: &str, text: &str, functions: &BTreeSet<String>, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let says_yes = cells.iter().any(|cell| cell.starts_with("yes") || cell.starts_with("partly"));
        if !line.trim_start().starts_with('|') || !says_yes {
            continue;
        }
        let last = cells.last().copied().unwrap_or_default();
        let tests = last.split('`').skip(1).step_by(2).map(|name| name.rsplit("::").next().unwrap_or(name));
        let mut tests = tests.peekable();
        if tests.peek().is_none() {
            findings.push(Finding::new(path, index + 1, "a row without a test: name it in the last cell"));
        }
        for test in tests.filter(|test| !functions.contains(*test)) {
            findings.push(Finding::new(path, index + 1, format!("there is no test '{test}'")));
        }
    }
}

fn check_words(path: &str, text: &str, exists: impl Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        if line.contains('\u{2014}') {
            let what = "em dash: use a full stop, a colon or a comma";
            findings.push(Finding::new(path, index + 1, what));
        }
        for target in links(line).filter(|target| !exists(target)) {
            findings.push(Finding::new(path, index + 1, format!("the link to '{target}' leads nowhere")));
        }
    }
}

/// Targets of `[text](target)` that are files of this repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).filter_map(|(target, _)| {
        let file = target.split('#').next().unwrap_or(target);
        (!file.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(file)
    })
}

fn exists(root: &Path, from: &str, target: &str) -> bool {
    let mut path = PathBuf::from(from);
    path.pop();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    root.join(path).exists()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{check_compatibility, check_decisions, check_words};

    const WHOLE: &str = "# x\n## Context\n## Decision\n## Consequences\n## Non-goals\n## Testing\n";

    fn decisions(names: &[&str], text: &str) -> Vec<String> {
        let files: Vec<_> =
            names.iter().map(|name| (format!("docs/adr/{name}.md"), text.to_owned())).collect();
        let mut findings = Vec::new();
        check_decisions(&files.iter().collect::<Vec<_>>(), &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn decisions_are_in_sequence() {
        assert_eq!(decisions(&["0001-a", "0002-b"], WHOLE), [""; 0]);
        assert!(decisions(&["0001-a", "0003-b"], WHOLE)[0].contains("out of sequence"));
        assert!(decisions(&["0001-a", "0001-b"], WHOLE)[0].contains("expected 0002-"));
        assert!(decisions(&["1-a"], WHOLE)[0].contains("expected 0001-"));
    }

    #[test]
    fn a_decision_has_all_its_sections() {
        assert_eq!(decisions(&["0001-a"], &WHOLE.replace("## Testing\n", "")), ["no section '## Testing'"]);
    }

    fn rows(text: &str) -> Vec<String> {
        let functions: BTreeSet<String> = ["reads_a_stream".to_owned()].into();
        let mut findings = Vec::new();
        check_compatibility("COMPAT.md", text, &functions, &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_compatibility_row_names_a_test_that_exists() {
        assert_eq!(rows("| Read | yes | `wire::reads_a_stream` |"), [""; 0]);
        assert_eq!(rows("| Read | not yet | |\n|---|---|---|\nyes, we can"), [""; 0]);
        assert!(rows("| Read | yes | |")[0].contains("without a test"));
        assert!(rows("| Read | yes | `reads_nothing` |")[0].contains("no test 'reads_nothing'"));
    }

    fn words(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check_words("docs/a.md", text, |target| target == "there.md", &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn links_lead_somewhere() {
        assert_eq!(words("[a](there.md#part) [b](https://example.org) [c](#here)"), [""; 0]);
        assert_eq!(words("see [a](gone.md)"), ["the link to 'gone.md' leads nowhere"]);
        assert_eq!(words("```\n[a](gone.md)\n```"), [""; 0]);
    }

    #[test]
    fn em_dashes_are_refused() {
        assert!(words("one \u{2014} two")[0].contains("em dash"));
    }
}

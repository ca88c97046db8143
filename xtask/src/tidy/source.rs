//! Which part of a source line is code, which is comment, and where do a file's tests begin?

/// One line, split: text inside strings is in neither part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The code, with the contents of strings and characters left out.
    pub(super) code: String,
    /// The comment with its slashes; empty where there is none.
    pub(super) comment: String,
}

/// A Rust file, read for the rules.
pub(super) struct SourceFile<'a> {
    /// Path from the repository's root, with `/`.
    pub(super) path: &'a str,
    pub(super) lines: Vec<Line>,
    /// How many lines come before the unit tests.
    pub(super) production: usize,
}

/// What the reader is inside of.
enum Inside {
    Code,
    /// A block comment, so many levels deep.
    Block(usize),
    Text,
    /// A raw string that ends with a quote and so many hashes.
    Raw(usize),
}

impl<'a> SourceFile<'a> {
    pub(super) fn new(path: &'a str, text: &str) -> Self {
        let lines = split(text);
        let production = if is_test_path(path) { 0 } else { tests_begin(&lines) };
        Self { path, lines, production }
    }

    /// All lines, with their 1-based numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Names of the functions that the file defines.
    pub(super) fn functions(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().filter_map(|line| {
            let (before, after) = line.code.split_once("fn ")?;
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                return None;
            }
            let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            (!name.is_empty()).then_some(name)
        })
    }
}

fn is_test_path(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    path.contains("/tests/") || path.contains("/benches/") || file == "tests.rs"
}

/// Number of lines before `#[cfg(test)]` on a module with a body. A file of tests declared elsewhere ends nothing.
fn tests_begin(lines: &[Line]) -> usize {
    let mut marked = None;
    for (index, line) in lines.iter().enumerate() {
        let code = line.code.trim();
        if code == "#[cfg(test)]" {
            marked = Some(index);
        } else if let Some(at) = marked {
            if code.starts_with("mod ") && code.ends_with('{') {
                return at;
            }
            if !code.is_empty() && !code.starts_with("#[") {
                marked = None;
            }
        }
    }
    lines.len()
}

fn split(text: &str) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    let mut inside = Inside::Code;
    let characters: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        let c = characters[at];
        if c == '\n' {
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let last = lines.len() - 1;
        let line = &mut lines[last];
        let rest = &characters[at..];
        at += match &mut inside {
            Inside::Code => code_step(rest, at.checked_sub(1).map(|i| characters[i]), line, &mut inside),
            Inside::Block(depth) => {
                let next = rest.get(1).copied();
                let taken = match (c, next) {
                    ('*', Some('/')) => {
                        *depth -= 1;
                        2
                    }
                    ('/', Some('*')) => {
                        *depth += 1;
                        2
                    }
                    _ => 1,
                };
                line.comment.extend(&rest[..taken]);
                if matches!(inside, Inside::Block(0)) {
                    inside = Inside::Code;
                }
                taken
            }
            Inside::Text => match c {
                // A line break after the backslash is still a line break.
                '\\' if rest.get(1) != Some(&'\n') => 2,
                '"' => {
                    line.code.push('"');
                    inside = Inside::Code;
                    1
                }
                _ => 1,
            },
            Inside::Raw(hashes) => {
                let ends = c == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= *hashes;
                let taken = if ends { 1 + *hashes } else { 1 };
                if ends {
                    line.code.push('"');
                    inside = Inside::Code;
                }
                taken
            }
        };
    }
    if lines.last() == Some(&Line::default()) {
        lines.pop();
    }
    lines
}

/// Takes one step in code; says how many characters it took.
fn code_step(rest: &[char], before: Option<char>, line: &mut Line, inside: &mut Inside) -> usize {
    let next = rest.get(1).copied();
    match (rest[0], next) {
        ('/', Some('/')) => {
            let comment: String = rest.iter().take_while(|c| **c != '\n').collect();
            let taken = comment.chars().count();
            line.comment.push_str(&comment);
            taken
        }
        ('/', Some('*')) => {
            line.comment.push_str("/*");
            *inside = Inside::Block(1);
            2
        }
        ('"', _) => {
            line.code.push('"');
            *inside = Inside::Text;
            1
        }
        ('r', Some('"' | '#')) if !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') => {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            if rest.get(1 + hashes) != Some(&'"') {
                line.code.push('r');
                return 1;
            }
            line.code.push_str("r\"");
            *inside = Inside::Raw(hashes);
            2 + hashes
        }
        // A character, not a lifetime: 'x' or an escape.
        ('\'', Some('\\')) => {
            let close = rest.iter().skip(3).position(|c| *c == '\'').map_or(1, |i| i + 4);
            line.code.push_str("''");
            close
        }
        ('\'', Some(_)) if rest.get(2) == Some(&'\'') => {
            line.code.push_str("''");
            3
        }
        (c, _) => {
            line.code.push(c);
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceFile, split};

    fn code(text: &str) -> Vec<String> {
        split(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn strings_are_not_code() {
        assert_eq!(code(r#"let a = "x // y"; b"#), [r#"let a = ""; b"#]);
        assert_eq!(code("let a = r#\"say \"hi\" \\\"#; b"), ["let a = r\"\"; b"]);
        assert_eq!(code(r#"f("a\"b", c)"#), [r#"f("", c)"#]);
        assert_eq!(code("a(\"one\ntwo\", b)"), ["a(\"", "\", b)"]);
    }

    #[test]
    fn characters_are_not_lifetimes() {
        assert_eq!(code(r#"f('"', '\'', '\u{1F600}', x)"#), ["f('', '', '', x)"]);
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), ["fn f<'a>(x: &'a str) {}"]);
        assert_eq!(code("for_r(\"\")"), ["for_r(\"\")"]);
    }

    #[test]
    fn comments_are_kept_apart() {
        let lines = split("let x = 1; // why\n/* a /* b */ c */ let y;");
        assert_eq!((lines[0].code.trim(), lines[0].comment.as_str()), ("let x = 1;", "// why"));
        assert_eq!((lines[1].code.trim(), lines[1].comment.as_str()), ("let y;", "/* a /* b */ c */"));
    }

    #[test]
    fn production_ends_where_the_unit_tests_begin() {
        let text = "//! x\nfn a() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(SourceFile::new("crates/a/src/a.rs", text).production, 2);
        let text = "//! x\n#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(SourceFile::new("crates/a/src/a.rs", text).production, 4);
        assert_eq!(SourceFile::new("crates/a/tests/it/main.rs", text).production, 0);
    }

    #[test]
    fn functions_are_found_by_name() {
        let file =
            SourceFile::new("a.rs", "pub(crate) async fn one() {}\n// fn two() {}\n  fn three<T>() {}\n");
        assert_eq!(file.functions().collect::<Vec<_>>(), ["one", "three"]);
    }
}

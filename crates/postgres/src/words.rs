//! Which words stand in a statement, outside of quotes and comments? For what a statement may do, and where it reads.

use std::ops::Range;

/// A word or a quoted name of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where it stands, quotes included.
    pub(crate) at: Range<usize>,
    /// As the server takes it: unquoted in lower case, quoted as it is.
    pub(crate) name: String,
    /// Whether a dot stands right before it.
    pub(crate) after_dot: bool,
    /// Whether a dot follows.
    pub(crate) before_dot: bool,
}

/// A script cut into statements and words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// The statements, without the semicolons between them. None is empty.
    pub(crate) statements: Vec<Range<usize>>,
    /// The words of all of them.
    pub(crate) words: Vec<Word>,
}

impl Script {
    /// Cuts `text`.
    pub(crate) fn parse(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut script = Self::default();
        let (mut at, mut from, mut empty, mut after_dot) = (0, 0, true, false);
        while at < bytes.len() {
            let rest = &text[at..];
            let (length, kind) = next(rest);
            match kind {
                Kind::Blank => {}
                Kind::Semicolon => {
                    if !empty {
                        script.statements.push(from..at);
                    }
                    (from, empty) = (at + length, true);
                }
                Kind::Word | Kind::QuotedName => {
                    let word = &text[at..at + length];
                    let name = match kind {
                        Kind::Word => word.to_lowercase(),
                        _ => word.trim_matches('"').replace("\"\"", "\""),
                    };
                    let before_dot = text[at + length..].trim_start().starts_with('.');
                    script.words.push(Word { at: at..at + length, name, after_dot, before_dot });
                    empty = false;
                }
                Kind::Dot | Kind::Other => empty = false,
            }
            if kind != Kind::Blank {
                after_dot = kind == Kind::Dot;
            }
            at += length;
        }
        if !empty {
            script.statements.push(from..text.len());
        }
        script
    }

    /// The first word of the statement in `range`.
    pub(crate) fn first_word(&self, range: &Range<usize>) -> &str {
        let first = self.words.iter().find(|word| word.at.start >= range.start && word.at.end <= range.end);
        first.map_or("", |word| &word.name)
    }

    /// Whether the schema `name` is named anywhere.
    pub(crate) fn names_schema(&self, name: &str) -> bool {
        self.words.iter().any(|word| word.name == name && word.before_dot && !word.after_dot)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Word,
    QuotedName,
    Semicolon,
    Dot,
    Other,
}

/// The first token of a text that is not empty: its bytes and what it is.
fn next(text: &str) -> (usize, Kind) {
    let bytes = text.as_bytes();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    match bytes[0] {
        b'\'' => (quoted(text, false), Kind::Other),
        b'"' => (quoted(text, false), Kind::QuotedName),
        b'e' | b'E' if bytes.get(1) == Some(&b'\'') => (1 + quoted(&text[1..], true), Kind::Other),
        b'-' if text.starts_with("--") => (text.find('\n').unwrap_or(text.len()), Kind::Blank),
        b'/' if text.starts_with("/*") => (comment(text), Kind::Blank),
        b'$' => (dollar_quoted(text), Kind::Other),
        b';' => (1, Kind::Semicolon),
        b'.' => (1, Kind::Dot),
        b'0'..=b'9' => (text.find(|c: char| !is_word(c) && c != '.').unwrap_or(text.len()), Kind::Other),
        _ => {
            let first = text.chars().next().unwrap_or(' ');
            if first.is_whitespace() {
                (first.len_utf8(), Kind::Blank)
            } else if is_word(first) {
                (text.find(|c: char| !is_word(c)).unwrap_or(text.len()), Kind::Word)
            } else {
                (first.len_utf8(), Kind::Other)
            }
        }
    }
}

/// The bytes of a quoted text with its quotes. With `escapes`, a backslash takes the next byte along.
fn quoted(text: &str, escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 1;
        } else if bytes[at] == bytes[0] {
            if bytes.get(at + 1) != Some(&bytes[0]) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

/// The bytes of a comment; comments nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The bytes of `$tag$ ... $tag$`; 1 where there is none.
fn dollar_quoted(text: &str) -> usize {
    let tag_end = text[1..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(text.len(), |at| at + 1);
    if text.as_bytes().get(tag_end) != Some(&b'$') || text[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return 1;
    }
    let tag = &text[..=tag_end];
    text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len())
}

/// A name in double quotes.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn a_script_is_cut_at_semicolons_outside_of_quotes() {
        let text =
            "CREATE TABLE a (b text DEFAULT ';'); -- no;\n;/* ; /* ; */ ; */ DO $x$ begin; end $x$; E'\\';' ";
        let script = Script::parse(text);
        let statements: Vec<&str> = script.statements.iter().map(|at| text[at.clone()].trim()).collect();
        assert_eq!(statements.len(), 3, "{statements:?}");
        assert_eq!(statements[0], "CREATE TABLE a (b text DEFAULT ';')");
        assert!(statements[1].ends_with("DO $x$ begin; end $x$"), "{statements:?}");
        assert_eq!(script.first_word(&script.statements[0]), "create");
        assert_eq!(script.first_word(&script.statements[1]), "do");
    }

    #[test]
    fn names_are_found_as_the_server_takes_them() {
        let script = Script::parse("SELECT x.Y, \"Fac\"\"tum\".z, 'factum.a' /* factum.b */ FROM FACTUM . c");
        assert!(script.names_schema("factum") && script.names_schema("x"));
        assert!(!script.names_schema("y") && !script.names_schema("c"));
        assert!(script.names_schema("Fac\"tum"));
        assert!(!Script::parse("SELECT 'factum.a', t.factum.b, 1.5").names_schema("factum"));
    }

    #[test]
    fn what_is_never_closed_ends_with_the_text() {
        for text in ["'a", "\"a", "/* a", "$x$ a", "E'\\", "-- a", "$", "a."] {
            let _ = Script::parse(text);
        }
    }
}

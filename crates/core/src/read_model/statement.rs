//! Where in a statement do its named parameters stand?

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that the database gets as it is.
    Text(String),
    /// The parameter with this index in [`NamedStatement::names`].
    Parameter(usize),
}

/// A statement with its parameters found: each database writes them in its own way.
///
/// A parameter is `:` and a name of letters, digits, `_` and `.`. What stands in quotes, in comments or after `::` (a
/// cast) is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedStatement {
    /// The statement, cut at its parameters.
    pub pieces: Vec<Piece>,
    /// The parameters' names, each once, in order of appearance.
    pub names: Vec<String>,
}

impl NamedStatement {
    /// Finds the parameters of `statement`.
    pub fn parse(statement: &str) -> Self {
        let mut parsed = Self { pieces: Vec::new(), names: Vec::new() };
        let bytes = statement.as_bytes();
        let (mut at, mut text_from) = (0, 0);
        while at < bytes.len() {
            let rest = &statement[at..];
            let skipped = match bytes[at] {
                b':' if rest.starts_with("::") => 2,
                b':' => match name_after(&rest[1..]) {
                    "" => 1,
                    name => {
                        parsed.text(&statement[text_from..at]);
                        parsed.parameter(name);
                        text_from = at + 1 + name.len();
                        1 + name.len()
                    }
                },
                _ => quoted_or_one(rest),
            };
            at += skipped;
        }
        parsed.text(&statement[text_from..]);
        parsed
    }

    /// The statements of a text that separates them by `;`, without those that are empty or only comments. A `;` in
    /// quotes or comments separates nothing.
    pub fn split(text: &str) -> Vec<&str> {
        let (mut statements, mut from, mut at, mut says) = (Vec::new(), 0, 0, false);
        while at < text.len() {
            let rest = &text[at..];
            let length = quoted_or_one(rest);
            if rest.starts_with(';') {
                if says {
                    statements.push(text[from..at].trim());
                }
                (from, says) = (at + 1, false);
            } else if !rest.starts_with("--") && !rest.starts_with("/*") {
                says |= !rest.starts_with(char::is_whitespace);
            }
            at += length;
        }
        if says {
            statements.push(text[from..].trim());
        }
        statements
    }

    /// The statement with each parameter written as `write` says, from its index.
    pub fn render(&self, mut write: impl FnMut(usize) -> String) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Parameter(index) => write(*index),
        });
        pieces.collect()
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn parameter(&mut self, name: &str) {
        let index = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        self.pieces.push(Piece::Parameter(index));
    }
}

/// The bytes of the quoted text or the comment that `rest` begins with, or of its first character.
fn quoted_or_one(rest: &str) -> usize {
    match rest.as_bytes().first() {
        Some(&quote @ (b'\'' | b'"' | b'`')) => quoted(rest, quote),
        Some(b'-') if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
        Some(b'/') if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
        Some(b'$') => dollar_quoted(rest),
        _ => rest.chars().next().map_or(1, char::len_utf8),
    }
}

/// The bytes of a quoted text with its quotes; a doubled quote goes on.
fn quoted(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

/// The bytes of a text in `$tag$ ... $tag$`; 1 where there is none.
fn dollar_quoted(text: &str) -> usize {
    let tag_end =
        text[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(text.len(), |at| at + 1);
    if text.as_bytes().get(tag_end) != Some(&b'$') {
        return 1;
    }
    let tag = &text[..=tag_end];
    text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len())
}

/// The name that `text` begins with: it begins with a letter or `_` and does not end with a dot.
fn name_after(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return "";
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::NamedStatement;

    fn check(statement: &str, rendered: &str, names: &[&str]) {
        let parsed = NamedStatement::parse(statement);
        assert_eq!(parsed.names, names, "{statement}");
        assert_eq!(parsed.render(|index| format!("${}", index + 1)), rendered);
    }

    #[test]
    fn parameters_are_found_and_numbered_once() {
        check("select :a, :data.amount, :a", "select $1, $2, $1", &["a", "data.amount"]);
        check(":a", "$1", &["a"]);
        check("x=:_b2;", "x=$1;", &["_b2"]);
    }

    #[test]
    fn statements_are_split_at_semicolons_that_separate_them() {
        let split = NamedStatement::split;
        assert_eq!(split("a; b ;"), ["a", "b"]);
        assert_eq!(split("insert ';' -- c; d\n; /* ; */ ;; -- only\n;x"), ["insert ';' -- c; d", "x"]);
        assert_eq!(split("-- first\nü $$;$$ \";\""), ["-- first\nü $$;$$ \";\""]);
        assert!(split(" ;\n-- nothing").is_empty());
    }

    #[test]
    fn quotes_comments_and_casts_are_left_alone() {
        for same in [
            "select ':a', \":b\", `:c` -- :d\n, /* :e */ 1::text",
            "select 'it''s :a'",
            "select $$ :a $$, $x$ :b $x$",
            "select 'open :a",
            "select a[1:2], '12:30', : a, ü",
            "/* open :a",
        ] {
            check(same, same, &[]);
        }
        check("select ':a' || :b::text", "select ':a' || $1::text", &["b"]);
        check("select $1, :a", "select $1, $1", &["a"]);
    }
}

//! How is a declaration read from a SQL file, whose comments say what belongs to which event?

use factum_core::read_model::NamedStatement;

use super::document::{Document, HandlerText, Located, Word};
use super::error::DeclarationError;
use super::nearest::nearest;

const KEYS: [&str; 8] =
    ["name", "partitions", "personal", "category", "stream_prefix", "tags", "tables", "on"];
const ON_KEYS: [&str; 4] = ["changed", "optional", "versions", "on"];

/// Whether the text is in the SQL form: its first line that says anything is a comment of SQL.
pub(super) fn is_sql(text: &str) -> bool {
    text.lines().map(str::trim).find(|line| !line.is_empty()).is_some_and(|line| line.starts_with("--"))
}

/// A stretch of SQL that belongs together.
struct Section {
    line: usize,
    text: String,
}

/// Reads the SQL form.
pub(super) fn read(text: &str) -> Result<Document, DeclarationError> {
    let mut document = Document::default();
    let mut section = Section { line: 1, text: String::new() };
    let mut in_tables = false;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let known: &[&str] = if document.handlers.is_empty() { &KEYS } else { &ON_KEYS };
        let Some((key, rest)) = directive(line, line_number, known)? else {
            section.text.push_str(line);
            section.text.push('\n');
            continue;
        };
        if !matches!(key, "on" | "tables") {
            // The section goes on: its lines must still be counted.
            section.text.push('\n');
        }
        let words = || rest.split(',').map(str::trim).filter(|word| !word.is_empty());
        let words = || words().map(|word| Located::new(line_number, word.to_owned())).collect::<Vec<Word>>();
        let word = || Located::new(line_number, rest.to_owned());
        match (key, document.handlers.last_mut()) {
            ("on", _) => {
                end_section(&mut document, &mut section, in_tables, line_number)?;
                in_tables = false;
                document.handlers.push(HandlerText {
                    on: word(),
                    types: words(),
                    run: Vec::new(),
                    changed: Vec::new(),
                    optional: Vec::new(),
                    versions: Vec::new(),
                });
            }
            ("changed", Some(handler)) => handler.changed.push(word()),
            ("optional", Some(handler)) => handler.optional.extend(words()),
            ("versions", Some(handler)) => {
                let expected = "a list of schema versions such as 1, 2";
                let shape = || DeclarationError::Shape { line: line_number, key: key.to_owned(), expected };
                let numbers = words().into_iter().map(|word| word.value.parse().map_err(|_| shape()));
                handler.versions = numbers.collect::<Result<_, _>>()?;
            }
            ("tables", _) => {
                end_section(&mut document, &mut section, false, line_number)?;
                in_tables = true;
            }
            ("name", _) => document.name = Some(word()),
            ("personal", _) => document.personal = Some(word()),
            ("category", _) => document.category = Some(word()),
            ("stream_prefix", _) => document.stream_prefix = Some(word()),
            ("tags", _) => document.tags = words(),
            (_, _) => {
                let expected = "a whole number";
                let number = rest.parse().map_err(|_| DeclarationError::Shape {
                    line: line_number,
                    key: key.to_owned(),
                    expected,
                })?;
                document.partitions = Some(Located::new(line_number, number));
            }
        }
    }
    end_section(&mut document, &mut section, in_tables, text.lines().count() + 1)?;
    Ok(document)
}

/// Gives the SQL gathered so far to what it stands under.
fn end_section(
    document: &mut Document,
    section: &mut Section,
    in_tables: bool,
    next_line: usize,
) -> Result<(), DeclarationError> {
    let gathered = std::mem::replace(section, Section { line: next_line + 1, text: String::new() });
    let statements = NamedStatement::split(&gathered.text);
    let line = gathered.line;
    match document.handlers.last_mut() {
        Some(handler) => {
            let from = gathered.text.as_ptr() as usize;
            handler.run.extend(statements.into_iter().map(|one| {
                let before = one.as_ptr() as usize - from;
                Located::new(line + gathered.text[..before].matches('\n').count(), one.to_owned())
            }));
        }
        None if in_tables => document.tables = Some(Located::new(line, gathered.text.trim().to_owned())),
        None if statements.is_empty() => {}
        None => {
            let what = "a line '-- tables' before the statements that make the tables";
            return Err(DeclarationError::Missing { key: "tables", what });
        }
    }
    Ok(())
}

/// The key and the rest of a comment that says something to us: `-- key: rest`, or `-- on Type`, or `-- tables`.
fn directive<'l>(
    line: &'l str,
    line_number: usize,
    known: &[&'static str],
) -> Result<Option<(&'static str, &'l str)>, DeclarationError> {
    let Some(comment) = line.trim().strip_prefix("--") else { return Ok(None) };
    let comment = comment.trim();
    if comment == "tables" && known.contains(&"tables") {
        return Ok(Some(("tables", "")));
    }
    if let Some(types) = comment.strip_prefix("on ") {
        return Ok(Some(("on", types.trim_start_matches(':').trim())));
    }
    let Some((key, rest)) = comment.split_once(':') else { return Ok(None) };
    if let Some(key) = known.iter().find(|known| **known == key) {
        return Ok(Some((key, rest.trim())));
    }
    // Any other comment is one; what looks like a key with a slip in it is none.
    match nearest(key, known.iter().copied()) {
        None => Ok(None),
        nearest => Err(DeclarationError::UnknownKey {
            line: line_number,
            key: key.to_owned(),
            nearest,
            known: known.join(", "),
        }),
    }
}

//! How results reach stdout: as a table, a JSON document, JSON lines, or raw.

mod events;
mod table;
mod template;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

pub(crate) use events::{Columns, EventSink};
pub(crate) use table::{Table, clean};
pub(crate) use template::Template;

use crate::failure::Failure;

/// What results look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns that fit the terminal
    Table,
    /// One JSON document
    Json,
    /// One JSON object per line
    Ndjson,
    /// Payloads alone, byte for byte
    Raw,
}

/// One result that is not an event: its fields, in order, by their camelCase names.
pub(crate) type Record = Map<String, Value>;

/// A record from pairs.
pub(crate) fn record<const N: usize>(fields: [(&str, Value); N]) -> Record {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Buffer of stdout, in bytes.
const STDOUT_BUFFER: usize = 64 * 1024;
/// Width of a table that goes to no terminal, in columns.
const DEFAULT_WIDTH: usize = 120;

/// Standard output, shared with the handler of Ctrl-C, which lets the line under way end.
#[derive(Clone)]
pub(crate) struct Out {
    stdout: Arc<Mutex<BufWriter<Stdout>>>,
    format: Format,
    template: Option<Arc<Template>>,
}

impl Out {
    /// The output that was asked for; without a wish a table on a terminal and JSON lines in a pipe.
    pub(crate) fn new(format: Option<Format>, template: Option<Template>) -> Self {
        let stdout = io::stdout();
        let format = format.unwrap_or(if stdout.is_terminal() { Format::Table } else { Format::Ndjson });
        Self {
            stdout: Arc::new(Mutex::new(BufWriter::with_capacity(STDOUT_BUFFER, stdout))),
            format,
            template: template.map(Arc::new),
        }
    }

    /// What results look like.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes whole lines in one go.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stdout.write_all(bytes)?)
    }

    /// Writes a line.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// Hands everything written so far to the system.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stdout.flush()?)
    }

    /// Flushes if no line is being written right now. For the handler of Ctrl-C, which must not wait.
    pub(crate) fn try_flush(&self) {
        if let Ok(mut stdout) = self.stdout.try_lock() {
            // The process ends with 130 whether or not the reader is still there.
            let _ = stdout.flush();
        }
    }

    /// One result: fields below each other, or one object.
    pub(crate) fn one(&self, fields: &Record) -> Result<(), Failure> {
        if let Some(template) = &self.template {
            return self.line(&template.of_json(&Value::from(fields.clone()).to_string()));
        }
        match self.format {
            Format::Table => {
                let width = fields.keys().map(String::len).max().unwrap_or_default();
                for (name, value) in fields {
                    self.line(&format!("{name:<width$}  {}", table::clean(&plain(value))))?;
                }
                Ok(())
            }
            Format::Json => self.line(&pretty(&Value::from(fields.clone()))),
            Format::Ndjson => self.line(&Value::from(fields.clone()).to_string()),
            Format::Raw => self.line(&fields.values().map(plain).collect::<Vec<_>>().join("\t")),
        }
    }

    /// A list of results, as they come.
    pub(crate) fn many(&self, columns: &[&str]) -> RecordSink {
        let table = Table::new(columns, terminal_width());
        RecordSink { out: self.clone(), table, count: 0 }
    }

    /// A list of events, as they come.
    pub(crate) fn events(&self, columns: Columns) -> EventSink {
        EventSink::new(self.clone(), columns, self.template.clone())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// Where records of a list go.
pub(crate) struct RecordSink {
    out: Out,
    table: Table,
    count: u64,
}

impl RecordSink {
    /// One more.
    pub(crate) fn push(&mut self, fields: &Record) -> Result<(), Failure> {
        self.count += 1;
        if self.out.template.is_some() {
            return self.out.one(fields);
        }
        match self.out.format {
            Format::Table => {
                let cells = self.table.titles().map(|title| plain(fields.get(title).unwrap_or(&Value::Null)));
                let row: Vec<String> = cells.collect();
                let text = self.table.push(&row);
                self.out.write(text.as_bytes())
            }
            Format::Json => {
                let before = if self.count == 1 { "[\n" } else { ",\n" };
                self.out.write(format!("{before}{}", Value::from(fields.clone())).as_bytes())
            }
            Format::Ndjson | Format::Raw => self.out.one(fields),
        }
    }

    /// That was all.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.out.template.is_none() {
            match self.out.format {
                Format::Table => self.out.write(self.table.finish().as_bytes())?,
                Format::Json => self.out.line(if self.count == 0 { "[]" } else { "\n]" })?,
                Format::Ndjson | Format::Raw => {}
            }
        }
        self.out.flush()
    }
}

/// A value as people read it: text without quotes, nothing for `null`.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Indented JSON.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// The same JSON with line breaks between its parts; numbers stay as they are written.
pub(crate) fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().filter(|c| !c.is_ascii_control()).peekable();
    while let Some(character) = characters.next() {
        let before = (in_string, escaped);
        escaped = in_string && !escaped && character == '\\';
        if character == '"' && !before.1 {
            in_string = !in_string;
        }
        match character {
            _ if before.0 || in_string => out.push(character),
            '{' | '[' if !matches!(characters.peek(), Some('}' | ']')) => {
                depth += 1;
                out.push(character);
                break_line(&mut out, depth);
            }
            '}' | ']' if !out.ends_with(['{', '[']) => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(character);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Columns of the terminal; `COLUMNS` overrides.
pub(crate) fn terminal_width() -> usize {
    let given = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let of_terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    given.or_else(of_terminal).unwrap_or(DEFAULT_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_json_is_the_same_json() {
        let text = r#"{"a":[1.10,{"b":"x{,:\"]\\"}],"e":{},"f":[],"g":"\\"}"#;
        let indented = indent(text);
        assert!(indented.contains("\n    1.10,\n    {\n      \"b\": \"x{,:"), "{indented}");
        let same: Value = serde_json::from_str(&indented).unwrap();
        assert_eq!(same, serde_json::from_str::<Value>(text).unwrap());
        assert!(indented.contains("\"e\": {},") && indented.contains("\"f\": []"), "{indented}");
    }
}

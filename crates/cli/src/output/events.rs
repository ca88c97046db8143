//! How events reach stdout.

use std::sync::Arc;

use factum_core::{ContentType, RecordedEvent};

use super::{Format, Out, Table, Template, terminal_width};
use crate::failure::Failure;
use factum_protocol::{Breaks, write_event};

/// Which columns a table of events has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// For events of one stream.
    OneStream,
    /// For events of many streams.
    ManyStreams,
}

/// Where events go, one after the other.
pub(crate) struct EventSink {
    out: Out,
    columns: Columns,
    template: Option<Arc<Template>>,
    table: Table,
    /// The line under way, kept for its buffer.
    line: Vec<u8>,
    count: u64,
}

/// Payload that a table cell looks at, in bytes: more never fits a terminal.
const CELL_BYTES: usize = 4 * 1024;

impl EventSink {
    pub(super) fn new(out: Out, columns: Columns, template: Option<Arc<Template>>) -> Self {
        let titles: &[&str] = match columns {
            Columns::OneStream => &["revision", "time", "type", "data"],
            Columns::ManyStreams => &["position", "stream", "revision", "time", "type", "data"],
        };
        let table = Table::new(titles, terminal_width());
        Self { out, columns, template, table, line: Vec::new(), count: 0 }
    }

    /// One more.
    pub(crate) fn push(&mut self, event: &RecordedEvent) -> Result<(), Failure> {
        self.count += 1;
        self.line.clear();
        if let Some(template) = &self.template {
            write_event(event, Breaks::Keep, &mut self.line);
            return self.out.line(&template.of_json(&String::from_utf8_lossy(&self.line)));
        }
        match self.out.format() {
            Format::Table => {
                let text = self.table.push(&self.row(event));
                self.line.extend_from_slice(text.as_bytes());
            }
            Format::Json => {
                self.line.extend_from_slice(if self.count == 1 { b"[\n" } else { b",\n" });
                write_event(event, Breaks::Keep, &mut self.line);
            }
            Format::Ndjson => {
                write_event(event, Breaks::Flatten, &mut self.line);
                self.line.push(b'\n');
            }
            Format::Raw => {
                self.line.extend_from_slice(event.data_slice());
                if event.content_type() == ContentType::Json {
                    self.line.push(b'\n');
                }
            }
        }
        self.out.write(&self.line)
    }

    /// Shows what has come so far, also of a table that is still being measured.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.template.is_none() && self.out.format() == Format::Table {
            self.out.write(self.table.finish().as_bytes())?;
        }
        self.out.flush()
    }

    /// That was all.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.template.is_none() && self.out.format() == Format::Json {
            self.out.line(if self.count == 0 { "[]" } else { "\n]" })?;
        }
        self.flush()
    }

    fn row(&self, event: &RecordedEvent) -> Vec<String> {
        let data = match (event.redaction(), event.content_type()) {
            (Some(redaction), _) => format!("(redacted: {})", redaction.reason),
            (None, ContentType::Json) => {
                let bytes = event.data_slice();
                String::from_utf8_lossy(&bytes[..bytes.len().min(CELL_BYTES)]).into_owned()
            }
            (None, ContentType::Binary) => format!("({} bytes)", event.data_slice().len()),
        };
        let revision = event.revision().to_string();
        let rest = [event.happened_at().to_string(), event.event_type().to_owned(), data];
        let first = match self.columns {
            Columns::OneStream => vec![revision],
            Columns::ManyStreams => {
                vec![event.position().to_string(), event.stream().to_owned(), revision]
            }
        };
        first.into_iter().chain(rest).collect()
    }
}

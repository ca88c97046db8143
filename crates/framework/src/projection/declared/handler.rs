//! What does a declaration do with an event of a type?

use factum_core::RecordedEvent;
use factum_core::read_model::{NamedStatement, PersonalData, Value};

use super::document::{HandlerText, Word};
use super::error::DeclarationError;
use super::nearest::nearest;
use super::parameter::{Parsed, Source};
use crate::projection::{ApplyError, Model};

/// The words that a statement which changes rows may begin with.
const CHANGES: [&str; 6] = ["insert", "update", "delete", "replace", "merge", "with"];
/// Bytes of a statement that a message shows.
const SHOWN_BYTES: usize = 60;

/// The names that a declaration gives to paths.
pub(super) type Aliases = Vec<(String, Source)>;

/// What happens on some types of events.
#[derive(Debug)]
pub(super) struct Handler {
    parameters: Vec<Parameter>,
    pub(super) statements: Vec<Word>,
    changed: Vec<Template>,
    versions: Vec<u32>,
    /// Whether the rows know how to forget: else they take no personal data.
    personal: PersonalData,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    source: Source,
    optional: bool,
}

/// A tag with places for parameters.
#[derive(Debug)]
struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Parameter(usize),
}

impl Handler {
    /// Checks what was written.
    pub(super) fn new(text: HandlerText, aliases: &Aliases) -> Result<Self, DeclarationError> {
        let on = text.on.value;
        if text.run.is_empty() {
            return Err(DeclarationError::NothingToRun { line: text.on.line, on });
        }
        let mut handler = Self {
            parameters: Vec::new(),
            statements: text.run,
            changed: Vec::new(),
            versions: text.versions,
            personal: PersonalData::None,
        };
        for statement in handler.statements.clone() {
            if !changes_rows(&statement.value) {
                let statement_text = beginning(&statement.value);
                return Err(DeclarationError::NoChange { line: statement.line, statement: statement_text });
            }
            for name in NamedStatement::parse(&statement.value).names {
                handler.parameter(&name, statement.line, aliases)?;
            }
        }
        for tag in &text.changed {
            let template = handler.template(tag, aliases)?;
            handler.changed.push(template);
        }
        for Word { line, value } in text.optional {
            let name = value.strip_prefix(':').unwrap_or(&value);
            let Some(used) = handler.parameters.iter_mut().find(|parameter| parameter.name == name) else {
                let used = handler.parameters.iter().map(|parameter| parameter.name.as_str());
                let nearest = nearest(name, used);
                return Err(DeclarationError::UnusedOptional {
                    line,
                    on,
                    parameter: name.to_owned(),
                    nearest,
                });
            };
            used.optional = true;
        }
        Ok(handler)
    }

    /// How the projection's rows forget.
    pub(super) fn forget_by(&mut self, personal: PersonalData) {
        self.personal = personal;
    }

    /// The place of a parameter among the values.
    fn parameter(&mut self, name: &str, line: usize, aliases: &Aliases) -> Result<usize, DeclarationError> {
        if let Some(known) = self.parameters.iter().position(|parameter| parameter.name == name) {
            return Ok(known);
        }
        let alias = aliases.iter().find(|(alias, _)| alias == name).map(|(_, source)| source.clone());
        let source = match alias.map_or_else(|| Source::parse(name), Ok) {
            Ok(source) => source,
            Err(of_events) => {
                let names = aliases.iter().map(|(alias, _)| alias.as_str());
                let nearest = of_events.or_else(|| nearest(name, names));
                return Err(DeclarationError::UnknownParameter { line, parameter: name.to_owned(), nearest });
            }
        };
        self.parameters.push(Parameter { name: name.to_owned(), source, optional: false });
        Ok(self.parameters.len() - 1)
    }

    /// Reads `{name}` as a parameter, `{{` and `}}` as braces.
    fn template(&mut self, tag: &Word, aliases: &Aliases) -> Result<Template, DeclarationError> {
        let wrong = |why| DeclarationError::Template { line: tag.line, template: tag.value.clone(), why };
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = tag.value.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(doubled) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = doubled;
            } else if brace == "{" {
                let (name, after) = rest.split_once('}').ok_or_else(|| wrong("has a '{' without its '}'"))?;
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Parameter(self.parameter(name.trim(), tag.line, aliases)?));
                rest = after;
            } else {
                return Err(wrong("has a '}' without its '{'"));
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Template(parts))
    }

    /// The parameters' values for an event, in the order of the parameters.
    pub(super) fn values(&self, event: &RecordedEvent) -> Result<Vec<Value<'static>>, ApplyError> {
        let version = event.schema_version().0;
        if !self.versions.is_empty() && !self.versions.contains(&version) {
            let known: Vec<String> = self.versions.iter().map(ToString::to_string).collect();
            return Err(ApplyError::Refused(format!(
                "the event has schema version {version}, the declaration is for {}",
                known.join(", ")
            )));
        }
        let mut parsed = Parsed::new(event, self.personal);
        let values = self.parameters.iter().map(|parameter| match parsed.value(&parameter.source)? {
            Some(value) => Ok(value),
            None if parameter.optional => Ok(Value::Null),
            None => Err(ApplyError::Refused(format!(
                "the event has no :{}, and the declaration does not say that it is optional",
                parameter.name
            ))),
        });
        values.collect()
    }

    /// Runs the statements with these values, and says what they change.
    pub(super) fn apply(&self, values: &[Value<'static>], model: &mut Model<'_>) -> Result<(), ApplyError> {
        let named: Vec<(&str, Value<'_>)> = self.named(values.iter().map(borrowed));
        for statement in &self.statements {
            model.execute(&statement.value, &named)?;
        }
        for Template(parts) in &self.changed {
            let filled = parts.iter().map(|part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Parameter(index) => {
                    values.get(*index).filter(|value| **value != Value::Null).map(ToString::to_string)
                }
            });
            // What is not there has no tag.
            if let Some(tag) = filled.collect::<Option<String>>() {
                model.changed(tag);
            }
        }
        Ok(())
    }

    /// The parameters with these values.
    pub(super) fn named<'v>(
        &'v self,
        values: impl IntoIterator<Item = Value<'v>>,
    ) -> Vec<(&'v str, Value<'v>)> {
        self.parameters.iter().map(|parameter| parameter.name.as_str()).zip(values).collect()
    }
}

fn borrowed<'v>(value: &'v Value<'static>) -> Value<'v> {
    match value {
        Value::Text(text) => Value::Text(text.as_ref().into()),
        Value::Bytes(bytes) => Value::Bytes(bytes.as_ref().into()),
        other => other.clone(),
    }
}

/// Whether the first word that is not in a comment is one that changes rows.
fn changes_rows(statement: &str) -> bool {
    let mut rest = statement.trim_start();
    loop {
        let end = match rest {
            comment if comment.starts_with("--") => comment.find('\n'),
            comment if comment.starts_with("/*") => comment.find("*/").map(|end| end + 2),
            _ => break,
        };
        rest = end.map_or("", |end| &rest[end..]).trim_start();
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    CHANGES.contains(&word.to_ascii_lowercase().as_str())
}

fn beginning(statement: &str) -> String {
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().find(|(at, _)| *at >= SHOWN_BYTES) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

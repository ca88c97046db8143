//! How is a declaration read from TOML?

use factum_core::read_model::NamedStatement;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::document::{Document, HandlerText, Located, Word, line_of};
use super::error::DeclarationError;
use super::nearest::nearest;

const KEYS: [&str; 9] =
    ["name", "tables", "partitions", "personal", "category", "stream_prefix", "tags", "parameters", "on"];
const ON_KEYS: [&str; 5] = ["types", "run", "changed", "optional", "versions"];

/// Reads the TOML form.
pub(super) fn read(text: &str) -> Result<Document, DeclarationError> {
    let form = Form { text };
    let document = DeTable::parse(text).map_err(|error| DeclarationError::Syntax {
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        why: error.message().to_owned(),
    })?;
    let mut read = Document::default();
    for (key, value) in document.get_ref() {
        match key.get_ref().as_ref() {
            "name" => read.name = Some(form.word("name", value)?),
            "tables" => read.tables = Some(form.word("tables", value)?),
            "partitions" => {
                read.partitions = Some(Located::new(form.line(value), form.integer("partitions", value)?));
            }
            "personal" => read.personal = Some(form.word("personal", value)?),
            "category" => read.category = Some(form.word("category", value)?),
            "stream_prefix" => read.stream_prefix = Some(form.word("stream_prefix", value)?),
            "tags" => read.tags = form.words("tags", value)?,
            "parameters" => {
                for (name, path) in form.table("parameters", value)? {
                    let line = form.line(name);
                    let path = form.words(name.get_ref(), path)?;
                    let path = path.into_iter().map(|step| step.value).collect();
                    read.aliases.push((Located::new(line, name.get_ref().to_string()), path));
                }
            }
            "on" => {
                for (on, value) in form.table("on", value)? {
                    let on = Located::new(form.line(on), on.get_ref().to_string());
                    read.handlers.push(form.handler(on, value)?);
                }
                read.handlers.sort_by_key(|handler| handler.on.line);
            }
            _ => return Err(form.unknown(key, &KEYS)),
        }
    }
    Ok(read)
}

struct Form<'t> {
    text: &'t str,
}

impl Form<'_> {
    fn line<T>(&self, at: &Spanned<T>) -> usize {
        line_of(self.text, at.span().start)
    }

    fn handler(&self, on: Word, value: &Spanned<DeValue<'_>>) -> Result<HandlerText, DeclarationError> {
        let mut handler = HandlerText {
            types: vec![on.clone()],
            on,
            run: Vec::new(),
            changed: Vec::new(),
            optional: Vec::new(),
            versions: Vec::new(),
        };
        for (key, value) in self.table(&handler.on.value, value)? {
            match key.get_ref().as_ref() {
                "types" => handler.types = self.words("types", value)?,
                "run" => {
                    for text in self.words("run", value)? {
                        let statements = NamedStatement::split(&text.value).into_iter();
                        handler.run.extend(statements.map(|one| Located::new(text.line, one.to_owned())));
                    }
                }
                "changed" => handler.changed = self.words("changed", value)?,
                "optional" => handler.optional = self.words("optional", value)?,
                "versions" => handler.versions = self.versions(value)?,
                _ => return Err(self.unknown(key, &ON_KEYS)),
            }
        }
        Ok(handler)
    }

    fn word(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Word, DeclarationError> {
        match value.get_ref().as_str() {
            Some(text) => Ok(Located::new(self.line(value), text.to_owned())),
            None => Err(self.shape(key, value, "a text")),
        }
    }

    /// One text, or a list of them.
    fn words(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<Word>, DeclarationError> {
        let expected = "a text or a list of texts";
        let word = |value: &Spanned<DeValue<'_>>| {
            self.word(key, value).map_err(|_| self.shape(key, value, expected))
        };
        match value.get_ref().as_array() {
            Some(list) => list.iter().map(word).collect(),
            None => Ok(vec![word(value)?]),
        }
    }

    fn versions(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<u32>, DeclarationError> {
        let shape = || self.shape("versions", value, "a list of schema versions such as [1, 2]");
        let list: &DeArray<'_> = value.get_ref().as_array().ok_or_else(shape)?;
        let number = |value| self.integer("versions", value).ok().and_then(|n| u32::try_from(n).ok());
        list.iter().map(|value| number(value).ok_or_else(shape)).collect()
    }

    fn integer(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<i64, DeclarationError> {
        let number = value.get_ref().as_integer();
        number
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
            .ok_or_else(|| self.shape(key, value, "a whole number"))
    }

    fn table<'v, 'i>(
        &self,
        key: &str,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Result<&'v DeTable<'i>, DeclarationError> {
        value.get_ref().as_table().ok_or_else(|| self.shape(key, value, "a table"))
    }

    fn shape<T>(&self, key: &str, at: &Spanned<T>, expected: &'static str) -> DeclarationError {
        DeclarationError::Shape { line: self.line(at), key: key.to_owned(), expected }
    }

    fn unknown<K: AsRef<str>>(&self, key: &Spanned<K>, known: &[&str]) -> DeclarationError {
        let name = key.get_ref().as_ref();
        DeclarationError::UnknownKey {
            line: self.line(key),
            key: name.to_owned(),
            nearest: nearest(name, known.iter().copied()),
            known: known.join(", "),
        }
    }
}

//! How `--format '{revision} {data.total}'` becomes a line.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// A line with places for fields.
#[derive(Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    /// Member names from the outside in.
    Field(Vec<String>),
}

impl Template {
    /// Reads `{name}` and `{outer.inner}` as fields, `{{` and `}}` as braces, `\n` and `\t` as what they say.
    ///
    /// # Errors
    /// What is wrong with the braces.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match (character, characters.peek()) {
                ('{', Some('{')) | ('}', Some('}')) => plain.extend(characters.next()),
                ('\\', Some('n' | 't' | '\\')) => {
                    plain.push(match characters.next() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        _ => '\\',
                    });
                }
                ('}', _) => return Err("has a '}' without its '{': write '}}' for a brace".to_owned()),
                ('{', _) => {
                    let field: String = characters.by_ref().take_while(|c| *c != '}').collect();
                    if field.is_empty() || !text.contains('}') {
                        return Err(
                            "has a '{' without a field and its '}': write '{{' for a brace".to_owned()
                        );
                    }
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Field(field.split('.').map(str::to_owned).collect()));
                }
                (other, _) => plain.push(other),
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// The line for one JSON object. A field that it lacks is empty, text stands without quotes, all else as written.
    pub(crate) fn of_json(&self, object: &str) -> String {
        let mut line = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Field(path) => line.push_str(&field(object, path).unwrap_or_default()),
            }
        }
        line
    }
}

fn field(object: &str, path: &[String]) -> Option<String> {
    let mut at: &str = object;
    for name in path {
        let members: HashMap<String, &RawValue> = serde_json::from_str(at).ok()?;
        at = members.get(name)?.get();
    }
    if at == "null" {
        return None;
    }
    Some(serde_json::from_str::<String>(at).unwrap_or_else(|_| at.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_in_as_written() {
        let line = |template: &str| {
            Template::parse(template)
                .unwrap()
                .of_json(r#"{"revision":7,"type":"A b","data":{"total":1.10,"o":{"x":null}}}"#)
        };
        assert_eq!(line("{revision} {type} {data.total}"), "7 A b 1.10");
        assert_eq!(line("{{{revision}}}\\t{data.none}{data.total.deeper}|{data.o.x}"), "{7}\t|");
        assert_eq!(line("{data.o}"), r#"{"x":null}"#);
        for bad in ["{", "}", "{}", "{type"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}

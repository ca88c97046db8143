//! What an XES attribute is as JSON.

use factum_core::limits::MAX_EVENT_BYTES;

/// Most attributes of one trace, event or attribute.
const MAX_ATTRIBUTES: usize = 4_096;

/// An XES element that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Log,
    Trace,
    Event,
    String,
    Date,
    Int,
    Float,
    Boolean,
    Id,
    List,
    Container,
    /// The elements of a list.
    Values,
    /// Extensions, globals, classifiers, and what later versions add.
    Other,
}

impl Tag {
    pub(super) fn of(local_name: &str) -> Self {
        match local_name {
            "log" => Tag::Log,
            "trace" => Tag::Trace,
            "event" => Tag::Event,
            "string" => Tag::String,
            "date" => Tag::Date,
            "int" => Tag::Int,
            "float" => Tag::Float,
            "boolean" => Tag::Boolean,
            "id" => Tag::Id,
            "list" => Tag::List,
            "container" => Tag::Container,
            "values" => Tag::Values,
            _ => Tag::Other,
        }
    }

    pub(super) fn is_attribute(self) -> bool {
        !matches!(self, Tag::Log | Tag::Trace | Tag::Event | Tag::Values | Tag::Other)
    }
}

/// One attribute.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) key: String,
    /// The value as it is written in the file; empty for lists and containers.
    pub(super) value: String,
    /// The whole attribute, with those nested in it, as JSON text.
    pub(super) json: String,
}

/// The attributes of one element, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    entries: Vec<Attribute>,
    bytes: usize,
}

impl Attributes {
    /// Adds one, or says why it cannot be added.
    pub(super) fn add(&mut self, attribute: Attribute) -> Result<(), String> {
        if self.entries.len() == MAX_ATTRIBUTES {
            return Err(format!("more than {MAX_ATTRIBUTES} attributes on one element"));
        }
        if self.get(&attribute.key).is_some() {
            return Err(format!("attribute '{}' comes twice", attribute.key));
        }
        self.add_element(attribute)
    }

    /// Adds an element of a list, whose key need not be unique.
    pub(super) fn add_element(&mut self, attribute: Attribute) -> Result<(), String> {
        self.bytes += attribute.key.len() + attribute.json.len();
        if self.bytes > MAX_EVENT_BYTES {
            return Err(format!("the attributes are larger than an event may be ({MAX_EVENT_BYTES} bytes)"));
        }
        self.entries.push(attribute);
        Ok(())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Attribute> {
        self.entries.iter().find(|attribute| attribute.key == key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// `{"key":value,...}`
    pub(super) fn to_object(&self) -> String {
        let mut json = String::with_capacity(self.bytes + self.entries.len() * 4 + 2);
        json.push('{');
        for (index, attribute) in self.entries.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(&quoted(&attribute.key));
            json.push(':');
            json.push_str(&attribute.json);
        }
        json.push('}');
        json
    }

    /// `[{"key":value},...]`: a list keeps its order and may repeat a key.
    pub(super) fn to_array(&self) -> String {
        let elements: Vec<String> = self
            .entries
            .iter()
            .map(|attribute| format!("{{{}:{}}}", quoted(&attribute.key), attribute.json))
            .collect();
        format!("[{}]", elements.join(","))
    }
}

/// The JSON of a single value, or why it is not one of its type.
pub(super) fn scalar(tag: Tag, key: &str, value: &str) -> Result<String, String> {
    let wrong =
        |wanted: &str| Err(format!("attribute '{key}' has value '{}', which is not {wanted}", clip(value)));
    let text = value;
    // XML Schema collapses white space around numbers and truth values, not in text.
    let value = value.trim_matches([' ', '\t', '\r', '\n']);
    match tag {
        Tag::Int => match value.strip_prefix('+').unwrap_or(value).parse::<i64>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => wrong("a 64-bit integer"),
        },
        Tag::Float => match value.parse::<f64>() {
            // As it is written where that is JSON too, so that no digit is lost.
            Ok(_) if serde_json::from_str::<serde_json::Number>(value).is_ok() => Ok(value.to_owned()),
            Ok(number) if number.is_finite() => Ok(number.to_string()),
            // JSON has no infinity and no NaN.
            Ok(_) => Ok(quoted(value)),
            Err(_) => wrong("a number"),
        },
        Tag::Boolean => match value {
            "true" | "1" => Ok("true".to_owned()),
            "false" | "0" => Ok("false".to_owned()),
            _ => wrong("true or false"),
        },
        _ => Ok(quoted(text)),
    }
}

/// The JSON of a value that has attributes of its own.
pub(super) fn with_children(value: Option<&str>, children: &Attributes) -> String {
    match value {
        Some(value) => format!("{{\"value\":{value},\"attributes\":{}}}", children.to_object()),
        None => children.to_object(),
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Enough of a value to recognise it in an error.
pub(super) fn clip(value: &str) -> String {
    value.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_json_of_their_type() {
        for (tag, value, json) in [
            (Tag::String, " a \"b\"\u{1}", r#"" a \"b\"\u0001""#),
            (Tag::Date, "2011-10-01T00:38:44.546+02:00", r#""2011-10-01T00:38:44.546+02:00""#),
            (Tag::Int, "-9223372036854775808", "-9223372036854775808"),
            (Tag::Int, " +7 ", "7"),
            (Tag::Float, "1.10", "1.10"),
            (Tag::Float, ".5", "0.5"),
            (Tag::Float, "NaN", r#""NaN""#),
            (Tag::Boolean, "1", "true"),
            (Tag::Boolean, "false", "false"),
        ] {
            assert_eq!(scalar(tag, "k", value).unwrap(), json, "{value}");
        }
        for (tag, value) in [(Tag::Int, "1.5"), (Tag::Int, ""), (Tag::Float, "x"), (Tag::Boolean, "yes")] {
            assert!(scalar(tag, "k", value).unwrap_err().contains("'k'"), "{value}");
        }
    }

    #[test]
    fn a_key_comes_once_except_in_lists() {
        let attribute =
            |value: &str| Attribute { key: "n".to_owned(), value: value.to_owned(), json: value.to_owned() };
        let mut attributes = Attributes::default();
        attributes.add(attribute("1")).unwrap();
        assert!(attributes.add(attribute("2")).is_err());
        attributes.add_element(attribute("2")).unwrap();
        assert_eq!(attributes.to_array(), r#"[{"n":1},{"n":2}]"#);
    }
}

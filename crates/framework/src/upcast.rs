//! How does data of an earlier schema version become data of the current one?

use std::fmt;

use serde_json::{Map, Value};

use crate::personal_data::make_personal;

/// One step from a schema version to the next: pure, from JSON value to JSON value.
#[derive(Clone, Copy, Debug)]
pub struct Upcaster {
    /// The version that it reads; it gives the version after it.
    pub from: u32,
    /// What it does to the data, in order.
    pub steps: &'static [UpcastStep],
}

/// A change to an event's data. All but `Custom` are data: they can be listed and shown.
#[derive(Clone, Copy, Debug)]
pub enum UpcastStep {
    /// The value of `from` moves to `to`. Data without `from` stays as it is.
    Rename {
        /// The old field name.
        from: &'static str,
        /// The new field name.
        to: &'static str,
    },
    /// Data without `field` gets this value.
    Default {
        /// The field.
        field: &'static str,
        /// The value, as JSON text.
        json: &'static str,
    },
    /// `field` is left out, if it is there.
    Remove {
        /// The field.
        field: &'static str,
    },
    /// A plain value of `field` becomes a personal one, of the subject that `subject` names (text or a number). Data without
    /// `field` stays as it is, so does `null`. The stored event keeps the value in clear: no erasure reaches it.
    Personal {
        /// The field that became personal.
        field: &'static str,
        /// The field with the subject's id.
        subject: &'static str,
    },
    /// A function from the old data to the new, or why that cannot be.
    Custom(fn(Value) -> Result<Value, String>),
}

impl Upcaster {
    /// The data in the next version's shape.
    ///
    /// # Errors
    /// Why it cannot be: data that is not an object, a rename onto a field that exists, what a custom step says.
    pub fn apply(&self, data: Value) -> Result<Value, String> {
        self.steps.iter().try_fold(data, |data, step| step.apply(data))
    }

    /// Whether its steps can work at all.
    pub(crate) fn check(&self) -> Result<(), String> {
        for step in self.steps {
            if let UpcastStep::Default { field, json } = step {
                serde_json::from_str::<Value>(json).map_err(|_| not_json(field))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for UpcastStep {
    /// What it does, in a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpcastStep::Rename { from, to } => write!(f, "'{from}' is called '{to}'"),
            UpcastStep::Default { field, json } => write!(f, "'{field}' is {json} where there is none"),
            UpcastStep::Remove { field } => write!(f, "'{field}' is left out"),
            UpcastStep::Personal { field, subject } => {
                write!(f, "'{field}' is personal, of the subject in '{subject}'")
            }
            UpcastStep::Custom(_) => f.write_str("a function of the application"),
        }
    }
}

impl UpcastStep {
    fn apply(&self, data: Value) -> Result<Value, String> {
        if let UpcastStep::Custom(custom) = self {
            return custom(data);
        }
        let Value::Object(mut fields) = data else {
            return Err("the data is not a JSON object".to_owned());
        };
        match self {
            UpcastStep::Rename { from, to } => rename(&mut fields, from, to)?,
            UpcastStep::Default { field, json } => {
                if !fields.contains_key(*field) {
                    let value = serde_json::from_str(json).map_err(|_| not_json(field))?;
                    fields.insert((*field).to_owned(), value);
                }
            }
            UpcastStep::Remove { field } => {
                fields.shift_remove(*field);
            }
            UpcastStep::Personal { field, subject } => make_personal(&mut fields, field, subject)?,
            UpcastStep::Custom(_) => {}
        }
        Ok(Value::Object(fields))
    }
}

fn not_json(field: &str) -> String {
    format!("the default of field '{field}' is not JSON")
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) -> Result<(), String> {
    if !fields.contains_key(from) {
        return Ok(());
    }
    if fields.contains_key(to) {
        return Err(format!("field '{from}' cannot become '{to}': the data has both"));
    }
    // Rebuilt, so that the field keeps its place.
    let old = std::mem::take(fields);
    fields.extend(
        old.into_iter().map(|(key, value)| if key == from { (to.to_owned(), value) } else { (key, value) }),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(steps: &'static [UpcastStep], data: Value) -> Result<String, String> {
        Upcaster { from: 1, steps }.apply(data).map(|value| value.to_string())
    }

    #[test]
    fn steps_run_in_order_and_keep_the_place_of_fields() {
        const STEPS: &[UpcastStep] = &[
            UpcastStep::Rename { from: "b", to: "bb" },
            UpcastStep::Remove { field: "c" },
            UpcastStep::Default { field: "bb", json: "0" },
            UpcastStep::Default { field: "e", json: "\"x\"" },
        ];
        assert_eq!(
            apply(STEPS, json!({"a": 1, "b": 2, "c": 3, "d": 4})).unwrap(),
            r#"{"a":1,"bb":2,"d":4,"e":"x"}"#
        );
        assert_eq!(apply(STEPS, json!({})).unwrap(), r#"{"bb":0,"e":"x"}"#);
    }

    #[test]
    fn what_cannot_be_says_why() {
        const RENAME: &[UpcastStep] = &[UpcastStep::Rename { from: "a", to: "b" }];
        let both = apply(RENAME, json!({"a": 1, "b": 2})).unwrap_err();
        assert_eq!(both, "field 'a' cannot become 'b': the data has both");
        assert_eq!(apply(RENAME, json!([1])).unwrap_err(), "the data is not a JSON object");
        const CUSTOM: &[UpcastStep] = &[UpcastStep::Custom(|_| Err("no".to_owned()))];
        assert_eq!(apply(CUSTOM, json!({})).unwrap_err(), "no");
    }
}

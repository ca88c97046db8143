//! Has a published shape changed? The lock file holds every published version's schema.

use std::collections::BTreeMap;
use std::fmt;

use factum_core::ErrorKind;
use serde_json::{Map, Value};

use super::EventSchema;
use super::shape::{self, ShapeChange};
use crate::CodecError;

/// Published schemas by type and version.
pub(super) type Locked = BTreeMap<(String, u32), Value>;

/// The only format so far.
const FORMAT: u64 = 1;

/// A lock file that does not fit the declarations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// The text is not a lock file.
    #[error("the schema lock file cannot be read: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
    /// Declarations and lock file differ.
    #[error("the events differ from the schema lock file:{}", faults.iter().map(|fault| format!("\n- {fault}")).collect::<String>())]
    OutOfDate {
        /// Everything that differs, in order of types and versions.
        faults: Vec<LockFault>,
    },
}

impl LockError {
    /// What kind of answer this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            LockError::Malformed { .. } => ErrorKind::Invalid,
            LockError::OutOfDate { .. } => ErrorKind::SchemaViolation,
        }
    }
}

/// One difference between declarations and lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFault {
    /// The declaration cannot work.
    Unsound(CodecError),
    /// A declared version is not locked yet: to be added.
    New {
        /// The type.
        event_type: String,
        /// The version.
        version: u32,
    },
    /// A published version has another shape now.
    Changed {
        /// The type.
        event_type: String,
        /// The version.
        version: u32,
        /// What is different.
        changes: Vec<ShapeChange>,
    },
    /// A published type is not declared any more.
    Removed {
        /// The type.
        event_type: String,
    },
    /// A newer version is published than is declared.
    Behind {
        /// The type.
        event_type: String,
        /// The declared version.
        declared: u32,
        /// The newest published version.
        published: u32,
    },
}

impl fmt::Display for LockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockFault::Unsound(error) => error.fmt(f),
            LockFault::New { event_type, version } => write!(
                f,
                "{event_type} version {version} is new and to be added: run the test again with FACTUM_UPDATE_SCHEMAS=1, \
                 and commit the file"
            ),
            LockFault::Changed { event_type, version, changes } => {
                write!(f, "{event_type} version {version} is published and has changed: ")?;
                for (index, change) in changes.iter().enumerate() {
                    write!(f, "{}{change}", if index == 0 { "" } else { "; " })?;
                }
                write!(
                    f,
                    ". Declare the new shape as version {next} with an upcaster from {version}, or restore the old one \
                     (if version {version} was never stored, delete it from the lock file instead)",
                    next = version.saturating_add(1)
                )
            }
            LockFault::Removed { event_type } => write!(
                f,
                "{event_type} is published and no longer declared, so stored events cannot be read: declare it, or give \
                 its new name `alias = \"{event_type}\"`"
            ),
            LockFault::Behind { event_type, declared, published } => write!(
                f,
                "{event_type} is published up to version {published} and declared at version {declared}: versions only go up"
            ),
        }
    }
}

/// Everything in which declarations and lock file differ.
pub(super) fn faults(schemas: &[EventSchema], aliases: &[(&str, &str)], locked: &Locked) -> Vec<LockFault> {
    let mut faults = Vec::new();
    for known in schemas {
        let (event_type, version) = (known.event_type.clone(), known.version);
        let Some(published) = locked.get(&(event_type.clone(), version)) else {
            faults.push(LockFault::New { event_type, version });
            continue;
        };
        let changes = shape::changes(published, &known.schema);
        if !changes.is_empty() {
            faults.push(LockFault::Changed { event_type, version, changes });
        }
    }
    let newest: BTreeMap<&str, u32> =
        locked.keys().map(|(event_type, version)| (event_type.as_str(), *version)).collect();
    for (published_type, published) in newest {
        let current =
            aliases.iter().find(|(alias, _)| *alias == published_type).map_or(published_type, |(_, to)| *to);
        let declared =
            schemas.iter().filter(|known| known.event_type == current).map(|known| known.version).max();
        let event_type = published_type.to_owned();
        match declared {
            None => faults.push(LockFault::Removed { event_type }),
            Some(declared) if declared < published => {
                faults.push(LockFault::Behind { event_type, declared, published });
            }
            Some(_) => {}
        }
    }
    faults
}

pub(super) fn parse(text: &str) -> Result<Locked, LockError> {
    if text.trim().is_empty() {
        return Ok(Locked::new());
    }
    let malformed = |why: String| LockError::Malformed { why };
    let root: Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    if root["format"].as_u64() != Some(FORMAT) {
        return Err(malformed(format!("its format is {}, {FORMAT} is expected", root["format"])));
    }
    let types =
        root["events"].as_object().ok_or_else(|| malformed("it has no object 'events'".to_owned()))?;
    let mut locked = Locked::new();
    for (event_type, versions) in types {
        let versions =
            versions.as_object().ok_or_else(|| malformed(format!("'{event_type}' is not an object")))?;
        for (version, schema) in versions {
            let version: u32 = version
                .parse()
                .map_err(|_| malformed(format!("'{event_type}' has a version '{version}'")))?;
            locked.insert((event_type.clone(), version), schema.clone());
        }
    }
    Ok(locked)
}

pub(super) fn render(locked: &Locked) -> String {
    let mut types: Map<String, Value> = Map::new();
    for ((event_type, version), schema) in locked {
        let versions = types.entry(event_type.clone()).or_insert_with(|| Value::Object(Map::new()));
        versions[version.to_string()] = schema.clone();
    }
    let root = serde_json::json!({"format": FORMAT, "events": types});
    format!("{root:#}\n")
}

//! An event as the application reads it today, beside what is stored.

use factum::{Domain, EventKind};
use factum_core::RecordedEvent;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ask::Ask;
use super::problem::Problem;
use super::route::{Kind, Param};

/// Whether it is wanted.
pub(super) const UPCAST: Param = Param::new(
    "upcast",
    Kind::Flag,
    "Also as the application reads it today, where the server was given its types [false]",
);

#[derive(Serialize)]
struct Shown {
    #[serde(rename = "type")]
    event_type: &'static str,
    #[serde(rename = "schemaVersion")]
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    from: u32,
    to: u32,
    does: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// The application's types, if this request wants events as it reads them.
///
/// # Errors
/// `bad-parameter`.
pub(super) fn wanted(ask: &Ask) -> Result<Option<&Domain>, Problem> {
    Ok(if ask.flag("upcast", false)? { ask.shared.ops.domain.as_deref() } else { None })
}

/// The JSON of an event, with what the application reads in it as one more member: `null` where it does not know the type.
pub(super) fn beside(domain: &Domain, event: &RecordedEvent, mut json: String) -> String {
    let shown = domain.upcast(event).map(|upcasted| {
        let (data, error) = match upcasted.data {
            Ok(data) => (Some(data), None),
            Err(fault) => (None, Some(fault.to_string())),
        };
        let steps = upcasted.steps.into_iter().map(|step| Step {
            from: step.from,
            to: step.from + 1,
            does: step.does,
            data: Some(step.data),
        });
        Shown {
            event_type: upcasted.event_type,
            version: upcasted.version,
            data,
            error,
            steps: steps.collect(),
        }
    });
    if json.ends_with('}') {
        json.truncate(json.len() - 1);
        json.push_str(",\"upcasted\":");
        json.push_str(to_raw_value(&shown).unwrap_or_default().get());
        json.push('}');
    }
    json
}

/// What the application reads of a type.
#[derive(Serialize)]
pub(super) struct Chain {
    #[serde(rename = "type")]
    event_type: &'static str,
    version: u32,
    aliases: &'static [&'static str],
    steps: Vec<Step>,
}

impl From<&'static EventKind> for Chain {
    fn from(kind: &'static EventKind) -> Self {
        let steps = kind.upcasters.iter().map(|upcaster| Step {
            from: upcaster.from,
            to: upcaster.from + 1,
            does: upcaster.steps.iter().map(ToString::to_string).collect(),
            data: None,
        });
        let EventKind { event_type, version, aliases, .. } = *kind;
        Self { event_type, version, aliases, steps: steps.collect() }
    }
}

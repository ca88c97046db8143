//! Schemas: which are registered, and real events that they are about.

use std::collections::BTreeMap;

use axum::response::Response;
use factum_core::{
    EventStoreExt, EventType, Position, Read, ReadFrom, RecordedEvent, SCHEMAS_STREAM, SchemaRegistry,
    SchemaVersion, Selector,
};
use factum_protocol::{Breaks, Payload};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{event_json, json};
use super::ask::{Ask, shown};
use super::names;
use super::problem::{Problem, Slug};
use super::route::{Api, Operation};
use super::upcasted::{Chain, beside};
use crate::access::Action;
use crate::source::Resolved;

const PART: &str = "Schemas";
/// Examples that are shown.
const EXAMPLES: usize = 3;
/// Events that are looked at for them: some may be hidden from the caller.
const EXAMINED: u64 = 50;

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/schemas",
        list,
        Operation::new("listSchemas", PART, "The types with registered schemas")
            .answer(&[("application/json", "SchemaList")]),
    )
    .get(
        "/v1/schemas/{type}",
        one,
        Operation::new("getSchema", PART, "The schemas of a type, with real events of it")
            .answer(&[("application/json", "TypeSchemas")]),
    )
}

#[derive(Serialize)]
struct ListItem {
    #[serde(rename = "type")]
    event_type: String,
    versions: Vec<u32>,
}

#[derive(Serialize)]
struct ListAnswer {
    items: Vec<ListItem>,
}

async fn registry(ask: &Ask) -> Result<SchemaRegistry, Problem> {
    // They are what writers need to know: whoever is known may see them.
    if ask.may(Action::Read(SCHEMAS_STREAM)).await.is_err() {
        ask.may(Action::Statistics).await?;
    }
    Ok(SchemaRegistry::load(ask.shared.store.as_ref()).await?)
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    let registry = registry(&ask).await?;
    let mut types: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (event_type, version, _) in registry.registered() {
        types.entry(event_type.as_str()).or_default().push(version.0);
    }
    let items = types.into_iter().map(|(event_type, mut versions)| {
        versions.sort_unstable();
        ListItem { event_type: event_type.to_owned(), versions }
    });
    Ok(json(&ListAnswer { items: items.collect() }))
}

#[derive(Serialize)]
struct VersionItem<'a> {
    version: u32,
    schema: &'a Value,
}

#[derive(Serialize)]
struct OneAnswer<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    versions: Vec<VersionItem<'a>>,
    upcasting: Option<Chain>,
    examples: Vec<Box<RawValue>>,
}

async fn one(ask: Ask) -> Result<Response, Problem> {
    let event_type =
        EventType::new(ask.path("type")).map_err(|error| Problem::new(Slug::BadName, error.to_string()))?;
    let registry = registry(&ask).await?;
    let of_type = registry.registered().filter(|(of, _, _)| **of == event_type);
    let mut versions: Vec<(SchemaVersion, &Value)> =
        of_type.map(|(_, version, schema)| (version, schema)).collect();
    versions.sort_unstable_by_key(|(version, _)| *version);
    let examples = examples(&ask, &event_type).await?;
    if versions.is_empty() && examples.is_empty() {
        let detail =
            format!("no schema is registered for '{}', and no event has this type", shown(&event_type));
        return Err(Problem::new(Slug::NotFound, detail));
    }
    let versions = versions.into_iter().map(|(version, schema)| VersionItem { version: version.0, schema });
    let domain = ask.shared.ops.domain.as_ref();
    let upcasting = domain.and_then(|domain| domain.kind(&event_type)).map(Chain::from);
    Ok(json(&OneAnswer { event_type: &event_type, versions: versions.collect(), upcasting, examples }))
}

/// The newest events of the type that the caller may see, and the oldest one of each other version among the first ones: each with
/// what the application reads in it, where that is known.
async fn examples(ask: &Ask, event_type: &EventType) -> Result<Vec<Box<RawValue>>, Problem> {
    let of_type = || Selector::event_type(event_type.clone());
    let mut found: Vec<RecordedEvent> = Vec::new();
    for event in ask.shared.store.read_all(Read::backwards(of_type()).limit(EXAMINED)).await? {
        if found.len() == EXAMPLES {
            break;
        }
        found.extend(seen(ask, &event).await?);
    }
    for event in ask.shared.store.read_all(Read::forwards(of_type()).limit(EXAMINED)).await? {
        if !found.iter().any(|known| known.schema_version() == event.schema_version()) {
            found.extend(seen(ask, &event).await?);
        }
    }
    for last in of_versions(ask, event_type) {
        for event in ask
            .shared
            .store
            .read_all(Read::forwards(Selector::All).from(ReadFrom::Position(last)).limit(1))
            .await?
        {
            let is_new = !found.iter().any(|known| known.schema_version() == event.schema_version());
            if is_new && event.event_type() == event_type.as_str() {
                found.extend(seen(ask, &event).await?);
            }
        }
    }
    let domain = ask.shared.ops.domain.as_deref();
    let examples = found.into_iter().filter_map(|event| {
        let text = event_json(&Resolved::plain(event.clone()), Payload::Whole, Breaks::Keep);
        let text = match domain {
            Some(domain) => beside(domain, &event, text),
            None => text,
        };
        RawValue::from_string(text).ok()
    });
    Ok(examples.collect())
}

/// Where the last event of each version is, as far as the log has been looked through for names.
fn of_versions(ask: &Ask, event_type: &EventType) -> Vec<Position> {
    names::begin(&ask.shared);
    let known = ask.shared.v1.names.look();
    let of = known.types().iter().find(|of| *of.name == *event_type.as_str());
    of.map(|of| of.versions.iter().map(|version| version.last).collect()).unwrap_or_default()
}

/// The event, if the caller may see it.
async fn seen(ask: &Ask, event: &RecordedEvent) -> Result<Option<RecordedEvent>, Problem> {
    match ask.may(Action::Read(event.stream())).await {
        Ok(()) => super::events::visible(ask, event).await,
        Err(_) => Ok(None),
    }
}

//! What operators did: the events of `$operations`, the newest first.

use axum::response::Response;
use factum_core::{Read, ReadError, ReadFrom, RecordedEvent, Revision, Selector};
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::{json, linked, url};
use super::ask::{Ask, digits, stream_name};
use super::problem::Problem;
use super::route::{AFTER, Api, CURSOR, LIMIT, Operation, WAIT};
use crate::access::Action;
use crate::operations::OPERATIONS_STREAM;

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/system/operations",
        list,
        Operation::new("listOperations", "The machine", "What operators did, and why, the newest first")
            .query(&[CURSOR, LIMIT, AFTER, WAIT])
            .answer(&[("application/json", "OperationList")]),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    revision: u64,
    position: String,
    time: String,
    what: String,
    target: String,
    outcome: String,
    reason: Option<String>,
    of: Option<String>,
    actor: Option<String>,
    request_id: Option<String>,
    details: Map<String, Value>,
}

impl Item {
    /// Whatever somebody else wrote there is shown as far as it can be.
    fn of(event: &RecordedEvent) -> Self {
        let object = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).unwrap_or_default();
        let (mut data, mut metadata) = (object(event.data_slice()), object(event.metadata_slice()));
        fn taken(of: &mut Map<String, Value>, name: &str) -> Option<String> {
            match of.remove(name) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            }
        }
        Self {
            id: event.id().to_string(),
            revision: event.revision().0,
            position: event.position().to_string(),
            time: event.recorded_at().to_string(),
            what: taken(&mut data, "what").unwrap_or_default(),
            target: taken(&mut data, "target").unwrap_or_default(),
            outcome: taken(&mut data, "outcome").unwrap_or_default(),
            reason: taken(&mut data, "reason"),
            of: taken(&mut data, "of"),
            actor: taken(&mut metadata, "actor"),
            request_id: taken(&mut metadata, "requestId"),
            details: data,
        }
    }
}

#[derive(Serialize)]
struct List {
    items: Vec<Item>,
    page: Pages,
}

#[derive(Serialize)]
struct Pages {
    next: Option<String>,
    prev: Option<String>,
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    let limit = ask.limit()?;
    let from = ask.read("cursor", "what `page.next` had", digits)?.map(Revision);
    // One more than is shown says whether there are more.
    let count = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut events = newest(&ask, from, count).await?;
    let next = (events.len() > limit).then(|| events.split_off(limit)).and_then(|rest| {
        let cursor = rest.first()?.revision().to_string();
        let parameters = [("cursor", Some(cursor)), ("limit", Some(limit.to_string()))];
        Some(url("/v1/system/operations", &parameters))
    });
    let items = events.iter().map(Item::of).collect();
    let list = List { items, page: Pages { next: next.clone(), prev: None } };
    Ok(linked(json(&list), next.as_deref(), None))
}

/// The newest events there, at most so many, from one on.
async fn newest(ask: &Ask, from: Option<Revision>, count: u64) -> Result<Vec<RecordedEvent>, Problem> {
    let stream = stream_name(OPERATIONS_STREAM)?;
    let mut read = Read::backwards(Selector::Stream(stream)).limit(count);
    if let Some(from) = from {
        read = read.from(ReadFrom::Revision(from));
    }
    let mut reader = match ask.shared.store.read(read).await {
        Ok(reader) => reader,
        // Nobody did anything yet, or it was all taken away.
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut events = Vec::new();
    while let Some(page) = reader.next_page().await? {
        events.extend(page.events);
    }
    Ok(events)
}

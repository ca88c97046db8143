//! What belongs together, and what might somebody mean: correlations, effects, names of anything.

use axum::response::Response;
use factum_core::{Category, EventStore, EventStoreExt, Position, Read, ReadFrom, RecordedEvent, Selector};
use factum_protocol::{Breaks, Payload};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::accept::Form;
use super::answer::{escaped, event_json, json, segment, tagged};
use super::ask::{Ask, digits, time};
use super::events::{find, visible};
use super::names::{self, Order};
use super::problem::{Problem, Slug};
use super::route::{AFTER, Api, Kind, Operation, Param, WAIT};
use crate::access::Action;
use crate::source::Resolved;

const PART: &str = "Streams and events";
/// Events of one correlation that are shown.
const MAX_CORRELATED: usize = 2_000;
/// Longest text that is looked for, in bytes.
const MAX_QUESTION_BYTES: usize = 1_024;
/// Names of one kind among the answers.
const MAX_NAMES: usize = 8;
/// Names that are looked at for them.
const MAX_EXAMINED: usize = 10_000;

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/correlations/{id}",
        correlation,
        Operation::new("getCorrelation", PART, "The events of one correlation, with what caused which")
            .query(&[AFTER, WAIT])
            .answer(&[("application/json", "Correlation")]),
    )
    .get(
        "/v1/events/{id}/effects",
        effects,
        Operation::new("listEffects", PART, "The events that name this one as their cause")
            .query(&[AFTER, WAIT])
            .answer(&[("application/json", "Effects")]),
    )
    .get(
        "/v1/resolve",
        resolve,
        Operation::new("resolve", PART, "What a text might mean: a stream, an event, a time")
            .query(&[Param::new("q", Kind::Text, "The text")])
            .answer(&[("application/json", "Resolved")]),
    )
}

/// The events that an index has and the caller may see, the oldest first, and whether there are more.
async fn gathered(ask: &Ask, selector: Selector) -> Result<(Vec<RecordedEvent>, bool), Problem> {
    let limit = u64::try_from(MAX_CORRELATED).unwrap_or(u64::MAX).saturating_add(1);
    let found = ask.shared.store.read_all(Read::forwards(selector).limit(limit)).await?;
    let truncated = found.len() > MAX_CORRELATED;
    ask.shared.limited.look(ask.shared.store.as_ref()).await?;
    let mut seen = Vec::with_capacity(found.len().min(MAX_CORRELATED));
    for event in found.into_iter().take(MAX_CORRELATED) {
        if ask.may(Action::Read(event.stream())).await.is_err() {
            continue;
        }
        // Few streams hide anything, and only their events are looked up.
        if ask.shared.limited.has(event.stream()) {
            seen.extend(visible(ask, &event).await?);
        } else {
            seen.push(event);
        }
    }
    Ok((seen, truncated))
}

/// An event without what it says, with what caused it.
fn head(event: &RecordedEvent) -> Box<RawValue> {
    let mut text = event_json(&Resolved::plain(event.clone()), Payload::Left, Breaks::Keep);
    if text.pop() == Some('}') {
        let cause = event.causation().map_or(serde_json::Value::Null, Into::into);
        text.push_str(&format!(",\"causedBy\":{cause}}}"));
    }
    RawValue::from_string(text).unwrap_or_default()
}

#[derive(Serialize)]
struct CorrelationAnswer<'a> {
    correlation: &'a str,
    events: Vec<Box<RawValue>>,
    streams: Vec<&'a str>,
    from: Option<String>,
    to: Option<String>,
    truncated: bool,
}

async fn correlation(ask: Ask) -> Result<Response, Problem> {
    let id = ask.path("id");
    let (events, truncated) = gathered(&ask, Selector::Correlation(id.to_owned())).await?;
    if events.is_empty() {
        // Whoever may read nothing is not told what there is.
        let what = format!("no event with the correlation id '{}' can be seen", super::ask::shown(id));
        return Err(Problem::new(Slug::NotFound, what));
    }
    let mut streams: Vec<&str> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for event in &events {
        if known.insert(event.stream()) {
            streams.push(event.stream());
        }
    }
    let at = |event: Option<&RecordedEvent>| event.map(|event| event.recorded_at().to_string());
    let answer = CorrelationAnswer {
        correlation: id,
        from: at(events.first()),
        to: at(events.last()),
        streams,
        truncated,
        events: events.iter().map(head).collect(),
    };
    let body = serde_json::to_string(&answer).map_err(|e| Problem::new(Slug::Internal, e.to_string()))?;
    Ok(tagged(&ask.headers, Form::Json.media(), body))
}

#[derive(Serialize)]
struct EffectsAnswer {
    items: Vec<Box<RawValue>>,
    truncated: bool,
}

async fn effects(ask: Ask) -> Result<Response, Problem> {
    let event = find(&ask, ask.path("id")).await?;
    let (events, truncated) = gathered(&ask, Selector::Causation(event.id().to_string())).await?;
    Ok(json(&EffectsAnswer { items: events.iter().map(head).collect(), truncated }))
}

#[derive(Serialize)]
struct Meant {
    kind: &'static str,
    label: String,
    url: String,
}

#[derive(Serialize)]
struct ResolveAnswer {
    items: Vec<Meant>,
}

fn event_url(event: &RecordedEvent) -> String {
    format!("/ui/streams/{}/{}", segment(event.stream()), event.revision())
}

async fn resolve(ask: Ask) -> Result<Response, Problem> {
    let text = ask.text("q").unwrap_or_default().trim();
    if text.is_empty() || text.len() > MAX_QUESTION_BYTES {
        let detail = format!("'q' has 1 to {MAX_QUESTION_BYTES} bytes");
        return Err(Problem::parameter("q", detail));
    }
    ask.may(Action::Statistics).await?;
    names::begin(&ask.shared);
    let mut items = Vec::new();
    if let Ok(id) = Uuid::try_parse(text)
        && let Ok(event) = find(&ask, &id.to_string()).await
    {
        let label = format!("{} in {}", event.event_type(), event.stream());
        items.push(Meant { kind: "event", label, url: event_url(&event) });
    }
    items.extend(by_place(&ask, text).await?);
    items.extend(by_name(&ask, text).await);
    items.extend(by_correlation(&ask, text).await?);
    if let Some(at) = time(text) {
        let url = format!("/ui/events?from={}", escaped(&at.to_string()));
        items.push(Meant { kind: "time", label: at.to_string(), url });
    }
    Ok(json(&ResolveAnswer { items }))
}

/// `4711` or `@4711`: a position. `order-1@17`: a revision of a stream.
async fn by_place(ask: &Ask, text: &str) -> Result<Vec<Meant>, Problem> {
    let mut items = Vec::new();
    if let Some(position) = digits::<u64>(text.strip_prefix('@').unwrap_or(text))
        && ask.may(Action::Read("$all")).await.is_ok()
    {
        let read = Read::forwards(Selector::All).from(ReadFrom::Position(Position(position))).limit(1);
        let found = ask.shared.store.read_all(read).await?;
        if let Some(event) = found.first().filter(|event| event.position().0 == position) {
            let label = format!("position {position}: {} in {}", event.event_type(), event.stream());
            items.push(Meant { kind: "position", label, url: event_url(event) });
        }
    }
    if let Some((stream, revision)) = text.rsplit_once('@')
        && let Some(revision) = digits::<u64>(revision)
        && ask.shared.v1.names.look().has(stream)
        && ask.may(Action::Read(stream)).await.is_ok()
    {
        let url = format!("/ui/streams/{}/{revision}", segment(stream));
        items.push(Meant { kind: "event", label: format!("{stream} {revision}"), url });
    }
    Ok(items)
}

/// Streams, categories and types that begin so.
async fn by_name(ask: &Ask, text: &str) -> Vec<Meant> {
    let (streams, categories, types) = {
        let known = ask.shared.v1.names.look();
        let hidden = |name: &str| name.starts_with('$') && !text.starts_with('$');
        let (streams, _) =
            known.page(Order::Name, text, None, (MAX_NAMES, MAX_EXAMINED), |name| !hidden(name));
        let categories: Vec<String> =
            known.categories(text, None).take(MAX_NAMES).map(|(name, _)| name.to_owned()).collect();
        let types = known.types().iter().filter(|of| of.name.starts_with(text) && !hidden(&of.name));
        (streams, categories, types.take(MAX_NAMES).map(|of| of.name.clone()).collect::<Vec<_>>())
    };
    let mut items = Vec::new();
    for stream in streams {
        if ask.may(Action::Read(&stream.name)).await.is_ok() {
            let url = format!("/ui/streams/{}", segment(&stream.name));
            items.push(Meant { kind: "stream", label: stream.name.to_string(), url });
        }
    }
    if ask.may(Action::Read("$streams")).await.is_err() {
        return items;
    }
    for name in categories {
        debug_assert!(Category::new(name.clone()).is_ok());
        let url = format!("/ui/streams?category={}", escaped(&name));
        items.push(Meant { kind: "category", label: name, url });
    }
    for name in types {
        let url = format!("/ui/events?type={}", escaped(&name));
        items.push(Meant { kind: "type", label: name.to_string(), url });
    }
    items
}

async fn by_correlation(ask: &Ask, text: &str) -> Result<Option<Meant>, Problem> {
    let read = Read::forwards(Selector::Correlation(text.to_owned())).limit(1);
    let store: &dyn EventStore = ask.shared.store.as_ref();
    let Some(event) = store.read_all(read).await?.into_iter().next() else { return Ok(None) };
    if ask.may(Action::Read(event.stream())).await.is_err() {
        return Ok(None);
    }
    let url = format!("/ui/correlations/{}", segment(text));
    Ok(Some(Meant { kind: "correlation", label: text.to_owned(), url }))
}

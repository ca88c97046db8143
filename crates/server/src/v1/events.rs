//! Events: of a stream, of the log, one by one.

use axum::response::Response;
use factum_core::{Direction, EventId, EventStoreExt, Read, ReadError, RecordedEvent, Revision, Selector};
use factum_protocol::{Breaks, LinkTarget, Payload};
use serde::Serialize;

use super::accept::{Form, form};
use super::answer::{event_json, linked, segment, tagged};
use super::ask::{Ask, digits, shown, stream_name};
use super::cloud;
use super::follow;
use super::privacy::{PERSONAL, as_wanted};
use super::problem::{Problem, Slug};
use super::reading::{Found, Wanted};
use super::route::{AFTER, Api, Kind, LIMIT, Operation, Param, WAIT};
use super::upcasted::{self, UPCAST};
use crate::access::Action;
use crate::links::{self, Links};
use crate::source::{Resolved, Source};

/// Events with one id that are looked at: ids may be used again in other streams.
const MAX_SAME_ID: u64 = 64;
const PART: &str = "Streams and events";
const DIRECTION: Param =
    Param::new("direction", Kind::OneOf(&["forward", "backward"]), "From old to new, or from new to old");
const RESOLVE: Param = Param::new("resolveLinks", Kind::Flag, "Show what links lead to [true]");
const TYPE: Param = Param::new("type", Kind::Texts, "Only events of this type; may be repeated");
const UNTIL: Param = Param::new("until", Kind::Text, "The page that ends just before this place");

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/streams/{stream}/events",
        of_stream,
        Operation::new("readStream", PART, "The events of a stream, a page at a time or followed")
            .query(&[
                Param::new("from", Kind::Text, "start, end, a revision, @POSITION or a time"),
                UNTIL,
                DIRECTION,
                LIMIT,
                RESOLVE,
                TYPE,
                PERSONAL,
                FOLLOW,
                AFTER,
                WAIT,
            ])
            .headers(&[RESUME])
            .answer(EVENT_PAGES),
    )
    .get(
        "/v1/streams/{stream}/events/{revision}",
        at_revision,
        Operation::new(
            "getStreamEvent",
            PART,
            "One event of a stream, by its revision, or the first or last one",
        )
        .query(&[RESOLVE, PERSONAL, UPCAST, AFTER, WAIT])
        .answer(ONE_EVENT),
    )
    .get(
        "/v1/events",
        of_log,
        Operation::new("readLog", PART, "The events of the whole log, a page at a time or followed")
            .query(&[
                Param::new("from", Kind::Text, "start, end, a position or a time"),
                UNTIL,
                DIRECTION,
                LIMIT,
                TYPE,
                Param::new(
                    "category",
                    Kind::Texts,
                    "Only events of streams of this category; may be repeated",
                ),
                Param::new("stream", Kind::Text, "Only events of streams whose names begin so"),
                Param::new("system", Kind::Flag, "With the store's own events [false]"),
                PERSONAL,
                FOLLOW,
                AFTER,
                WAIT,
            ])
            .headers(&[RESUME])
            .answer(EVENT_PAGES),
    )
    .get(
        "/v1/events/{id}",
        by_id,
        Operation::new("getEvent", PART, "One event, by its id")
            .query(&[PERSONAL, UPCAST, AFTER, WAIT])
            .answer(ONE_EVENT),
    )
}

const EVENT_PAGES: &[(&str, &str)] = &[
    ("application/json", "EventPage"),
    ("text/event-stream", "EventStream"),
    ("application/x-ndjson", "EventLines"),
    ("application/cloudevents-batch+json", "CloudEvents"),
];
const PAGE_FORMS: [Form; 4] = [Form::Json, Form::EventStream, Form::Ndjson, Form::CloudEvents];
const ONE_FORMS: [Form; 2] = [Form::Json, Form::CloudEvent];
const FOLLOW: Param = Param::new("follow", Kind::Flag, "As a stream: go on where the log ends [true]");
const RESUME: Param =
    Param::new("Last-Event-ID", Kind::Like("^[0-9]{0,19}$"), "As a stream: begin after this position");
const ONE_EVENT: &[(&str, &str)] =
    &[("application/json", "Event"), ("application/cloudevents+json", "CloudEvent")];

/// What a page says of itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo<'a> {
    next: Option<&'a str>,
    prev: Option<&'a str>,
    /// The last revision of a stream; the last position of the log, as text.
    head: Option<serde_json::Value>,
    is_head: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_visible: Option<u64>,
}

async fn of_stream(ask: Ask) -> Result<Response, Problem> {
    let stream = ask.stream()?;
    ask.may(Action::Read(stream.as_str())).await?;
    let form = form(&ask.headers, &PAGE_FORMS)?;
    let path = format!("/v1/streams/{}/events", segment(stream.as_str()));
    let wanted = Wanted::of_stream(&ask, stream)?;
    if form.follows() {
        return follow::answer(ask, wanted, form).await;
    }
    let mut found = wanted.page(&ask).await?;
    found.events = as_wanted(&ask, found.events).await?;
    if found.events.is_empty() && matches!(wanted.source, Source::Index(_)) {
        has_something(&ask, &wanted.source).await?;
    }
    Ok(page(&ask, form, &path, &wanted, &found))
}

async fn of_log(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Read("$all")).await?;
    let form = form(&ask.headers, &PAGE_FORMS)?;
    let wanted = Wanted::of_log(&ask)?;
    if form.follows() {
        return follow::answer(ask, wanted, form).await;
    }
    let mut found = wanted.page(&ask).await?;
    found.events = as_wanted(&ask, found.events).await?;
    Ok(page(&ask, form, "/v1/events", &wanted, &found))
}

/// An index that has nothing at all is no stream.
async fn has_something(ask: &Ask, source: &Source) -> Result<(), Problem> {
    let mut read = Read::backwards(source.selector()).limit(1);
    read.filter = source.filter();
    if ask.shared.store.read_all(read).await?.is_empty() {
        let detail = format!("stream '{}' does not exist", source.name());
        return Err(Problem::new(Slug::StreamNotFound, detail).with("stream", source.name()));
    }
    Ok(())
}

fn page(ask: &Ask, form: Form, path: &str, wanted: &Wanted, found: &Found) -> Response {
    let (next, prev) = wanted.beside(path, found, wanted.links == Links::Resolve);
    if form == Form::CloudEvents {
        // Where the pages beside it are is in the headers: a batch is events and nothing else.
        let events: Vec<String> = found.events.iter().filter_map(cloud_event).collect();
        let body = format!("[{}]", events.join(","));
        return linked(tagged(&ask.headers, form.media(), body), next.as_deref(), prev.as_deref());
    }
    let head = match &wanted.source {
        Source::All | Source::Index(_) => {
            let end = found.head.snapshot.next_position().and_then(|end| end.0.checked_sub(1));
            end.map(|last| last.to_string().into())
        }
        Source::Stream(_) => {
            let last = found.head.stream.and_then(factum_core::StreamState::last_revision);
            last.map(|last| last.0.into())
        }
    };
    let info = PageInfo {
        next: next.as_deref(),
        prev: prev.as_deref(),
        head,
        is_head: found.is_head(wanted),
        first_visible: found.head.first_visible.map(|first| first.0),
    };
    let mut body = String::from("{\"items\":[");
    for (number, resolved) in found.events.iter().enumerate() {
        if number > 0 {
            body.push(',');
        }
        body.push_str(&event_json(resolved, Payload::Whole, Breaks::Keep));
    }
    body.push_str("],\"page\":");
    body.push_str(&serde_json::to_string(&info).unwrap_or_default());
    body.push('}');
    linked(tagged(&ask.headers, Form::Json.media(), body), next.as_deref(), prev.as_deref())
}

async fn at_revision(ask: Ask) -> Result<Response, Problem> {
    let stream = ask.stream()?;
    ask.may(Action::Read(stream.as_str())).await?;
    let form = form(&ask.headers, &ONE_FORMS)?;
    let source = Source::named(stream);
    let links = Links::of(ask.flag("resolveLinks", true)?);
    let which = ask.path("revision");
    let (read, exactly) = match which {
        "first" => (Read::forwards(source.selector()), None),
        "last" => (Read::backwards(source.selector()), None),
        other => {
            let revision = digits(other).map(Revision).ok_or_else(|| {
                let detail = format!(
                    "an event is named by its revision, by first or by last, and not '{}'",
                    shown(other)
                );
                Problem::parameter("revision", detail)
            })?;
            (Read::forwards(source.selector()).from(source.place_of(revision)), Some(revision))
        }
    };
    let mut read = read.limit(1);
    read.filter = source.filter();
    links.prepare(&ask.shared, &source).await?;
    let event = ask.shared.store.read_all(read).await?.into_iter().next();
    let placed = event.and_then(|event| source.place(event));
    let fits = |placed: &Resolved| {
        exactly.is_none_or(|wanted| placed.original().is_some_and(|event| event.revision() == wanted))
    };
    let Some(placed) = placed.filter(fits) else {
        let detail = format!("'{}' has no event {} that can be seen", source.name(), shown(which));
        return Err(Problem::new(Slug::EventNotFound, detail).with("stream", source.name()));
    };
    let resolved = links.apply(&ask.shared, &ask.call, placed).await?;
    one(&ask, form, resolved).await
}

/// One event in the form that was asked for.
async fn one(ask: &Ask, form: Form, event: Resolved) -> Result<Response, Problem> {
    let shown = as_wanted(ask, vec![event]).await?;
    let Some(resolved) = shown.first() else { return Ok(tagged(&ask.headers, form.media(), String::new())) };
    let body = match form {
        Form::CloudEvent => cloud_event(resolved),
        _ => None,
    };
    let as_stored = || event_json(resolved, Payload::Whole, Breaks::Keep);
    let body = match (body, &resolved.event, upcasted::wanted(ask)?) {
        (Some(body), ..) => body,
        (None, Some(event), Some(domain)) => upcasted::beside(domain, event, as_stored()),
        (None, ..) => as_stored(),
    };
    Ok(tagged(&ask.headers, form.media(), body))
}

fn cloud_event(resolved: &Resolved) -> Option<String> {
    resolved.event.as_ref().or(resolved.link.as_ref()).map(cloud::write)
}

async fn by_id(ask: Ask) -> Result<Response, Problem> {
    let form = form(&ask.headers, &ONE_FORMS)?;
    let event = find(&ask, ask.path("id")).await?;
    one(&ask, form, Resolved::plain(event)).await
}

/// The event with this id that the caller may see; the newest, where it was used several times.
///
/// # Errors
/// `bad-parameter` for what is no id, `event-not-found`, and what refuses the caller where there is one.
pub(super) async fn find(ask: &Ask, id: &str) -> Result<RecordedEvent, Problem> {
    let id: EventId = id
        .parse()
        .map_err(|_| Problem::parameter("id", format!("an event's id is a UUID, and not '{}'", shown(id))))?;
    let none = || Problem::new(Slug::EventNotFound, format!("no event with the id {id} can be seen"));
    let read = Read { direction: Direction::Backwards, ..Read::backwards(Selector::Event(id)) };
    let candidates = ask.shared.store.read_all(read.limit(MAX_SAME_ID)).await?;
    let mut refused = None;
    for event in candidates {
        if let Err(problem) = ask.may(Action::Read(event.stream())).await {
            refused = Some(problem);
            continue;
        }
        if let Some(event) = visible(ask, &event).await? {
            return Ok(event);
        }
    }
    Err(refused.unwrap_or_else(none))
}

/// The event as its stream shows it; `None` where a delete or the stream's metadata hide it, or the caller may not read it.
///
/// # Errors
/// What the store says.
pub(super) async fn visible(ask: &Ask, event: &RecordedEvent) -> Result<Option<RecordedEvent>, Problem> {
    let target = LinkTarget { stream: stream_name(event.stream())?, revision: event.revision() };
    match links::target(&ask.shared, &ask.call, target).await {
        Ok(found) => Ok(found),
        Err(ReadError::Invalid { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

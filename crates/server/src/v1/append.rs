//! Appends: to one stream, or to several under conditions.

use axum::extract::Request;
use axum::response::Response;
use factum_core::limits::{MAX_CHECKS_PER_APPEND, MAX_EVENTS_PER_APPEND, MAX_QUERY_ITEMS, MAX_QUERY_TERMS};
use factum_core::{
    Append, AppendCondition, AppendId, Appended, EventId, EventType, NewEvent, Position, Query, QueryItem,
    StreamCheck, StreamName, StreamWrite, Tag,
};
use factum_protocol::{NotAnEvent, read_event};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::answer::{segment, with_status};
use super::ask::{Ask, bad_json, digits, media_type, object, payload, stream_name, unsupported_media};
use super::bounded::Bounded;
use super::cloud;
use super::expected::{expected_from, expected_of};
use super::problem::{Problem, Slug};
use super::route::{Api, Kind, Operation, Param};
use super::streams::{EXPECTATIONS, put_tag, writable};
use crate::access::Action;
use crate::options::Limits;

/// The events of a body, each as it was written.
type Texts<'a> = Bounded<&'a RawValue, MAX_EVENTS_PER_APPEND>;

const PART: &str = "Streams and events";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const KEY: Param = Param::new(
    "Idempotency-Key",
    Kind::Like("^\"?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\"?$"),
    "A UUID: the same append again has one effect",
);

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.post(
        "/v1/streams/{stream}/events",
        to_stream,
        Operation::new("appendToStream", PART, "Appends one event or several to a stream, all or none")
            .headers(&[EXPECTATIONS[0], EXPECTATIONS[1], KEY])
            .body(&[
                ("application/json", "NewEvents"),
                ("application/x-ndjson", "NewEventLines"),
                ("application/cloudevents+json", "CloudEvent"),
                ("application/cloudevents-batch+json", "CloudEvents"),
            ])
            .status(201)
            .answer(&[("application/json", "Appended")]),
    )
    .post(
        "/v1/append",
        to_several,
        Operation::new("append", PART, "Appends to several streams in one instant, under conditions")
            .headers(&[KEY])
            .body(&[("application/json", "Append")])
            .status(201)
            .answer(&[("application/json", "AppendedSeveral")]),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppendedAnswer<'a> {
    stream: &'a str,
    first_revision: Option<u64>,
    last_revision: Option<u64>,
    position: Option<String>,
    deduplicated: bool,
}

async fn to_stream(ask: Ask, request: Request) -> Result<Response, Problem> {
    let stream = writable(ask.stream()?)?;
    // Before the body: whoever may not write is not listened to.
    ask.may(Action::Write(stream.as_str())).await?;
    let expected = expected_of(&ask.headers)?;
    let key = idempotency_key(&ask.headers)?;
    let media = media_type(&ask.headers);
    let body = payload(request, &ask.shared).await?;
    let events = match media.as_deref() {
        Some("application/cloudevents+json") => vec![cloud::structured(&body, 0)?],
        Some("application/cloudevents-batch+json") => {
            let texts: Texts<'_> = serde_json::from_slice(&body).map_err(|error| bad_json(&error))?;
            let all = texts.0.iter().enumerate();
            all.map(|(index, text)| cloud::structured(text.get().as_bytes(), index))
                .collect::<Result<_, _>>()?
        }
        _ if cloud::is_binary(&ask.headers) => vec![cloud::binary(&ask.headers, body)?],
        Some("application/json") => read_all(&several(&body)?, key)?,
        Some("application/x-ndjson") => {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            read_all(&lines.collect::<Vec<_>>(), key)?
        }
        other => return Err(unsupported_media(other)),
    };
    check_sizes([events.as_slice()].into_iter(), &ask.shared.options.limits)?;
    if events.is_empty() {
        return Err(Problem::new(Slug::BadRequest, "there is no event in the body"));
    }
    let mut append = Append::to(stream.clone(), expected, events);
    append.append_id = key.map(AppendId);
    let appended = ask.shared.store.append(append).await?;
    Ok(answer(&stream, &appended))
}

fn answer(stream: &StreamName, appended: &Appended) -> Response {
    let of = appended.streams.first();
    let last = of.and_then(|of| of.last);
    let mut response = with_status(
        if appended.deduplicated { StatusCode::OK } else { StatusCode::CREATED },
        &AppendedAnswer {
            stream: stream.as_str(),
            first_revision: of.and_then(|of| of.first).map(|revision| revision.0),
            last_revision: last.map(|revision| revision.0),
            position: appended.last.map(|position| position.to_string()),
            deduplicated: appended.deduplicated,
        },
    );
    put_tag(&mut response, last);
    let place = last.map(|last| format!("/v1/streams/{}/events/{last}", segment(stream.as_str())));
    if let Some(place) = place.and_then(|place| HeaderValue::try_from(place).ok()) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

fn read_all(texts: &[&[u8]], key: Option<Uuid>) -> Result<Vec<NewEvent>, Problem> {
    texts.iter().enumerate().map(|(index, text)| event(text, index, key)).collect()
}

/// The texts of an array's events, or of one event.
fn several(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    if body.trim_ascii_start().first() != Some(&b'[') {
        return Ok(vec![body]);
    }
    let texts: Texts<'_> = serde_json::from_slice(body).map_err(|error| bad_json(&error))?;
    Ok(texts.0.into_iter().map(|text| text.get().as_bytes()).collect())
}

/// One event of the body. Of an append that may come again, an event without an id gets the same one each time.
fn event(text: &[u8], index: usize, key: Option<Uuid>) -> Result<NewEvent, Problem> {
    let read = read_event(text).map_err(|error| {
        let detail = format!("event {index}: {error}");
        match error {
            NotAnEvent::Name(_) => Problem::new(Slug::BadName, detail),
            NotAnEvent::Json(error) => {
                Problem::new(Slug::BadJson, detail).with("line", error.line()).with("column", error.column())
            }
            NotAnEvent::Time(_) | NotAnEvent::Field { .. } => Problem::new(Slug::BadJson, detail),
        }
        .with("index", index)
    })?;
    let mut event = read.event;
    if let (Some(key), false) = (key, read.id_given) {
        event.id = EventId(Uuid::new_v5(&key, index.to_string().as_bytes()));
    }
    Ok(event)
}

/// The limits of this server, which may be narrower than those of a store.
fn check_sizes<'a>(writes: impl Iterator<Item = &'a [NewEvent]>, limits: &Limits) -> Result<(), Problem> {
    let mut all = 0_usize;
    for (index, event) in writes.flatten().enumerate() {
        let size = event.data.len() + event.metadata.len() + 2 * event.event_type.len();
        let limit = limits.event_bytes;
        if size > limit {
            let detail = format!("event {index} has {size} bytes, the limit is {limit}");
            return Err(Problem::new(Slug::TooLarge, detail).with("limit", limit).with("index", index));
        }
        all = all.saturating_add(size);
        let limit = limits.append_bytes;
        if all > limit {
            let detail = format!("the events have more than {limit} bytes together");
            return Err(Problem::new(Slug::TooLarge, detail).with("limit", limit));
        }
    }
    Ok(())
}

/// The key under which the same append may come again.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<Uuid>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let key = Uuid::try_parse(bare).ok();
    key.map(Some).ok_or_else(|| Problem::parameter("Idempotency-Key", "Idempotency-Key is a UUID"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeveralBody<'a> {
    #[serde(borrow)]
    writes: Bounded<WriteBody<'a>, MAX_EVENTS_PER_APPEND>,
    #[serde(default)]
    conditions: Bounded<ConditionBody, MAX_CHECKS_PER_APPEND>,
    #[serde(default)]
    checks: Bounded<CheckBody, MAX_CHECKS_PER_APPEND>,
    append_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct WriteBody<'a> {
    stream: String,
    #[serde(default)]
    expected: Value,
    #[serde(borrow)]
    events: Texts<'a>,
}

#[derive(Deserialize)]
struct CheckBody {
    stream: String,
    expected: Value,
}

#[derive(Deserialize)]
struct ConditionBody {
    query: QueryBody,
    #[serde(default)]
    after: Option<Value>,
    #[serde(default)]
    below: Option<u64>,
}

#[derive(Deserialize)]
struct QueryBody {
    items: Bounded<ItemBody, MAX_QUERY_ITEMS>,
}

#[derive(Deserialize)]
struct ItemBody {
    #[serde(default)]
    types: Bounded<String, MAX_QUERY_TERMS>,
    #[serde(default)]
    tags: Bounded<String, MAX_QUERY_TERMS>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SeveralAnswer<'a> {
    streams: Vec<StreamAnswer<'a>>,
    position: Option<String>,
    deduplicated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamAnswer<'a> {
    stream: &'a str,
    first_revision: Option<u64>,
    last_revision: Option<u64>,
}

async fn to_several(ask: Ask, request: Request) -> Result<Response, Problem> {
    let media = media_type(&ask.headers);
    let key = idempotency_key(&ask.headers)?;
    // Which rights it takes stands in the body. Whoever can have none is not listened to.
    let body = payload(request, &ask.shared).await?;
    if media.as_deref() != Some("application/json") {
        return Err(unsupported_media(media.as_deref()));
    }
    object(&body)?;
    let body: SeveralBody<'_> = serde_json::from_slice(&body).map_err(|error| bad_json(&error))?;
    let id = match (key, body.append_id) {
        (Some(key), Some(id)) if key != id => {
            return Err(Problem::parameter(
                "Idempotency-Key",
                "Idempotency-Key and appendId differ: give one",
            ));
        }
        (key, id) => key.or(id),
    };
    let append = assemble(&ask, body, id).await?;
    let appended = ask.shared.store.append(append).await?;
    let status = if appended.deduplicated { StatusCode::OK } else { StatusCode::CREATED };
    Ok(with_status(
        status,
        &SeveralAnswer {
            streams: appended
                .streams
                .iter()
                .map(|of| StreamAnswer {
                    stream: of.stream.as_str(),
                    first_revision: of.first.map(|revision| revision.0),
                    last_revision: of.last.map(|revision| revision.0),
                })
                .collect(),
            position: appended.last.map(|position| position.to_string()),
            deduplicated: appended.deduplicated,
        },
    ))
}

async fn assemble(ask: &Ask, body: SeveralBody<'_>, id: Option<Uuid>) -> Result<Append, Problem> {
    let expected = |value: &Value| {
        expected_from(value).ok_or_else(|| {
            Problem::new(Slug::BadJson, "'expected' is \"any\", \"noStream\", \"exists\" or a revision")
                .with("field", "expected")
        })
    };
    let mut append = Append { append_id: id.map(AppendId), ..Append::default() };
    let mut index = 0;
    for write in body.writes.0 {
        let stream = writable(stream_name(&write.stream)?)?;
        ask.may(Action::Write(stream.as_str())).await?;
        let mut events = Vec::with_capacity(write.events.0.len());
        for text in write.events.0 {
            events.push(event(text.get().as_bytes(), index, id)?);
            index += 1;
        }
        append.writes.push(StreamWrite { stream, expected: expected(&write.expected)?, events });
    }
    if index == 0 {
        return Err(Problem::new(Slug::BadRequest, "there is no event in the body"));
    }
    check_sizes(append.writes.iter().map(|write| write.events.as_slice()), &ask.shared.options.limits)?;
    for check in body.checks.0 {
        let stream = stream_name(&check.stream)?;
        ask.may(Action::Read(stream.as_str())).await?;
        append.checks.push(StreamCheck { stream, expected: expected(&check.expected)? });
    }
    if !body.conditions.0.is_empty() {
        // The answer tells what is in streams that the caller does not name.
        ask.may(Action::Read("$all")).await?;
    }
    for condition in body.conditions.0 {
        append.conditions.push(condition_of(condition)?);
    }
    Ok(append)
}

fn condition_of(body: ConditionBody) -> Result<AppendCondition, Problem> {
    let name = |error: factum_core::NameError| Problem::new(Slug::BadName, error.to_string());
    let mut query = Query::default();
    for item in body.query.items.0 {
        let types: Result<Vec<_>, _> = item.types.0.into_iter().map(EventType::new).collect();
        let tags: Result<Vec<_>, _> = item.tags.0.into_iter().map(Tag::new).collect();
        query.items.push(QueryItem { types: types.map_err(name)?, tags: tags.map_err(name)? });
    }
    query.check().map_err(|error| Problem::new(Slug::BadRequest, error.to_string()))?;
    let after = match &body.after {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(digits(text)),
        Some(other) => Some(other.as_u64()),
    };
    let after = match after {
        None => None,
        Some(Some(position)) => Some(Position(position)),
        Some(None) => {
            return Err(Problem::new(Slug::BadJson, "'after' is a position, as text").with("field", "after"));
        }
    };
    match (body.below, after) {
        (None, after) => Ok(AppendCondition::FailIfEventsMatch { query, after }),
        (Some(below), None) => Ok(AppendCondition::CountBelow { query, below }),
        (Some(_), Some(_)) => {
            Err(Problem::new(Slug::BadJson, "'below' counts all events: it has no 'after'")
                .with("field", "below"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_append_makes_the_same_ids() {
        let key = Some(Uuid::from_u128(7));
        let made = |index| event(br#"{"type":"T"}"#, index, key).expect("an event").id;
        assert_eq!(made(0), made(0));
        assert_ne!(made(0), made(1));
        let given = event(br#"{"type":"T","id":"0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90"}"#, 0, key);
        assert_eq!(given.expect("an event").id.to_string(), "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90");
    }
}

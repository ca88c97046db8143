//! One stream: what it is, its metadata, its end.

use axum::response::Response;
use factum_core::{
    Delete, DeleteMode, EventStore, EventStoreExt, EventType, METADATA_TYPE, NewEvent, Read, ReadError,
    ReadHead, RecordedEvent, Revision, Selector, StreamName, StreamState, StreamView, category_of,
};
use http::HeaderValue;
use http::header::ETAG;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::{json, with_status};
use super::ask::{Ask, Document};
use super::expected::expected_of;
use super::problem::{Problem, Slug, state_word};
use super::route::{AFTER, Api, Kind, Operation, Param, WAIT};
use crate::access::Action;
use crate::operations::{MAX_REASON_BYTES, OPERATIONS_STREAM, What};
use crate::source::{IndexStream, Source};

const PART: &str = "Streams and events";
/// What a write may expect of a stream.
pub(super) const EXPECTATIONS: &[Param] = &[
    Param::new(
        "If-Match",
        Kind::Like("^(\\*|\"[0-9]{1,18}\")$"),
        "The stream's last revision in quotes, or *: it must exist",
    ),
    Param::new("If-None-Match", Kind::OneOf(&["*"]), "*: the stream must not exist"),
];

/// Why it is done.
const REASON: Param = Param::new("reason", Kind::Text, "Why: then it is told of in $operations first");

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/streams/{stream}",
        info,
        Operation::new("getStream", PART, "What a stream is: its state, its ends, its metadata")
            .query(&[AFTER, WAIT])
            .answer(&[("application/json", "Stream")]),
    )
    .delete(
        "/v1/streams/{stream}",
        delete,
        Operation::new("deleteStream", PART, "Hides a stream until the next append, or ends it for ever")
            .query(&[
                Param::new("tombstone", Kind::Flag, "For ever: neither events nor name come back [false]"),
                REASON,
            ])
            .headers(EXPECTATIONS)
            .answer(&[("application/json", "Deleted")]),
    )
    .put(
        "/v1/streams/{stream}/metadata",
        put_metadata,
        Operation::new("putStreamMetadata", PART, "Writes a stream's metadata, all of it")
            .query(&[REASON])
            .headers(EXPECTATIONS)
            .body(&[("application/json", "StreamMetadata")])
            .answer(&[("application/json", "Written")]),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamInfo<'a> {
    stream: &'a str,
    category: Option<&'a str>,
    state: &'static str,
    last_revision: Option<u64>,
    first_visible: Option<u64>,
    first_time: Option<String>,
    last_time: Option<String>,
    last_type: Option<String>,
    last_position: Option<String>,
    metadata: Option<Box<RawValue>>,
}

async fn info(ask: Ask) -> Result<Response, Problem> {
    let stream = ask.stream()?;
    ask.may(Action::Read(stream.as_str())).await?;
    let store: &dyn EventStore = ask.shared.store.as_ref();
    let source = Source::named(stream.clone());
    let mut newest = Read::backwards(source.selector()).limit(1).view(StreamView::Recorded);
    newest.filter = source.filter();
    let mut oldest = Read::forwards(source.selector()).limit(1);
    oldest.filter = source.filter();
    let metadata = metadata(&ask, &stream).await?;
    let missing = || ReadError::StreamNotFound { stream: stream.clone() };
    // What is recorded says how the stream ended; what is visible, where it begins.
    let (head, last) = match first_of(store, newest).await? {
        Some((head, last)) => (head.stream, last),
        None => (None, None),
    };
    let state = head.unwrap_or(StreamState::Missing);
    let is_index = matches!(source, Source::Index(_));
    if last.is_none() && (is_index || metadata.is_none()) {
        return Err(missing().into());
    }
    let (first_visible, first) = match first_of(store, oldest).await {
        Ok(Some((head, first))) => (head.first_visible, first),
        Ok(None) | Err(ReadError::StreamDeleted { .. }) => (None, None),
        Err(error) => return Err(error.into()),
    };
    let last_revision = match &last {
        // A link's revision is the position of what it leads to.
        Some(last) if is_index => Some(Revision(last.position().0)),
        _ => state.last_revision(),
    };
    let word = match state {
        _ if is_index => "active",
        StreamState::Missing => "metadataOnly",
        state => state_word(state),
    };
    let mut response = json(&StreamInfo {
        stream: stream.as_str(),
        category: category_of(stream.as_str()),
        state: word,
        last_revision: last_revision.map(|revision| revision.0),
        first_visible: first_visible.map(|revision| revision.0),
        first_time: first.map(|event| event.recorded_at().to_string()),
        last_time: last.as_ref().map(|event| event.recorded_at().to_string()),
        last_type: last.as_ref().map(|event| event.event_type().to_owned()),
        last_position: last.as_ref().map(|event| event.position().to_string()),
        metadata,
    });
    put_tag(&mut response, last_revision);
    Ok(response)
}

/// What is true when a read starts, and its first event; `None` where there is no such stream.
async fn first_of(
    store: &dyn EventStore,
    read: Read,
) -> Result<Option<(ReadHead, Option<RecordedEvent>)>, ReadError> {
    let mut reader = match store.read(read).await {
        Ok(reader) => reader,
        Err(ReadError::StreamNotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut first = None;
    while first.is_none()
        && let Some(page) = reader.next_page().await?
    {
        first = page.events.into_iter().next();
    }
    Ok(Some((reader.head().clone(), first)))
}

/// The stream's revision, as writers are to expect it.
pub(super) fn put_tag(response: &mut Response, revision: Option<Revision>) {
    if let Some(tag) = revision.and_then(|revision| HeaderValue::try_from(format!("\"{revision}\"")).ok()) {
        response.headers_mut().insert(ETAG, tag);
    }
}

/// The stream's metadata as it was written; `None` where there is none, or the caller may not read it.
async fn metadata(ask: &Ask, stream: &StreamName) -> Result<Option<Box<RawValue>>, Problem> {
    let Some(metastream) = stream.metastream() else { return Ok(None) };
    if ask.may(Action::Read(metastream.as_str())).await.is_err() {
        return Ok(None);
    }
    let store: &dyn EventStore = ask.shared.store.as_ref();
    match store.last_event(metastream).await {
        Ok(event) => Ok(event.and_then(|event| {
            let text = String::from_utf8(event.data_slice().to_vec()).ok()?;
            RawValue::from_string(text).ok().filter(|value| value.get().starts_with('{'))
        })),
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The stream that is to be written or deleted; what the server tells of operators is its own, and one that an index stands
/// for is none.
pub(super) fn writable(stream: StreamName) -> Result<StreamName, Problem> {
    if stream.as_str() == OPERATIONS_STREAM {
        let detail = format!("'{stream}' is written by the server alone");
        return Err(Problem::new(Slug::Refused, detail).next("Its metadata can say how long it is kept."));
    }
    real(stream)
}

/// A stream that is one, and not what an index stands for.
fn real(stream: StreamName) -> Result<StreamName, Problem> {
    match IndexStream::parse(&stream) {
        None => Ok(stream),
        Some(_) => Err(Problem::new(
            Slug::Refused,
            format!("'{stream}' is served from an index of the log and cannot be written"),
        )
        .next("Append to the streams that it is about.")),
    }
}

#[derive(Serialize)]
struct DeletedAnswer<'a> {
    stream: &'a str,
    position: Option<String>,
    hidden: u64,
}

async fn delete(ask: Ask) -> Result<Response, Problem> {
    let stream = writable(ask.stream()?)?;
    ask.may(Action::Delete(stream.as_str())).await?;
    let mode = if ask.flag("tombstone", false)? { DeleteMode::Tombstone } else { DeleteMode::Soft };
    let expected = expected_of(&ask.headers)?;
    let reason = reason(&ask)?;
    let hidden = visible_events(&ask, &stream).await?;
    let what = match mode {
        DeleteMode::Soft => What::DeleteStream,
        DeleteMode::Tombstone => What::TombstoneStream,
    };
    let delete =
        async { Ok(ask.shared.store.delete(Delete { stream: stream.clone(), expected, mode }).await?) };
    let deleted = match reason {
        Some(why) => ask.carry_out((what, stream.as_str()), why, json!({ "events": hidden }), delete).await?,
        None => delete.await?,
    };
    let position = deleted.position.map(|position| position.to_string());
    Ok(json(&DeletedAnswer { stream: stream.as_str(), position, hidden }))
}

/// Why something is done to a stream, where that is said.
fn reason(ask: &Ask) -> Result<Option<&str>, Problem> {
    match ask.text("reason") {
        Some(reason) if reason.len() > MAX_REASON_BYTES => {
            Err(Problem::parameter("reason", format!("a reason has at most {MAX_REASON_BYTES} bytes")))
        }
        reason => Ok(reason),
    }
}

/// How many events of the stream can be seen, by its numbers: what a scavenge took is not counted out.
async fn visible_events(ask: &Ask, stream: &StreamName) -> Result<u64, Problem> {
    let read = Read::backwards(Selector::Stream(stream.clone())).limit(1);
    match ask.shared.store.read(read).await {
        Ok(reader) => {
            let head = reader.head();
            let last = head.stream.and_then(StreamState::last_revision);
            let first = head.first_visible.unwrap_or(Revision::START);
            Ok(last.map_or(0, |last| last.next().0.saturating_sub(first.0)))
        }
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAnswer<'a> {
    stream: &'a str,
    metadata_revision: Option<u64>,
    position: Option<String>,
}

async fn put_metadata(ask: Ask, Document(body): Document<Box<RawValue>>) -> Result<Response, Problem> {
    let stream = real(ask.stream()?)?;
    let Some(metastream) = stream.metastream() else {
        let detail = format!("'{stream}' is a metadata stream: it has no metadata of its own");
        return Err(Problem::new(Slug::BadName, detail));
    };
    ask.may(Action::Write(metastream.as_str())).await?;
    check_metadata(&body)?;
    let expected = expected_of(&ask.headers)?;
    let event_type =
        EventType::new(METADATA_TYPE).map_err(|error| Problem::new(Slug::Internal, error.to_string()))?;
    let event = NewEvent::json(event_type, body.get().to_owned());
    let reason = reason(&ask)?;
    let append = async { Ok(ask.shared.store.append_to(metastream, expected, vec![event]).await?) };
    let appended = match reason {
        Some(why) => ask.carry_out((What::SetMetadata, stream.as_str()), why, Value::Null, append).await?,
        None => append.await?,
    };
    let revision = appended.streams.first().and_then(|stream| stream.last);
    let answer = WrittenAnswer {
        stream: stream.as_str(),
        metadata_revision: revision.map(|revision| revision.0),
        position: appended.last.map(|position| position.to_string()),
    };
    let mut response = with_status(http::StatusCode::OK, &answer);
    put_tag(&mut response, revision);
    Ok(response)
}

/// Reserved keys have a meaning, and a value of another kind would silently have none.
fn check_metadata(body: &RawValue) -> Result<(), Problem> {
    let bad = |detail: String| Problem::new(Slug::BadJson, detail);
    let keys: serde_json::Map<String, Value> = serde_json::from_str(body.get())
        .map_err(|_| bad("a stream's metadata is a JSON object".to_owned()))?;
    for key in ["$maxAge", "$maxCount", "$tb", "$cacheControl"] {
        match keys.get(key) {
            None => {}
            Some(value) if value.as_u64().is_some_and(|number| i64::try_from(number).is_ok()) => {}
            Some(_) => return Err(bad(format!("'{key}' is a whole number from 0")).with("field", key)),
        }
    }
    match keys.get("$acl") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(bad("'$acl' is an object".to_owned()).with("field", "$acl")),
    }
}

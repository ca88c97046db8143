//! Time travel: what a stream comes to at a moment, how it came to that, and which event set what.

use axum::response::Response;
use factum::{JsonChange, Origin, Skipped, diff_json};
use factum_core::{AsOf, Revision, StreamName};
use serde::Serialize;
use serde_json::value::RawValue;

use super::accept::Form;
use super::answer::tagged;
use super::ask::{Ask, shown};
use super::fold::{Fold, Folding, Reached, state_at};
use super::patch;
use super::place::{kind_of, moment_of};
use super::problem::{Problem, Slug};
use super::route::{AFTER, Api, Kind, LIMIT, Operation, Param, WAIT};
use crate::access::Action;
use crate::source::IndexStream;

const PART: &str = "Time travel";
/// Bytes of patches in one answer, after which it says where to go on.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Events that one answer about a field looks at, after which it says where to go on.
const MAX_EXAMINED: u64 = 20_000;
const FOLD: Param =
    Param::new("fold", Kind::OneOf(&["merge"]), "How events become a state: JSON merge patch");
const AT: Param = Param::new("at", Kind::Text, "As it was then: a revision, @POSITION or a time [now]");
const KIND: Param = Param::new(
    "kind",
    Kind::OneOf(&["occurred", "recorded"]),
    "Whether a time means when it happened or was recorded",
);

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/streams/{stream}/state",
        state,
        Operation::new("getStreamState", PART, "What a stream of JSON events comes to, at any moment")
            .query(&[AT, FOLD, KIND, AFTER, WAIT])
            .answer(&[("application/json", "StreamState")]),
    )
    .get(
        "/v1/streams/{stream}/history",
        history,
        Operation::new(
            "getStreamHistory",
            PART,
            "Each event's change of the state, or each value of one field",
        )
        .query(&[
            Param::new("from", Kind::Number, "The first revision [0]"),
            LIMIT,
            FOLD,
            Param::new("path", Kind::Text, "A JSON pointer: the values of this field only"),
            AFTER,
            WAIT,
        ])
        .answer(&[("application/json", "StreamHistory")]),
    )
    .get(
        "/v1/streams/{stream}/blame",
        blame,
        Operation::new("getStreamBlame", PART, "Which event gave each part of the state its value")
            .query(&[
                AT,
                KIND,
                Param::new("path", Kind::Text, "A JSON pointer: at it or below it"),
                FOLD,
                AFTER,
                WAIT,
            ])
            .answer(&[("application/json", "Blame")]),
    )
    .get(
        "/v1/streams/{stream}/diff",
        diff,
        Operation::new("getStreamDiff", PART, "What differs between the state at two moments")
            .query(&[
                Param::new(
                    "a",
                    Kind::Text,
                    "The one moment: a revision, @POSITION or a time [the beginning]",
                ),
                Param::new("b", Kind::Text, "The other moment [now]"),
                KIND,
                FOLD,
                AFTER,
                WAIT,
            ])
            .answer(&[("application/json", "StreamDiff")]),
    )
}

/// The stream that is folded, if the caller may read it.
async fn stream_of(ask: &Ask) -> Result<StreamName, Problem> {
    let stream = ask.stream()?;
    ask.may(Action::Read(stream.as_str())).await?;
    ask.one_of("fold", &[("merge", ())])?;
    if IndexStream::parse(&stream).is_some() {
        let detail = format!("'{stream}' is an index of links: it has no state of its own");
        return Err(Problem::new(Slug::BadRequest, detail));
    }
    Ok(stream)
}

fn pointer_of(ask: &Ask) -> Result<Option<&str>, Problem> {
    let Some(pointer) = ask.all("path").next() else { return Ok(None) };
    let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if (pointer.is_empty() || pointer.starts_with('/')) && escapes {
        return Ok(Some(pointer));
    }
    let detail =
        format!("'{}' is no JSON pointer: it begins with '/', and a '~' is '~0' or '~1'", shown(pointer));
    Err(Problem::parameter("path", detail))
}

fn raw(fold: &Fold) -> Box<RawValue> {
    RawValue::from_string(fold.state.to_json()).unwrap_or_default()
}

#[derive(Serialize)]
struct At {
    revision: u64,
    time: String,
    #[serde(rename = "type")]
    event_type: String,
}

impl From<Reached> for At {
    fn from(at: Reached) -> Self {
        Self { revision: at.revision.0, time: at.time.to_string(), event_type: at.event_type }
    }
}

fn body(ask: &Ask, value: &impl Serialize) -> Result<Response, Problem> {
    let text =
        serde_json::to_string(value).map_err(|error| Problem::new(Slug::Internal, error.to_string()))?;
    Ok(tagged(&ask.headers, Form::Json.media(), text))
}

#[derive(Serialize)]
struct StateAnswer<'a> {
    stream: &'a str,
    fold: &'static str,
    at: Option<At>,
    state: Box<RawValue>,
    merged: u64,
    skipped: u64,
}

async fn state(ask: Ask) -> Result<Response, Problem> {
    let stream = stream_of(&ask).await?;
    let fold = state_at(&ask.shared, &stream, at(&ask, "at")?).await?;
    let answer = StateAnswer {
        stream: stream.as_str(),
        fold: "merge",
        state: raw(&fold),
        merged: fold.state.merged(),
        skipped: fold.state.skipped(),
        at: fold.at.map(At::from),
    };
    body(&ask, &answer)
}

fn at(ask: &Ask, name: &str) -> Result<AsOf, Problem> {
    let kind = kind_of(ask)?;
    Ok(moment_of(ask, name)?.map_or(AsOf::Now, |moment| moment.as_of(kind)))
}

#[derive(Serialize)]
struct Base {
    revision: Option<u64>,
    state: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryStep<'a> {
    revision: u64,
    position: String,
    id: String,
    #[serde(rename = "type")]
    event_type: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_time: Option<String>,
    patch: Vec<patch::Step<'a>>,
    inverse: Vec<patch::Step<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
}

/// Why an event left the state as it was.
fn skipped_word(skipped: Skipped) -> &'static str {
    match skipped {
        Skipped::Binary => "binary",
        Skipped::NotJson => "notJson",
        Skipped::TooDeep => "tooDeep",
        Skipped::System => "system",
        Skipped::Redacted => "redacted",
    }
}

async fn history(ask: Ask) -> Result<Response, Problem> {
    let stream = stream_of(&ask).await?;
    let from = Revision(ask.number("from")?.unwrap_or(0));
    let limit = match ask.text("limit") {
        Some(_) => ask.limit()?,
        None => DEFAULT_STEPS,
    };
    if let Some(pointer) = pointer_of(&ask)? {
        return field_history(&ask, &stream, pointer, from, limit).await;
    }
    let mut folding = Folding::begin(&ask.shared, &stream, from, AsOf::Now).await?;
    let mut pending = folding.up_to(from).await?;
    let base = Base { revision: folding.fold.at.as_ref().map(|at| at.revision.0), state: raw(&folding.fold) };
    let mut before = base.state.clone();
    let mut steps = String::from("[");
    let mut next = None;
    let mut count = 0;
    while let Some(event) = pending {
        if count == limit || steps.len() > MAX_ANSWER_BYTES {
            next = Some(event.revision().0);
            break;
        }
        let outcome = folding.apply(&event);
        let after = if outcome.is_ok() { raw(&folding.fold) } else { before.clone() };
        let changes = if outcome.is_ok() { diff_json(&before, &after) } else { Vec::new() };
        let step = HistoryStep {
            revision: event.revision().0,
            position: event.position().to_string(),
            id: event.id().to_string(),
            event_type: event.event_type(),
            time: event.recorded_at().to_string(),
            occurred_time: event.occurred_at().map(|at| at.to_string()),
            patch: patch::forwards(&changes),
            inverse: patch::backwards(&changes),
            skipped: outcome.err().map(skipped_word),
        };
        if count > 0 {
            steps.push(',');
        }
        steps.push_str(
            &serde_json::to_string(&step).map_err(|error| Problem::new(Slug::Internal, error.to_string()))?,
        );
        count += 1;
        before = after;
        pending = folding.next().await?;
    }
    steps.push(']');
    let answer = HistoryAnswer {
        stream: stream.as_str(),
        fold: "merge",
        base,
        steps: RawValue::from_string(steps).unwrap_or_default(),
        next,
        head: folding.head.map(|head| head.0),
    };
    body(&ask, &answer)
}

/// Steps of a history, unless a request says how many.
const DEFAULT_STEPS: usize = 500;

#[derive(Serialize)]
struct HistoryAnswer<'a> {
    stream: &'a str,
    fold: &'static str,
    base: Base,
    steps: Box<RawValue>,
    next: Option<u64>,
    head: Option<u64>,
}

#[derive(Serialize)]
struct FieldValue {
    revision: u64,
    position: String,
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    absent: bool,
}

#[derive(Serialize)]
struct FieldHistory<'a> {
    stream: &'a str,
    fold: &'static str,
    path: &'a str,
    items: Vec<FieldValue>,
    next: Option<u64>,
    head: Option<u64>,
}

async fn field_history(
    ask: &Ask,
    stream: &StreamName,
    pointer: &str,
    from: Revision,
    limit: usize,
) -> Result<Response, Problem> {
    let mut folding = Folding::begin(&ask.shared, stream, from, AsOf::Now).await?;
    let mut pending = folding.up_to(from).await?;
    let mut before = folding.fold.at.as_ref().and_then(|_| folding.fold.state.get(pointer));
    let mut items = Vec::new();
    let (mut next, mut examined) = (None, 0);
    while let Some(event) = pending {
        if items.len() == limit || examined == MAX_EXAMINED {
            next = Some(event.revision().0);
            break;
        }
        examined += 1;
        if folding.apply(&event).is_ok() {
            let after = folding.fold.state.get(pointer);
            if before.as_ref().map(|raw| raw.get()) != after.as_ref().map(|raw| raw.get()) {
                items.push(FieldValue {
                    revision: event.revision().0,
                    position: event.position().to_string(),
                    id: event.id().to_string(),
                    event_type: event.event_type().to_owned(),
                    time: event.recorded_at().to_string(),
                    absent: after.is_none(),
                    value: after.clone(),
                });
                before = after;
            }
        }
        pending = folding.next().await?;
    }
    let head = folding.head.map(|head| head.0);
    body(ask, &FieldHistory { stream: stream.as_str(), fold: "merge", path: pointer, items, next, head })
}

#[derive(Serialize)]
struct SetBy {
    revision: u64,
    position: String,
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    time: String,
    actor: Option<String>,
}

impl From<&Origin> for SetBy {
    fn from(origin: &Origin) -> Self {
        Self {
            revision: origin.revision.0,
            position: origin.position.to_string(),
            id: origin.id.to_string(),
            event_type: origin.event_type.clone(),
            time: origin.happened_at.to_string(),
            actor: origin.actor.clone(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlameItem {
    pointer: String,
    value: Box<RawValue>,
    set_by: Option<SetBy>,
}

#[derive(Serialize)]
struct BlameAnswer<'a> {
    stream: &'a str,
    fold: &'static str,
    at: Option<At>,
    items: Vec<BlameItem>,
}

async fn blame(ask: Ask) -> Result<Response, Problem> {
    let stream = stream_of(&ask).await?;
    let pointer = pointer_of(&ask)?.unwrap_or_default();
    let fold = state_at(&ask.shared, &stream, at(&ask, "at")?).await?;
    let leaves = fold.state.blame(pointer);
    if leaves.is_empty() && !pointer.is_empty() {
        let detail = format!("the state of '{stream}' has nothing at {}", shown(pointer));
        return Err(Problem::new(Slug::NotFound, detail)
            .with("path", pointer)
            .next("Ask for /history?path= with the same pointer: it has every value that was ever there."));
    }
    let items = leaves
        .into_iter()
        .map(|leaf| BlameItem {
            pointer: leaf.pointer,
            value: leaf.value,
            set_by: leaf.set_by.as_deref().map(SetBy::from),
        })
        .collect();
    body(&ask, &BlameAnswer { stream: stream.as_str(), fold: "merge", at: fold.at.map(At::from), items })
}

#[derive(Serialize)]
struct DiffItem {
    pointer: String,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Box<RawValue>>,
}

impl From<JsonChange> for DiffItem {
    fn from(change: JsonChange) -> Self {
        let word = match (&change.before, &change.after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        Self { pointer: change.pointer, change: word, before: change.before, after: change.after }
    }
}

#[derive(Serialize)]
struct DiffAnswer<'a> {
    stream: &'a str,
    fold: &'static str,
    a: Option<At>,
    b: Option<At>,
    items: Vec<DiffItem>,
}

async fn diff(ask: Ask) -> Result<Response, Problem> {
    let stream = stream_of(&ask).await?;
    let (a, b) = (at(&ask, "a")?, at(&ask, "b")?);
    let before =
        if ask.text("a").is_some() { state_at(&ask.shared, &stream, a).await? } else { Fold::default() };
    let after = state_at(&ask.shared, &stream, b).await?;
    let items = diff_json(&raw(&before), &raw(&after)).into_iter().map(DiffItem::from).collect();
    let (a, b) = (before.at.map(At::from), after.at.map(At::from));
    body(&ask, &DiffAnswer { stream: stream.as_str(), fold: "merge", a, b, items })
}

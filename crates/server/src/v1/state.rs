//! Time travel: what a stream comes to at a moment, how it came to that, and which event set what.

use axum::response::Response;
use factum::{JsonChange, Origin, Skipped, diff_json, json_at};
use factum_core::{AsOf, Revision, StreamName};
use serde::Serialize;
use serde_json::value::RawValue;

use super::accept::Form;
use super::answer::tagged;
use super::ask::{Ask, digits, shown};
use super::fold::{
    Failure, Fold, Folding, How, Origins, Outcome, Reached, Which, revision_before, state_at, which,
};
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
/// Events whose changes are looked at for one answer about who set what, where the fold does not know it by itself.
const MAX_BLAMED: u64 = 20_000;
/// Bytes of states that are compared for it.
const MAX_BLAMED_BYTES: usize = 256 * 1024 * 1024;
/// Most events that are left out of one fold.
const MAX_WITHOUT: usize = 20;
const FOLD: Param = Param::new(
    "fold",
    Kind::Like("^(merge|default|aggregate:.+|projection:.+)?$"),
    "How events become a state: merge (JSON merge patch), the stream's default, or one that /v1/folds names [merge]",
);
const WITHOUT: Param = Param::new(
    "without",
    Kind::Numbers,
    "Revisions of events that are left out, as if they had not happened; at most 20",
);
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
            .query(&[AT, FOLD, WITHOUT, KIND, AFTER, WAIT])
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
            WITHOUT,
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
                WITHOUT,
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
                WITHOUT,
                AFTER,
                WAIT,
            ])
            .answer(&[("application/json", "StreamDiff")]),
    )
}

/// What is folded, and how.
struct Asked {
    stream: StreamName,
    which: Which,
    without: Vec<Revision>,
}

impl Asked {
    fn how(&self) -> How<'_> {
        How { which: &self.which, without: &self.without }
    }

    fn fold(&self) -> &str {
        self.which.name()
    }

    fn numbers(&self) -> Vec<u64> {
        self.without.iter().map(|revision| revision.0).collect()
    }
}

/// What is folded, if the caller may read it.
async fn asked(ask: &Ask) -> Result<Asked, Problem> {
    let stream = ask.stream()?;
    ask.may(Action::Read(stream.as_str())).await?;
    if IndexStream::parse(&stream).is_some() {
        let detail = format!("'{stream}' is an index of links: it has no state of its own");
        return Err(Problem::new(Slug::BadRequest, detail));
    }
    let mut without = Vec::new();
    for text in ask.all("without").filter(|text| !text.is_empty()) {
        let revision = digits(text).map(Revision).ok_or_else(|| {
            Problem::parameter("without", format!("'without' is a revision, and not '{}'", shown(text)))
        })?;
        without.push(revision);
    }
    if without.len() > MAX_WITHOUT {
        return Err(Problem::parameter("without", format!("at most {MAX_WITHOUT} events are left out")));
    }
    without.sort_unstable();
    let which = which(ask, &stream).await?;
    Ok(Asked { stream, which, without })
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

/// The state as JSON; one that has none is refused.
async fn raw(fold: &mut Fold) -> Result<Box<RawValue>, Problem> {
    fold.json().await?.map_err(|why| {
        Problem::new(Slug::Refused, why).next("Ask for another fold: /v1/folds?stream= says which there are.")
    })
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
#[serde(rename_all = "camelCase")]
struct StateAnswer<'a> {
    stream: &'a str,
    fold: &'a str,
    at: Option<At>,
    state: Box<RawValue>,
    merged: u64,
    skipped: u64,
    failed: u64,
    first_failure: Option<FailedAt>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without: Vec<u64>,
}

/// The first event that a fold fails at.
#[derive(Serialize)]
struct FailedAt {
    revision: u64,
    #[serde(rename = "type")]
    event_type: String,
    why: String,
}

impl From<Failure> for FailedAt {
    fn from(Failure { revision, event_type, why }: Failure) -> Self {
        Self { revision: revision.0, event_type, why }
    }
}

async fn state(ask: Ask) -> Result<Response, Problem> {
    let asked = asked(&ask).await?;
    let mut fold = state_at(&ask.shared, &asked.stream, asked.how(), at(&ask, "at")?).await?;
    let answer = StateAnswer {
        stream: asked.stream.as_str(),
        fold: asked.fold(),
        state: raw(&mut fold).await?,
        merged: fold.folded,
        skipped: fold.skipped,
        failed: fold.failed,
        first_failure: fold.first_failure.map(FailedAt::from),
        without: asked.numbers(),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    without: bool,
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
    let asked = asked(&ask).await?;
    let from = Revision(ask.number("from")?.unwrap_or(0));
    let limit = match ask.text("limit") {
        Some(_) => ask.limit()?,
        None => DEFAULT_STEPS,
    };
    if let Some(pointer) = pointer_of(&ask)? {
        return field_history(&ask, &asked, pointer, from, limit).await;
    }
    let mut folding = Folding::begin(&ask.shared, &asked.stream, asked.how(), from, AsOf::Now).await?;
    let mut pending = folding.up_to(from).await?;
    let revision = folding.fold.at.as_ref().map(|at| at.revision.0);
    let base = Base { revision, state: raw(&mut folding.fold).await? };
    let mut before = base.state.clone();
    let mut steps = String::from("[");
    let mut next = None;
    let mut count = 0;
    while let Some(event) = pending {
        if count == limit || steps.len() > MAX_ANSWER_BYTES {
            next = Some(event.revision().0);
            break;
        }
        let mut outcome = folding.apply(&event).await?;
        let mut after = before.clone();
        if outcome == Outcome::Folded {
            match folding.fold.json().await? {
                Ok(json) => after = json,
                Err(why) => outcome = Outcome::Failed(why),
            }
        }
        let changes = diff_json(&before, &after);
        let (skipped, error) = match &outcome {
            Outcome::Folded | Outcome::LeftOut => (None, None),
            Outcome::Skipped(skipped) => (Some(skipped_word(*skipped)), None),
            Outcome::Failed(why) => (None, Some(why.clone())),
        };
        let step = HistoryStep {
            revision: event.revision().0,
            position: event.position().to_string(),
            id: event.id().to_string(),
            event_type: event.event_type(),
            time: event.recorded_at().to_string(),
            occurred_time: event.occurred_at().map(|at| at.to_string()),
            patch: patch::forwards(&changes),
            inverse: patch::backwards(&changes),
            skipped,
            error,
            without: outcome == Outcome::LeftOut,
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
        stream: asked.stream.as_str(),
        fold: asked.fold(),
        base,
        steps: RawValue::from_string(steps).unwrap_or_default(),
        next,
        head: folding.head.map(|head| head.0),
        without: asked.numbers(),
    };
    body(&ask, &answer)
}

/// Steps of a history, unless a request says how many.
const DEFAULT_STEPS: usize = 500;

#[derive(Serialize)]
struct HistoryAnswer<'a> {
    stream: &'a str,
    fold: &'a str,
    base: Base,
    steps: Box<RawValue>,
    next: Option<u64>,
    head: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without: Vec<u64>,
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
    fold: &'a str,
    path: &'a str,
    items: Vec<FieldValue>,
    next: Option<u64>,
    head: Option<u64>,
}

async fn field_history(
    ask: &Ask,
    asked: &Asked,
    pointer: &str,
    from: Revision,
    limit: usize,
) -> Result<Response, Problem> {
    let mut folding = Folding::begin(&ask.shared, &asked.stream, asked.how(), from, AsOf::Now).await?;
    let mut pending = folding.up_to(from).await?;
    let mut before = match folding.fold.at {
        Some(_) => value_at(&mut folding.fold, pointer).await?,
        None => None,
    };
    let mut items = Vec::new();
    let (mut next, mut examined) = (None, 0);
    while let Some(event) = pending {
        if items.len() == limit || examined == MAX_EXAMINED {
            next = Some(event.revision().0);
            break;
        }
        examined += 1;
        if folding.apply(&event).await? == Outcome::Folded {
            let after = value_at(&mut folding.fold, pointer).await?;
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
    body(
        ask,
        &FieldHistory { stream: asked.stream.as_str(), fold: asked.fold(), path: pointer, items, next, head },
    )
}

async fn value_at(fold: &mut Fold, pointer: &str) -> Result<Option<Box<RawValue>>, Problem> {
    Ok(json_at(&raw(fold).await?, pointer).map(ToOwned::to_owned))
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
    fold: &'a str,
    at: Option<At>,
    items: Vec<BlameItem>,
    /// The first event whose changes were looked at, where that was not the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
}

async fn blame(ask: Ask) -> Result<Response, Problem> {
    let asked = asked(&ask).await?;
    let pointer = pointer_of(&ask)?.unwrap_or_default();
    let (items, at, since) = match asked.which {
        Which::Merge => {
            let fold = state_at(&ask.shared, &asked.stream, asked.how(), at(&ask, "at")?).await?;
            let leaves = fold.blame(pointer).unwrap_or_default().into_iter();
            let item = |leaf: factum::Blame| BlameItem {
                pointer: leaf.pointer,
                value: leaf.value,
                set_by: leaf.set_by.as_deref().map(SetBy::from),
            };
            (leaves.map(item).collect::<Vec<_>>(), fold.at, None)
        }
        Which::Aggregate { .. } | Which::Rows { .. } => traced(&ask, &asked, pointer).await?,
    };
    if items.is_empty() && !pointer.is_empty() {
        let detail = format!("the state of '{}' has nothing at {}", asked.stream, shown(pointer));
        return Err(Problem::new(Slug::NotFound, detail)
            .with("path", pointer)
            .next("Ask for /history?path= with the same pointer: it has every value that was ever there."));
    }
    let (stream, fold) = (asked.stream.as_str(), asked.fold());
    body(&ask, &BlameAnswer { stream, fold, at: at.map(At::from), items, since })
}

/// Who set what, by the changes of the last events before the moment.
async fn traced(
    ask: &Ask,
    asked: &Asked,
    pointer: &str,
) -> Result<(Vec<BlameItem>, Option<Reached>, Option<u64>), Problem> {
    let moment = at(ask, "at")?;
    let before = revision_before(&ask.shared, &asked.stream, moment).await?.unwrap_or_default();
    let since = Revision(before.0.saturating_sub(MAX_BLAMED));
    let mut folding = Folding::begin(&ask.shared, &asked.stream, asked.how(), since, moment).await?;
    let mut pending = folding.up_to(since).await?;
    let mut origins = Origins::since(raw(&mut folding.fold).await?);
    let (mut examined, mut bytes) = (0, 0);
    while let Some(event) = pending {
        examined += 1;
        if examined > MAX_BLAMED || bytes > MAX_BLAMED_BYTES {
            let detail = format!(
                "the states after more than {MAX_BLAMED} events, or {MAX_BLAMED_BYTES} bytes of them, would have to be compared"
            );
            let next =
                "Ask for /history?path= with a pointer: it has every value of one field, page by page.";
            return Err(Problem::new(Slug::Refused, detail).next(next));
        }
        if folding.apply(&event).await? == Outcome::Folded
            && let Ok(after) = folding.fold.json().await?
        {
            bytes += after.get().len();
            origins.take(after, || Origin::of(&event));
        }
        pending = folding.next().await?;
    }
    let items = origins.blame(pointer).into_iter().map(|leaf| BlameItem {
        pointer: leaf.pointer,
        value: leaf.value,
        set_by: leaf.set_by.as_deref().map(SetBy::from),
    });
    Ok((items.collect(), folding.fold.at, (since > Revision::START).then_some(since.0)))
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
    fold: &'a str,
    a: Option<At>,
    b: Option<At>,
    items: Vec<DiffItem>,
}

async fn diff(ask: Ask) -> Result<Response, Problem> {
    let asked = asked(&ask).await?;
    let (a, b) = (at(&ask, "a")?, at(&ask, "b")?);
    let shared = &ask.shared;
    // One after the other: rows have their tables for themselves.
    let (before, a) = {
        let mut fold = match ask.text("a") {
            Some(_) => state_at(shared, &asked.stream, asked.how(), a).await?,
            None => Fold::begin(shared, &asked.which).await?,
        };
        (raw(&mut fold).await?, fold.at.map(At::from))
    };
    let mut fold = state_at(shared, &asked.stream, asked.how(), b).await?;
    let after = raw(&mut fold).await?;
    let items = diff_json(&before, &after).into_iter().map(DiffItem::from).collect();
    let (stream, b) = (asked.stream.as_str(), fold.at.map(At::from));
    body(&ask, &DiffAnswer { stream, fold: asked.fold(), a, b, items })
}

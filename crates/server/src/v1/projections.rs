//! Projections: how they are, their rows, and what an operator does with them.

use std::sync::Arc;

use axum::Json;
use factum_core::read_model::{CompareOptions, ProjectionName, VersionNumber};
use factum_core::{ErrorKind, Position};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Ask, Document, digits, shown};
use super::problem::{Problem, Slug};
use super::route::{AFTER, Api, Kind, LIMIT, Operation, Param, WAIT};
use crate::access::Action;
use crate::operations::MAX_REASON_BYTES;
use crate::read_side::{Act, By, ReadSide, ReadSideError};
use crate::shown::{table_difference_fields, value_of_row};

/// The part of the API.
const PART: &str = "Projections";
/// Rows of each kind that a comparison shows of each table, unless a request says how many.
const EXAMPLES: u64 = 20;
/// Most of them.
const MAX_EXAMPLES: u64 = 100;

const ROWS: &[Param] = &[
    Param::new("version", Kind::Like("^v?[0-9]{1,9}$"), "The version; the one that serves if left out"),
    LIMIT,
    AFTER,
    WAIT,
];

const COMPARE: &[Param] =
    &[Param::new("examples", Kind::Number, "Rows of each kind that are shown for each table")];

const DONE: &[(&str, &str)] = &[("application/json", "ProjectionDone")];

const REASON: &[(&str, &str)] = &[("application/json", "Reason")];

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    let act = |id, summary| Operation::new(id, PART, summary).body(REASON).answer(DONE);
    api.get(
        "/v1/projections",
        list,
        Operation::new("listProjections", PART, "Every version of every projection, and how it is")
            .query(&[AFTER, WAIT])
            .answer(&[("application/json", "ProjectionList")]),
    )
    .get(
        "/v1/projections/{projection}",
        show,
        Operation::new(
            "showProjection",
            PART,
            "A projection: versions, tables, faults, what was done with it",
        )
        .answer(&[("application/json", "Projection")]),
    )
    .get(
        "/v1/projections/{projection}/tables/{table}",
        rows,
        Operation::new("readRows", PART, "The first rows of a table, in the order of its key")
            .query(ROWS)
            .answer(&[("application/json", "Rows")]),
    )
    .get(
        "/v1/projections/{projection}/compare",
        compare,
        Operation::new("compareVersions", PART, "How the rows in the making differ from those that serve")
            .query(COMPARE)
            .answer(&[("application/json", "Comparison")]),
    )
    .post(
        "/v1/projections/{projection}/stop",
        stop,
        act("stopProjection", "Stop it, until it is started again"),
    )
    .post("/v1/projections/{projection}/start", start, act("startProjection", "Let a stopped one run again"))
    .post(
        "/v1/projections/{projection}/retry",
        retry,
        act("retryProjection", "Try the event again that it stands still at"),
    )
    .post(
        "/v1/projections/{projection}/skip",
        skip,
        Operation::new("skipEvent", PART, "Pass the event over that it stands still at, and go on after it")
            .body(&[("application/json", "Skip")])
            .answer(DONE),
    )
    .post(
        "/v1/projections/{projection}/rebuild",
        rebuild,
        Operation::new("rebuildProjection", PART, "Build new rows beside those that serve")
            .body(&[("application/json", "Rebuild")])
            .answer(DONE)
            .status(202),
    )
    .post(
        "/v1/projections/{projection}/promote",
        promote,
        act("promoteVersion", "Let the version in the making serve, once it has caught up"),
    )
    .post(
        "/v1/projections/{projection}/rollback",
        rollback,
        act("rollBackVersion", "Let the version serve again that served before"),
    )
    .post(
        "/v1/projections/{projection}/discard",
        discard,
        act("discardVersion", "Drop the version in the making, or the one that served before"),
    )
}

/// Why something is done.
#[derive(Debug, Deserialize)]
pub(super) struct Reasoned {
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
struct Skip {
    position: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Rebuild {
    definition: Option<String>,
    reason: String,
}

impl From<ReadSideError> for Problem {
    fn from(error: ReadSideError) -> Self {
        of_part(error.kind(), factum_core::with_causes(&error))
    }
}

/// What a part beside the store answers: what it does not take is well-formed all the same.
pub(super) fn of_part(kind: ErrorKind, detail: String) -> Problem {
    let slug = match kind {
        ErrorKind::NotFound | ErrorKind::Deleted => Slug::NotFound,
        ErrorKind::Conflict => Slug::Conflict,
        ErrorKind::Invalid | ErrorKind::SchemaViolation | ErrorKind::TooLarge => Slug::Refused,
        ErrorKind::Unsupported => Slug::Unsupported,
        ErrorKind::Unavailable => Slug::Unavailable,
        ErrorKind::Denied => Slug::NotAllowed,
        ErrorKind::Damaged => Slug::Internal,
    };
    Problem::new(slug, detail)
}

/// The projections of this server.
fn side(ask: &Ask) -> Result<Arc<ReadSide>, Problem> {
    ask.shared.ops.read_side.clone().ok_or_else(|| {
        Problem::new(Slug::Unsupported, "this server has no read models").next(
            "`factum projections create FILE` makes the first one; then start the server again, or give it --read-models",
        )
    })
}

fn name(ask: &Ask) -> Result<ProjectionName, Problem> {
    ProjectionName::new(ask.path("projection"))
        .map_err(|error| Problem::new(Slug::NotFound, format!("there is no such projection: {error}")))
}

/// A reason that says something.
///
/// # Errors
/// `refused`.
pub(super) fn reasoned(reason: &str) -> Result<&str, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::new(Slug::Refused, "the reason is empty").next("Say why: it is kept for ever."));
    }
    if reason.len() > MAX_REASON_BYTES {
        let detail = format!("the reason has {} bytes, at most {MAX_REASON_BYTES} are kept", reason.len());
        return Err(Problem::new(Slug::Refused, detail).next("Give a code or a reference."));
    }
    Ok(reason)
}

async fn list(ask: Ask) -> Result<Json<Value>, Problem> {
    let side = side(&ask)?;
    ask.may(Action::Statistics).await?;
    let items = side.lines().await?;
    Ok(Json(json!({"items": items, "page": {"next": null, "prev": null}})))
}

async fn show(ask: Ask) -> Result<Json<Value>, Problem> {
    let side = side(&ask)?;
    ask.may(Action::Statistics).await?;
    Ok(Json(side.details(&name(&ask)?).await?.into()))
}

async fn rows(ask: Ask) -> Result<Json<Value>, Problem> {
    let side = side(&ask)?;
    // Rows may be made of any event.
    ask.may(Action::Read("$all")).await?;
    let (name, limit) = (name(&ask)?, ask.limit()?);
    let number = |text: &str| digits(text.strip_prefix('v').unwrap_or(text)).map(VersionNumber);
    let wanted = ask.read("version", "a version such as v2", number)?;
    let (version, is_personal) = side.version(&name, wanted).await?;
    if is_personal {
        ask.may(Action::Privacy).await?;
    }
    if let Some((after, within)) = super::fresh::wanted(&ask)?
        && let Some(why) = side.wait(&name, after, within).await?
    {
        return Err(Problem::new(Slug::Stale, why));
    }
    let table = ask.path("table");
    // One more, to know whether there are more.
    let found = side.rows(&name, version, table, limit as u64 + 1).await?;
    let rows: Vec<Vec<Value>> =
        found.rows.rows.iter().take(limit).map(|row| row.iter().map(value_of_row).collect()).collect();
    Ok(Json(json!({
        "name": name.as_str(),
        "version": found.version.to_string(),
        "table": table,
        "columns": found.rows.columns,
        "rows": rows,
        "truncated": found.rows.rows.len() > limit,
        "personal": is_personal,
    })))
}

async fn compare(ask: Ask) -> Result<Json<Value>, Problem> {
    let side = side(&ask)?;
    ask.may(Action::Read("$all")).await?;
    let name = name(&ask)?;
    let examples = ask.number("examples")?.unwrap_or(EXAMPLES).min(MAX_EXAMPLES);
    for version in side.versions_of(&name).await? {
        if side.version(&name, Some(version.number)).await?.1 {
            ask.may(Action::Privacy).await?;
        }
    }
    let options = CompareOptions { examples: usize::try_from(examples).unwrap_or_default() };
    let (old, new, tables) = side.compare(&name, options).await?;
    let tables: Vec<Value> = tables.iter().map(|table| table_difference_fields(table).into()).collect();
    Ok(Json(json!({"name": name.as_str(), "old": old.to_string(), "new": new.to_string(), "tables": tables})))
}

async fn act(ask: &Ask, act: Act, reason: &str) -> Result<Json<Value>, Problem> {
    let side = side(ask)?;
    ask.may(Action::Operate).await?;
    let by = By { actor: ask.call.caller.name(), reason: reasoned(reason)? };
    Ok(Json(side.act(&name(ask)?, act, by).await?.into()))
}

async fn stop(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, Act::Stop, &why.reason).await
}

async fn start(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, Act::Start, &why.reason).await
}

async fn retry(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, Act::Retry, &why.reason).await
}

async fn skip(ask: Ask, Document(skip): Document<Skip>) -> Result<Json<Value>, Problem> {
    let position = digits(&skip.position).ok_or_else(|| {
        let detail = format!("'position' is a position, and not '{}'", shown(&skip.position));
        Problem::parameter("position", detail)
    })?;
    act(&ask, Act::Skip(Position(position)), &skip.reason).await
}

async fn rebuild(
    ask: Ask,
    Document(rebuild): Document<Rebuild>,
) -> Result<(http::StatusCode, Json<Value>), Problem> {
    let made = act(&ask, Act::Rebuild(rebuild.definition), &rebuild.reason).await?;
    Ok((http::StatusCode::ACCEPTED, made))
}

async fn promote(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, Act::Promote, &why.reason).await
}

async fn rollback(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, Act::Rollback, &why.reason).await
}

async fn discard(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, Act::Discard, &why.reason).await
}

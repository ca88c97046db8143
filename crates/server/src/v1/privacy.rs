//! Persons: what is kept of them, how they are forgotten, and the receipts of that. No route here answers a personal value.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use factum_core::RecordedEvent;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Ask, Document};
use super::problem::{Problem, Slug};
use super::projections::{of_part, reasoned};
use super::route::{Api, Kind, Operation, Param};
use crate::access::Action;
use crate::privacy_desk::{DeskError, Erased, PrivacyDesk};
use crate::read_side::By;
use crate::source::Resolved;

/// The part of the API.
const PART: &str = "Privacy";

/// How personal values are shown in events.
pub(super) const PERSONAL: Param = Param::new(
    "personal",
    Kind::OneOf(&["sealed", "open"]),
    "Whether personal values stay sealed, as in the log, or are opened: for administrators",
);

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/privacy/receipts",
        receipts,
        Operation::new("listErasures", PART, "Every erasure, in the order in which they were asked for")
            .answer(&[("application/json", "ErasureList")]),
    )
    .get(
        "/v1/privacy/receipts/{erasure}",
        receipt,
        Operation::new("showReceipt", PART, "The signed receipt of an erasure")
            .answer(&[("application/json", "Receipt")]),
    )
    .get(
        "/v1/privacy/receipts/{erasure}/verify",
        verify,
        Operation::new("verifyReceipt", PART, "Whether a receipt is genuine, and what it says still true")
            .answer(&[("application/json", "Verified")]),
    )
    .get(
        "/v1/privacy/{subject}",
        show,
        Operation::new(
            "showSubject",
            PART,
            "What is kept of a subject: keys, streams, read models, sinks; no values",
        )
        .answer(&[("application/json", "Subject")]),
    )
    .post(
        "/v1/privacy/{subject}/erase",
        erase,
        Operation::new(
            "eraseSubject",
            PART,
            "Forget a subject: destroy its keys, let every read model forget",
        )
        .body(&[("application/json", "Erase")])
        .answer(&[("application/json", "Receipt")])
        .status(202),
    )
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Erase {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    confirm: String,
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let DeskError { kind, what, why, next } = error;
        let detail = if why.is_empty() { what } else { format!("{what}: {why}") };
        let problem = of_part(kind, detail);
        if next.is_empty() { problem } else { problem.next(next) }
    }
}

/// The vault of this server, for those who may.
async fn desk(ask: &Ask) -> Result<Arc<dyn PrivacyDesk>, Problem> {
    ask.may(Action::Privacy).await?;
    ask.shared.ops.privacy.clone().ok_or_else(|| {
        Problem::new(Slug::Unsupported, "this server has no vault").next(
            "`factum privacy init` makes the vault of a store; then start the server again, or give it --vault and --kek",
        )
    })
}

/// Whether this request wants personal values in clear.
///
/// # Errors
/// `bad-parameter`.
pub(super) fn wants_open(ask: &Ask) -> Result<bool, Problem> {
    ask.one_of("personal", &[("sealed", false), ("open", true)])
}

/// Whether this request may have what it wants of personal values.
///
/// # Errors
/// As [`as_wanted`].
pub(super) async fn may_open(ask: &Ask) -> Result<(), Problem> {
    if wants_open(ask)? { desk(ask).await.map(drop) } else { Ok(()) }
}

/// Events as this request wants them: their personal values sealed as in the log, or opened.
///
/// # Errors
/// `not-allowed` where the caller may not see them in clear, `unsupported` where there is no vault.
pub(super) async fn as_wanted(ask: &Ask, mut events: Vec<Resolved>) -> Result<Vec<Resolved>, Problem> {
    if !wants_open(ask)? {
        return Ok(events);
    }
    let sealed: Vec<RecordedEvent> = events.iter().filter_map(|resolved| resolved.event.clone()).collect();
    let desk = desk(ask).await?;
    // Who saw what people are called is told to the server's log; the values themselves are not.
    tracing::info!(by = %ask.call.caller, events = sealed.len(), path = ask.uri.path(), "personal values are opened");
    let mut opened = desk.reveal(sealed).await.into_iter();
    for resolved in events.iter_mut().filter(|resolved| resolved.event.is_some()) {
        resolved.event = opened.next();
    }
    Ok(events)
}

async fn show(ask: Ask) -> Result<Json<Value>, Problem> {
    Ok(Json(desk(&ask).await?.show(ask.path("subject")).await?.into()))
}

async fn erase(ask: Ask, Document(asked): Document<Erase>) -> Result<Response, Problem> {
    let desk = desk(&ask).await?;
    let subject = ask.path("subject");
    if asked.dry_run {
        let mut counts = desk.preview(subject).await?;
        counts.insert("dryRun".to_owned(), true.into());
        return Ok(Json(Value::from(counts)).into_response());
    }
    let reason = reasoned(&asked.reason)?;
    if asked.confirm != subject {
        let problem =
            Problem::new(Slug::Refused, "'confirm' does not repeat the subject: nothing was erased");
        return Err(problem.next("This cannot be undone. If you are sure, give the subject as `confirm`."));
    }
    let by = By { actor: ask.call.caller.name(), reason };
    Ok(match desk.erase(subject, by).await? {
        Erased::Complete(receipt) => Json(receipt).into_response(),
        Erased::Incomplete { erasure, missing } => {
            let body = json!({"erasure": erasure, "complete": false, "missing": missing});
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
    })
}

async fn receipts(ask: Ask) -> Result<Json<Value>, Problem> {
    let items = desk(&ask).await?.receipts().await?;
    Ok(Json(json!({"items": items, "page": {"next": null, "prev": null}})))
}

async fn receipt(ask: Ask) -> Result<Json<Value>, Problem> {
    Ok(Json(desk(&ask).await?.receipt(ask.path("erasure")).await?))
}

async fn verify(ask: Ask) -> Result<Json<Value>, Problem> {
    Ok(Json(desk(&ask).await?.verify(ask.path("erasure")).await?.into()))
}

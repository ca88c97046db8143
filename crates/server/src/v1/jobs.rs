//! Scavenges, verifications and backups: started, watched, stopped.

use std::sync::Arc;

use axum::response::Response;
use factum_core::with_causes;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{json, with_status};
use super::ask::{Ask, Document, check_reason, shown, unrecorded};
use super::problem::{Problem, Slug};
use super::route::{Api, Operation};
use super::system::maintenance;
use crate::access::Action;
use crate::backups::{self, Age, Backup, BackupName, Backups};
use crate::jobs::{self, Asked, Begun, Found, Job, Kind};
use crate::maintenance::Verification;
use crate::operations::{self, What};
use crate::scavenges;

const PART: &str = "The machine";

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    backup_routes(verify_routes(scavenge_routes(api)))
}

fn scavenge_routes(api: Api) -> Api {
    api.get(
        "/v1/system/scavenges",
        list_scavenges,
        Operation::new("listScavenges", PART, "Scavenges of this run of the server, the newest first")
            .answer(&[("application/json", "ScavengeList")]),
    )
    .post(
        "/v1/system/scavenges",
        start_scavenge,
        Operation::new("startScavenge", PART, "Starts a scavenge, or says what one would do")
            .body(&[("application/json", "StartScavenge")])
            .status(202)
            .answer(&[("application/json", "Scavenge")]),
    )
    .get(
        "/v1/system/scavenges/{id}",
        |ask: Ask| async move { one(&ask, Kind::Scavenge).await },
        Operation::new("getScavenge", PART, "One scavenge").answer(&[("application/json", "Scavenge")]),
    )
    .delete(
        "/v1/system/scavenges/{id}",
        |ask: Ask| async move { stop(&ask, Kind::Scavenge).await },
        Operation::new("stopScavenge", PART, "Stops a scavenge after the segment that it is at")
            .answer(&[("application/json", "Scavenge")]),
    )
}

fn verify_routes(api: Api) -> Api {
    api.get(
        "/v1/system/verify",
        list_verifications,
        Operation::new(
            "listVerifications",
            PART,
            "Verifications of this run of the server, and the last result",
        )
        .answer(&[("application/json", "VerificationList")]),
    )
    .post(
        "/v1/system/verify",
        start_verification,
        Operation::new("verify", PART, "Walks the whole log while it is in use, and names what is damaged")
            .body(&[("application/json", "StartVerification")])
            .status(202)
            .answer(&[("application/json", "Verification")]),
    )
    .get(
        "/v1/system/verify/{id}",
        |ask: Ask| async move { one(&ask, Kind::Verify).await },
        Operation::new("getVerification", PART, "One verification")
            .answer(&[("application/json", "Verification")]),
    )
    .delete(
        "/v1/system/verify/{id}",
        |ask: Ask| async move { stop(&ask, Kind::Verify).await },
        Operation::new("stopVerification", PART, "Stops a verification after the segment that it is at")
            .answer(&[("application/json", "Verification")]),
    )
}

fn backup_routes(api: Api) -> Api {
    api.get(
        "/v1/system/backups",
        list_backups,
        Operation::new("listBackups", PART, "Backups in the server's directory of them, the newest first")
            .answer(&[("application/json", "BackupList")]),
    )
    .post(
        "/v1/system/backups",
        start_backup,
        Operation::new("backUp", PART, "Copies the log while it is in use, and checks the copy")
            .body(&[("application/json", "StartBackup")])
            .status(202)
            .answer(&[("application/json", "BackupRun")]),
    )
    .get(
        "/v1/system/backups/{id}",
        |ask: Ask| async move { one(&ask, Kind::Backup).await },
        Operation::new("getBackupRun", PART, "A backup that is being made, or was in this run of the server")
            .answer(&[("application/json", "BackupRun")]),
    )
    .delete(
        "/v1/system/backups/{id}",
        |ask: Ask| async move { stop(&ask, Kind::Backup).await },
        Operation::new("stopBackup", PART, "Stops a backup that is being made; nothing is left of it")
            .answer(&[("application/json", "BackupRun")]),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartBody {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Serialize)]
struct EstimateAnswer {
    segments: u64,
    rewritten: u64,
    events: u64,
    bytes: u64,
}

/// A job, with what is told of its kind.
fn item(job: &Job) -> Value {
    let progress = job.progress();
    let over = job.over.as_ref();
    let mut item = json!({
        "id": job.id.to_string(),
        "state": over.map_or("running", |over| over.outcome.word()),
        "started": job.started.to_string(),
        "ended": over.map(|over| over.at.to_string()),
        "done": progress.done,
        "total": progress.all,
        "actor": job.by,
        "reason": job.reason,
        "error": match over.map(|over| &over.found) {
            Some(Found::Error(why)) => Some(why),
            _ => None,
        },
    });
    let found = over.map(|over| &over.found);
    match job.kind {
        Kind::Scavenge => {
            let reclaimed = match found {
                Some(Found::Reclaimed(reclaimed)) => Some(*reclaimed),
                Some(_) => Some(crate::maintenance::Reclaimed::default()),
                None => None,
            };
            item["events"] = reclaimed.map(|of| of.events).into();
            item["bytes"] = reclaimed.map(|of| of.bytes).into();
        }
        Kind::Verify => {
            item["result"] = match found {
                Some(Found::Verified(found)) => verified(found),
                _ => Value::Null,
            };
        }
        Kind::Backup => {
            item["name"] = job.target.as_str().into();
            item["result"] = match found {
                Some(Found::BackedUp(made)) => backup_item(made),
                _ => Value::Null,
            };
        }
    }
    item
}

fn verified(found: &Verification) -> Value {
    let damage = found
        .damage
        .iter()
        .map(|fault| json!({ "place": fault.place, "what": fault.what, "mends": fault.mends }));
    json!({
        "end": found.end.to_string(), "events": found.events, "redacted": found.redacted, "removed": found.removed,
        "segments": found.segments, "bytes": found.bytes, "root": found.root, "damaged": found.damaged,
        "damage": damage.collect::<Vec<_>>(),
    })
}

fn backup_item(backup: &Backup) -> Value {
    let verified = backup.verified.as_ref();
    json!({
        "name": backup.name,
        "made": backup.made.map(|at| at.to_string()),
        "position": backup.end.to_string(),
        "bytes": backup.bytes,
        "segments": backup.segments,
        "store": backup.store.as_ref().map(|(store, _)| store),
        "epoch": backup.store.as_ref().map(|(_, epoch)| epoch),
        "complete": backup.incomplete.is_none(),
        "why": backup.incomplete,
        "verified": verified.map(|of| json!({ "at": of.at.to_string(), "root": of.root, "events": of.events })),
        "restore": backup.restore,
    })
}

/// Who may look at jobs of a kind: what a verification or a backup found names files.
fn to_see(kind: Kind) -> Action<'static> {
    match kind {
        Kind::Scavenge => Action::Statistics,
        Kind::Verify | Kind::Backup => Action::Operate,
    }
}

fn items(ask: &Ask, kind: Kind) -> Vec<Value> {
    ask.shared.ops.jobs.list(kind).iter().rev().map(item).collect()
}

fn one_item(ask: &Ask, kind: Kind, status: StatusCode, id: &str) -> Result<Response, Problem> {
    let list = ask.shared.ops.jobs.list(kind);
    let id: Option<Uuid> = id.parse().ok();
    let found = id.and_then(|id| list.iter().find(|job| job.id == id));
    match found {
        Some(job) => Ok(with_status(status, &item(job))),
        None => Err(Problem::new(
            Slug::NotFound,
            format!("there is no {} '{}', or it is forgotten", kind.word(), shown(ask.path("id"))),
        )),
    }
}

async fn one(ask: &Ask, kind: Kind) -> Result<Response, Problem> {
    ask.may(to_see(kind)).await?;
    one_item(ask, kind, StatusCode::OK, ask.path("id"))
}

async fn stop(ask: &Ask, kind: Kind) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    if let Ok(id) = ask.path("id").parse::<Uuid>() {
        // One that is not known is told of below.
        let _ = ask.shared.ops.jobs.stop(kind, id);
    }
    one_item(ask, kind, StatusCode::OK, ask.path("id"))
}

/// What asking for a job came to, with where it can be watched.
fn begun(ask: &Ask, kind: Kind, begun: Begun) -> Result<Response, Problem> {
    match begun {
        Begun::Started(id) => {
            let mut response = one_item(ask, kind, StatusCode::ACCEPTED, &id.to_string())?;
            if let Ok(place) = HeaderValue::try_from(format!("{}/{id}", ask.uri.path())) {
                response.headers_mut().insert(LOCATION, place);
            }
            Ok(response)
        }
        Begun::InProgress(id) => {
            let detail = format!("the {} {id} runs already", kind.word());
            Err(Problem::new(Slug::Conflict, detail).with("id", id.to_string()))
        }
    }
}

async fn list_scavenges(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    maintenance(&ask)?;
    Ok(json(&json!({ "items": items(&ask, Kind::Scavenge) })))
}

async fn start_scavenge(ask: Ask, Document(body): Document<StartBody>) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    check_reason(&body.reason)?;
    let maintenance = maintenance(&ask)?;
    if body.dry_run {
        let estimate = tokio::task::spawn_blocking(move || maintenance.estimate())
            .await
            .map_err(|error| Problem::new(Slug::Internal, error.to_string()))??;
        let estimate = estimate.ok_or_else(|| {
            Problem::new(Slug::Unsupported, "this store cannot say what a scavenge would do")
        })?;
        return Ok(json(&EstimateAnswer {
            segments: estimate.segments,
            rewritten: estimate.rewritten,
            events: estimate.events,
            bytes: estimate.bytes,
        }));
    }
    let started = scavenges::start(&ask.shared, maintenance, ask.by(), &body.reason).await;
    begun(&ask, Kind::Scavenge, started.map_err(unrecorded)?)
}

/// The last verification that came to an end, in this run of the server or before it.
async fn last_verification(ask: &Ask) -> Result<Value, Problem> {
    let Some(event) = operations::last_ended(&ask.shared, What::Verify).await? else {
        return Ok(Value::Null);
    };
    let data: Value = serde_json::from_slice(event.data_slice()).unwrap_or_default();
    let of = |name: &str| data.get(name).cloned().unwrap_or_default();
    Ok(json!({
        "time": event.recorded_at().to_string(), "outcome": of("outcome"), "end": of("end"), "events": of("events"),
        "root": of("root"), "damaged": of("damage"), "places": of("places"), "error": of("error"),
    }))
}

async fn list_verifications(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    maintenance(&ask)?;
    let last = last_verification(&ask).await?;
    Ok(json(&json!({ "items": items(&ask, Kind::Verify), "last": last })))
}

async fn start_verification(ask: Ask, Document(body): Document<StartBody>) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    check_reason(&body.reason)?;
    let maintenance = maintenance(&ask)?;
    if !maintenance.verifies() {
        return Err(Problem::new(Slug::Unsupported, "this store cannot be verified while it is open")
            .next("Stop the server and run: factum storage verify --data DIR."));
    }
    let asked = Asked { kind: Kind::Verify, target: "", by: ask.by(), reason: &body.reason };
    let started = jobs::start(&ask.shared, asked, move |watch| {
        let found = maintenance.verify(watch).map_err(|error| with_causes(&error))?;
        Ok(found.map_or(Found::Nothing, Found::Verified))
    });
    begun(&ask, Kind::Verify, started.await.map_err(unrecorded)?)
}

fn directory(ask: &Ask) -> Result<Arc<dyn Backups>, Problem> {
    ask.shared.ops.backups.directory.clone().ok_or_else(|| {
        Problem::new(Slug::Unsupported, "the server was not told where backups may be made").next(
            "Start it with a directory for them: factum serve --backup-dir DIR. Without the server: factum backup create.",
        )
    })
}

async fn list_backups(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    let directory = directory(&ask)?;
    let failed =
        |why: String| Problem::new(Slug::Unavailable, format!("the backups cannot be listed: {why}"));
    let listed = backups::list(&ask.shared, Age::Now).await;
    let mut backups = listed.unwrap_or_else(|| Ok(Vec::new())).map_err(|error| failed(error.why))?;
    backups.sort_by(|a, b| (b.made, &b.name).cmp(&(a.made, &a.name)));
    Ok(json(&json!({
        "directory": directory.directory(),
        "items": backups.iter().map(backup_item).collect::<Vec<_>>(),
        "runs": items(&ask, Kind::Backup),
        "leftOut": directory.left_out(),
    })))
}

async fn start_backup(ask: Ask, Document(body): Document<StartBody>) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    check_reason(&body.reason)?;
    let directory = directory(&ask)?;
    let now = ask.shared.options.clock.now();
    let name = match body.name {
        None => BackupName::of(now),
        Some(name) => BackupName::new(name)
            .map_err(|error| Problem::new(Slug::BadJson, error.to_string()).with("field", "name"))?,
    };
    let listed = backups::list(&ask.shared, Age::Now).await.unwrap_or_else(|| Ok(Vec::new()));
    let known = listed.map_err(|error| Problem::new(Slug::Unavailable, error.why))?;
    if known.iter().any(|backup| backup.name == name.as_str()) {
        return Err(Problem::new(Slug::Conflict, format!("there is a backup '{name}' already"))
            .next("Give it another name: a backup is never written over."));
    }
    let target = name.to_string();
    let asked = Asked { kind: Kind::Backup, target: &target, by: ask.by(), reason: &body.reason };
    let started = jobs::start(&ask.shared, asked, move |watch| {
        let made = directory.make(&name, now, watch).map_err(|error| error.why)?;
        Ok(made.map_or(Found::Nothing, Found::BackedUp))
    });
    begun(&ask, Kind::Backup, started.await.map_err(unrecorded)?)
}

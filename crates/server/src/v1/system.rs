//! The machine: what the server is, what is on disk, scavenges, users.

use axum::response::Response;
use factum_core::{Durability, Read, Selector, Timestamp};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::answer::{json, with_status};
use super::ask::{Ask, Document, check_reason, shown, unrecorded};
use super::problem::{Problem, Slug};
use super::route::{Api, Operation};
use crate::access::Action;
use crate::grpc::PROTOCOL_VERSION;
use crate::maintenance::Maintenance;
use crate::options::{Console, Setting};
use crate::scavenges::{self, Begun, Scavenge};
use crate::users::Standing;

const PART: &str = "The machine";

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/system",
        system,
        Operation::new("getSystem", PART, "What the server is, what it can do, and how it is set up")
            .answer(&[("application/json", "System")]),
    )
    .get(
        "/v1/system/storage",
        storage,
        Operation::new("getStorage", PART, "Figures of the log's files")
            .answer(&[("application/json", "Storage")]),
    )
    .get(
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
        one_scavenge,
        Operation::new("getScavenge", PART, "One scavenge").answer(&[("application/json", "Scavenge")]),
    )
    .delete(
        "/v1/system/scavenges/{id}",
        stop_scavenge,
        Operation::new("stopScavenge", PART, "Stops a scavenge after the segment that it is at")
            .answer(&[("application/json", "Scavenge")]),
    )
    .post(
        "/v1/system/verify",
        verify,
        Operation::new("verify", PART, "Walks the whole log, where the store can while it is open"),
    )
    .get(
        "/v1/system/backups",
        backups,
        Operation::new("listBackups", PART, "Backups that the server knows of"),
    )
    .post(
        "/v1/system/backups",
        backups,
        Operation::new("backUp", PART, "Backs the log up, where the store can"),
    )
    .get(
        "/v1/system/users",
        users,
        Operation::new("listUsers", PART, "The users").answer(&[("application/json", "UserList")]),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SystemAnswer {
    version: &'static str,
    protocol: &'static str,
    started: String,
    uptime_seconds: u64,
    store: StoreItem,
    durability: &'static str,
    capabilities: Vec<String>,
    console: bool,
    read_only: bool,
    security: &'static str,
    caller: CallerItem,
    config: Vec<SettingItem>,
}

#[derive(Serialize)]
struct StoreItem {
    id: String,
    epoch: u32,
    position: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallerItem {
    name: String,
    may_write: bool,
    may_operate: bool,
    may_manage_groups: bool,
    may_manage_users: bool,
    may_read_all: bool,
}

#[derive(Serialize)]
struct SettingItem {
    name: String,
    value: Value,
    default: Value,
    source: String,
}

impl From<&Setting> for SettingItem {
    fn from(setting: &Setting) -> Self {
        Self {
            name: setting.name.clone(),
            value: setting.value.clone(),
            default: setting.default.clone(),
            source: setting.source.clone(),
        }
    }
}

async fn system(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    let shared = &ask.shared;
    let reader = shared.store.read(Read::backwards(Selector::All).limit(1)).await?;
    let snapshot = reader.head().snapshot.clone();
    let now = shared.options.clock.now();
    let capabilities = shared.store.capabilities();
    let may = async |action| ask.may(action).await.is_ok();
    let operates = may(Action::Operate).await;
    let mut config: Vec<SettingItem> =
        if operates { shared.options.settings().iter().map(SettingItem::from).collect() } else { Vec::new() };
    config.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(json(&SystemAnswer {
        version: env!("CARGO_PKG_VERSION"),
        protocol: PROTOCOL_VERSION,
        started: shared.started.to_string(),
        uptime_seconds: seconds(shared.started, now),
        store: StoreItem {
            id: snapshot.store().to_string(),
            epoch: snapshot.epoch(),
            position: snapshot
                .next_position()
                .and_then(|end| end.0.checked_sub(1))
                .map(|last| last.to_string()),
        },
        durability: match capabilities.durability {
            Durability::Process => "process",
            Durability::Disk => "disk",
            Durability::Replicated => "replicated",
        },
        capabilities: capabilities.supported.iter().map(|of| format!("{of:?}")).collect(),
        console: shared.options.console != Console::Off,
        read_only: shared.options.console == Console::ReadOnly,
        security: if shared.access.guard().is_some() { "signIn" } else { "insecure" },
        caller: CallerItem {
            name: ask.call.caller.name().to_owned(),
            may_write: may(Action::Write("any stream")).await,
            may_operate: operates,
            may_manage_groups: may(Action::ManageGroups).await,
            may_manage_users: may(Action::ManageUsers).await,
            may_read_all: may(Action::Read("$all")).await,
        },
        config,
    }))
}

fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    const MILLIS: i64 = 1_000;
    u64::try_from(to.unix_millis().saturating_sub(from.unix_millis()) / MILLIS).unwrap_or_default()
}

/// The store's upkeep.
fn maintenance(ask: &Ask) -> Result<std::sync::Arc<dyn Maintenance>, Problem> {
    ask.shared.ops.maintenance.clone().ok_or_else(|| {
        Problem::new(Slug::Unsupported, "this server's store keeps no files: there is nothing to look after")
            .next("Serve a directory: factum serve --data DIR.")
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StorageAnswer {
    end: String,
    segments: u64,
    log_bytes: u64,
    index_layers: u64,
    index_memory_bytes: u64,
    scavenge_running: bool,
}

async fn storage(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    let figures = maintenance(&ask)?.figures();
    Ok(json(&StorageAnswer {
        end: figures.end.to_string(),
        segments: figures.segments,
        log_bytes: figures.log_bytes,
        index_layers: figures.index_layers,
        index_memory_bytes: figures.index_memory_bytes,
        scavenge_running: ask.shared.ops.scavenges.runs(),
    }))
}

#[derive(Serialize)]
struct ScavengeItem {
    id: String,
    state: &'static str,
    started: String,
    ended: Option<String>,
    done: u64,
    total: u64,
    events: Option<u64>,
    bytes: Option<u64>,
    actor: String,
    reason: String,
}

impl From<&Scavenge> for ScavengeItem {
    fn from(scavenge: &Scavenge) -> Self {
        let progress = scavenge.progress();
        let over = scavenge.over.as_ref();
        Self {
            id: scavenge.id.to_string(),
            state: over.map_or("running", |over| over.result.word()),
            started: scavenge.started.to_string(),
            ended: over.map(|over| over.at.to_string()),
            done: progress.done,
            total: progress.all,
            events: over.map(|over| over.reclaimed.events),
            bytes: over.map(|over| over.reclaimed.bytes),
            actor: scavenge.by.clone(),
            reason: scavenge.reason.clone(),
        }
    }
}

#[derive(Serialize)]
struct ScavengeList {
    items: Vec<ScavengeItem>,
}

async fn list_scavenges(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    maintenance(&ask)?;
    let items = ask.shared.ops.scavenges.list().iter().rev().map(ScavengeItem::from).collect();
    Ok(json(&ScavengeList { items }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartBody {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    reason: String,
}

#[derive(Serialize)]
struct EstimateAnswer {
    segments: u64,
    rewritten: u64,
    events: u64,
    bytes: u64,
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
    match scavenges::start(&ask.shared, maintenance, ask.by(), &body.reason).await.map_err(unrecorded)? {
        Begun::Started(id) => shown_scavenge(&ask, StatusCode::ACCEPTED, &id.to_string()),
        Begun::InProgress(id) => Err(Problem::new(Slug::Conflict, format!("the scavenge {id} runs already"))
            .with("id", id.to_string())),
    }
}

fn shown_scavenge(ask: &Ask, status: StatusCode, id: &str) -> Result<Response, Problem> {
    let list = ask.shared.ops.scavenges.list();
    let id: Option<Uuid> = id.parse().ok();
    let found = id.and_then(|id| list.iter().find(|scavenge| scavenge.id == id));
    match found {
        Some(scavenge) => Ok(with_status(status, &ScavengeItem::from(scavenge))),
        None => Err(Problem::new(
            Slug::NotFound,
            format!("there is no scavenge '{}', or it is forgotten", shown(ask.path("id"))),
        )),
    }
}

async fn one_scavenge(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    shown_scavenge(&ask, StatusCode::OK, ask.path("id"))
}

async fn stop_scavenge(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    if let Ok(id) = ask.path("id").parse::<Uuid>() {
        // One that is not known is told of below.
        let _ = ask.shared.ops.scavenges.stop(id);
    }
    shown_scavenge(&ask, StatusCode::OK, ask.path("id"))
}

async fn verify(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    Err(Problem::new(Slug::Unsupported, "a store is verified while nobody has it open").next(
        "Stop the server and run: factum storage verify --data DIR. A backup can be verified at any time.",
    ))
}

async fn backups(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Operate).await?;
    Err(Problem::new(Slug::Unsupported, "the server keeps no list of backups, and makes none over HTTP")
        .next("Run: factum backup create DIRECTORY --data DIR."))
}

#[derive(Serialize)]
struct UserItem {
    login: String,
    name: String,
    groups: Vec<String>,
    disabled: bool,
}

#[derive(Serialize)]
struct UserList {
    items: Vec<UserItem>,
}

async fn users(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::ManageUsers).await?;
    let users = ask.shared.users.list().await?;
    let items = users.into_iter().map(|user| UserItem {
        login: user.login,
        name: user.full_name,
        groups: user.groups,
        disabled: user.standing == Standing::Disabled,
    });
    Ok(json(&UserList { items: items.collect() }))
}

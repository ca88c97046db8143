//! The machine: what the server is, what is on disk, users.

use axum::response::Response;
use factum_core::{Durability, Read, Selector, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::answer::json;
use super::ask::Ask;
use super::problem::{Problem, Slug};
use super::route::{Api, Operation};
use crate::access::Action;
use crate::grpc::PROTOCOL_VERSION;
use crate::jobs::Kind;
use crate::maintenance::Maintenance;
use crate::options::{Console, Setting};
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
pub(super) fn maintenance(ask: &Ask) -> Result<std::sync::Arc<dyn Maintenance>, Problem> {
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
    disk_bytes: Option<u64>,
    disk_free_bytes: Option<u64>,
    recovered: Option<String>,
}

async fn storage(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Statistics).await?;
    let maintenance = maintenance(&ask)?;
    let (figures, condition) = (maintenance.figures(), maintenance.condition());
    Ok(json(&StorageAnswer {
        end: figures.end.to_string(),
        segments: figures.segments,
        log_bytes: figures.log_bytes,
        index_layers: figures.index_layers,
        index_memory_bytes: figures.index_memory_bytes,
        scavenge_running: ask.shared.ops.jobs.runs(Kind::Scavenge),
        disk_bytes: condition.disk.map(|disk| disk.size),
        disk_free_bytes: condition.disk.map(|disk| disk.free),
        recovered: condition.recovered,
    }))
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

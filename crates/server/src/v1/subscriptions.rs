//! Persistent subscriptions: which groups there are, how they are, and what they have put aside.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{json, with_status};
use super::ask::{Ask, Document, digits, stream_name};
use super::parked::ReplayItem;
use super::problem::{Problem, Slug};
use super::route::{Api, Operation};
use crate::access::Action;
use crate::groups::{
    ExtraStatistics, FilterOn, FilterTest, FilterText, GroupConfig, GroupInfo, GroupKey, Groups, Settings,
    Start, Strategy,
};
use crate::links::Links;
use crate::source::Source;

/// The part of the API.
pub(super) const PART: &str = "Persistent subscriptions";
/// Longest name of a group, in bytes.
const MAX_GROUP_NAME_BYTES: usize = 1_024;
const GROUP: &str = "/v1/subscriptions/{source}/{group}";

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/subscriptions",
        list,
        Operation::new("listSubscriptions", PART, "Every group of consumers")
            .answer(&[("application/json", "SubscriptionList")]),
    )
    .get(
        GROUP,
        one,
        Operation::new("getSubscription", PART, "One group, with its consumers and settings")
            .answer(&[("application/json", "Subscription")]),
    )
    .put(
        GROUP,
        create,
        Operation::new("createSubscription", PART, "Makes a group")
            .body(&[("application/json", "NewSubscription")])
            .status(201)
            .answer(&[("application/json", "Subscription")]),
    )
    .delete(
        GROUP,
        delete,
        Operation::new("deleteSubscription", PART, "Deletes a group, its checkpoint and its parked messages")
            .answer(&[("application/json", "SubscriptionName")]),
    )
}

/// The group that the path names.
///
/// # Errors
/// `bad-name`.
pub(super) fn key(ask: &Ask) -> Result<GroupKey, Problem> {
    let (source, group) = (ask.path("source"), ask.path("group"));
    if group.is_empty() || group.len() > MAX_GROUP_NAME_BYTES {
        let detail = format!("a group's name has 1 to {MAX_GROUP_NAME_BYTES} bytes");
        return Err(Problem::new(Slug::BadName, detail));
    }
    let source = if source == "$all" { Source::All } else { Source::named(stream_name(source)?) };
    Ok(GroupKey::new(&source, group))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    source: String,
    group: String,
    status: String,
    why: Option<String>,
    consumers: usize,
    in_flight: usize,
    parked: u64,
    lag: Option<u64>,
    oldest_unacked_millis: Option<u64>,
    strategy: &'static str,
    checkpoint: Option<String>,
    last_known: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionItem {
    from: String,
    user: String,
    name: String,
    slots: usize,
    in_flight: usize,
    per_second: u64,
    total: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct SettingsBody {
    resolve_links: bool,
    extra_statistics: bool,
    message_timeout_millis: u64,
    max_retry_count: u32,
    checkpoint_after_millis: u64,
    min_checkpoint_count: u32,
    max_checkpoint_count: u32,
    max_subscriber_count: u32,
    live_buffer_size: u32,
    history_buffer_size: u32,
    read_batch_size: u32,
    strategy: String,
}

impl Default for SettingsBody {
    fn default() -> Self {
        Self::of(&Settings::default())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl SettingsBody {
    fn of(settings: &Settings) -> Self {
        Self {
            resolve_links: settings.links == Links::Resolve,
            extra_statistics: settings.extra_statistics == ExtraStatistics::Kept,
            message_timeout_millis: millis(settings.message_timeout),
            max_retry_count: settings.max_retry_count,
            checkpoint_after_millis: millis(settings.checkpoint_after),
            min_checkpoint_count: settings.min_checkpoint_count,
            max_checkpoint_count: settings.max_checkpoint_count,
            max_subscriber_count: settings.max_subscriber_count,
            live_buffer_size: settings.live_buffer_size,
            history_buffer_size: settings.history_buffer_size,
            read_batch_size: settings.read_batch_size,
            strategy: settings.strategy.name().to_owned(),
        }
    }

    fn into_settings(self) -> Result<Settings, Problem> {
        let strategy = Strategy::named(&self.strategy).ok_or_else(|| {
            let detail = "'strategy' is DispatchToSingle, RoundRobin, Pinned or PinnedByCorrelation";
            Problem::new(Slug::BadJson, detail).with("field", "strategy")
        })?;
        let extra_statistics =
            if self.extra_statistics { ExtraStatistics::Kept } else { ExtraStatistics::Omitted };
        Ok(Settings {
            links: Links::of(self.resolve_links),
            extra_statistics,
            message_timeout: Duration::from_millis(self.message_timeout_millis),
            max_retry_count: self.max_retry_count,
            checkpoint_after: Duration::from_millis(self.checkpoint_after_millis),
            min_checkpoint_count: self.min_checkpoint_count,
            max_checkpoint_count: self.max_checkpoint_count,
            max_subscriber_count: self.max_subscriber_count,
            live_buffer_size: self.live_buffer_size,
            history_buffer_size: self.history_buffer_size,
            read_batch_size: self.read_batch_size,
            strategy,
        })
    }
}

#[derive(Serialize)]
struct OneItem {
    #[serde(flatten)]
    item: Item,
    connections: Vec<ConnectionItem>,
    settings: SettingsBody,
    start: String,
    /// What was replayed since the group runs, the newest first.
    replays: Vec<ReplayItem>,
}

impl Item {
    fn of(info: &GroupInfo, now: factum_core::Timestamp) -> Self {
        let (word, why) = match info.status.split_once(": ") {
            Some((word, why)) => (word, Some(why.to_owned())),
            None => (info.status.as_str(), None),
        };
        // Places of a stream are dense; those of the log count other streams too, and are an upper bound.
        let seen = info.numbers.looked.map_or(0, |looked| looked.saturating_add(1));
        let lag = info.last_known.map(|last| last.saturating_add(1).saturating_sub(seen));
        let oldest = info.numbers.oldest_in_flight.map(|since| {
            u64::try_from(now.unix_millis().saturating_sub(since.unix_millis())).unwrap_or_default()
        });
        Self {
            source: info.config.key.source_name().to_owned(),
            group: info.config.key.group().to_owned(),
            status: word.to_lowercase(),
            why,
            consumers: info.numbers.consumers.len(),
            in_flight: info.numbers.in_flight,
            parked: info.parked,
            lag,
            oldest_unacked_millis: oldest,
            strategy: info.config.settings.strategy.name(),
            checkpoint: info.numbers.checkpoint.map(|place| place.to_string()),
            last_known: info.last_known.map(|place| place.to_string()),
        }
    }
}

impl OneItem {
    fn of(info: &GroupInfo, now: factum_core::Timestamp) -> Self {
        let connections = info.numbers.consumers.iter().map(|consumer| {
            let who = info.members.get(&consumer.id).cloned().unwrap_or_default();
            ConnectionItem {
                from: who.from,
                user: who.user,
                name: who.connection_name,
                slots: consumer.slots,
                in_flight: consumer.in_flight,
                per_second: consumer.rate.per_second,
                total: consumer.rate.total,
            }
        });
        Self {
            connections: connections.collect(),
            settings: SettingsBody::of(&info.config.settings),
            start: match info.config.start {
                Start::At(place) => place.to_string(),
                Start::End => "end".to_owned(),
            },
            replays: info.replays.iter().rev().map(ReplayItem::from).collect(),
            item: Item::of(info, now),
        }
    }
}

#[derive(Serialize)]
struct ListAnswer {
    items: Vec<Item>,
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::SeeGroups).await?;
    let now = ask.shared.options.clock.now();
    let groups = Groups::of(&ask.shared).list().await?;
    Ok(json(&ListAnswer { items: groups.iter().map(|info| Item::of(info, now)).collect() }))
}

async fn one(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::SeeGroups).await?;
    let info = Groups::of(&ask.shared).info(&key(&ask)?).await?;
    Ok(json(&OneItem::of(&info, ask.shared.options.clock.now())))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewGroup {
    #[serde(default)]
    start: Option<Value>,
    #[serde(default)]
    settings: SettingsBody,
    #[serde(default)]
    filter: Option<FilterBody>,
}

/// Which events of the log a group has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FilterBody {
    on: String,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    regex: Option<String>,
}

fn filter_of(body: FilterBody) -> Result<FilterText, Problem> {
    let bad = |detail: &str| Problem::new(Slug::BadJson, detail).with("field", "filter");
    let on = match body.on.as_str() {
        "stream" => FilterOn::Stream,
        "type" => FilterOn::Type,
        _ => return Err(bad("'on' of a filter is stream or type")),
    };
    let test = match (body.regex, body.prefixes.is_empty()) {
        (Some(regex), true) => FilterTest::Regex(regex),
        (None, false) => FilterTest::Prefixes(body.prefixes),
        _ => return Err(bad("a filter has prefixes or a regex, and not both")),
    };
    Ok(FilterText { on, test })
}

async fn create(ask: Ask, Document(body): Document<NewGroup>) -> Result<Response, Problem> {
    ask.may(Action::ManageGroups).await?;
    let key = key(&ask)?;
    let start = match &body.start {
        None => Some(Start::At(0)),
        Some(Value::String(word)) if word == "start" => Some(Start::At(0)),
        Some(Value::String(word)) if word == "end" => Some(Start::End),
        Some(Value::String(text)) => digits(text).map(Start::At),
        Some(other) => other.as_u64().map(Start::At),
    };
    let start = start.ok_or_else(|| {
        Problem::new(Slug::BadJson, "'start' is start, end or a place").with("field", "start")
    })?;
    let filter = body.filter.map(filter_of).transpose()?;
    if filter.is_some() && key.source() != Source::All {
        return Err(
            Problem::new(Slug::BadJson, "only a group over $all has a filter").with("field", "filter")
        );
    }
    let settings = body.settings.into_settings()?;
    let config = GroupConfig { key: key.clone(), settings, start, began: None, filter };
    let groups = Groups::of(&ask.shared);
    groups.create(config, ask.call.caller.name()).await?;
    let info = groups.info(&key).await?;
    Ok(with_status(StatusCode::CREATED, &OneItem::of(&info, ask.shared.options.clock.now())))
}

#[derive(Serialize)]
struct Named<'a> {
    source: &'a str,
    group: &'a str,
}

async fn delete(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::ManageGroups).await?;
    let key = key(&ask)?;
    Groups::of(&ask.shared).delete(key.clone(), ask.call.caller.name()).await?;
    Ok(json(&Named { source: key.source_name(), group: key.group() }))
}

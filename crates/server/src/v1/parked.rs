//! What a group of consumers has put aside: shown, delivered again, or dropped.

use axum::response::Response;
use factum_core::{Read, Selector};
use factum_protocol::{Breaks, Payload};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json as object};
use uuid::Uuid;

use super::answer::{event_json, json, linked, segment, url, with_status};
use super::ask::{Ask, Document, check_reason, shown, unrecorded};
use super::bounded::Bounded;
use super::problem::{Problem, Slug};
use super::route::{Api, Kind, LIMIT, Operation, Param};
use super::subscriptions::{PART, key};
use crate::access::Action;
use crate::groups::{Chosen, GroupKey, Groups, Ranges, Replay, ReplayState, Wish};
use crate::operations::{self, Ending, What};

/// Most messages that a request names one by one.
const MAX_NAMED: usize = 1_000;
const PARKED: &str = "/v1/subscriptions/{source}/{group}/parked";
const REPLAY: &str = "/v1/subscriptions/{source}/{group}/parked/replays/{id}";

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        PARKED,
        parked,
        Operation::new("listParked", PART, "What a group has put aside, the oldest first")
            .query(&[Param::new("from", Kind::Number, "The first number among the parked ones"), LIMIT])
            .answer(&[("application/json", "ParkedPage")]),
    )
    .post(
        "/v1/subscriptions/{source}/{group}/parked/replay",
        replay,
        Operation::new("replayParked", PART, "Begins to deliver what was put aside again")
            .body(&[("application/json", "Replay")])
            .status(202)
            .answer(&[("application/json", "ReplayRun")]),
    )
    .post(
        "/v1/subscriptions/{source}/{group}/parked/skip",
        skip,
        Operation::new("skipParked", PART, "Drops messages that were put aside: nobody gets them any more")
            .body(&[("application/json", "SkipParked")])
            .answer(&[("application/json", "SkippedParked")]),
    )
    .get(
        "/v1/subscriptions/{source}/{group}/parked/replays",
        list_replays,
        Operation::new("listReplays", PART, "Replays of this run of the group, the newest first")
            .answer(&[("application/json", "ReplayList")]),
    )
    .get(
        REPLAY,
        one_replay,
        Operation::new("getReplay", PART, "How far a replay is, and what came of it")
            .answer(&[("application/json", "ReplayRun")]),
    )
    .delete(
        REPLAY,
        stop_replay,
        Operation::new("stopReplay", PART, "Stops a replay: what no consumer has got yet stays parked")
            .answer(&[("application/json", "ReplayRun")]),
    )
}

#[derive(Serialize)]
struct ParkedItem {
    revision: u64,
    event: Option<Box<RawValue>>,
    reason: String,
    time: Option<String>,
}

#[derive(Serialize)]
struct ParkedAnswer {
    items: Vec<ParkedItem>,
    first: u64,
    total: u64,
    page: Pages,
}

#[derive(Serialize)]
struct Pages {
    next: Option<String>,
    prev: Option<String>,
}

async fn parked(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::SeeGroups).await?;
    let key = key(&ask)?;
    let (from, limit) = (ask.number("from")?.unwrap_or(0), ask.limit()?);
    let count = u64::try_from(limit).unwrap_or(u64::MAX);
    let (there, page) = Groups::of(&ask.shared).parked(&key, from, count).await?;
    let next = page.last().and_then(|last| first_after(&there, last.revision));
    let mut items = Vec::with_capacity(page.len());
    for parked in page {
        // The group was given the event with the rights of the server; this caller may have fewer.
        let stream = parked.resolved.event.as_ref().map(|event| event.stream().to_owned());
        let may = match &stream {
            Some(stream) => ask.may(Action::Read(stream)).await.is_ok(),
            None => true,
        };
        let event = may.then(|| event_json(&parked.resolved, Payload::Whole, Breaks::Keep));
        items.push(ParkedItem {
            revision: parked.revision,
            reason: parked.reason,
            time: parked.resolved.link.as_ref().map(|link| link.recorded_at().to_string()),
            event: event.and_then(|text| RawValue::from_string(text).ok()),
        });
    }
    let path = format!("/v1/subscriptions/{}/{}/parked", segment(key.source_name()), segment(key.group()));
    let next =
        next.map(|next| url(&path, &[("from", Some(next.to_string())), ("limit", Some(limit.to_string()))]));
    let response = json(&ParkedAnswer {
        items,
        first: there.iter().next().map_or(0, |range| range.start),
        total: there.count(),
        page: Pages { next: next.clone(), prev: None },
    });
    Ok(linked(response, next.as_deref(), None))
}

fn first_after(there: &Ranges, number: u64) -> Option<u64> {
    let mut rest = there.clone();
    rest.remove(0..number.saturating_add(1));
    rest.iter().next().map(|range| range.start)
}

/// Which messages are meant, in one of three ways; without any, all of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meant {
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    up_to: Option<u64>,
    #[serde(default)]
    revisions: Option<Bounded<u64, MAX_NAMED>>,
    #[serde(default)]
    reason: String,
}

impl Meant {
    fn chosen(&self) -> Result<Chosen, Problem> {
        match (self.count, self.up_to, &self.revisions) {
            (count, None, None) => Ok(Chosen::Oldest(count)),
            (None, Some(last), None) => Ok(Chosen::UpTo(last)),
            (None, None, Some(revisions)) => Ok(Chosen::These(revisions.0.clone())),
            _ => Err(Problem::new(Slug::BadJson, "give one of 'count', 'upTo' and 'revisions'")
                .with("field", "revisions")),
        }
    }

    fn reason(&self) -> Result<&str, Problem> {
        check_reason(&self.reason)?;
        Ok(self.reason.trim())
    }

    /// What of it is recorded beside the reason.
    fn details(&self, count: u64) -> Value {
        let mut details = object!({ "events": count });
        if let Some(last) = self.up_to {
            details["upTo"] = last.into();
        }
        if let Some(revisions) = &self.revisions {
            details["revisions"] = revisions.0.clone().into();
        }
        details
    }
}

/// A group, as an operation names it.
fn target(key: &GroupKey) -> String {
    format!("{}::{}", key.source_name(), key.group())
}

/// How many messages are meant; what is none is not even recorded.
async fn counted(ask: &Ask, key: &GroupKey, chosen: &Chosen) -> Result<u64, Problem> {
    match Groups::of(&ask.shared).count_parked(key, chosen).await? {
        0 => Err(nothing()),
        count => Ok(count),
    }
}

/// Nothing that is meant is parked.
fn nothing() -> Problem {
    Problem::new(Slug::Conflict, "nothing of that is parked")
        .next("Look at the group: it has no parked messages, or they are being replayed already.")
}

async fn replay(ask: Ask, Document(body): Document<Meant>) -> Result<Response, Problem> {
    ask.may(Action::ManageGroups).await?;
    let (key, chosen, reason) = (key(&ask)?, body.chosen()?, body.reason()?);
    let count = counted(&ask, &key, &chosen).await?;
    let by = ask.by();
    let mut wish = Wish { by: by.actor.clone(), reason: reason.to_owned(), recorded: None };
    let operation = operations::Operation {
        what: What::ReplayParked,
        target: target(&key),
        reason: reason.to_owned(),
        details: body.details(count),
    };
    let recorded = operations::record(&ask.shared, by, operation).await.map_err(unrecorded)?;
    wish.recorded = Some(recorded.clone());
    let begun = Groups::of(&ask.shared).replay_parked(&key, chosen, wish).await.map_err(Problem::from);
    match begun.and_then(|replay| replay.ok_or_else(nothing)) {
        Ok(replay) => Ok(with_status(StatusCode::ACCEPTED, &ReplayItem::from(&replay))),
        Err(problem) => {
            let why = operations::failure(problem.detail());
            operations::ended(&ask.shared, &recorded, Ending::Failed, why).await;
            Err(problem)
        }
    }
}

#[derive(Serialize)]
struct SkippedAnswer {
    skipped: u64,
    position: Option<String>,
}

async fn skip(ask: Ask, Document(body): Document<Meant>) -> Result<Response, Problem> {
    ask.may(Action::ManageGroups).await?;
    let (key, chosen, reason) = (key(&ask)?, body.chosen()?, body.reason()?);
    if reason.is_empty() {
        return Err(Problem::new(Slug::BadJson, "say why: nobody gets these messages any more")
            .with("field", "reason"));
    }
    let count = counted(&ask, &key, &chosen).await?;
    let groups = Groups::of(&ask.shared);
    let skip = async {
        match groups.forget_parked(&key, chosen).await? {
            0 => Err(nothing()),
            skipped => Ok(skipped),
        }
    };
    let (target, details) = (target(&key), body.details(count));
    let skipped = ask.carry_out((What::SkipParked, &target), reason, details, skip).await?;
    let reader = ask.shared.store.read(Read::backwards(Selector::All).limit(1)).await?;
    let end = reader.head().snapshot.next_position().and_then(|end| end.0.checked_sub(1));
    Ok(json(&SkippedAnswer { skipped, position: end.map(|end| end.to_string()) }))
}

/// A replay, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayItem {
    id: String,
    state: &'static str,
    started: String,
    ended: Option<String>,
    total: u64,
    waiting: u64,
    acked: u64,
    dropped: u64,
    parked_again: u64,
    gone: u64,
    left: u64,
    actor: String,
    reason: String,
}

impl From<&Replay> for ReplayItem {
    fn from(replay: &Replay) -> Self {
        Self {
            id: replay.id.to_string(),
            state: match replay.state {
                ReplayState::Running => "running",
                ReplayState::Stopping => "stopping",
                ReplayState::Completed => "completed",
                ReplayState::Stopped => "stopped",
            },
            started: replay.started.to_string(),
            ended: replay.ended.map(|ended| ended.to_string()),
            total: replay.total,
            waiting: replay.waiting(),
            acked: replay.acked,
            dropped: replay.dropped,
            parked_again: replay.parked_again,
            gone: replay.gone,
            left: replay.left,
            actor: replay.wish.by.clone(),
            reason: replay.wish.reason.clone(),
        }
    }
}

#[derive(Serialize)]
struct ReplayList {
    items: Vec<ReplayItem>,
}

async fn replays(ask: &Ask) -> Result<Vec<Replay>, Problem> {
    Ok(Groups::of(&ask.shared).info(&key(ask)?).await?.replays)
}

async fn list_replays(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::SeeGroups).await?;
    let items = replays(&ask).await?.iter().rev().map(ReplayItem::from).collect();
    Ok(json(&ReplayList { items }))
}

async fn shown_replay(ask: &Ask) -> Result<Response, Problem> {
    let (id, replays) = (ask.path("id").parse::<Uuid>().ok(), replays(ask).await?);
    match replays.iter().find(|replay| Some(replay.id) == id) {
        Some(replay) => Ok(json(&ReplayItem::from(replay))),
        None => Err(Problem::new(
            Slug::NotFound,
            format!("there is no replay '{}', or it is forgotten", shown(ask.path("id"))),
        )),
    }
}

async fn one_replay(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::SeeGroups).await?;
    shown_replay(&ask).await
}

async fn stop_replay(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::ManageGroups).await?;
    if let Ok(id) = ask.path("id").parse() {
        let key = key(&ask)?;
        let stopped = Groups::of(&ask.shared).stop_replay(&key, id).await?;
        if stopped {
            tracing::info!(by = %ask.call.caller, source = key.source_name(), group = key.group(), replay = %id, "a replay is stopped");
        }
    }
    shown_replay(&ask).await
}

//! Process managers (sagas): where their instances stand, what happened to them, and what an operator asks.

use axum::Json;
use factum::{
    OperatorAction, ProcessError, ProcessFilter, ProcessInstance, ProcessStage, RequestError, list_processes,
    request_process, show_process,
};
use factum_core::EventStore;
use serde_json::{Value, json};

use super::ask::{Ask, Document, digits};
use super::problem::{Problem, Slug};
use super::projections::{Reasoned, of_part, reasoned};
use super::route::{AFTER, Api, CURSOR, Kind, LIMIT, Operation, Param, WAIT};
use crate::access::Action;
use crate::shown::{process_details, process_record, process_summary};

/// The part of the API.
const PART: &str = "Processes";

/// Where an instance may stand.
const STAGES: [ProcessStage; 7] = [
    ProcessStage::Running,
    ProcessStage::Quarantined,
    ProcessStage::Compensating,
    ProcessStage::NeedsOperator,
    ProcessStage::Completing,
    ProcessStage::Completed,
    ProcessStage::Failed,
];

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    const LIST: &[Param] = &[
        Param::new("process", Kind::Text, "Only instances of this process"),
        Param::new("stage", Kind::Texts, "Only those that stand here"),
        Param::new("all", Kind::Flag, "Also those that are over"),
        LIMIT,
        CURSOR,
        AFTER,
        WAIT,
    ];
    let act = |id, summary| {
        Operation::new(id, PART, summary)
            .body(&[("application/json", "Reason")])
            .answer(&[("application/json", "ProcessAsked")])
    };
    api.get(
        "/v1/processes",
        list,
        Operation::new("listProcesses", PART, "Instances that are not over, in the order of their beginning")
            .query(LIST)
            .answer(&[("application/json", "ProcessList")]),
    )
    .get(
        "/v1/processes/{process}/{id}",
        show,
        Operation::new("showProcess", PART, "Where an instance stands, and everything that happened to it")
            .query(&[AFTER, WAIT])
            .answer(&[("application/json", "Process")]),
    )
    .post(
        "/v1/processes/{process}/{id}/retry",
        retry,
        act("retryProcess", "Ask that a stopped instance goes on"),
    )
    .post(
        "/v1/processes/{process}/{id}/cancel",
        cancel,
        act("cancelProcess", "Ask that an instance gives up: what it did is undone"),
    )
}

fn of_process(error: &ProcessError) -> Problem {
    of_part(error.kind(), factum_core::with_causes(error))
}

async fn list(ask: Ask) -> Result<Json<Value>, Problem> {
    let mut stages = Vec::new();
    for word in ask.all("stage").filter(|word| !word.is_empty()) {
        let known = STAGES
            .into_iter()
            .find(|stage| stage.as_str() == word || stage.as_str().replace(' ', "-") == word);
        stages.push(known.ok_or_else(|| {
            let words: Vec<&str> = STAGES.iter().map(|stage| stage.as_str()).collect();
            Problem::parameter("stage", format!("'stage' is one of {}", words.join(", ")))
        })?);
    }
    let filter = ProcessFilter {
        process: ask.text("process").map(str::to_owned),
        stages,
        with_ended: ask.flag("all", false)?,
    };
    let (limit, from) = (ask.limit()?, ask.read("cursor", "what `page.next` had", digits)?.unwrap_or(0));
    let visible = visible(&ask, standing(&ask, &filter).await.map_err(|error| of_process(&error))?).await?;
    let now = ask.shared.options.clock.now();
    let items: Vec<Value> =
        visible.iter().skip(from).take(limit).map(|instance| process_summary(instance, now).into()).collect();
    let link = |from: usize| page(&ask, from);
    let next = (visible.len() > from + limit).then(|| link(from + limit));
    let prev = (from > 0).then(|| link(from.saturating_sub(limit)));
    Ok(Json(json!({"items": items, "page": {"next": next, "prev": prev}})))
}

/// Those that pass. What was folded before is kept: only what was recorded since is read.
async fn standing(ask: &Ask, filter: &ProcessFilter) -> Result<Vec<ProcessInstance>, ProcessError> {
    let store = ask.shared.store.as_ref();
    let mut known = ask.shared.v1.processes.lock().await;
    known.catch_up(store).await?;
    let listed = known.list(filter);
    drop(known);
    match listed {
        Some(instances) => Ok(instances),
        None => list_processes(store, filter).await,
    }
}

/// Those whose streams the caller may read.
async fn visible(ask: &Ask, instances: Vec<ProcessInstance>) -> Result<Vec<ProcessInstance>, Problem> {
    let mut visible = Vec::new();
    for instance in instances {
        match ask.may(Action::Read(&instance.stream())).await {
            Ok(()) => visible.push(instance),
            Err(problem) if problem.slug() == Slug::NotAllowed => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(visible)
}

/// The same address, from another entry on.
fn page(ask: &Ask, from: usize) -> String {
    let query = ask.uri.query().unwrap_or_default();
    let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let mut pairs: Vec<String> = others.map(str::to_owned).collect();
    pairs.push(format!("cursor={from}"));
    format!("{}?{}", ask.uri.path(), pairs.join("&"))
}

/// The instance that the path names, as its stream.
async fn stream(ask: &Ask) -> Result<String, Problem> {
    let stream = format!("{}-{}", ask.path("process"), ask.path("id"));
    ask.may(Action::Read(&stream)).await?;
    Ok(stream)
}

fn unknown(stream: &str) -> Problem {
    Problem::new(Slug::NotFound, format!("there is no instance '{}'", super::ask::shown(stream)))
}

async fn show(ask: Ask) -> Result<Json<Value>, Problem> {
    let stream = stream(&ask).await?;
    let store: &dyn EventStore = ask.shared.store.as_ref();
    let shown = show_process(store, ask.path("process"), ask.path("id")).await;
    let timeline = shown.map_err(|error| of_process(&error))?.ok_or_else(|| unknown(&stream))?;
    let mut all = process_details(&timeline, ask.shared.options.clock.now());
    let entries: Vec<Value> = timeline.entries.iter().map(|entry| process_record(entry).into()).collect();
    all.insert("timeline".to_owned(), entries.into());
    Ok(Json(all.into()))
}

async fn act(ask: &Ask, action: OperatorAction, reason: &str) -> Result<Json<Value>, Problem> {
    let stream = stream(ask).await?;
    ask.may(Action::Operate).await?;
    let (reason, actor) = (reasoned(reason)?, ask.call.caller.name());
    let (process, id) = (ask.path("process"), ask.path("id"));
    let asked = request_process(&ask.shared.store, process, id, action, actor, reason).await;
    let position = asked.map_err(|error| match &error {
        RequestError::NotFound { .. } => unknown(&stream),
        error => of_part(error.kind(), factum_core::with_causes(error)),
    })?;
    Ok(Json(json!({
        "instance": stream,
        "action": action.as_str(),
        "actor": actor,
        "reason": reason,
        "position": position.to_string(),
    })))
}

async fn retry(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, OperatorAction::Retry, &why.reason).await
}

async fn cancel(ask: Ask, Document(why): Document<Reasoned>) -> Result<Json<Value>, Problem> {
    act(&ask, OperatorAction::Cancel, &why.reason).await
}

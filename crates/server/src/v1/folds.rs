//! Which folds there are, for a stream or at all.

use axum::response::Response;
use serde::Serialize;

use super::answer::json;
use super::ask::{Ask, stream_name};
use super::fold::{NO_DOMAIN, names_of};
use super::problem::Problem;
use super::route::{Api, Kind, Operation, Param};
use crate::access::Action;

/// The route.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/folds",
        list,
        Operation::new(
            "listFolds",
            "Time travel",
            "Which folds there are, and which is the usual one of a stream",
        )
        .query(&[Param::new("stream", Kind::Text, "The folds of this stream [all]")])
        .answer(&[("application/json", "FoldList")]),
    )
}

#[derive(Serialize)]
struct Item<'a> {
    fold: &'a str,
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct Answer<'a> {
    stream: Option<&'a str>,
    default: &'a str,
    items: Vec<Item<'a>>,
    /// What is missing, and how it would be given.
    note: Option<&'static str>,
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    let stream = ask.text("stream").map(stream_name).transpose()?;
    match &stream {
        Some(stream) => ask.may(Action::Read(stream.as_str())).await?,
        None => ask.may(Action::Statistics).await?,
    }
    let names = names_of(&ask.shared, stream.as_ref()).await?;
    let items: Vec<Item<'_>> =
        names.iter().map(|of| Item { fold: &of.fold, kind: of.kind, name: &of.name }).collect();
    let default = items.first().map_or("", |item| item.fold);
    let note = ask.shared.ops.domain.is_none().then_some(NO_DOMAIN);
    Ok(json(&Answer { stream: stream.as_ref().map(factum_core::StreamName::as_str), default, items, note }))
}

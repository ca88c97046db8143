//! The HTTP API `/v1`: everything that a store knows, as JSON. `docs/http.md` is its contract.
//!
//! `front.rs` stands before all of it; `ask.rs` reads requests and `problem.rs` says why one was not done. Each other file
//! has the routes of one part, as functions from [`route::Api`] to [`route::Api`], so that what is answered and what the
//! OpenAPI document tells of it are one table.

mod accept;
mod answer;
mod append;
pub(crate) mod ask;
mod bounded;
mod catalog;
mod cloud;
mod events;
mod expected;
mod fold;
mod folds;
mod follow;
mod fresh;
mod front;
mod jobs;
mod live;
mod lookup;
mod names;
mod openapi;
mod operations;
mod parked;
mod patch;
mod place;
mod privacy;
pub(crate) mod problem;
mod processes;
mod projections;
mod reading;
pub(crate) mod route;
mod schemas;
mod session;
mod state;
mod streams;
mod subscriptions;
mod system;
mod trouble;
mod upcasted;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub(crate) use front::{front, is_of_api};

use crate::shared::Shared;
use problem::{Problem, Slug};
use route::Api;

/// What the API remembers, one per server.
#[derive(Debug, Default)]
pub(crate) struct Own {
    folds: fold::Folds,
    names: names::Names,
    sampler: live::Sampler,
    /// Where processes stand. A lock across reads: who asks meanwhile waits for the same answer.
    processes: tokio::sync::Mutex<factum::KnownProcesses>,
}

/// Every route of the API.
fn api() -> Api {
    let parts: [fn(Api) -> Api; 18] = [
        catalog::routes,
        streams::routes,
        events::routes,
        append::routes,
        state::routes,
        folds::routes,
        lookup::routes,
        live::routes,
        subscriptions::routes,
        parked::routes,
        projections::routes,
        processes::routes,
        schemas::routes,
        privacy::routes,
        system::routes,
        session::routes,
        operations::routes,
        jobs::routes,
    ];
    parts.into_iter().fold(Api::new(), |api, part| part(api))
}

/// The routes, ready to be merged with the server's others.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    let (router, _) = api().into_parts();
    router
        .route("/openapi.json", get(openapi::json_document))
        .route("/docs/api", get(openapi::page))
        .route("/docs/api/{part}", get(openapi::part))
        .route("/problems", get(problem::pages))
        .route("/problems/{slug}", get(problem::page))
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared.clone())
}

/// A path that no route has.
pub(crate) fn no_such_route(path: &str) -> Response {
    Problem::new(Slug::NoSuchRoute, format!("there is nothing at '{}'", ask::shown(path))).into_response()
}

async fn wrong_method(method: http::Method) -> Problem {
    Problem::new(Slug::WrongMethod, format!("{method} is not a method of this address"))
}

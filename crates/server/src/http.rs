//! What the port answers over plain HTTP: whether the server lives, and what it is.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;

use crate::call::Call;
use crate::grpc::PROTOCOL_VERSION;
use crate::metrics;
use crate::observe::is_grpc;
use crate::shared::Shared;
use crate::v1;

/// The routes.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(live))
        .route("/info", get(info))
        .route("/gossip", get(gossip))
        .route("/ping", get(ping))
        .route("/metrics", get(figures))
        .with_state(shared.clone())
}

/// Lives: 204, or what `liveCode` names; not ready yet, or about to stop: 503.
async fn live(State(shared): State<Arc<Shared>>, Query(query): Query<HashMap<String, String>>) -> Response {
    if shared.stopping.is_due() || !shared.ops.is_ready() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let chosen = query
        .get("liveCode")
        .and_then(|code| code.parse().ok())
        .and_then(|code| StatusCode::from_u16(code).ok());
    chosen.unwrap_or(StatusCode::NO_CONTENT).into_response()
}

/// Everything that is counted, as Prometheus reads it.
async fn figures(State(shared): State<Arc<Shared>>) -> Response {
    let content_type = [(axum::http::header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (content_type, metrics::text(&metrics::collect(&shared))).into_response()
}

/// What no service and no route answers: clients of gRPC want that in their own way.
pub(crate) async fn unknown(uri: axum::http::Uri, headers: axum::http::HeaderMap) -> Response {
    if is_grpc(&headers) {
        return tonic::Status::unimplemented("").into_http();
    }
    if v1::is_of_api(uri.path()) {
        return v1::no_such_route(uri.path());
    }
    StatusCode::NOT_FOUND.into_response()
}

async fn ping() -> Response {
    Json(json!({ "text": "Ping request successfully handled" })).into_response()
}

async fn info(State(shared): State<Arc<Shared>>) -> Response {
    Json(json!({
        "dbVersion": PROTOCOL_VERSION,
        "esVersion": PROTOCOL_VERSION,
        "server": format!("factum {}", env!("CARGO_PKG_VERSION")),
        "state": "leader",
        "features": { "projections": true, "userManagement": true, "atomPub": false },
        "authentication": { "type": shared.access.scheme(), "properties": {} },
    }))
    .into_response()
}

async fn gossip(State(shared): State<Arc<Shared>>, Extension(call): Extension<Call>) -> Response {
    let endpoint = shared.endpoint(&call);
    let instance = shared.instance.to_string();
    Json(json!({
        "members": [{
            "instanceId": instance,
            "timeStamp": shared.options.clock.now().to_string(),
            "state": "Leader",
            "isAlive": true,
            "httpEndPointIp": endpoint.host,
            "httpEndPointPort": endpoint.port,
            // One node has no log of a leader's to be measured against, and no other ports. Some clients insist on them.
            "internalTcpIp": endpoint.host,
            "internalTcpPort": 0,
            "internalSecureTcpPort": 0,
            "externalTcpIp": endpoint.host,
            "externalTcpPort": 0,
            "externalSecureTcpPort": 0,
            "lastCommitPosition": 0,
            "writerCheckpoint": 0,
            "chaserCheckpoint": 0,
            "epochPosition": 0,
            "epochNumber": 0,
            "epochId": instance,
            "nodePriority": 0,
            "isReadOnlyReplica": false,
        }],
        "serverIp": endpoint.host,
        "serverPort": endpoint.port,
    }))
    .into_response()
}

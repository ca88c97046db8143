//! What does a browser get under `/docs`? The manual of this very version, without a network.
//!
//! The source is the mdBook in `docs/book`. It is rendered here when it is first asked for: building the program needs
//! no mdBook, and a server has the manual that fits it.

mod pages;
mod render;

use std::sync::OnceLock;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};

use crate::routes::guarded;
use pages::{PAGES, PICTURES};

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = include_str!("manual/manual.css");

/// The manual's routes. `/docs/api` is the server's own.
pub fn routes() -> Router {
    Router::new().route("/docs", get(to_manual)).route("/docs/", get(start)).route("/docs/{*path}", get(file))
}

async fn to_manual() -> Response {
    let mut answer = answer(HTML, Bytes::new());
    *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/docs/"));
    answer
}

async fn start() -> Response {
    found("")
}

async fn file(Path(path): Path<String>) -> Response {
    found(&path)
}

fn found(path: &str) -> Response {
    match path {
        "manual.css" => return answer("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes())),
        "manual.md" => return answer("text/markdown; charset=utf-8", Bytes::from(render::whole())),
        _ => {}
    }
    if let Some(name) = path.strip_prefix("pictures/") {
        let picture = PICTURES.iter().find(|(known, _)| *known == name);
        return picture.map_or_else(absent, |(_, bytes)| answer("image/png", Bytes::from_static(bytes)));
    }
    page(path).map_or_else(absent, |page| answer(HTML, page))
}

/// Rendered once.
fn page(path: &str) -> Option<Bytes> {
    static KEPT: [OnceLock<Option<Bytes>>; PAGES.len()] = [const { OnceLock::new() }; PAGES.len()];
    let place = PAGES.iter().position(|(known, _)| render::address(known) == path)?;
    KEPT[place].get_or_init(|| render::page(path).map(Bytes::from)).clone()
}

fn absent() -> Response {
    let text = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>No such page · Factum</title>\n\
                <link rel=\"stylesheet\" href=\"/docs/manual.css\">\n<main><h1>No such page</h1>\n\
                <p>This version of the manual has none at this address. <a href=\"/docs/\">To its beginning</a>.</p></main>\n</html>\n";
    let mut answer = answer(HTML, Bytes::from_static(text.as_bytes()));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

fn answer(kind: &'static str, body: Bytes) -> Response {
    let mut answer = Response::new(Body::from(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    guarded(answer)
}

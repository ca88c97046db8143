//! Which address of `/ui` answers what, with which headers?

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use sha2::{Digest, Sha256};

use crate::assets::{Assets, INDEX, content_type};
use crate::page::{self, Environment, Mode};

/// Nothing from elsewhere, nothing inline, nothing evaluated, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// How the console is served.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where its files come from.
    pub assets: Assets,
    /// What it offers. The server refuses what it must refuse whatever stands here.
    pub mode: Mode,
    /// The name above every page.
    pub environment: Option<Environment>,
}

/// What a server merges with its own routes.
pub type Routes = Router;

/// The routes: the page under `/ui`, its files under `/ui/assets`, and `/` leads to it.
pub fn routes(options: Options) -> Routes {
    Router::new()
        .route("/", get(to_console))
        .route("/ui", get(to_console))
        .route("/ui/", get(index))
        .route("/ui/assets/{hash}/{*path}", get(asset))
        .route("/ui/{*path}", get(index))
        .with_state(Arc::new(options))
}

async fn to_console() -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/ui/"));
    guarded(answer)
}

/// Every address of the console is the same page: its script reads the address.
async fn index(State(options): State<Arc<Options>>, address: Uri, headers: HeaderMap) -> Response {
    let Some(file) = options.assets.file(INDEX) else { return absent() };
    let template = String::from_utf8_lossy(&file.plain);
    let screen = options.assets.screen_of(address.path());
    let text = page::fill(
        &template,
        options.assets.hash(),
        screen.as_deref(),
        options.mode,
        options.environment.as_ref(),
    );
    let tag = tag_of(text.as_bytes());
    let kept = headers.get(IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let mut answer = Response::new(if kept { Body::empty() } else { Body::from(text) });
    if kept {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let out = answer.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(INDEX)));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(ETAG, tag);
    }
    guarded(answer)
}

async fn asset(
    State(options): State<Arc<Options>>,
    Path((hash, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    // A page of another version asks for files that are no more: it says so and offers to load anew.
    if hash != options.assets.hash() || path == INDEX {
        return absent();
    }
    let Some(file) = options.assets.file(&path) else { return absent() };
    let packed = file.gzip.filter(|_| takes_gzip(&headers));
    let is_packed = packed.is_some();
    let mut answer = Response::new(Body::from(packed.unwrap_or(file.plain)));
    let out = answer.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(&path)));
    out.insert(VARY, HeaderValue::from_static("accept-encoding"));
    out.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(match options.assets {
            Assets::Embedded => "public, max-age=31536000, immutable",
            Assets::Folder(_) => "no-store",
        }),
    );
    if is_packed {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    guarded(answer)
}

fn absent() -> Response {
    let mut answer =
        Response::new(Body::from(Bytes::from_static(b"No such file in this version of the console.\n")));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    guarded(answer)
}

/// What every answer of the console says to the browser.
pub(crate) fn guarded(mut answer: Response) -> Response {
    let out = answer.headers_mut();
    out.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    out.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    out.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    out.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    answer
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let Some(accepted) = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    accepted.split(',').any(|one| {
        let mut parts = one.trim().split(';');
        parts.next() == Some("gzip") && !parts.any(|part| part.trim() == "q=0")
    })
}

fn tag_of(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

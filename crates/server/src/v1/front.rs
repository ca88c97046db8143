//! What every request to the API passes first: who it says it is for, where it comes from, and the name that it gets.
//!
//! It stands before the sign-in, so that what is refused there is told in the API's form too.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ORIGIN, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use uuid::Uuid;

use super::problem::{PROBLEM_JSON, Problem, Slug};
use crate::call::Call;
use crate::options::Console;
use crate::shared::Shared;
use crate::sign_in::{CHALLENGE, SESSION_PATH};

/// Longest request id that is taken over from a caller, in characters.
const MAX_REQUEST_ID_CHARS: usize = 64;
/// Names the request, in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FETCH_SITE: &str = "sec-fetch-site";
/// Ticks of 100 ns in a millisecond.
const TICKS_PER_MILLI: i64 = 10_000;

/// The name of a request, for whoever answers it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// Whether a path belongs to the API, its documentation or the console.
pub(crate) fn is_of_api(path: &str) -> bool {
    ["/v1", "/problems", "/openapi.json", "/docs", "/ui"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Passes a request on, and puts into its answer what every answer has.
pub(crate) async fn front(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    if !is_of_api(request.uri().path()) {
        return next.run(request).await;
    }
    let began = shared.options.clock.now();
    let id = request_id(request.headers());
    let path: Arc<str> = request.uri().path().into();
    let method = request.method().clone();
    let from_browser = request.headers().contains_key(FETCH_SITE);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = match refuse(&shared, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let took = shared.options.clock.now().0.saturating_sub(began.0).max(0);
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        response = explain(response, &path, &id, from_browser);
    }
    // What is not there, not ready or not there yet is an answer, and no failure of the server's.
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        let detail = response.extensions().get::<Problem>().map(|problem| problem.detail().to_owned());
        tracing::error!(request = %id, %method, status = status.as_u16(), detail, "a request failed");
    } else {
        tracing::debug!(request = %id, %method, status = status.as_u16(), "a request was answered");
    }
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    put(REQUEST_ID, &id);
    put(SERVER_TIMING, &format!("total;dur={}.{:02}", took / TICKS_PER_MILLI, took % TICKS_PER_MILLI / 100));
    put(X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(CACHE_CONTROL, "private, no-cache");
    put(RESOURCE_POLICY, "same-origin");
    response
}

/// The caller's own name for the request, if it is one, or a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let fits = |text: &&str| {
        (1..=MAX_REQUEST_ID_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    given.filter(fits).map_or_else(|| Uuid::now_v7().to_string().into(), Into::into)
}

/// Why the request is not even looked at.
fn refuse(shared: &Shared, request: &Request) -> Option<Problem> {
    let call = request.extensions().get::<Call>()?;
    if !is_our_name(shared, call.authority.as_deref()) {
        let name = call.authority.as_deref().unwrap_or("nobody");
        return Some(Problem::new(Slug::WrongHost, format!("this server does not answer to '{name}'")));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && is_cross_site(request.headers(), call.authority.as_deref()) {
        return Some(Problem::new(Slug::CrossSite, "the request was sent by a page of another origin"));
    }
    // Signing in and out changes nothing that is kept.
    let signs = request.uri().path() == SESSION_PATH;
    if !reads && !signs && shared.options.console == Console::ReadOnly {
        let problem = Problem::new(Slug::ReadOnly, "the server was started with --console read-only");
        return Some(problem.next("Use another server, or start this one with --console full."));
    }
    if shared.stopping.is_due() {
        return Some(Problem::new(Slug::NotReady, "the server stops"));
    }
    (!shared.ops.is_ready()).then(|| Problem::new(Slug::NotReady, "the server starts"))
}

/// A server that listens on this machine only is reached by a name of this machine, or by the one that was chosen for it.
/// Under any other, somebody else's name points here, and a page of theirs would be of our origin.
fn is_our_name(shared: &Shared, authority: Option<&str>) -> bool {
    if !shared.address.ip().to_canonical().is_loopback() {
        return true;
    }
    let Some(host) = authority.and_then(host_of) else { return false };
    let advertised = shared.options.advertise.as_ref().is_some_and(|of| of.host.eq_ignore_ascii_case(&host));
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    advertised
        || name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The host of `host:port`, without the brackets of an address.
fn host_of(authority: &str) -> Option<String> {
    let authority: http::uri::Authority = authority.parse().ok()?;
    let host = authority.host();
    Some(host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).to_owned())
}

/// What a browser says of the page that sent a request. Older ones name its origin only.
fn is_cross_site(headers: &HeaderMap, authority: Option<&str>) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    origin.is_none() || origin != authority
}

/// The answer as a problem that knows its request. What was refused before the API was reached gets its form here.
fn explain(response: Response, path: &str, id: &str, from_browser: bool) -> Response {
    let (mut parts, body) = response.into_parts();
    let known = parts.extensions.get::<Problem>().cloned();
    let problem = match known {
        Some(problem) => problem,
        None => match parts.status {
            StatusCode::UNAUTHORIZED => {
                Problem::new(Slug::NotSignedIn, "the credentials are wrong, or the user is disabled")
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                Problem::new(Slug::Unavailable, "the users cannot be asked now")
            }
            _ => return Response::from_parts(parts, body),
        },
    };
    if problem.slug() == Slug::NotSignedIn {
        // A browser would open a window of its own; the console asks itself.
        parts.headers.remove(WWW_AUTHENTICATE);
        if !from_browser {
            parts.headers.insert(WWW_AUTHENTICATE, CHALLENGE);
        }
    }
    parts.headers.remove(http::header::CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    let document = problem.document(path, id).to_string();
    parts.extensions.insert(problem);
    Response::from_parts(parts, document.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn an_id_that_would_not_be_shown_as_it_is_is_replaced() {
        assert_eq!(&*request_id(&headers(&[("x-request-id", "a-1")])), "a-1");
        for bad in ["", "a b", "a\tb", &"x".repeat(MAX_REQUEST_ID_CHARS + 1)] {
            assert_eq!(request_id(&headers(&[("x-request-id", bad)])).len(), 36, "{bad}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_known_by_what_browsers_say() {
        let of = |pairs: &[(&'static str, &str)]| is_cross_site(&headers(pairs), Some("127.0.0.1:2113"));
        assert!(!of(&[]));
        assert!(!of(&[("sec-fetch-site", "same-origin")]) && !of(&[("sec-fetch-site", "none")]));
        assert!(of(&[("sec-fetch-site", "cross-site")]) && of(&[("sec-fetch-site", "same-site")]));
        assert!(of(&[("origin", "https://evil.example")]) && of(&[("origin", "null")]));
        assert!(!of(&[("origin", "http://127.0.0.1:2113")]));
    }

    #[test]
    fn a_server_that_starts_or_stops_answers_nothing_of_the_api() {
        let (groups, _unstarted) = crate::groups::channel();
        let (stop, stopping) = crate::stopping::Stopping::channel();
        let store = Arc::new(factum_core::MemoryStore::new());
        let shared = Shared::of_test(store, groups, stopping);
        let mut request = Request::new(axum::body::Body::empty());
        let authority = Some("127.0.0.1:2113".to_owned());
        request.extensions_mut().insert(Call { authority, ..Call::default() });
        let why = || {
            let problem = refuse(&shared, &request)?;
            Some((problem.slug(), problem.detail().to_owned()))
        };
        assert_eq!(why(), Some((Slug::NotReady, "the server starts".to_owned())));
        shared.ops.set_ready();
        assert_eq!(why(), None);
        stop.send_replace(true);
        assert_eq!(why(), Some((Slug::NotReady, "the server stops".to_owned())));
        assert!(Problem::new(Slug::NotReady, "x").into_response().headers().contains_key("retry-after"));
    }

    #[test]
    fn paths_of_the_api_are_told_from_others() {
        assert!(is_of_api("/v1") && is_of_api("/v1/streams") && is_of_api("/ui/"));
        assert!(!is_of_api("/v11") && !is_of_api("/metrics") && !is_of_api("/"));
    }
}

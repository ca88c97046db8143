//! One connection: what was agreed on it, and what each of its requests brings along.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tonic::codegen::Service;

use crate::access::Caller;
use crate::call::Call;
use crate::options::Limits;

/// Bytes that may be on their way on one call before the other side has taken them.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes that may be on their way on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Bytes of the headers of one request.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// How often a silent connection is asked whether it still lives, and how long its answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How connections are served.
pub(crate) fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake_timeout)
        .max_buf_size(usize::try_from(MAX_HEADER_BYTES).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(limits.calls_per_connection)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

/// Answers one request, with what is known of its connection beside it. `caller` is who sends it as long as it has not
/// signed in.
pub(crate) fn answer(
    router: &Router,
    peer: SocketAddr,
    caller: Caller,
    request: Request<Incoming>,
) -> <Router as Service<Request<Body>>>::Future {
    let mut request = request.map(Body::new);
    let authority = authority(&request);
    request.extensions_mut().insert(Call { caller, authority, peer: Some(peer), ..Call::default() });
    let mut router = router.clone();
    router.call(request)
}

/// The host and port that the client dialled.
fn authority(request: &Request<Body>) -> Option<String> {
    let of_headers = |headers: &HeaderMap| headers.get(http::header::HOST)?.to_str().ok().map(str::to_owned);
    request.uri().authority().map(ToString::to_string).or_else(|| of_headers(request.headers()))
}

//! One connection: what was agreed on it, and what each of its requests brings along.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::codegen::Service;

use crate::call::Call;
use crate::first_bytes::{Version, look};
use crate::options::Limits;

/// Bytes that may be on their way on one call before the other side has taken them.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes that may be on their way on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Bytes of the headers of one request.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// How often a silent connection is asked whether it still lives, and how long its answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Serves one connection until it ends. `origin` is what is known of all its requests. `graceful` ends it, calls first, when the server stops.
pub(crate) async fn serve<I>(io: I, origin: Call, router: Router, limits: &Limits, graceful: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some((version, io)) = look(io, limits.handshake_timeout).await else { return };
    let io = TokioIo::new(io);
    let service = service_fn(move |request| answer(&router, origin.clone(), request));
    // A connection that breaks is the client's business: its calls have their own answers.
    match version {
        Version::Http1 => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.handshake_timeout)
                .max_buf_size(usize::try_from(MAX_HEADER_BYTES).unwrap_or(usize::MAX))
                .serve_connection(io, service);
            let _ = graceful.watch(connection).await;
        }
        Version::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_header_list_size(MAX_HEADER_BYTES)
                .max_concurrent_streams(limits.calls_per_connection)
                .keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .serve_connection(io, service);
            let _ = graceful.watch(connection).await;
        }
    }
}

/// Answers one request, with what is known of its connection beside it.
fn answer(
    router: &Router,
    origin: Call,
    request: Request<Incoming>,
) -> <Router as Service<Request<Body>>>::Future {
    let mut request = request.map(Body::new);
    let authority = authority(&request);
    request.extensions_mut().insert(Call { authority, ..origin });
    let mut router = router.clone();
    router.call(request)
}

/// The host and port that the client dialled.
fn authority(request: &Request<Body>) -> Option<String> {
    let of_headers = |headers: &HeaderMap| headers.get(http::header::HOST)?.to_str().ok().map(str::to_owned);
    request.uri().authority().map(ToString::to_string).or_else(|| of_headers(request.headers()))
}

//! Every request passes here: it waits for a server that is ready, and is counted, traced and, where it failed, logged.
//!
//! What is logged of a call is its method, status, peer and time; the message only where the failure is the server's, since
//! it then is a text of ours. Never a payload, never who signed in how.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use factum_core::Timestamp;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tonic::{Code, Status};

use crate::call::Call;
use crate::metrics::{Gauge, Metrics, Present};
use crate::otlp::{Span, SpanIds};
use crate::shared::Shared;

/// The trailer with the status of a call.
const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";
/// The longest message that is logged, in characters.
const LOGGED_CHARS: usize = 512;

struct OpenCalls(Arc<Metrics>);

impl AsRef<Gauge> for OpenCalls {
    fn as_ref(&self) -> &Gauge {
        &self.0.calls_open
    }
}

/// Passes a request on, and looks at what becomes of it.
pub(crate) async fn observe(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if !is_grpc(request.headers()) {
        return next.run(request).await;
    }
    let watch = Watch {
        method: request.uri().path().trim_start_matches('/').to_owned(),
        peer: request.extensions().get::<Call>().and_then(|call| call.peer),
        began: shared.options.clock.now(),
        ids: shared.ops.spans.as_ref().map(|_| SpanIds::of(request.headers())),
        code: None,
        message: None,
        open: Present::new(OpenCalls(shared.ops.metrics.clone())),
        shared: shared.clone(),
    };
    if !shared.ops.is_ready() {
        let response = Status::unavailable("Server Is Not Ready").into_http();
        return watch.answer(response);
    }
    let metrics = shared.ops.metrics.clone();
    let request = request.map(|body| Body::new(CountedBody { body, metrics, ends: NoEnd }));
    watch.answer(next.run(request).await)
}

/// Whether it is a call of gRPC's.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// One call from its head to its end.
struct Watch {
    method: String,
    peer: Option<std::net::SocketAddr>,
    began: Timestamp,
    ids: Option<SpanIds>,
    code: Option<Code>,
    message: Option<String>,
    open: Present<OpenCalls>,
    shared: Arc<Shared>,
}

impl Watch {
    fn answer(mut self, response: Response) -> Response {
        self.see(response.headers());
        if response.status() != StatusCode::OK && self.code.is_none() {
            self.code = Some(Code::Unknown);
        }
        let metrics = self.open.of().0.clone();
        metrics.calls.answered(&self.method, self.code, self.elapsed());
        response.map(|body| Body::new(CountedBody { body, metrics, ends: self }))
    }

    fn elapsed(&self) -> std::time::Duration {
        let now = self.shared.options.clock.now();
        let micros = now.0.saturating_sub(self.began.0) / 10;
        // A clock that was set back took no time.
        std::time::Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }

    fn log(&self, code: Code) {
        let (method, peer) = (self.method.as_str(), self.peer.map(|peer| peer.to_string()));
        let millis = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let message = || {
            let message = self.message.as_deref().unwrap_or_default();
            message.chars().take(LOGGED_CHARS).collect::<String>()
        };
        match code {
            Code::Ok => {
                tracing::debug!(method, peer, millis, "a call ended");
            }
            Code::Internal | Code::DataLoss | Code::Unknown => {
                tracing::error!(method, peer, millis, status = ?code, message = message(), "a call failed");
            }
            Code::Unavailable | Code::ResourceExhausted if !self.shared.stopping.is_due() => {
                tracing::warn!(method, peer, millis, status = ?code, message = message(), "a call was not served");
            }
            Code::Unauthenticated | Code::PermissionDenied => {
                tracing::warn!(method, peer, millis, status = ?code, "a call was refused");
            }
            _ => {
                tracing::debug!(method, peer, millis, status = ?code, "a call was not what it should be");
            }
        }
    }
}

/// What wants to know how a body ends.
trait Ends {
    /// Headers or trailers that may hold a status.
    fn see(&mut self, headers: &HeaderMap);
    /// Whether it counts what is received, or what is sent.
    fn count(metrics: &Metrics, bytes: usize);
}

struct NoEnd;

impl Ends for NoEnd {
    fn see(&mut self, _: &HeaderMap) {}

    fn count(metrics: &Metrics, bytes: usize) {
        metrics.received_bytes.add_count(bytes);
    }
}

impl Ends for Watch {
    fn see(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get(GRPC_STATUS) {
            self.code = Some(Code::from_bytes(code.as_bytes()));
            let message = headers.get(GRPC_MESSAGE).and_then(|message| message.to_str().ok());
            self.message = message.map(str::to_owned);
        }
    }

    fn count(metrics: &Metrics, bytes: usize) {
        metrics.sent_bytes.add_count(bytes);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // An answer that is dropped before its trailers: the client went away.
        let code = self.code.unwrap_or(Code::Cancelled);
        self.shared.ops.metrics.calls.ended(&self.method, code);
        self.log(code);
        if let (Some(spans), Some(ids)) = (&self.shared.ops.spans, self.ids) {
            let ended = self.shared.options.clock.now();
            let span = Span { ids, method: std::mem::take(&mut self.method), code, began: self.began, ended };
            spans.tell(span);
        }
    }
}

/// A body whose bytes are counted.
struct CountedBody<E> {
    body: Body,
    metrics: Arc<Metrics>,
    ends: E,
}

impl<E: Ends + Unpin> HttpBody for CountedBody<E> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            if let Some(data) = frame.data_ref() {
                E::count(&self.metrics, data.len());
            } else if let Some(trailers) = frame.trailers_ref() {
                self.ends.see(trailers);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Many appends over one call: chunks come in, told apart by correlation id, and every append is answered by itself.
//!
//! Appends are handed to the store in the order in which their last chunks came, and answered in any order. A client that
//! reads no answers is read no further: what waits is bounded by the answers' queue and by [`MAX_OPEN`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use factum_core::{Append, AppendError, Appended, EventId, StreamName, StreamState, Timestamp};
use factum_protocol::wire::v1::streams::batch_append_req::{Options, options};
use factum_protocol::wire::v1::streams::batch_append_resp::{ExpectedStreamPosition, Result as Outcome};
use factum_protocol::wire::v1::streams::{BatchAppendReq, BatchAppendResp};
use factum_protocol::{BatchFailure, Expectation, UuidForm, stream_from_wire, uuid_from_wire, uuid_to_wire};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Answers;
use super::append::{Incoming, Refused, conflict, success, writable};
use crate::access::Action;
use crate::call::Call;
use crate::options::Limits;
use crate::shared::Shared;
use crate::status;

/// Most appends of one call that have begun and are not answered.
const MAX_OPEN: usize = 4_096;
/// Most bytes of chunks that wait for their last one, as a multiple of the largest append.
const MAX_WAITING_APPENDS: usize = 4;
/// Answers that wait for the client to read them.
const QUEUED_ANSWERS: usize = 256;
/// A deadline beyond it is no length of time but a time since 1970: one client sends it so.
const LONGEST_RELATIVE_SECONDS: i64 = 1_000_000_000;
/// Ticks of a timestamp in a second.
const TICKS_PER_SECOND: i64 = 10_000_000;
/// Nanoseconds in a tick.
const NANOS_PER_TICK: i64 = 100;

/// Begins to take chunks, and gives the answers.
pub(super) fn answers(
    shared: Arc<Shared>,
    call: Call,
    messages: Streaming<BatchAppendReq>,
) -> Answers<BatchAppendResp> {
    let (out, answers) = mpsc::channel(QUEUED_ANSWERS);
    tokio::spawn(async move {
        let batch = Batch { shared, call, open: HashMap::new(), waiting_bytes: 0 };
        if let Err(status) = batch.run(messages, &out).await {
            // The client may be gone: then nobody wants to know.
            let _ = out.send(Err(status)).await;
        }
    });
    Box::pin(ReceiverStream::new(answers))
}

/// An append whose last chunk has not come.
struct Open {
    options: Options,
    incoming: Incoming,
    refused: Option<BatchFailure>,
    bytes: usize,
    deadline: Timestamp,
}

struct Batch {
    shared: Arc<Shared>,
    call: Call,
    open: HashMap<EventId, Open>,
    waiting_bytes: usize,
}

impl Batch {
    async fn run(
        mut self,
        mut messages: Streaming<BatchAppendReq>,
        out: &mpsc::Sender<Result<BatchAppendResp, Status>>,
    ) -> Result<(), Status> {
        let mut under_way = FuturesUnordered::new();
        let mut stopping = self.shared.stopping.clone();
        let mut more = true;
        while more || !under_way.is_empty() {
            let next_deadline = self.open.values().map(|open| open.deadline).min();
            let expiry = async {
                match next_deadline {
                    Some(at) => tokio::time::sleep(self.left_until(at)).await,
                    None => std::future::pending().await,
                }
            };
            let answer = tokio::select! {
                biased;
                () = stopping.wait(), if more => return Err(status::stopping()),
                Some(answer) = under_way.next(), if !under_way.is_empty() => Some(answer),
                () = expiry => {
                    for answer in self.expired() {
                        send(out, answer).await?;
                    }
                    None
                }
                message = messages.message(), if more && under_way.len() + self.open.len() < MAX_OPEN => {
                    match message? {
                        None => {
                            more = false;
                            self.open.clear();
                            None
                        }
                        Some(message) => match self.chunk(message)? {
                            None => None,
                            // Polled once at once: the store takes appends in the order in which they are polled.
                            Some((id, open)) => {
                                let mut append = Box::pin(carry_out(self.shared.clone(), self.call.clone(), id, open));
                                match append.as_mut().now_or_never() {
                                    Some(answer) => Some(answer),
                                    None => {
                                        under_way.push(append);
                                        None
                                    }
                                }
                            }
                        },
                    }
                }
            };
            if let Some(answer) = answer {
                send(out, answer).await?;
            }
        }
        Ok(())
    }

    /// Takes a chunk; the append, once it is whole.
    fn chunk(&mut self, message: BatchAppendReq) -> Result<Option<(EventId, Open)>, Status> {
        let id = uuid_from_wire(message.correlation_id.as_ref())
            .map_err(|error| Status::invalid_argument(format!("the correlation id: {error}")))?;
        let mut open = match (self.open.remove(&id), message.options) {
            (Some(open), _) => open,
            (None, Some(options)) => {
                let (deadline, refused) = self.deadline(&options);
                Open { options, incoming: Incoming::default(), refused, bytes: 0, deadline }
            }
            (None, None) => {
                return Err(Status::invalid_argument(format!(
                    "the first chunk of append {} has no options, or the append has expired",
                    id.0
                )));
            }
        };
        self.waiting_bytes = self.waiting_bytes.saturating_sub(open.bytes);
        for event in message.proposed_messages {
            open.bytes += event.data.len() + event.custom_metadata.len();
            if open.refused.is_none()
                && let Err(refused) = open.incoming.take(event, &self.shared.options.limits)
            {
                open.refused = Some(failure(refused));
                // What was refused need not be kept while the rest of it comes.
                open.incoming = Incoming::default();
            }
        }
        if message.is_final {
            return Ok(Some((id, open)));
        }
        if open.refused.is_some() {
            open.bytes = 0;
        }
        self.waiting_bytes += open.bytes;
        let most = self.shared.options.limits.append_bytes.saturating_mul(MAX_WAITING_APPENDS);
        if self.waiting_bytes > most {
            return Err(Status::resource_exhausted(format!(
                "unfinished appends of this call hold more than {most} bytes: finish some before beginning others"
            )));
        }
        self.open.insert(id, open);
        Ok(None)
    }

    /// Until when the last chunk must have come; a deadline that has passed already refuses the append.
    fn deadline(&self, options: &Options) -> (Timestamp, Option<BatchFailure>) {
        let Limits { append_timeout, .. } = self.shared.options.limits;
        let now = self.shared.options.clock.now();
        let left = match &options.deadline_option {
            None => Some(append_timeout),
            Some(options::DeadlineOption::Deadline21100(at)) => self.until(at.seconds, at.nanos),
            Some(options::DeadlineOption::Deadline(span)) if span.seconds >= LONGEST_RELATIVE_SECONDS => {
                self.until(span.seconds, span.nanos)
            }
            Some(options::DeadlineOption::Deadline(span)) => {
                u64::try_from(span.seconds).ok().map(|seconds| {
                    Duration::from_secs(seconds)
                        + Duration::from_nanos(u64::try_from(span.nanos).unwrap_or(0))
                })
            }
        };
        match left {
            Some(left) if !left.is_zero() => (now.saturating_add(left.min(append_timeout)), None),
            _ => (now.saturating_add(append_timeout), Some(BatchFailure::Timeout)),
        }
    }

    /// How long it is until a time since 1970; `None` where that is past.
    fn until(&self, seconds: i64, nanos: i32) -> Option<Duration> {
        let at = seconds.saturating_mul(TICKS_PER_SECOND).saturating_add(i64::from(nanos) / NANOS_PER_TICK);
        Some(self.left_until(Timestamp(at))).filter(|left| !left.is_zero())
    }

    /// How long it is until `at`.
    fn left_until(&self, at: Timestamp) -> Duration {
        let left = at.0.saturating_sub(self.shared.options.clock.now().0);
        Duration::from_nanos(u64::try_from(left.saturating_mul(NANOS_PER_TICK)).unwrap_or(0))
    }

    /// The answers to appends whose time is up.
    fn expired(&mut self) -> Vec<BatchAppendResp> {
        let now = self.shared.options.clock.now();
        let expired = self.open.extract_if(|_, open| open.deadline <= now).collect::<Vec<_>>();
        let answers = expired.into_iter().map(|(id, open)| {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(open.bytes);
            answer(id, &open.options, Outcome::Error(BatchFailure::Timeout.to_wire()))
        });
        answers.collect()
    }
}

async fn send(
    out: &mpsc::Sender<Result<BatchAppendResp, Status>>,
    answer: BatchAppendResp,
) -> Result<(), Status> {
    out.send(Ok(answer)).await.map_err(|_| Status::cancelled("the client is gone"))
}

async fn carry_out(shared: Arc<Shared>, call: Call, id: EventId, open: Open) -> BatchAppendResp {
    let Open { options, incoming, refused, .. } = open;
    let outcome = match refused {
        Some(failure) => Err(failure),
        None => append(&shared, &call, &options, incoming).await,
    };
    let outcome = match outcome {
        Ok(appended) => Outcome::Success(success(&appended)),
        Err(failure) => Outcome::Error(failure.to_wire()),
    };
    answer(id, &options, outcome)
}

async fn append(
    shared: &Shared,
    call: &Call,
    options: &Options,
    incoming: Incoming,
) -> Result<Appended, BatchFailure> {
    let bad = |why: String| BatchFailure::BadRequest { why };
    let stream: StreamName =
        stream_from_wire(options.stream_identifier.as_ref()).map_err(|error| bad(error.to_string()))?;
    let stream = writable(stream).map_err(bad)?;
    let expected =
        expectation(options).ok_or_else(|| bad("the append expects nothing of the stream".to_owned()))?;
    if shared.access.check(&call.caller, Action::Write(stream.as_str())).await.is_err() {
        return Err(BatchFailure::AccessDenied);
    }
    let append = Append::to(stream, expected.0, incoming.events);
    shared.store.append(append).await.map_err(|error| match error {
        AppendError::Conflict { failed } => BatchFailure::WrongExpectedVersion {
            expected: expected.0,
            actual: conflict(&failed).unwrap_or(StreamState::Missing),
        },
        AppendError::StreamDeleted { stream } => BatchFailure::StreamDeleted { stream: stream.to_string() },
        other => {
            let status = status::of_append(&other, "Append");
            let why = status.message().to_owned();
            match status.code() {
                tonic::Code::InvalidArgument => BatchFailure::BadRequest { why },
                _ => BatchFailure::Other { why },
            }
        }
    })
}

fn failure(refused: Refused) -> BatchFailure {
    match refused {
        Refused::Malformed(error) => BatchFailure::BadRequest { why: error.to_string() },
        Refused::EventTooLarge { id, size, limit } => BatchFailure::EventTooLarge { id, size, limit },
        Refused::TooLarge { limit } => BatchFailure::TooLarge { limit },
    }
}

fn expectation(options: &Options) -> Option<Expectation> {
    use factum_core::{ExpectedRevision, Revision};
    Some(Expectation(match options.expected_stream_position.as_ref()? {
        options::ExpectedStreamPosition::StreamPosition(n) => ExpectedRevision::Exact(Revision(*n)),
        options::ExpectedStreamPosition::NoStream(()) => ExpectedRevision::NoStream,
        options::ExpectedStreamPosition::Any(()) => ExpectedRevision::Any,
        options::ExpectedStreamPosition::StreamExists(()) => ExpectedRevision::StreamExists,
    }))
}

/// An answer repeats what was asked: some clients insist on it.
fn answer(id: EventId, options: &Options, result: Outcome) -> BatchAppendResp {
    let expected = options.expected_stream_position.as_ref().map(|expected| match expected {
        options::ExpectedStreamPosition::StreamPosition(n) => ExpectedStreamPosition::StreamPosition(*n),
        options::ExpectedStreamPosition::NoStream(()) => ExpectedStreamPosition::NoStream(()),
        options::ExpectedStreamPosition::Any(()) => ExpectedStreamPosition::Any(()),
        options::ExpectedStreamPosition::StreamExists(()) => ExpectedStreamPosition::StreamExists(()),
    });
    BatchAppendResp {
        correlation_id: Some(uuid_to_wire(id, UuidForm::Text)),
        result: Some(result),
        stream_identifier: options.stream_identifier.clone(),
        expected_stream_position: expected,
    }
}

//! Many appends over one call of Factum's own service.
//!
//! A call by itself costs more than the append that it carries: headers, routing, a stream of its own. Here a client's
//! appends share all of that, and those that wait together travel together. They are handed to the store in the order in
//! which they came, and answered as they are done. A client that reads no answers is read no further: what is under way
//! is bounded by [`MAX_OPEN`] and by the bytes of the largest append.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use factum_protocol::wire::own as wire;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream, StreamExt};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use wire::append_many_response::numbered::Answer;
use wire::append_many_response::{Numbered, Refusal};

use super::{Answers, factum};
use crate::call::Call;
use crate::shared::Shared;
use crate::status;

/// Most appends of one call that have begun and are not answered.
const MAX_OPEN: usize = 4_096;
/// Answers that wait for the client to read them, in messages.
const QUEUED_ANSWERS: usize = 16;
/// Most answers in one message.
const ANSWERS_TOGETHER: usize = 256;

/// Begins to take appends, and gives the answers.
pub(super) fn answers(
    shared: Arc<Shared>,
    call: Call,
    messages: Streaming<wire::AppendManyRequest>,
) -> Answers<wire::AppendManyResponse> {
    let (out, answers) = mpsc::channel(QUEUED_ANSWERS);
    tokio::spawn(async move {
        let appends = Appends { shared, call: Arc::new(call), under_way: FuturesUnordered::new(), bytes: 0 };
        if let Err(status) = appends.run(messages, &out).await {
            // The client may be gone: then nobody wants to know.
            let _ = out.send(Err(status)).await;
        }
    });
    Box::pin(ReceiverStream::new(answers))
}

/// An append that is done, and how many bytes its request had.
type Done = (Numbered, usize);
type UnderWay = Pin<Box<dyn Future<Output = Done> + Send>>;

struct Appends {
    shared: Arc<Shared>,
    call: Arc<Call>,
    under_way: FuturesUnordered<UnderWay>,
    /// Bytes of the requests that are under way.
    bytes: usize,
}

impl Appends {
    async fn run(
        mut self,
        mut messages: Streaming<wire::AppendManyRequest>,
        out: &mpsc::Sender<Result<wire::AppendManyResponse, Status>>,
    ) -> Result<(), Status> {
        let mut stopping = self.shared.stopping.clone();
        let (mut more, mut stopped) = (true, false);
        while more || !self.under_way.is_empty() {
            let has_room =
                self.under_way.len() < MAX_OPEN && self.bytes < self.shared.options.limits.append_bytes;
            let mut answers = Vec::new();
            tokio::select! {
                biased;
                () = stopping.wait(), if more => {
                    // What has begun is carried out and answered; the rest is for the next server.
                    more = false;
                    stopped = true;
                }
                Some(done) = self.under_way.next(), if !self.under_way.is_empty() => {
                    answers.push(self.done(done));
                }
                message = messages.message(), if more && has_room => match message? {
                    Some(message) => self.begin(message, &mut answers),
                    None => more = false,
                },
            }
            if answers.is_empty() {
                continue;
            }
            // Appends that were made durable together are done one right after the other: their answers go together too.
            tokio::task::yield_now().await;
            self.gather(&mut answers).await;
            let answer = wire::AppendManyResponse { answers };
            out.send(Ok(answer)).await.map_err(|_| Status::cancelled("the client is gone"))?;
        }
        if stopped { Err(status::stopping()) } else { Ok(()) }
    }

    /// Begins what has come, and answers what is done at once.
    fn begin(&mut self, message: wire::AppendManyRequest, answers: &mut Vec<Numbered>) {
        for wire::append_many_request::Numbered { number, append } in message.appends {
            let append = append.unwrap_or_default();
            let bytes = append.encoded_len();
            let (shared, call) = (self.shared.clone(), self.call.clone());
            let mut under_way: UnderWay = Box::pin(async move {
                let answer = match factum::append(&shared, &call, append).await {
                    Ok(response) => Answer::Response(response),
                    Err(status) => Answer::Refusal(Refusal {
                        code: i32::from(status.code()),
                        message: status.message().to_owned(),
                    }),
                };
                (Numbered { number, answer: Some(answer) }, bytes)
            });
            self.bytes += bytes;
            // Polled once at once: the store takes appends in the order in which they are polled.
            match under_way.as_mut().now_or_never() {
                Some(done) => answers.push(self.done(done)),
                None => self.under_way.push(under_way),
            }
        }
    }

    fn done(&mut self, (answer, bytes): Done) -> Numbered {
        self.bytes = self.bytes.saturating_sub(bytes);
        answer
    }

    /// Takes what else is done by now, as much as goes into one message.
    async fn gather(&mut self, answers: &mut Vec<Numbered>) {
        std::future::poll_fn(|context| {
            while answers.len() < ANSWERS_TOGETHER {
                let Poll::Ready(Some(done)) = Pin::new(&mut self.under_way).poll_next(context) else { break };
                answers.push(self.done(done));
            }
            Poll::Ready(())
        })
        .await;
    }
}

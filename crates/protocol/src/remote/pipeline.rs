//! Appends of one store that share one call.
//!
//! Whoever appends puts the request into a queue and waits for its answer. One task takes all that waits in the queue as one
//! message, so the more appends there are at a time, the less each of them costs. When the call ends, all that were not
//! answered learn that they may or may not have been carried out, and are asked again one by one: their ids are the same, so
//! that has no second effect.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Code, Request, Status};

use super::failure::{Fault, fault_of};
use crate::wire::own as wire;
use wire::append_many_response::numbered::Answer;
use wire::store_client::StoreClient;

/// Requests that may wait to be sent.
const QUEUED: usize = 1_024;
/// Most requests in one message.
const TOGETHER: usize = 128;
/// Largest request that goes this way, in bytes: larger ones lose nothing by a call of their own, and would delay others.
pub(super) const LARGEST_BYTES: usize = 64 * 1024;

/// What is waited for, by number.
type Waiting = HashMap<u64, oneshot::Sender<Result<wire::AppendResponse, Fault>>>;

pub(super) struct Item {
    append: wire::AppendRequest,
    answer: oneshot::Sender<Result<wire::AppendResponse, Fault>>,
}

/// The call, as those see it who append by it. Its last handle ends it.
#[derive(Clone)]
pub(super) struct Pipeline(mpsc::Sender<Item>);

#[derive(Default)]
pub(super) struct Table {
    waiting: Waiting,
    next: u64,
    /// The call has ended: nobody will answer any more.
    ended: bool,
}

impl Pipeline {
    /// Begins a call. `request` brings what every call of this store brings along. Runs on the network's thread.
    pub(super) fn start<S>(
        mut client: StoreClient<S>,
        request: impl FnOnce(Outgoing) -> Request<Outgoing> + Send + 'static,
    ) -> Self
    where
        S: tonic::client::GrpcService<tonic::body::Body> + Send + 'static,
        S::ResponseBody: tonic::codegen::Body<Data = bytes::Bytes> + Send + 'static,
        <S::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError> + Send,
        S::Future: Send,
    {
        let (sender, items) = mpsc::channel(QUEUED);
        let table = Arc::new(Mutex::new(Table::default()));
        let outgoing = Outgoing { items, table: table.clone(), taken: Vec::with_capacity(TOGETHER) };
        tokio::spawn(async move {
            let ended = async {
                let mut answers = client.append_many(request(outgoing)).await?.into_inner();
                while let Some(message) = answers.message().await? {
                    answered(&table, message);
                }
                Ok::<_, Status>(())
            };
            let fault = match ended.await {
                Ok(()) => Fault::Broken { why: "the server ended the call".to_owned() },
                Err(status) => match fault_of(&status) {
                    // Whatever ended the call, it was no answer to any single append.
                    fault if fault.is_passing() => fault,
                    _ => Fault::Broken { why: format!("the server ended the call: {}", status.message()) },
                },
            };
            let waiting = {
                let mut table = locked(&table);
                table.ended = true;
                std::mem::take(&mut table.waiting)
            };
            for (_, answer) in waiting {
                // Whoever does not wait any more need not know.
                let _ = answer.send(Err(fault.clone()));
            }
        });
        Self(sender)
    }

    /// Whether the call still takes appends.
    pub(super) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    /// Appends. Needs no runtime.
    pub(super) async fn append(&self, append: wire::AppendRequest) -> Result<wire::AppendResponse, Fault> {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Item { append, answer }).await.is_err() {
            return Err(Fault::NotConnected { why: "the connection has ended".to_owned() });
        }
        let lost = || Fault::Broken { why: "the connection ended before the answer came".to_owned() };
        answered.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// What is sent: as it comes, and together what waits together.
pub(super) struct Outgoing {
    items: mpsc::Receiver<Item>,
    table: Arc<Mutex<Table>>,
    taken: Vec<Item>,
}

impl Stream for Outgoing {
    type Item = wire::AppendManyRequest;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { items, table, taken } = &mut *self;
        if ready!(items.poll_recv_many(context, taken, TOGETHER)) == 0 {
            return Poll::Ready(None);
        }
        let mut table = locked(table);
        let mut appends = Vec::with_capacity(taken.len());
        for Item { append, answer } in taken.drain(..) {
            if table.ended {
                // The call has ended in the meantime: dropping the sender says so.
                continue;
            }
            let number = table.next;
            table.next += 1;
            table.waiting.insert(number, answer);
            appends.push(wire::append_many_request::Numbered { number, append: Some(append) });
        }
        Poll::Ready(Some(wire::AppendManyRequest { appends }))
    }
}

/// The lock is held for a few look-ups, never while anything is waited for.
fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answered(table: &Mutex<Table>, message: wire::AppendManyResponse) {
    let mut table = locked(table);
    for numbered in message.answers {
        let Some(waiting) = table.waiting.remove(&numbered.number) else { continue };
        let answer = match numbered.answer {
            Some(Answer::Response(response)) => Ok(response),
            Some(Answer::Refusal(refusal)) => {
                Err(fault_of(&Status::new(Code::from(refusal.code), refusal.message)))
            }
            None => Err(Fault::Broken { why: "the server's answer says nothing".to_owned() }),
        };
        // Whoever does not wait any more need not know.
        let _ = waiting.send(answer);
    }
}

/// Whether it is small enough to share a call.
pub(super) fn takes(append: &wire::AppendRequest) -> bool {
    append.encoded_len() <= LARGEST_BYTES
}

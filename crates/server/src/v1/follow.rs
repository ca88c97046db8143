//! Following: what is there after a place, then what comes, as server-sent events or as a line of JSON each.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use factum_core::{
    Checkpoint, EventStoreExt, Position, Read, ReadError, ReadFrom, RecordedEvent, Revision, Subscribe,
    SubscribeFrom, Subscription, SubscriptionMessage,
};
use factum_protocol::{Breaks, Payload};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::accept::Form;
use super::answer::event_json;
use super::ask::{Ask, digits};
use super::privacy::{as_wanted, may_open};
use super::problem::Problem;
use super::reading::Wanted;
use crate::access::{Action, Hold};
use crate::source::Source;
use crate::stopping::Stopping;

/// How often a connection on which nothing happens is shown to be alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages that are read ahead of a reader.
const AHEAD: usize = 1;
const LAST_EVENT_ID: &str = "last-event-id";

/// Answers by following.
///
/// # Errors
/// `bad-parameter` for a place that is none, and what the store says.
pub(super) async fn answer(ask: Ask, wanted: Wanted, form: Form) -> Result<Response, Problem> {
    let follows = ask.flag("follow", true)?;
    let hold = ask.shared.access.hold(&ask.call);
    ask.may(Action::Read(wanted.source.name())).await?;
    may_open(&ask).await?;
    let from = begin(&ask, &wanted).await?;
    let selector = match &wanted.source {
        Source::All => wanted.passing.selector(),
        source => source.selector(),
    };
    let request = Subscribe::to(selector).from(from).filter(wanted.source.filter());
    let subscription = ask.shared.store.subscribe(request).await.map_err(|error| match error {
        ReadError::BeyondEnd { .. } => Problem::parameter("from", error.to_string())
            .next("Use a position of this store; one of another store means nothing here."),
        other => other.into(),
    })?;
    let (sender, messages) = mpsc::channel(AHEAD);
    tokio::spawn(pump(subscription, sender));
    let stopping = ask.shared.stopping.clone();
    let following = Following { ask, wanted, form, follows, messages, stopping, hold, ended: false };
    let body = Body::from_stream(stream::unfold(following, Following::step));
    let headers = [(CONTENT_TYPE, form.media()), (CACHE_CONTROL, "no-store")];
    Ok((headers, [("x-accel-buffering", "no")], body).into_response())
}

/// The last event that a reader has, if it says so. One that says nothing is none.
///
/// # Errors
/// `bad-parameter`.
pub(super) fn last_event_id(ask: &Ask) -> Result<Option<Position>, Problem> {
    let Some(value) = ask.headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let position = value.to_str().ok().and_then(digits).map(Position);
    position
        .map(Some)
        .ok_or_else(|| Problem::parameter("Last-Event-ID", "Last-Event-ID is a position, as it was given"))
}

/// Where it begins: after the last event that the reader has, or where it says.
async fn begin(ask: &Ask, wanted: &Wanted) -> Result<SubscribeFrom, Problem> {
    if let Some(position) = last_event_id(ask)? {
        return Ok(SubscribeFrom::AfterPosition(position));
    }
    let at = |position: Position| match position.0.checked_sub(1) {
        Some(before) => SubscribeFrom::AfterPosition(Position(before)),
        None => SubscribeFrom::Start,
    };
    match wanted.from {
        ReadFrom::Start => Ok(SubscribeFrom::Start),
        ReadFrom::End => Ok(SubscribeFrom::End),
        ReadFrom::Position(position) => Ok(at(position)),
        ReadFrom::Revision(Revision(0)) => Ok(SubscribeFrom::Start),
        ReadFrom::Revision(Revision(revision)) => Ok(wanted.source.after_revision(Revision(revision - 1))),
        ReadFrom::Time(_) => {
            let mut read = Read::forwards(wanted.source.selector()).from(wanted.from).limit(1);
            read.filter = wanted.source.filter();
            let first = ask.shared.store.read_all(read).await?.first().map(RecordedEvent::position);
            Ok(first.map_or(SubscribeFrom::End, at))
        }
    }
}

/// Reads ahead by one message: waiting for one can be given up without losing it.
async fn pump(
    mut subscription: Box<dyn Subscription>,
    sender: mpsc::Sender<Result<SubscriptionMessage, ReadError>>,
) {
    loop {
        let message = tokio::select! {
            () = sender.closed() => return,
            message = subscription.next() => message,
        };
        let last = message.is_err();
        if sender.send(message).await.is_err() || last {
            return;
        }
    }
}

struct Following {
    ask: Ask,
    wanted: Wanted,
    form: Form,
    /// Whether it goes on at the end of the log.
    follows: bool,
    messages: mpsc::Receiver<Result<SubscriptionMessage, ReadError>>,
    stopping: Stopping,
    /// The right to read on.
    hold: Hold,
    ended: bool,
}

impl Following {
    async fn step(mut self) -> Option<(Result<String, std::convert::Infallible>, Self)> {
        if self.ended {
            return None;
        }
        let text = match self.message().await {
            Ok(text) => text,
            Err(problem) => {
                self.ended = true;
                self.word("end", &json!({ "reason": problem.detail() }))
            }
        };
        Some((Ok(text), self))
    }

    async fn message(&mut self) -> Result<String, Problem> {
        let name = self.wanted.source.name().to_owned();
        let message = tokio::select! {
            biased;
            () = self.stopping.wait() => return Err(ReadError::Closed.into()),
            status = self.hold.lost(Action::Read(&name)) => return Err(status.into()),
            message = self.messages.recv() => message.unwrap_or(Err(ReadError::Closed))?,
            () = tokio::time::sleep(HEARTBEAT) => return Ok(self.heartbeat()),
        };
        self.hold.still(Action::Read(&name)).await.map_err(Problem::from)?;
        match message {
            SubscriptionMessage::Events { events, checkpoint } => {
                let (ask, wanted) = (&self.ask, &self.wanted);
                wanted.links.prepare(&ask.shared, &wanted.source).await?;
                let (mut positions, mut shown) = (Vec::new(), Vec::new());
                for event in events {
                    let position = event.position();
                    if !wanted.passing.passes(&event) {
                        continue;
                    }
                    let Some(placed) = wanted.source.place(event) else { continue };
                    positions.push(position);
                    shown.push(wanted.links.apply(&ask.shared, &ask.call, placed).await?);
                }
                let mut out = String::new();
                // The right to see them in clear is looked at each time.
                for (position, resolved) in positions.into_iter().zip(as_wanted(ask, shown).await?) {
                    let event = event_json(&resolved, Payload::Whole, Breaks::Flatten);
                    out.push_str(&self.event(position, &event));
                }
                Ok(if out.is_empty() { self.place("checkpoint", &checkpoint) } else { out })
            }
            SubscriptionMessage::Checkpoint(checkpoint) => Ok(self.place("checkpoint", &checkpoint)),
            SubscriptionMessage::CaughtUp(checkpoint) => {
                self.ended = !self.follows;
                Ok(self.place("caughtUp", &checkpoint))
            }
        }
    }

    fn event(&self, position: Position, event: &str) -> String {
        match self.form {
            Form::EventStream => format!("id: {position}\nevent: event\ndata: {event}\n\n"),
            _ => format!("{{\"event\":{event}}}\n"),
        }
    }

    /// Everything up to a place was looked at. Whoever comes again begins after it.
    fn place(&self, word: &str, checkpoint: &Checkpoint) -> String {
        let last = checkpoint.next_position().and_then(|next| next.0.checked_sub(1));
        let text = self.word(word, &json!({ "position": last.map(|last| last.to_string()) }));
        match (self.form, last) {
            (Form::EventStream, Some(last)) => format!("id: {last}\n{text}"),
            _ => text,
        }
    }

    fn word(&self, word: &str, value: &Value) -> String {
        match self.form {
            Form::EventStream => format!("event: {word}\ndata: {value}\n\n"),
            _ => format!("{{\"{word}\":{value}}}\n"),
        }
    }

    fn heartbeat(&self) -> String {
        match self.form {
            Form::EventStream => ": still here\n\n".to_owned(),
            // A line that says nothing: readers of JSON lines pass over an empty one.
            _ => "\n".to_owned(),
        }
    }
}

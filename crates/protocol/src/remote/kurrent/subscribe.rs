//! A subscription by KurrentDB's calls: it goes on after a break where it was.
//!
//! History is asked for as narrowly as the server can. It tells only now and then how far it has looked, and of one stream
//! never: whoever waits for a place of the log would wait for ever. So what is live is taken from the log itself, whole, and
//! what is not wanted is left out here.

use std::sync::Arc;

use factum_core::{
    Capability, Checkpoint, CheckpointError, Direction, EventFilter, Position, ReadError, RecordedEvent,
    Revision, Selector, StreamName, Subscribe, SubscribeFrom, SubscriptionMessage,
};

use super::read::narrowing;
use super::wire_read::{Answers, From, Narrowing, Said, Source, Span, request};
use super::{place, read};
use crate::remote::cluster::{Cluster, Pause};
use crate::remote::failure::Fault;
use crate::remote::pump::Messages;

/// Begins a subscription.
pub(in crate::remote) async fn subscribe(
    cluster: Arc<Cluster>,
    subscribe: Subscribe,
) -> Result<KurrentMessages, ReadError> {
    let Subscribe { selector, from, filter } = subscribe;
    if matches!(selector, Selector::Append(_)) {
        return Err(ReadError::Unsupported { capability: Capability::AppendIds });
    }
    let source = match &selector {
        Selector::Stream(name) => Source::Stream(name.clone()),
        other => Source::All(narrowing(other, &filter)),
    };
    factum_core::Read::forwards(selector.clone()).check()?;
    let origin = place::origin(&cluster).await?;
    let mut messages = KurrentMessages {
        cluster,
        origin,
        selector,
        filter,
        source,
        next: Position::START,
        after: None,
        answers: None,
        caught_up: CaughtUp::NotYet,
        phase: Phase::History { before: None },
        waiting: None,
    };
    messages.begin(from).await?;
    messages.open().await?;
    Ok(messages)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CaughtUp {
    NotYet,
    Told,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// What is there: of one stream, everything before that place, once it is caught up.
    History { before: Option<Position> },
    /// The whole log.
    Live,
    /// The stream's tombstone has been given; only the error is left.
    Deleted,
}

/// The messages of a subscription.
pub(in crate::remote) struct KurrentMessages {
    cluster: Arc<Cluster>,
    origin: Checkpoint,
    selector: Selector,
    filter: EventFilter,
    source: Source,
    /// Everything before it has been looked at.
    next: Position,
    /// Of one stream: the last event that has been looked at.
    after: Option<Revision>,
    answers: Option<Answers>,
    caught_up: CaughtUp,
    phase: Phase,
    /// Said together with what was given last.
    waiting: Option<SubscriptionMessage>,
}

impl KurrentMessages {
    /// Finds the place to begin at.
    async fn begin(&mut self, from: SubscribeFrom) -> Result<(), ReadError> {
        self.next = match from {
            SubscribeFrom::Start => return Ok(()),
            SubscribeFrom::End => match place::end(&self.cluster).await? {
                Some(end) => end,
                // A stream may be followed by somebody who may not read the log: where it ends is asked of it.
                None => match &self.source {
                    Source::Stream(name) => {
                        let state = read::state(&self.cluster, name).await?;
                        self.after = state.and_then(factum_core::StreamState::last_revision);
                        return Ok(());
                    }
                    Source::All(_) => {
                        return Err(ReadError::Denied { why: "the log may not be read".to_owned() });
                    }
                },
            },
            SubscribeFrom::AfterPosition(position) => within(&self.cluster, position.next()).await?,
            SubscribeFrom::AfterRevision(revision) => {
                if !matches!(self.source, Source::Stream(_)) {
                    return Err(ReadError::Invalid {
                        why: "a revision counts the events of one stream: give a position here".to_owned(),
                    });
                }
                self.after = Some(revision);
                return Ok(());
            }
            SubscribeFrom::Checkpoint(checkpoint) => {
                let next: Result<Position, CheckpointError> = place::resumed(&self.origin, &checkpoint);
                within(&self.cluster, next?).await?
            }
        };
        if let Source::Stream(name) = &self.source
            && self.next > Position::START
        {
            self.after = last_before(&self.cluster, name, self.next).await?;
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<(), ReadError> {
        let whole = Source::All(Narrowing::Nothing);
        let source = if self.phase == Phase::Live { &whole } else { &self.source };
        if let (Source::Stream(_), Phase::History { before }) = (source, &mut self.phase) {
            *before = place::end(&self.cluster).await?;
        }
        let from = match (source, self.after) {
            (Source::Stream(_), Some(revision)) => From::Revision(revision),
            (Source::Stream(_), None) => From::Start,
            (Source::All(_), _) => match self.next.0.checked_sub(1) {
                None => From::Start,
                Some(last) => From::Position(Position(last)),
            },
        };
        let asked = request(source, Direction::Forwards, from, Span::Subscription);
        let opened = Answers::open(&self.cluster, &asked).await;
        self.answers = Some(opened.map_err(|fault| fault.into_read(self.stream()))?);
        Ok(())
    }

    fn stream(&self) -> Option<&StreamName> {
        match &self.source {
            Source::Stream(name) => Some(name),
            Source::All(_) => None,
        }
    }

    /// The place now. The log has an identity at the latest when it has an event.
    async fn checkpoint(&mut self) -> Result<Checkpoint, ReadError> {
        if self.cluster.identity().is_none() {
            self.origin = place::origin(&self.cluster).await?;
        }
        Ok(self.origin.at(self.next))
    }

    fn take(&mut self, event: RecordedEvent, events: &mut Vec<RecordedEvent>) {
        if event.position() < self.next {
            return;
        }
        self.next = event.position().next();
        let mut tombstone = false;
        if self.stream().is_some_and(|stream| event.stream() == stream.as_str()) {
            if self.after.is_some_and(|after| event.revision() <= after) {
                return;
            }
            self.after = Some(event.revision());
            tombstone = event.revision() == Revision::TOMBSTONE;
        }
        if tombstone {
            self.phase = Phase::Deleted;
        }
        if tombstone || (self.selector.matches(&event) && self.filter.passes(&event)) {
            events.push(event);
        }
    }

    /// History is over: from here on the log is followed.
    fn go_live(&mut self) {
        let Phase::History { before } = self.phase else { return };
        match (&self.source, before) {
            (Source::All(Narrowing::Nothing), _) => return,
            (Source::All(_), _) => {}
            // Who may not read the log follows the stream alone.
            (Source::Stream(_), None) => return,
            (Source::Stream(_), Some(before)) => self.next = self.next.max(before),
        }
        self.phase = Phase::Live;
        self.answers = None;
    }

    /// What the answers say; `None` where that is nothing new.
    async fn told(
        &mut self,
        said: Vec<Result<Said, ReadError>>,
    ) -> Result<(Option<SubscriptionMessage>, Option<SubscriptionMessage>), ReadError> {
        let before = self.next;
        let mut events = Vec::new();
        let mut caught_up = None;
        for said in said {
            match said? {
                Said::Event(event) => self.take(event, &mut events),
                Said::LookedAt(position) => self.next = self.next.max(position.next()),
                Said::CaughtUp(position) => {
                    if let Some(position) = position {
                        self.next = self.next.max(position.next());
                    }
                    self.go_live();
                    if self.caught_up == CaughtUp::NotYet {
                        self.caught_up = CaughtUp::Told;
                        caught_up = Some(());
                    }
                }
                _ => {}
            }
        }
        let first = if !events.is_empty() {
            Some(SubscriptionMessage::Events { events, checkpoint: self.checkpoint().await? })
        } else if self.next > before && caught_up.is_none() {
            Some(SubscriptionMessage::Checkpoint(self.checkpoint().await?))
        } else {
            None
        };
        let then = match caught_up {
            Some(()) => Some(SubscriptionMessage::CaughtUp(self.checkpoint().await?)),
            None => None,
        };
        Ok((first, then))
    }
}

/// A place beyond the end would skip events that are still to come.
async fn within(cluster: &Cluster, next: Position) -> Result<Position, ReadError> {
    match place::end(cluster).await? {
        Some(end) if next > end => Err(ReadError::BeyondEnd { asked: next, end }),
        _ => Ok(next),
    }
}

/// The last event of the stream before that position, if it can be seen.
async fn last_before(
    cluster: &Cluster,
    name: &StreamName,
    next: Position,
) -> Result<Option<Revision>, ReadError> {
    let asked =
        request(&Source::Stream(name.clone()), Direction::Backwards, From::End, Span::Count(u64::MAX));
    let lost = |fault: Fault| fault.into_read(Some(name));
    let mut answers = match Answers::open(cluster, &asked).await {
        Ok(answers) => answers,
        // The subscription is told so too, with the tombstone before it.
        Err(Fault::StreamDeleted { .. }) => return Ok(None),
        Err(fault) => return Err(lost(fault)),
    };
    while let Some(said) = answers.next().await.map_err(lost)? {
        if let Said::Event(event) = said?
            && event.position() < next
        {
            return Ok(Some(event.revision()));
        }
    }
    Ok(None)
}

impl Messages for KurrentMessages {
    async fn next(&mut self) -> Result<SubscriptionMessage, ReadError> {
        if let Some(message) = self.waiting.take() {
            return Ok(message);
        }
        let mut pause = Pause::new();
        loop {
            if let (Phase::Deleted, Some(stream)) = (self.phase, self.stream()) {
                return Err(ReadError::StreamDeleted { stream: stream.clone() });
            }
            let Some(answers) = &mut self.answers else {
                self.open().await?;
                continue;
            };
            let fault = match answers.some().await {
                Ok(said) if !said.is_empty() => match self.told(said).await? {
                    (Some(message), then) => {
                        self.waiting = then;
                        return Ok(message);
                    }
                    (None, Some(message)) => return Ok(message),
                    (None, None) => continue,
                },
                // A subscription has no end of its own.
                Ok(_) => Fault::Broken { why: "the server ended the subscription".to_owned() },
                Err(fault) => fault,
            };
            let link = answers.link.clone();
            self.answers = None;
            // Much may have come meanwhile.
            self.phase = Phase::History { before: None };
            self.cluster.after(&link, &fault).await;
            if !fault.is_passing() || !pause.wait().await {
                return Err(fault.into_read(self.stream()));
            }
        }
    }
}

//! A read by KurrentDB's calls.
//!
//! It ends where the log ended when it began: the end is asked for first, and what came later is left out here.

use std::sync::Arc;

use factum_core::{
    AsOf, Capability, Direction, Page, Position, Read, ReadError, ReadFrom, ReadHead, RecordedEvent,
    Revision, Selector, StreamName, StreamState, StreamView, SystemEvents,
};

use super::place;
use super::wire_read::{Answers, From, Narrowing, Said, Source, Span, request};
use crate::remote::cluster::{Cluster, Pause};
use crate::remote::failure::Fault;
use crate::remote::pump::Pages;

/// Most prefixes that a server is asked to test.
const MAX_PREFIXES: usize = 100;

/// What the server can leave out by itself; the rest is left out here.
pub(super) fn narrowing(selector: &Selector, filter: &factum_core::EventFilter) -> Narrowing {
    let few = |prefixes: &[String]| (1..=MAX_PREFIXES).contains(&prefixes.len());
    let selected = match selector {
        Selector::Stream(name) => Narrowing::Streams(vec![name.to_string()]),
        Selector::Category(category) => Narrowing::Streams(vec![format!("{category}-")]),
        Selector::Query(query) if query.items.iter().all(|item| !item.types.is_empty()) => {
            let types = query.items.iter().flat_map(|item| &item.types).map(ToString::to_string);
            let types: Vec<String> = types.collect();
            if few(&types) { Narrowing::Types(types) } else { Narrowing::Nothing }
        }
        _ => Narrowing::Nothing,
    };
    if selected != Narrowing::Nothing {
        selected
    } else if few(&filter.stream_prefixes) {
        Narrowing::Streams(filter.stream_prefixes.clone())
    } else if few(&filter.type_prefixes) {
        Narrowing::Types(filter.type_prefixes.clone())
    } else if filter.system_events == SystemEvents::Exclude {
        Narrowing::SystemEvents
    } else {
        Narrowing::Nothing
    }
}

/// Begins a read.
pub(in crate::remote) async fn read(
    cluster: Arc<Cluster>,
    read: Read,
) -> Result<(ReadHead, KurrentPages), ReadError> {
    if matches!(read.selector, Selector::Append(_)) {
        return Err(ReadError::Unsupported { capability: Capability::AppendIds });
    }
    let origin = place::origin(&cluster).await?;
    let end = place::end(&cluster).await?;
    let bound = match (read.at, end) {
        (AsOf::Position(position), Some(end)) => Some(position.next().min(end)),
        (AsOf::Recorded(at), Some(end)) => Some(place::after_last(&cluster, |t| t <= at).await?.min(end)),
        (_, end) => end,
    };
    let source = match (&read.selector, read.view) {
        (Selector::Stream(name), StreamView::Visible) => Source::Stream(name.clone()),
        (selector, _) => Source::All(narrowing(selector, &read.filter)),
    };
    let (from, window) = window(&cluster, &read, &source, bound).await?;
    let stream = match &read.selector {
        Selector::Stream(name) => Some(name.clone()),
        _ => None,
    };
    let mut pages = KurrentPages {
        cluster: cluster.clone(),
        left: read.limit,
        source,
        from,
        window,
        answers: None,
        asked: 0,
        received: 0,
        last: None,
        held: None,
        given: 0,
        state: None,
        read,
    };
    let state = match &stream {
        None => None,
        Some(name) => state(&cluster, name).await?,
    };
    match (&stream, state, pages.read.view) {
        (Some(stream), Some(StreamState::Tombstoned), StreamView::Visible) => {
            return Err(ReadError::StreamDeleted { stream: stream.clone() });
        }
        (Some(stream), None, StreamView::Visible) => {
            return Err(ReadError::StreamNotFound { stream: stream.clone() });
        }
        _ => {}
    }
    pages.state = state;
    // What is refused is refused before the head is given.
    pages.open().await?;
    let snapshot = origin.at(bound.unwrap_or_default());
    Ok((ReadHead { snapshot, stream: state, first_visible: None }, pages))
}

/// What is known of a stream; `None` where it is not found.
pub(super) async fn state(cluster: &Cluster, name: &StreamName) -> Result<Option<StreamState>, ReadError> {
    let asked = request(&Source::Stream(name.clone()), Direction::Backwards, From::End, Span::Count(1));
    let lost = |fault: Fault| fault.into_read(Some(name));
    let mut answers = match Answers::open(cluster, &asked).await {
        Ok(answers) => answers,
        Err(Fault::StreamDeleted { .. }) => return Ok(Some(StreamState::Tombstoned)),
        Err(fault) => return Err(lost(fault)),
    };
    let mut last = None;
    while let Some(said) = answers.next().await.map_err(lost)? {
        match said? {
            Said::NotFound => return Ok(None),
            Said::Event(event) => last = Some(event.revision()),
            Said::LastRevision(revision) => last = Some(revision),
            _ => {}
        }
    }
    // A stream all of whose events are hidden is there; an older server does not say how far it goes.
    Ok(last.map(|last| StreamState::Live { last }))
}

/// The positions that a read may give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    first: Position,
    /// The first position beyond; `None`: no limit is known.
    bound: Option<Position>,
}

/// Where the call begins, and what of its answers counts.
async fn window(
    cluster: &Arc<Cluster>,
    read: &Read,
    source: &Source,
    bound: Option<Position>,
) -> Result<(Option<From>, Window), ReadError> {
    let all = Window { first: Position::START, bound };
    let of_stream = matches!(source, Source::Stream(_));
    let forwards = read.direction == Direction::Forwards;
    let position = match read.from {
        // Nothing lies before the start, or after the end.
        ReadFrom::Start => return Ok((forwards.then_some(From::Start), all)),
        ReadFrom::End => return Ok(((!forwards).then_some(From::End), all)),
        ReadFrom::Revision(revision) => return Ok((Some(revision_from(revision, source, forwards)), all)),
        ReadFrom::Position(position) => position,
        ReadFrom::Time(at) if forwards => place::after_last(cluster, |t| t < at).await?,
        ReadFrom::Time(at) => place::after_last(cluster, |t| t <= at).await?,
    };
    let beyond = bound.is_some_and(|bound| position >= bound);
    Ok(match (forwards, beyond) {
        (true, true) => (None, all),
        (true, false) => {
            let from =
                if of_stream || position == Position::START { From::Start } else { From::Position(position) };
            (Some(from), Window { first: position, bound })
        }
        (false, true) => (Some(From::End), all),
        (false, false) if position == Position::START => (None, all),
        (false, false) => {
            let from = if of_stream { From::End } else { From::Position(position) };
            (Some(from), Window { first: Position::START, bound: Some(position) })
        }
    })
}

fn revision_from(revision: Revision, source: &Source, forwards: bool) -> From {
    match (source, forwards) {
        (Source::Stream(_), _) => From::Revision(revision),
        // The log is read through: events with other revisions are left out.
        (Source::All(_), true) => From::Start,
        (Source::All(_), false) => From::End,
    }
}

/// The pages of a read.
pub(in crate::remote) struct KurrentPages {
    cluster: Arc<Cluster>,
    read: Read,
    source: Source,
    /// Where the next call begins; `None`: there is nothing to be read.
    from: Option<From>,
    window: Window,
    answers: Option<Answers>,
    /// Events that were asked for by the call, and that came.
    asked: u64,
    received: u64,
    /// The last event that came, for what goes on after a break.
    last: Option<(Position, Revision)>,
    /// An event that was looked up by itself, to be given first.
    held: Option<RecordedEvent>,
    /// Events that may still be given.
    left: Option<u64>,
    given: u64,
    state: Option<StreamState>,
}

impl KurrentPages {
    async fn open(&mut self) -> Result<(), ReadError> {
        let Some(from) = self.from else { return Ok(()) };
        if self.left == Some(0) {
            self.from = None;
            return Ok(());
        }
        self.asked = match self.left {
            Some(left) if self.server_counts() => left,
            _ => u64::MAX,
        };
        self.received = 0;
        let asked = request(&self.source, self.read.direction, from, Span::Count(self.asked));
        match Answers::open(&self.cluster, &asked).await {
            Ok(answers) => self.answers = Some(answers),
            Err(Fault::InvalidPosition) => self.open_beside(from).await?,
            Err(fault) => return Err(fault.into_read(self.stream())),
        }
        Ok(())
    }

    /// Whether every event that the server gives is one that is wanted, but for those beyond the window.
    fn server_counts(&self) -> bool {
        let plain = self.read.filter.is_empty() && matches!(self.read.at, AsOf::Now | AsOf::Position(_));
        let whole = match self.source {
            Source::Stream(_) => true,
            Source::All(_) => self.read.selector == Selector::All,
        };
        plain && whole
    }

    /// A place just after an event is none to KurrentDB: begins at that event, which is left out forwards and given backwards.
    async fn open_beside(&mut self, from: From) -> Result<(), ReadError> {
        let lost = |fault: Fault| fault.into_read(None);
        let From::Position(Position(n)) = from else { return Err(lost(Fault::InvalidPosition)) };
        let before = From::Position(Position(n.checked_sub(1).ok_or_else(|| lost(Fault::InvalidPosition))?));
        if self.read.direction == Direction::Backwards {
            let asked = request(&self.source, Direction::Forwards, before, Span::Count(1));
            let mut answers = Answers::open(&self.cluster, &asked).await.map_err(lost)?;
            while let Some(said) = answers.next().await.map_err(lost)? {
                if let Said::Event(event) = said?
                    && event.position().next() == Position(n)
                {
                    self.held = Some(event);
                }
            }
        }
        let asked = request(&self.source, self.read.direction, before, Span::Count(self.asked));
        // What is left out here is not counted by the server.
        self.asked = u64::MAX;
        self.answers = Some(Answers::open(&self.cluster, &asked).await.map_err(lost)?);
        Ok(())
    }

    fn stream(&self) -> Option<&StreamName> {
        match &self.read.selector {
            Selector::Stream(name) => Some(name),
            _ => None,
        }
    }

    /// Where a further call begins; `None` where nothing is left.
    fn go_on(&self) -> Option<From> {
        let Some((position, revision)) = self.last else { return self.from };
        match (&self.source, self.read.direction) {
            (Source::Stream(_), Direction::Forwards) => Some(From::Revision(revision.next())),
            (Source::Stream(_), Direction::Backwards) => {
                revision.0.checked_sub(1).map(|before| From::Revision(Revision(before)))
            }
            (Source::All(_), _) => Some(From::Position(position)),
        }
    }

    /// Whether the read gives this event.
    fn wants(&self, event: &RecordedEvent) -> bool {
        let position = event.position();
        let in_place = match self.read.from {
            ReadFrom::Revision(revision) if self.read.direction == Direction::Forwards => {
                event.revision() >= revision
            }
            ReadFrom::Revision(revision) => event.revision() <= revision,
            _ => true,
        };
        in_place
            && position >= self.window.first
            && self.window.bound.is_none_or(|bound| position < bound)
            && self.read.at.sees(event)
            && self.read.selector.matches(event)
            && self.read.filter.passes(event)
    }

    /// Takes an event that came; whether the read is over.
    fn take(&mut self, event: RecordedEvent, page: &mut Page) -> bool {
        let position = event.position();
        let forwards = self.read.direction == Direction::Forwards;
        // A call that goes on in the log begins with the event that came last.
        let again = forwards && self.last.is_some_and(|(last, _)| position <= last);
        self.last = Some((position, event.revision()));
        if again {
            return false;
        }
        if forwards && self.window.bound.is_some_and(|bound| position >= bound) {
            return true;
        }
        page.examined_to = if forwards { position.next() } else { page.examined_to };
        if self.wants(&event) {
            page.events.push(event);
            self.given += 1;
            if let Some(left) = &mut self.left {
                *left -= 1;
                return *left == 0;
            }
        }
        false
    }

    fn over(&mut self) -> Result<(), ReadError> {
        self.from = None;
        self.answers = None;
        let whole = matches!(self.read.from, ReadFrom::Start | ReadFrom::End) && self.read.at == AsOf::Now;
        match self.stream() {
            // The log was read through, and the stream is nowhere in it.
            Some(stream) if self.state.is_none() && self.given == 0 && whole => {
                Err(ReadError::StreamNotFound { stream: stream.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl Pages for KurrentPages {
    async fn next(&mut self) -> Result<Option<Page>, ReadError> {
        let mut pause = Pause::new();
        loop {
            if self.from.is_none() {
                self.over()?;
                return Ok(None);
            }
            if self.answers.is_none() {
                self.open().await?;
                continue;
            }
            let mut page = Page { events: Vec::new(), examined_to: self.window.first };
            if let Some(held) = self.held.take()
                && self.take(held, &mut page)
            {
                self.from = None;
                return Ok(Some(page));
            }
            let Some(answers) = &mut self.answers else { continue };
            let said = match answers.some().await {
                Ok(said) => said,
                Err(fault) => {
                    let link = answers.link.clone();
                    self.answers = None;
                    self.cluster.after(&link, &fault).await;
                    if !fault.is_passing() || !pause.wait().await {
                        return Err(fault.into_read(self.stream()));
                    }
                    self.from = self.go_on();
                    continue;
                }
            };
            if said.is_empty() {
                // Fewer than were asked for: there are no more.
                let cut_short = self.received >= self.asked && self.left != Some(0);
                self.answers = None;
                self.from = if cut_short { self.go_on() } else { None };
            }
            for said in said {
                match said? {
                    Said::Event(event) => {
                        self.received += 1;
                        if self.take(event, &mut page) {
                            self.from = None;
                            break;
                        }
                    }
                    // Deleted since the read began.
                    Said::NotFound => self.from = None,
                    _ => {}
                }
            }
            if !page.events.is_empty() || page.examined_to > self.window.first {
                return Ok(Some(page));
            }
        }
    }
}

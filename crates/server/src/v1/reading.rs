//! One page of a stream or of the log: which events, and where the pages beside it are.

use factum_core::{
    Category, Direction, EventReader, EventType, Position, Query, QueryItem, Read, ReadFrom, ReadHead,
    RecordedEvent, Revision, Selector, StreamName, category_of,
};

use super::answer::url;
use super::ask::Ask;
use super::follow;
use super::place;
use super::problem::Problem;
use crate::links::Links;
use crate::source::{Resolved, Source};

/// Events that one page looks at, at most: a filter that lets nothing pass ends there, and the page says where to go on.
const MAX_EXAMINED: usize = 20_000;
/// Most types, or categories, of a filter.
const MAX_WORDS: usize = 64;

/// Which events pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passing {
    /// Of one of these types; none: any.
    pub(crate) types: Vec<EventType>,
    /// Of a stream of one of these categories; none: any.
    pub(crate) categories: Vec<Category>,
    /// Of a stream whose name begins so.
    pub(crate) prefix: Option<String>,
    /// Not the store's own.
    pub(crate) without_system: bool,
}

impl Passing {
    /// What a request names.
    ///
    /// # Errors
    /// `bad-parameter` for a name that cannot be, or for too many.
    pub(crate) fn of_log(ask: &Ask) -> Result<Self, Problem> {
        let categories = words(ask, "category", |text| Category::new(text).map_err(|e| e.to_string()))?;
        let prefix = ask.text("stream").map(str::to_owned);
        Ok(Self { categories, prefix, without_system: !ask.flag("system", false)?, ..Self::of_stream(ask)? })
    }

    /// What a request names of one stream's events.
    ///
    /// # Errors
    /// `bad-parameter` for a type that cannot be, or for too many.
    pub(crate) fn of_stream(ask: &Ask) -> Result<Self, Problem> {
        let types = words(ask, "type", |text| EventType::new(text).map_err(|e| e.to_string()))?;
        Ok(Self { types, ..Self::default() })
    }

    /// Whether everything passes.
    pub(crate) fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// What the store is asked for: an index, where there is one for it.
    pub(crate) fn selector(&self) -> Selector {
        match (self.types.as_slice(), self.categories.as_slice()) {
            ([], [category]) => Selector::Category(category.clone()),
            ([], _) => Selector::All,
            (types, _) => Selector::Query(Query::item(QueryItem::types(types.iter().cloned()))),
        }
    }

    /// Whether an event passes.
    pub(crate) fn passes(&self, event: &RecordedEvent) -> bool {
        let (stream, event_type) = (event.stream(), event.event_type());
        let of_type = self.types.is_empty() || self.types.iter().any(|wanted| wanted.as_str() == event_type);
        let of_category = self.categories.is_empty()
            || category_of(stream)
                .is_some_and(|of| self.categories.iter().any(|wanted| wanted.as_str() == of));
        of_type
            && of_category
            && self.prefix.as_ref().is_none_or(|prefix| stream.starts_with(prefix.as_str()))
            && !(self.without_system && (stream.starts_with('$') || event_type.starts_with('$')))
    }

    /// As parameters of an address.
    fn parameters(&self, of_log: bool) -> Vec<(&'static str, Option<String>)> {
        let mut parameters: Vec<_> = self.types.iter().map(|of| ("type", Some(of.to_string()))).collect();
        parameters.extend(self.categories.iter().map(|of| ("category", Some(of.to_string()))));
        parameters.push(("stream", self.prefix.clone()));
        parameters.push(("system", (of_log && !self.without_system).then(|| "true".to_owned())));
        parameters
    }
}

fn words<T>(ask: &Ask, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Problem> {
    let mut words = Vec::new();
    for text in ask.all(name).filter(|text| !text.is_empty()) {
        words.push(read(text).map_err(|why| Problem::parameter(name, why))?);
        if words.len() > MAX_WORDS {
            return Err(Problem::parameter(name, format!("'{name}' is given at most {MAX_WORDS} times")));
        }
    }
    Ok(words)
}

/// What a page is to hold.
pub(crate) struct Wanted {
    pub(crate) source: Source,
    pub(crate) passing: Passing,
    pub(crate) direction: Direction,
    pub(crate) from: ReadFrom,
    /// The page that ends just before `from`, in the page's own direction.
    pub(crate) until: bool,
    pub(crate) limit: usize,
    pub(crate) links: Links,
    /// Whether personal values are opened.
    pub(crate) open: bool,
}

/// One page.
pub(crate) struct Found {
    /// The events, in the order asked for.
    pub(crate) events: Vec<Resolved>,
    /// What was true when it was read.
    pub(crate) head: ReadHead,
    /// Whether there is more in the direction that was read.
    more: bool,
    /// The last event that was looked at, passing or not.
    last_examined: Option<(Revision, Position)>,
}

const DIRECTIONS: [(&str, Direction); 2] =
    [("forward", Direction::Forwards), ("backward", Direction::Backwards)];

impl Wanted {
    /// What a request for a stream's events asks for.
    ///
    /// # Errors
    /// `bad-parameter`.
    pub(crate) fn of_stream(ask: &Ask, stream: StreamName) -> Result<Self, Problem> {
        let source = Source::named(stream);
        let passing = Passing::of_stream(ask)?;
        Self::of(ask, source, passing, place::in_stream, "start, end, a revision, @POSITION or a time")
    }

    /// What a request for the log asks for.
    ///
    /// # Errors
    /// `bad-parameter`.
    pub(crate) fn of_log(ask: &Ask) -> Result<Self, Problem> {
        let passing = Passing::of_log(ask)?;
        Self::of(ask, Source::All, passing, place::in_log, "start, end, a position or a time")
    }

    fn of(
        ask: &Ask,
        source: Source,
        passing: Passing,
        read: impl Fn(&str) -> Option<ReadFrom>,
        words: &str,
    ) -> Result<Self, Problem> {
        let direction = ask.one_of("direction", &DIRECTIONS)?;
        let before = ask.read("until", words, &read)?;
        let from = ask.read("from", words, &read)?;
        let otherwise = match direction {
            Direction::Forwards => ReadFrom::Start,
            Direction::Backwards => ReadFrom::End,
        };
        // Also where the answer is a page: a value that cannot be is told of anyway.
        ask.flag("follow", true)?;
        follow::last_event_id(ask)?;
        let links = Links::of(ask.flag("resolveLinks", true)?);
        let (from, until) = (before.or(from).unwrap_or(otherwise), before.is_some());
        let open = super::privacy::wants_open(ask)?;
        Ok(Self { source, passing, direction, from, until, limit: ask.limit()?, links, open })
    }

    fn reads(&self) -> Direction {
        match (self.direction, self.until) {
            (direction, false) => direction,
            (Direction::Forwards, true) => Direction::Backwards,
            (Direction::Backwards, true) => Direction::Forwards,
        }
    }

    fn read(&self) -> Read {
        let selector = match &self.source {
            Source::All => self.passing.selector(),
            source => source.selector(),
        };
        let reads = self.reads();
        // The page before a place does not have the event at that place; a read has it, but for a position backwards.
        let from = match (&self.source, self.from, reads) {
            (Source::Index(_), ReadFrom::Revision(revision), Direction::Forwards) => {
                let revision = if self.until { revision.next() } else { revision };
                self.source.place_of(revision)
            }
            (Source::Index(_), ReadFrom::Revision(revision), Direction::Backwards) if self.until => {
                ReadFrom::Position(Position(revision.0))
            }
            (Source::Index(_), ReadFrom::Revision(revision), Direction::Backwards) => {
                self.source.place_of_backwards(revision)
            }
            (_, ReadFrom::Revision(revision), Direction::Forwards) if self.until => {
                ReadFrom::Revision(revision.next())
            }
            (_, ReadFrom::Revision(Revision(0)), Direction::Backwards) if self.until => ReadFrom::Start,
            (_, ReadFrom::Revision(revision), Direction::Backwards) if self.until => {
                ReadFrom::Revision(Revision(revision.0 - 1))
            }
            (_, from, _) => from,
        };
        let mut read = match reads {
            Direction::Forwards => Read::forwards(selector),
            Direction::Backwards => Read::backwards(selector),
        };
        read.filter = self.source.filter();
        read.from(from)
    }

    /// Reads the page.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn page(&self, ask: &Ask) -> Result<Found, Problem> {
        let shared = &ask.shared;
        let mut read = self.read();
        // Only where every event that the store gives is on the page may the store do the counting.
        if matches!(self.source, Source::Stream(_)) && self.passing.is_everything() {
            read = read.limit(u64::try_from(self.limit).unwrap_or(u64::MAX).saturating_add(1));
        }
        let mut reader: Box<dyn EventReader> = shared.store.read(read).await?;
        self.links.prepare(shared, &self.source).await?;
        let mut found =
            Found { events: Vec::new(), head: reader.head().clone(), more: false, last_examined: None };
        let mut examined = 0;
        'pages: while let Some(page) = reader.next_page().await? {
            for event in page.events {
                if found.events.len() == self.limit || examined == MAX_EXAMINED {
                    found.more = true;
                    break 'pages;
                }
                examined += 1;
                let place = (event.revision(), event.position());
                let place = match &self.source {
                    Source::Index(_) => (Revision(place.1.0), place.1),
                    Source::All | Source::Stream(_) => place,
                };
                found.last_examined = Some(place);
                if !self.passing.passes(&event) {
                    continue;
                }
                let Some(placed) = self.source.place(event) else { continue };
                found.events.push(self.links.apply(shared, &ask.call, placed).await?);
            }
        }
        if self.reads() != self.direction {
            found.events.reverse();
        }
        Ok(found)
    }

    /// Where the pages before and after are, if there may be any.
    pub(crate) fn beside(
        &self,
        path: &str,
        found: &Found,
        resolve: bool,
    ) -> (Option<String>, Option<String>) {
        let of_log = matches!(self.source, Source::All);
        let number =
            |(revision, position): (Revision, Position)| if of_log { position.0 } else { revision.0 };
        let at = |resolved: &Resolved| {
            resolved.original().map(|event| number((event.revision(), event.position())))
        };
        let page = |name: &'static str, place: u64| {
            let direction = (self.direction == Direction::Backwards).then(|| "backward".to_owned());
            let mut parameters = vec![(name, Some(place.to_string())), ("direction", direction)];
            parameters.push(("limit", Some(self.limit.to_string())));
            parameters.extend(self.passing.parameters(of_log));
            parameters.push(("resolveLinks", (!resolve).then(|| "false".to_owned())));
            parameters.push(("personal", self.open.then(|| "open".to_owned())));
            url(path, &parameters)
        };
        let (first, last) = (found.events.first().and_then(at), found.events.last().and_then(at));
        // Read the other way, the end of the page is known, and its beginning is what was read last.
        let turned = self.reads() != self.direction;
        let examined = found.last_examined.map(number);
        let (begin, end) = if turned { (examined.or(first), last) } else { (first, examined.or(last)) };
        let goes_on = if turned { true } else { found.more };
        let next = end.filter(|_| goes_on).and_then(|end| match (self.direction, of_log) {
            (Direction::Forwards, _) => Some(end.saturating_add(1)),
            // A position backwards is not read itself.
            (Direction::Backwards, true) => Some(end),
            (Direction::Backwards, false) => end.checked_sub(1),
        });
        let came_from = if turned { found.more } else { !self.is_at_its_beginning() };
        let prev = begin.filter(|_| came_from);
        // `until` a position, forwards, is read from it on.
        let prev = match (self.direction, of_log) {
            (Direction::Backwards, true) => prev.map(|place| place.saturating_add(1)),
            _ => prev,
        };
        (next.map(|place| page("from", place)), prev.map(|place| page("until", place)))
    }

    /// Whether nothing can come before the page.
    fn is_at_its_beginning(&self) -> bool {
        match self.direction {
            Direction::Forwards => matches!(
                self.from,
                ReadFrom::Start | ReadFrom::Revision(Revision(0)) | ReadFrom::Position(Position(0))
            ),
            Direction::Backwards => self.from == ReadFrom::End,
        }
    }
}

impl Found {
    /// Whether the page has the end of what there is.
    pub(crate) fn is_head(&self, wanted: &Wanted) -> bool {
        match wanted.reads() {
            Direction::Forwards => !self.more,
            Direction::Backwards => !wanted.until && wanted.from == ReadFrom::End,
        }
    }
}

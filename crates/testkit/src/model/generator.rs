//! Which operation comes next? Random, but likely to meet what came before: names, revisions, ids, moments.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use factum_core::{
    Append, AppendCondition, AppendId, AsOf, Category, Delete, DeleteMode, Direction, EventFilter, EventId,
    ExpectedRevision, NewEvent, Position, Query, QueryItem, Read, ReadFrom, Redact, Revision, SCHEMAS_STREAM,
    SchemaRegistry, SchemaVersion, Selector, StreamName, StreamView, Subscribe, SubscribeFrom, SystemEvents,
    Timestamp,
};

use super::Outcome;
use super::random::Random;
use crate::Fresh;
use crate::case::{event_type, stream, tag};

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Append(Append),
    Delete(Delete),
    Redact(Redact),
    Read(Read),
    Follow(Subscribe),
    /// The clock goes on.
    Advance(Duration),
    /// The clock is set back, as machines' clocks are.
    SetBack(Duration),
    Reopen,
}

const TYPES: &[&str] = &["Opened", "Paid", "Moved", "Closed"];
/// The type that gets schemas.
const STRICT: &str = "Strict";
const TAGS: &[&str] = &["loan:1", "loan:2", "year:25", "year:26", "hot"];
const CORRELATIONS: &[&str] = &["c1", "c2", "c3"];
/// Appends that may be sent again.
const REMEMBERED: usize = 40;

pub(super) struct Generator {
    random: Random,
    steps: u64,
    /// Length of the log.
    length: u64,
    /// The last revision of each stream, as far as the answers told.
    last: HashMap<String, u64>,
    sent: VecDeque<Append>,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let (last, sent) = (HashMap::new(), VecDeque::new());
        Self { random: Random::new(seed), steps: 0, length: 0, last, sent }
    }

    pub(super) fn next(&mut self) -> Operation {
        self.steps += 1;
        match self.random.below(200) {
            0 => Operation::Reopen,
            1..=8 => Operation::Advance(Duration::from_millis(self.random.below(20_000))),
            9..=10 => Operation::SetBack(Duration::from_millis(self.random.below(5_000))),
            11..=20 => Operation::Delete(self.delete()),
            21..=28 => Operation::Append(self.describe()),
            29 => Operation::Append(self.register()),
            30..=40 => Operation::Append(self.repeat()),
            41..=42 => Operation::Redact(self.redact()),
            43..=110 => Operation::Append(self.append()),
            111..=125 => Operation::Follow(self.follow()),
            _ => Operation::Read(self.read()),
        }
    }

    /// Takes in what an operation came to, so that the next ones are near the truth.
    pub(super) fn learn(&mut self, operation: &Operation, outcome: &Outcome) {
        match outcome {
            Outcome::Appended { streams, token, .. } => {
                self.length = self.length.max(token.unwrap_or_default().0);
                for appended in streams {
                    if let Some(last) = appended.last {
                        self.last.insert(appended.stream.to_string(), last.0);
                    }
                }
            }
            Outcome::Deleted { token, .. } | Outcome::Redacted { token, .. } => {
                self.length = self.length.max(token.unwrap_or_default().0);
            }
            _ => {}
        }
        if let Operation::Append(append) = operation {
            self.sent.push_back(append.clone());
            if self.sent.len() > REMEMBERED {
                self.sent.pop_front();
            }
        }
    }

    /// A few names at a time; they move on slowly, since tombstones use them up.
    fn name(&mut self) -> StreamName {
        let number = self.steps / 400 + self.random.below(3);
        let category = self.random.pick(&["loan-", "offer-", "solo", "$sys-"]);
        stream(&format!("{category}{number}"))
    }

    fn any_name(&mut self) -> StreamName {
        let name = self.name();
        if self.random.chance(20) { name.metastream().unwrap_or(name) } else { name }
    }

    fn expected(&mut self, name: &str) -> ExpectedRevision {
        let last = self.last.get(name).copied();
        match (self.random.below(12), last) {
            (0..=3, _) => ExpectedRevision::Any,
            (4, _) => ExpectedRevision::NoStream,
            (5, _) => ExpectedRevision::StreamExists,
            (6, _) => ExpectedRevision::Exact(Revision(self.random.below(last.unwrap_or(2) + 2))),
            (_, Some(last)) => ExpectedRevision::Exact(Revision(last)),
            (_, None) => ExpectedRevision::NoStream,
        }
    }

    fn event(&mut self) -> NewEvent {
        let strict = self.random.chance(4);
        let name = event_type(if strict { STRICT } else { self.random.pick(TYPES) });
        let mut event = if self.random.chance(15) {
            let size = if self.random.chance(10) { 5_000 } else { 20 };
            let bytes: Vec<u8> = (0..self.random.below(size)).map(|_| self.random.next() as u8).collect();
            NewEvent::binary(name, bytes)
        } else if self.random.chance(5) {
            NewEvent::json(name, "not JSON")
        } else {
            NewEvent::json(name, format!("{{\"amount\":{}}}", self.random.below(1_000)))
        };
        event.id = EventId(self.random.uuid());
        event.schema_version = SchemaVersion(1 + self.random.below(3) as u32);
        for _ in 0..self.random.below(4) {
            event = event.with_tag(tag(self.random.pick(TAGS)));
        }
        match self.random.below(6) {
            0 => {
                let id = self.random.pick(CORRELATIONS);
                event = event.with_metadata(format!("{{\"$correlationId\":\"{id}\"}}"));
            }
            1 => {
                let cause = self.random.pick(CORRELATIONS);
                event = event.with_metadata(format!("{{\"$causationId\":\"{cause}\",\"$correlationId\":7}}"));
            }
            2 => event = event.with_metadata("$correlationId is not JSON here"),
            _ => {}
        }
        if self.random.chance(30) {
            event = event.with_occurred_at(self.moment());
        }
        if self.random.below(300) == 0 {
            event.schema_version = SchemaVersion(0);
        }
        event
    }

    fn events(&mut self) -> Vec<NewEvent> {
        let count = match self.random.below(20) {
            0 => 0,
            1 => 60,
            2..=8 => 2 + self.random.below(4),
            _ => 1,
        };
        (0..count).map(|_| self.event()).collect()
    }

    fn append(&mut self) -> Append {
        let mut append = Append::default();
        let streams = if self.random.chance(25) { 2 + self.random.below(3) } else { 1 };
        for _ in 0..streams {
            let name = if self.random.chance(3) { self.any_name() } else { self.name() };
            let expected = self.expected(&name);
            let events = self.events();
            append = append.and(name, expected, events);
        }
        if self.random.chance(5) {
            append.writes.clear();
        }
        if self.random.chance(20) {
            append.append_id = Some(AppendId(self.random.uuid()));
        }
        while self.random.chance(15) {
            append = append.on_condition(self.condition());
        }
        while self.random.chance(10) {
            let name = self.any_name();
            let expected = self.expected(&name);
            append = append.check(name, expected);
        }
        append
    }

    /// An earlier append once more, whole or changed a little.
    fn repeat(&mut self) -> Append {
        let Some(index) = (!self.sent.is_empty()).then(|| self.random.below(self.sent.len() as u64)) else {
            return self.append();
        };
        let mut append = self.sent[index as usize].clone();
        match self.random.below(6) {
            0 => {
                let event = self.event();
                if let Some(write) = append.writes.first_mut() {
                    write.events.push(event);
                }
            }
            1 => {
                if let Some(write) = append.writes.first_mut() {
                    write.expected = ExpectedRevision::Any;
                    write.events.truncate(1);
                }
            }
            2 => append.append_id = None,
            3 => {
                for event in append.writes.iter_mut().flat_map(|write| &mut write.events) {
                    event.id = EventId(self.random.uuid());
                }
            }
            _ => {}
        }
        append
    }

    fn describe(&mut self) -> Append {
        let name = self.name();
        let number = self.random.below(self.last.get(name.as_str()).copied().unwrap_or(3) + 3);
        let json = match self.random.below(7) {
            0 => "{}".to_owned(),
            1 => "no metadata".to_owned(),
            2 => format!("{{\"$tb\":{number}}}"),
            3 => format!("{{\"$maxAge\":{},\"owner\":\"ada\"}}", self.random.below(60)),
            4 => "{\"$tb\":9223372036854775807,\"owner\":\"ada\"}".to_owned(),
            _ => format!("{{\"$maxCount\":{}}}", self.random.below(20)),
        };
        let metadata = NewEvent::json(event_type("$metadata"), json).with_id(EventId(self.random.uuid()));
        let metastream = name.metastream().unwrap_or(name);
        let expected = self.expected(&metastream);
        Append::to(metastream, expected, vec![metadata])
    }

    fn register(&mut self) -> Append {
        let version = SchemaVersion(1 + self.random.below(3) as u32);
        let schema = if self.random.chance(80) {
            serde_json::json!({"type": "object", "properties": {"amount": {"maximum": 600}}})
        } else {
            serde_json::json!({"type": "object"})
        };
        let event = SchemaRegistry::registration(&event_type(STRICT), version, &schema);
        let mut event = event.expect("a registration").with_id(EventId(self.random.uuid()));
        if self.random.chance(10) {
            event.data = "{\"type\":\"Strict\"}".into();
        }
        Append::to(stream(SCHEMAS_STREAM), ExpectedRevision::Any, vec![event])
    }

    fn delete(&mut self) -> Delete {
        let stream = if self.random.chance(5) { self.any_name() } else { self.name() };
        let expected = self.expected(&stream);
        let mode = if self.random.chance(20) { DeleteMode::Tombstone } else { DeleteMode::Soft };
        Delete { stream, expected, mode }
    }

    fn query(&mut self) -> Query {
        let mut query = Query::all();
        for _ in 0..self.random.below(4) {
            let mut item = QueryItem::default();
            for _ in 0..self.random.below(3) {
                item.types.push(event_type(self.random.pick(TYPES)));
            }
            for _ in 0..self.random.below(3) {
                item.tags.push(tag(self.random.pick(TAGS)));
            }
            query = query.or(item);
        }
        query
    }

    fn condition(&mut self) -> AppendCondition {
        let query = self.query();
        if self.random.chance(30) {
            return AppendCondition::CountBelow { query, below: self.random.below(self.length + 5) };
        }
        let recently = self.length.saturating_sub(self.random.below(30));
        let after = if self.random.chance(90) { Some(Position(recently)) } else { None };
        AppendCondition::FailIfEventsMatch { query, after }
    }

    /// Mostly something recent, which may be redacted already, of the store's own or not there yet.
    fn redact(&mut self) -> Redact {
        let position = if self.random.chance(60) {
            Position(self.length.saturating_sub(self.random.below(20)))
        } else {
            self.position()
        };
        let reason = if self.random.chance(5) { "" } else { self.random.pick(&["wrong person", "a secret"]) };
        let redact = Redact::at(position, reason);
        if self.random.chance(50) { redact.by("ops") } else { redact }
    }

    fn position(&mut self) -> Position {
        Position(self.random.below(self.length + 3))
    }

    /// Somewhere in the time that the operations have taken.
    fn moment(&mut self) -> Timestamp {
        let past = self.random.below(self.steps * 450 + 1_000);
        Fresh::START.saturating_add(Duration::from_millis(past))
    }

    fn selector(&mut self) -> Selector {
        match self.random.below(16) {
            0..=1 => Selector::All,
            2..=6 => Selector::Stream(self.any_name()),
            7..=8 => {
                let name = self.random.pick(&["loan", "offer", "solo", "$sys"]);
                Selector::Category(Category::new(name).expect("a category"))
            }
            9..=11 => Selector::Query(self.query()),
            12 => Selector::Correlation(self.random.pick(CORRELATIONS).to_owned()),
            13 => Selector::Causation(self.random.pick(CORRELATIONS).to_owned()),
            14 => Selector::StreamStarts,
            _ => self.identity(),
        }
    }

    /// The events of an earlier append, by its id or by one of theirs.
    fn identity(&mut self) -> Selector {
        let index = self.random.below(self.sent.len() as u64) as usize;
        let Some(append) = self.sent.get(index) else { return Selector::All };
        match (append.append_id, append.writes.iter().find_map(|write| write.events.first())) {
            (Some(id), _) => Selector::Append(id),
            (None, Some(event)) => Selector::Event(event.id),
            (None, None) => Selector::StreamStarts,
        }
    }

    fn filter(&mut self) -> EventFilter {
        let mut filter = EventFilter::default();
        if self.random.chance(15) {
            filter.stream_prefixes.push(self.random.pick(&["loan", "$$", "offer-1", "s"]).to_owned());
        }
        if self.random.chance(15) {
            filter.type_prefixes.push(self.random.pick(&["Open", "$", "P", "Closed"]).to_owned());
        }
        if self.random.chance(15) {
            filter.system_events = SystemEvents::Exclude;
        }
        filter
    }

    fn read(&mut self) -> Read {
        let selector = self.selector();
        let backwards = self.random.chance(50);
        let mut read = if backwards { Read::backwards(selector) } else { Read::forwards(selector) };
        read.from = match self.random.below(8) {
            0 => ReadFrom::Start,
            1 => ReadFrom::End,
            2 => ReadFrom::Revision(Revision(self.random.below(12))),
            3 => ReadFrom::Position(self.position()),
            4 => ReadFrom::Time(self.moment()),
            _ if read.direction == Direction::Backwards => ReadFrom::End,
            _ => ReadFrom::Start,
        };
        read.at = match self.random.below(12) {
            0 => AsOf::Revision(Revision(self.random.below(12))),
            1 => AsOf::Position(self.position()),
            2 => AsOf::Recorded(self.moment()),
            3 => AsOf::Occurred(self.moment()),
            _ => AsOf::Now,
        };
        if self.random.chance(40) {
            read.limit = Some(self.random.below(30));
        }
        if self.random.chance(25) {
            read.view = StreamView::Recorded;
        }
        read.filter(self.filter())
    }

    fn follow(&mut self) -> Subscribe {
        let from = match self.random.below(5) {
            0 => SubscribeFrom::End,
            1 => SubscribeFrom::AfterPosition(self.position()),
            2 => SubscribeFrom::AfterRevision(Revision(self.random.below(12))),
            _ => SubscribeFrom::Start,
        };
        Subscribe::to(self.selector()).from(from).filter(self.filter())
    }
}

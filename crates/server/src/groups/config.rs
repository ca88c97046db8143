//! Which groups are there? One event names them all, and what was chosen about them.
//!
//! The event is KurrentDB's, so that a log can be taken over. What it has no place for (where exactly a group began that
//! was to begin at the end) stands in members of our own beside the others.

use std::time::Duration;

use factum_protocol::wire::v1::FilterOptions;
use factum_protocol::wire::v1::filter_options::{Expression, Filter as Subject, Window};
use serde_json::{Map, Value, json};

use super::key::GroupKey;
use super::settings::{ExtraStatistics, Settings, Strategy};
use crate::links::Links;
use crate::source::Source;

/// The version of the shape.
const VERSION: &str = "2";
/// How places in the log are written: of `position`.
const LOG_PLACE: &str = "C:";

/// A group, as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupConfig {
    /// Which.
    pub(crate) key: GroupKey,
    /// What was chosen.
    pub(crate) settings: Settings,
    /// Where it was to begin.
    pub(crate) start: Start,
    /// Where it began, as that was to be the end: the first place that is its own.
    pub(crate) began: Option<u64>,
    /// Which events of the log it has.
    pub(crate) filter: Option<FilterText>,
}

/// Where a group begins while it has no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At this place: a revision, or a position in the log.
    At(u64),
    /// With what comes after it was made.
    End,
}

/// A filter, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterText {
    /// What is tested.
    pub(crate) on: FilterOn,
    /// How.
    pub(crate) test: FilterTest,
}

/// What a filter tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilterOn {
    /// The stream's name.
    Stream,
    /// The event's type.
    Type,
}

/// How a filter tests it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FilterTest {
    /// It matches.
    Regex(String),
    /// It begins with one of these.
    Prefixes(Vec<String>),
}

impl FilterText {
    /// As clients send it; `None` where nothing is tested.
    pub(crate) fn from_wire(options: &FilterOptions) -> Option<Self> {
        let (on, expression) = match options.filter.as_ref()? {
            Subject::StreamIdentifier(expression) => (FilterOn::Stream, expression),
            Subject::EventType(expression) => (FilterOn::Type, expression),
        };
        let test = if expression.regex.is_empty() {
            FilterTest::Prefixes(expression.prefix.clone())
        } else {
            FilterTest::Regex(expression.regex.clone())
        };
        Some(Self { on, test })
    }

    /// As clients send it.
    pub(crate) fn to_wire(&self) -> FilterOptions {
        let expression = match &self.test {
            FilterTest::Regex(regex) => Expression { regex: regex.clone(), prefix: Vec::new() },
            FilterTest::Prefixes(prefixes) => Expression { regex: String::new(), prefix: prefixes.clone() },
        };
        let filter = match self.on {
            FilterOn::Stream => Subject::StreamIdentifier(expression),
            FilterOn::Type => Subject::EventType(expression),
        };
        FilterOptions {
            filter: Some(filter),
            window: Some(Window::Count(())),
            checkpoint_interval_multiplier: 1,
        }
    }

    fn to_json(&self) -> Value {
        let context = match self.on {
            FilterOn::Stream => "StreamId",
            FilterOn::Type => "EventType",
        };
        match &self.test {
            FilterTest::Regex(regex) => json!({ "context": context, "type": "Regex", "data": regex }),
            // The joined text is what others read; a prefix may itself hold a comma.
            FilterTest::Prefixes(prefixes) => json!({
                "context": context, "type": "Prefix", "data": prefixes.join(","), "factumPrefixes": prefixes,
            }),
        }
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |key| member(value, key)?.as_str();
        let on =
            if text("context")?.eq_ignore_ascii_case("StreamId") { FilterOn::Stream } else { FilterOn::Type };
        let data = text("data")?;
        let test = if text("type")?.eq_ignore_ascii_case("Regex") {
            FilterTest::Regex(data.to_owned())
        } else {
            let ours = member(value, "factumPrefixes").and_then(Value::as_array);
            FilterTest::Prefixes(match ours {
                Some(list) => list.iter().filter_map(|prefix| prefix.as_str().map(str::to_owned)).collect(),
                None => data.split(',').map(str::to_owned).collect(),
            })
        };
        Some(Self { on, test })
    }
}

/// A place as clients and configuration write it.
pub(crate) fn place_text(source: &Source, place: u64) -> String {
    match source {
        Source::All => format!("{LOG_PLACE}{place}/P:{place}"),
        Source::Stream(_) | Source::Index(_) => place.to_string(),
    }
}

/// Reads a place; a negative one is the end.
pub(super) fn read_place(text: &str) -> Option<Start> {
    let number = match text.strip_prefix(LOG_PLACE) {
        Some(rest) => rest.split('/').next()?,
        None => text,
    };
    let number: i64 = number.parse().ok()?;
    Some(u64::try_from(number).map_or(Start::End, Start::At))
}

impl Start {
    /// As clients and configuration write it.
    pub(crate) fn text(self, source: &Source) -> String {
        match (self, source) {
            (Start::At(place), source) => place_text(source, place),
            (Start::End, Source::All) => "C:-1/P:-1".to_owned(),
            (Start::End, _) => "-1".to_owned(),
        }
    }
}

impl GroupConfig {
    /// The first place that belongs to the group, as far as that is known.
    pub(super) fn first_place(&self) -> Option<u64> {
        match self.start {
            Start::At(place) => Some(place),
            Start::End => self.began,
        }
    }

    fn to_json(&self) -> Value {
        let settings = &self.settings;
        let source = self.key.source();
        let mut entry = json!({
            "stream": self.key.source_name(),
            "group": self.key.group(),
            "resolveLinkTos": settings.links == Links::Resolve,
            "startPosition": self.start.text(&source),
            "messageTimeout": millis(settings.message_timeout),
            "extraStatistics": settings.extra_statistics == ExtraStatistics::Kept,
            "maxRetryCount": settings.max_retry_count,
            "liveBufferSize": settings.live_buffer_size,
            "historyBufferSize": settings.history_buffer_size,
            "readBatchSize": settings.read_batch_size,
            "checkPointAfter": millis(settings.checkpoint_after),
            "minCheckPointCount": settings.min_checkpoint_count,
            "maxCheckPointCount": settings.max_checkpoint_count,
            "maxSubscriberCount": settings.max_subscriber_count,
            "namedConsumerStrategy": settings.strategy.name(),
        });
        if let Value::Object(members) = &mut entry {
            if let Some(filter) = &self.filter {
                members.insert("filter".to_owned(), filter.to_json());
            }
            if let Some(began) = self.began {
                members.insert("factumBegan".to_owned(), Value::from(began));
            }
        }
        entry
    }

    /// Reads an entry; `None` where it names no group. What it leaves out is as clients would choose it.
    fn read(entry: &Value) -> Option<Self> {
        let usual = Settings::default();
        let text = |key| member(entry, key).and_then(Value::as_str);
        let number = |key, usual: u32| match member(entry, key).and_then(Value::as_i64) {
            Some(number) => u32::try_from(number).unwrap_or(0),
            None => usual,
        };
        let time = |key, usual: Duration| match member(entry, key).and_then(Value::as_i64) {
            Some(millis) => Duration::from_millis(u64::try_from(millis).unwrap_or(0)),
            None => usual,
        };
        let is = |key| member(entry, key).and_then(Value::as_bool).unwrap_or(false);
        let former = || match member(entry, "startFrom")?.as_i64()? {
            place @ 0.. => u64::try_from(place).ok().map(Start::At),
            _ => Some(Start::End),
        };
        Some(Self {
            key: GroupKey::read(text("stream")?, text("group")?)?,
            start: text("startPosition").and_then(read_place).or_else(former).unwrap_or(Start::At(0)),
            began: member(entry, "factumBegan").and_then(Value::as_u64),
            filter: member(entry, "filter").and_then(FilterText::read),
            settings: Settings {
                links: Links::of(is("resolveLinkTos")),
                extra_statistics: if is("extraStatistics") {
                    ExtraStatistics::Kept
                } else {
                    ExtraStatistics::Omitted
                },
                message_timeout: time("messageTimeout", usual.message_timeout),
                max_retry_count: number("maxRetryCount", usual.max_retry_count),
                checkpoint_after: time("checkPointAfter", usual.checkpoint_after),
                min_checkpoint_count: number("minCheckPointCount", usual.min_checkpoint_count),
                max_checkpoint_count: number("maxCheckPointCount", usual.max_checkpoint_count),
                max_subscriber_count: number("maxSubscriberCount", usual.max_subscriber_count),
                live_buffer_size: number("liveBufferSize", usual.live_buffer_size),
                history_buffer_size: number("historyBufferSize", usual.history_buffer_size),
                read_batch_size: number("readBatchSize", usual.read_batch_size),
                strategy: text("namedConsumerStrategy").and_then(Strategy::named).unwrap_or(usual.strategy),
            },
        })
    }
}

/// The data of the event that names these groups.
pub(super) fn write<'a>(groups: impl Iterator<Item = &'a GroupConfig>, updated: &str, by: &str) -> String {
    let entries: Vec<Value> = groups.map(GroupConfig::to_json).collect();
    json!({ "version": VERSION, "updated": updated, "updatedBy": by, "entries": entries }).to_string()
}

/// Reads the data of such an event. Entries that name no group are left out.
///
/// # Errors
/// Where it is no JSON object with entries.
pub(super) fn read(data: &[u8]) -> Result<Vec<GroupConfig>, String> {
    let value: Value = serde_json::from_slice(data).map_err(|error| error.to_string())?;
    let entries = member(&value, "entries").and_then(Value::as_array).ok_or("it has no entries")?;
    Ok(entries.iter().filter_map(GroupConfig::read).collect())
}

/// A member by its name, whose first letter may be large.
pub(super) fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let members: &Map<String, Value> = value.as_object()?;
    members
        .get(key)
        .or_else(|| members.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let stream = GroupConfig {
            key: GroupKey::read("account-1", "a/b").expect("a key"),
            settings: Settings {
                links: Links::Resolve,
                strategy: Strategy::PinnedByCorrelation,
                max_retry_count: 3,
                ..Settings::default()
            },
            start: Start::At(7),
            began: None,
            filter: None,
        };
        let all = |test| GroupConfig {
            key: GroupKey::read("$all", "g").expect("a key"),
            settings: Settings::default(),
            start: Start::End,
            began: Some(12),
            filter: Some(FilterText { on: FilterOn::Stream, test }),
        };
        let groups = vec![
            stream,
            all(FilterTest::Prefixes(vec!["a,b".to_owned(), "c".to_owned()])),
            all(FilterTest::Regex("^[^$]".to_owned())),
        ];
        assert_eq!(read(write(groups.iter(), "now", "me").as_bytes()), Ok(groups));
    }

    #[test]
    fn what_others_wrote_is_read_too() {
        let written = r#"{"Version":"2","Entries":[
            {"Stream":"s","Group":"g","StartFrom":-1,"MessageTimeout":10000,"NamedConsumerStrategy":"Pinned"},
            {"stream":"$all","group":"h","startPosition":"C:5/P:5",
             "filter":{"context":"EventType","type":"Prefix","data":"A,B"}},
            {"group":"of nothing"}]}"#;
        let groups = read(written.as_bytes()).expect("groups");
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].start, groups[0].settings.strategy), (Start::End, Strategy::Pinned));
        assert_eq!(groups[0].settings.message_timeout, Duration::from_secs(10));
        let prefixes = FilterTest::Prefixes(vec!["A".to_owned(), "B".to_owned()]);
        assert_eq!(groups[1].start, Start::At(5));
        assert_eq!(groups[1].filter, Some(FilterText { on: FilterOn::Type, test: prefixes }));
        assert!(read(b"{}").is_err());
        assert!(read(b"[").is_err());
    }
}

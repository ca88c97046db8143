//! From which keys do the candidates for a selector come?

use std::ops::Range;

use factum_core::{Direction, Query, QueryItem, Selector};

use super::cursor::Cursor;
use super::key::KeyHash;
use super::layers::IndexSnapshot;

/// Most pairs of type and tag that one query item is looked up by; beyond that, types and tags are looked up apart.
const MAX_PAIRS: usize = 64;

/// Where to look for the events that a selector selects.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Every event: the index is of no help.
    Everything,
    /// The events at these positions, and no others; each must still be checked against the selector.
    Candidates(Cursor),
}

impl IndexSnapshot {
    /// Where to look for the events of a selector in a range of positions.
    pub(crate) fn plan(&self, selector: &Selector, range: Range<u64>, direction: Direction) -> Plan {
        let key = match selector {
            Selector::All => return Plan::Everything,
            Selector::Query(query) => return self.plan_query(query, range, direction),
            Selector::Stream(stream) => KeyHash::stream(stream),
            Selector::Category(category) => KeyHash::category(category),
            Selector::Correlation(id) => KeyHash::correlation(id),
            Selector::Causation(id) => KeyHash::causation(id),
            Selector::Append(id) => KeyHash::append_id(*id),
            Selector::Event(id) => KeyHash::event_id(*id),
            Selector::StreamStarts => KeyHash::stream_start(),
        };
        Plan::Candidates(Cursor::Key(self.cursor(key, range, direction)))
    }

    /// Where to look for the events that match a query in a range of positions.
    pub(crate) fn plan_query(&self, query: &Query, range: Range<u64>, direction: Direction) -> Plan {
        if query.is_all() {
            return Plan::Everything;
        }
        let cursor = |key: KeyHash| Cursor::Key(self.cursor(key, range.clone(), direction));
        let items = query.items.iter().map(|item| plan_item(item, direction, &cursor)).collect();
        Plan::Candidates(Cursor::any(items, direction))
    }
}

fn plan_item(item: &QueryItem, direction: Direction, cursor: &dyn Fn(KeyHash) -> Cursor) -> Cursor {
    let any_type = || {
        let types = item.types.iter().map(|event_type| cursor(KeyHash::event_type(event_type)));
        Cursor::any(types.collect(), direction)
    };
    let tags = || item.tags.iter().map(|tag| cursor(KeyHash::tag(tag)));
    if item.tags.is_empty() {
        any_type()
    } else if item.types.is_empty() {
        Cursor::all(tags().collect())
    } else if item.types.len() * item.tags.len() > MAX_PAIRS {
        Cursor::all(tags().chain([any_type()]).collect())
    } else {
        let of_type = |event_type| {
            Cursor::all(item.tags.iter().map(|tag| cursor(KeyHash::type_tag(event_type, tag))).collect())
        };
        Cursor::any(item.types.iter().map(|event_type| of_type(event_type)).collect(), direction)
    }
}

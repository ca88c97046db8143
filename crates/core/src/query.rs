//! Queries in dcb.events' words: items OR; within an item types OR, tags AND.

use crate::limits::{MAX_QUERY_ITEMS, MAX_QUERY_TERMS};
use crate::{EventType, RecordedEvent, Tag};

/// Which events a decision or a reader is about. No items: every event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// An event matches if any item does; a query without items matches every event.
    pub items: Vec<QueryItem>,
}

/// One alternative of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueryItem {
    /// Any of these types; none named: any type.
    pub types: Vec<EventType>,
    /// All of these tags.
    pub tags: Vec<Tag>,
}

/// A query over its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a query may have at most {limit} {what}, this one has {actual}")]
pub struct QueryTooLarge {
    /// What there is too much of.
    pub what: &'static str,
    /// The limit.
    pub limit: usize,
    /// The number found.
    pub actual: usize,
}

impl Query {
    /// Every event.
    pub fn all() -> Self {
        Self::default()
    }

    /// The events that match this one item.
    pub fn item(item: QueryItem) -> Self {
        Self { items: vec![item] }
    }

    /// This query or `item`.
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        self.items.push(item);
        self
    }

    /// Whether every event matches.
    pub fn is_all(&self) -> bool {
        self.items.is_empty() || self.items.iter().any(|item| item.types.is_empty() && item.tags.is_empty())
    }

    /// Whether `event` matches.
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.items.is_empty() || self.items.iter().any(|item| item.matches(event))
    }

    /// Whether an event of this type with these tags matches.
    pub fn matches_parts(&self, event_type: &str, tags: &[Tag]) -> bool {
        self.items.is_empty()
            || self.items.iter().any(|item| {
                item.matches_type(event_type) && item.tags.iter().all(|wanted| tags.contains(wanted))
            })
    }

    /// Checks the query against its limits.
    ///
    /// # Errors
    /// `QueryTooLarge` with what there is too much of.
    pub fn check(&self) -> Result<(), QueryTooLarge> {
        let within = |what, limit, actual| {
            if actual > limit { Err(QueryTooLarge { what, limit, actual }) } else { Ok(()) }
        };
        within("items", MAX_QUERY_ITEMS, self.items.len())?;
        for item in &self.items {
            within("types in an item", MAX_QUERY_TERMS, item.types.len())?;
            within("tags in an item", MAX_QUERY_TERMS, item.tags.len())?;
        }
        Ok(())
    }
}

impl QueryItem {
    /// Events of any of these types.
    pub fn types(types: impl IntoIterator<Item = EventType>) -> Self {
        Self { types: types.into_iter().collect(), tags: Vec::new() }
    }

    /// Events that carry all of these tags.
    pub fn tags(tags: impl IntoIterator<Item = Tag>) -> Self {
        Self { types: Vec::new(), tags: tags.into_iter().collect() }
    }

    /// And only those that carry all of these tags too.
    #[must_use]
    pub fn and_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Whether `event` matches this item.
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.matches_type(event.event_type())
            && self.tags.iter().all(|wanted| event.tags().any(|tag| tag == wanted.as_str()))
    }

    fn matches_type(&self, event_type: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted.as_str() == event_type)
    }
}

//! How the command line says which events it is about.

use clap::Args;
use factum_core::{Category, EventType, Query, QueryItem, Selector, StreamName, Tag};
use serde::Deserialize;

use crate::failure::Failure;
use crate::output::Columns;

/// Which events: one stream, the whole log, or what an index finds.
#[derive(Args, Debug)]
pub(crate) struct SelectorArgs {
    /// The stream
    #[arg(conflicts_with_all = ["all", "category", "event_type", "tag", "query", "correlation"])]
    pub(crate) stream: Option<StreamName>,
    /// The whole log, in the order in which it was written
    #[arg(long, conflicts_with_all = ["category", "event_type", "tag", "query", "correlation"])]
    pub(crate) all: bool,
    /// Every stream of a category (the part of a name before its first '-')
    #[arg(long, value_name = "C", conflicts_with_all = ["event_type", "tag", "query", "correlation"])]
    pub(crate) category: Option<Category>,
    /// Events of this type; several times: of any of them
    #[arg(long = "type", id = "event_type", value_name = "T", conflicts_with_all = ["query", "correlation"])]
    pub(crate) types: Vec<EventType>,
    /// Events with this tag; several times: with all of them
    #[arg(long = "tag", id = "tag", value_name = "TAG", conflicts_with_all = ["query", "correlation"])]
    pub(crate) tags: Vec<Tag>,
    /// A query: {"items":[{"types":["A","B"],"tags":["order:1"]}]}, items OR, types OR, tags AND
    #[arg(long, value_name = "JSON", conflicts_with = "correlation")]
    pub(crate) query: Option<String>,
    /// Events with this correlation id
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryText {
    items: Vec<ItemText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemText {
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

impl SelectorArgs {
    /// What was selected; `None` where nothing was named.
    pub(crate) fn selector(&self) -> Result<Option<Selector>, Failure> {
        Ok(Some(if let Some(stream) = &self.stream {
            Selector::Stream(stream.clone())
        } else if self.all {
            Selector::All
        } else if let Some(category) = &self.category {
            Selector::Category(category.clone())
        } else if let Some(query) = &self.query {
            Selector::Query(parse_query(query)?)
        } else if let Some(id) = &self.correlation {
            Selector::Correlation(id.clone())
        } else if !self.types.is_empty() || !self.tags.is_empty() {
            Selector::Query(Query::item(QueryItem { types: self.types.clone(), tags: self.tags.clone() }))
        } else {
            return Ok(None);
        }))
    }

    /// What was selected, which must be something.
    pub(crate) fn required(&self) -> Result<Selector, Failure> {
        self.selector()?.ok_or_else(|| {
            Failure::usage(
                "nothing was selected",
                "neither a stream nor one of --all, --category, --type, --tag, --query, --correlation was given",
                "name a stream, or give --all for the whole log",
            )
        })
    }
}

/// The columns that a table of these events needs.
pub(crate) fn columns(selector: &Selector) -> Columns {
    match selector {
        Selector::Stream(_) => Columns::OneStream,
        _ => Columns::ManyStreams,
    }
}

/// Reads a query from JSON.
fn parse_query(text: &str) -> Result<Query, Failure> {
    let query: QueryText = serde_json::from_str(text).map_err(|e| {
        let next = r#"give it as {"items":[{"types":["OrderPlaced"],"tags":["order:1"]}]}"#;
        Failure::usage("the query cannot be read", e.to_string(), next)
    })?;
    let mut items = Vec::new();
    for item in query.items {
        let types = item.types.into_iter().map(EventType::new).collect::<Result<_, _>>()?;
        let tags = item.tags.into_iter().map(Tag::new).collect::<Result<_, _>>()?;
        items.push(QueryItem { types, tags });
    }
    Ok(Query { items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_strict() {
        let query = parse_query(r#"{"items":[{"types":["A"]},{"tags":["t:1","u"]}]}"#).unwrap();
        assert_eq!(query.items.len(), 2);
        assert_eq!(query.items[1].tags.len(), 2);
        for bad in ["", "[]", r#"{"items":[{"type":["A"]}]}"#, r#"{"items":[{"tags":[""]}]}"#] {
            assert!(parse_query(bad).is_err(), "{bad}");
        }
    }
}

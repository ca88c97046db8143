//! Lists of what there is: streams, categories, types.

use std::collections::HashSet;
use std::time::Duration;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use factum_core::{Read, Selector, category_of};
use serde::{Deserialize, Serialize};

use super::answer::{json, linked, url};
use super::ask::{Ask, MAX_LIMIT};
use super::fresh;
use super::names::{self, Order, Progress, State, Stream, TypeVersion};
use super::problem::{Problem, Slug};
use super::route::{AFTER, Api, CURSOR, Kind, LIMIT, Operation, Param, WAIT};
use crate::access::{Action, Caller};

const PART: &str = "Streams and events";
/// How long a list waits for names that are still being gathered; it then answers with what is there.
const PATIENCE: Duration = Duration::from_millis(500);
/// Names that one page looks at, at most.
const MAX_EXAMINED: usize = 200_000;
/// Characters of a pattern for which that many names are looked at; of a longer one, fewer.
const SHORT_PATTERN: usize = 16;
/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1_026;
/// Rights that one page asks for, at most.
const MAX_CHECKED: usize = 5_000;

/// The routes.
pub(super) fn routes(api: Api) -> Api {
    api.get(
        "/v1/streams",
        streams,
        Operation::new("listStreams", PART, "The streams that the caller may read")
            .query(&[
                Param::new("q", Kind::Text, "The beginning of the name, or a pattern with * and ?"),
                Param::new("category", Kind::Text, "Only streams of this category"),
                Param::new("system", Kind::Flag, "With the store's own streams [false]"),
                Param::new("sort", Kind::OneOf(&["name", "-created", "created", "-updated"]), "The order"),
                CURSOR,
                LIMIT,
                AFTER,
                WAIT,
            ])
            .answer(&[("application/json", "StreamPage")]),
    )
    .get(
        "/v1/categories",
        categories,
        Operation::new("listCategories", PART, "The categories, with how many streams each has")
            .query(&[Param::new("q", Kind::Text, "The beginning of the name"), CURSOR, LIMIT, AFTER, WAIT])
            .answer(&[("application/json", "CategoryPage")]),
    )
    .get(
        "/v1/types",
        types,
        Operation::new("listTypes", PART, "The types of events, with how many of each there are")
            .query(&[
                Param::new("q", Kind::Text, "The beginning of the name"),
                Param::new("system", Kind::Flag, "With the store's own types [false]"),
                CURSOR,
                LIMIT,
                AFTER,
                WAIT,
            ])
            .answer(&[("application/json", "TypePage")]),
    )
}

/// Where a list goes on: in which store, in which order, after what.
#[derive(Debug, Deserialize, Serialize)]
struct Cursor {
    store: String,
    order: String,
    after: String,
}

/// A list, and how complete it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    items: Vec<T>,
    page: Pages,
    /// While names are still being gathered: how far that is.
    indexing: Option<Indexing>,
    /// Whether there are more names than the server keeps.
    truncated: bool,
}

#[derive(Serialize)]
struct Pages {
    next: Option<String>,
    prev: Option<String>,
}

#[derive(Serialize)]
struct Indexing {
    position: String,
    of: String,
}

/// Starts to gather names, and waits for them a little, or until they have seen the position that the request names.
async fn gathered(ask: &Ask) -> Result<Option<Indexing>, Problem> {
    names::begin(&ask.shared);
    let mut progress = ask.shared.v1.names.progress();
    if let Some((after, within)) = fresh::wanted(ask)? {
        let reached = progress.wait_for(|progress| progress.to > after);
        if tokio::time::timeout(within, reached).await.is_err() {
            let detail =
                format!("the names did not come to position {after} within {} ms", within.as_millis());
            return Err(Problem::new(Slug::Stale, detail));
        }
        return Ok(None);
    }
    let _ = tokio::time::timeout(PATIENCE, progress.wait_for(|progress| progress.caught_up)).await;
    let Progress { to, caught_up } = *progress.borrow();
    if caught_up {
        return Ok(None);
    }
    let end = end(ask).await?;
    Ok(Some(Indexing { position: to.to_string(), of: end.to_string() }))
}

/// The position after the log's last event.
async fn end(ask: &Ask) -> Result<u64, Problem> {
    let reader = ask.shared.store.read(Read::backwards(Selector::All).limit(1)).await?;
    Ok(reader.head().snapshot.next_position().unwrap_or_default().0)
}

async fn store_id(ask: &Ask) -> Result<String, Problem> {
    let reader = ask.shared.store.read(Read::backwards(Selector::All).limit(1)).await?;
    Ok(reader.head().snapshot.store().to_string())
}

/// What the request's cursor says, if it has one of this store and this list.
fn cursor(ask: &Ask, store: &str, order: &str) -> Result<Option<String>, Problem> {
    let Some(text) = ask.text("cursor") else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let Ok(cursor) = serde_json::from_slice::<Cursor>(&bytes) else {
        return Err(Problem::parameter("cursor", "'cursor' is not one that this server gave"));
    };
    if cursor.store != store {
        return Err(Problem::parameter("cursor", "'cursor' is of another store")
            .next("Leave it out, and begin the list again."));
    }
    if cursor.order != order {
        return Err(Problem::parameter("cursor", "'cursor' is of a list in another order")
            .next("Leave it out, and begin the list again."));
    }
    Ok(Some(cursor.after))
}

fn next_page(ask: &Ask, path: &str, store: &str, order: &str, after: String, names: &[&str]) -> String {
    let cursor = Cursor { store: store.to_owned(), order: order.to_owned(), after };
    let cursor = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default());
    let mut parameters: Vec<(&str, Option<String>)> =
        names.iter().map(|name| (*name, ask.text(name).map(str::to_owned))).collect();
    parameters.push(("cursor", Some(cursor)));
    url(path, &parameters)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamItem {
    stream: String,
    category: Option<String>,
    last_revision: u64,
    last_type: String,
    created_time: String,
    updated_time: String,
    state: &'static str,
}

impl From<&Stream> for StreamItem {
    fn from(stream: &Stream) -> Self {
        Self {
            stream: stream.name.to_string(),
            category: category_of(&stream.name).map(str::to_owned),
            last_revision: stream.last_revision,
            last_type: stream.last_type.to_string(),
            created_time: stream.created.to_string(),
            updated_time: stream.updated.to_string(),
            state: match stream.state {
                State::Active => "active",
                State::Deleted => "deleted",
                State::Tombstoned => "tombstoned",
            },
        }
    }
}

const ORDERS: [(&str, Order); 4] = [
    ("name", Order::Name),
    ("-created", Order::NewestFirst),
    ("created", Order::Created),
    ("-updated", Order::UpdatedFirst),
];

/// What names a list has.
struct Wanted<'a> {
    pattern: &'a str,
    /// What every name begins with.
    prefix: String,
    is_glob: bool,
    category: Option<&'a str>,
    system: bool,
}

impl<'a> Wanted<'a> {
    fn of(ask: &'a Ask) -> Result<Self, Problem> {
        let pattern = ask.text("q").unwrap_or_default();
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(Problem::parameter("q", format!("'q' has at most {MAX_PATTERN_BYTES} bytes")));
        }
        let is_glob = pattern.contains(['*', '?']);
        let literal = pattern.split(['*', '?']).next().unwrap_or_default();
        let category = ask.text("category");
        let of_category = category.map(|category| format!("{category}-")).unwrap_or_default();
        // The longer of the two says more; the other one is tested by each name.
        let prefix = if literal.len() > of_category.len() { literal.to_owned() } else { of_category };
        let system = ask.flag("system", false)? || pattern.starts_with('$');
        Ok(Self { pattern, prefix, is_glob, category, system })
    }

    /// How many names one page looks at.
    fn examined(&self) -> usize {
        if self.is_glob { MAX_EXAMINED / self.pattern.len().div_ceil(SHORT_PATTERN) } else { MAX_EXAMINED }
    }

    fn has(&self, name: &str) -> bool {
        (self.system || !name.starts_with('$'))
            && self.category.is_none_or(|category| category_of(name) == Some(category))
            && if self.is_glob { matches(self.pattern, name) } else { name.starts_with(self.pattern) }
    }
}

/// Whether a name fits a pattern: `*` stands for any text, `?` for one character. Goes back to the last `*` only, so that no
/// pattern takes long.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut back: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let mut rest = pattern.clone();
        match (rest.next(), name.clone().next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                back = Some((rest.clone(), name.clone()));
                pattern = rest;
                continue;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                pattern = rest;
                name.next();
                continue;
            }
            _ => {}
        }
        let Some((after, mut from)) = back.take() else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = after.clone();
        name = from.clone();
        back = Some((after, from));
    }
}

async fn streams(ask: Ask) -> Result<Response, Problem> {
    let order = ask.one_of("sort", &ORDERS)?;
    let order_name = ask.text("sort").unwrap_or("name").to_owned();
    let limit = ask.limit()?;
    let wanted = Wanted::of(&ask)?;
    let store = store_id(&ask).await?;
    let mut after = cursor(&ask, &store, &order_name)?;
    let sees_all = sees_all(&ask).await;
    if !sees_all && ask.call.caller == Caller::Anonymous {
        ask.may(Action::Read("$streams")).await?;
    }
    let indexing = gathered(&ask).await?;
    let (mut items, mut goes_on, mut checked) = (Vec::new(), None, 0);
    while items.len() < limit && checked < MAX_CHECKED {
        let (page, last) = {
            let known = ask.shared.v1.names.look();
            known.page(
                order,
                &wanted.prefix,
                after.as_deref(),
                (limit - items.len(), wanted.examined()),
                |name| wanted.has(name),
            )
        };
        for stream in &page {
            checked += 1;
            if sees_all || ask.may(Action::Read(&stream.name)).await.is_ok() {
                items.push(StreamItem::from(stream));
            }
        }
        goes_on = last.map(|last| match order {
            Order::Name => last.name.to_string(),
            Order::Created | Order::NewestFirst => last.number.to_string(),
            Order::UpdatedFirst => last.position.to_string(),
        });
        after.clone_from(&goes_on);
        // Where the caller sees everything, a page that is not full has looked at as much as one may.
        if goes_on.is_none() || sees_all {
            break;
        }
    }
    let parameters = ["q", "category", "system", "sort", "limit"];
    let next = goes_on.map(|after| next_page(&ask, "/v1/streams", &store, &order_name, after, &parameters));
    Ok(list(&ask, items, next.as_deref(), indexing))
}

/// Whether the caller may read whatever there is, so that no stream has to be asked for by itself.
async fn sees_all(ask: &Ask) -> bool {
    ask.may(Action::Read("$all")).await.is_ok()
}

fn list<T: Serialize>(ask: &Ask, items: Vec<T>, next: Option<&str>, indexing: Option<Indexing>) -> Response {
    let truncated = ask.shared.v1.names.look().left_out();
    let response =
        json(&List { items, page: Pages { next: next.map(str::to_owned), prev: None }, indexing, truncated });
    linked(response, next, None)
}

#[derive(Serialize)]
struct CategoryItem {
    category: String,
    streams: u64,
}

async fn categories(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Read("$streams")).await?;
    let limit = limit_of_all(&ask)?;
    let store = store_id(&ask).await?;
    let after = cursor(&ask, &store, "category")?;
    let indexing = gathered(&ask).await?;
    let mut items: Vec<CategoryItem> = {
        let known = ask.shared.v1.names.look();
        let all = known.categories(ask.text("q").unwrap_or_default(), after.as_deref());
        all.take(limit + 1)
            .map(|(category, streams)| CategoryItem { category: category.to_owned(), streams })
            .collect()
    };
    let next = cut(&mut items, limit, |item| item.category.clone());
    let next =
        next.map(|after| next_page(&ask, "/v1/categories", &store, "category", after, &["q", "limit"]));
    Ok(list(&ask, items, next.as_deref(), indexing))
}

/// These lists are short as a rule, and come whole.
fn limit_of_all(ask: &Ask) -> Result<usize, Problem> {
    if ask.text("limit").is_some() { ask.limit() } else { Ok(MAX_LIMIT) }
}

/// Cuts a list that is longer than the page, and says what the page ends with.
fn cut<T>(items: &mut Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Option<String> {
    (items.len() > limit).then(|| {
        items.truncate(limit);
        items.last().map(key)
    })?
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypeItem {
    #[serde(rename = "type")]
    name: String,
    count: u64,
    schema_version: u32,
    versions: Vec<VersionItem>,
}

#[derive(Serialize)]
struct VersionItem {
    version: u32,
    events: u64,
}

impl From<&TypeVersion> for VersionItem {
    fn from(of: &TypeVersion) -> Self {
        Self { version: of.version, events: of.events }
    }
}

async fn types(ask: Ask) -> Result<Response, Problem> {
    ask.may(Action::Read("$streams")).await?;
    let limit = limit_of_all(&ask)?;
    let store = store_id(&ask).await?;
    let after = cursor(&ask, &store, "type")?.unwrap_or_default();
    let (prefix, system) = (ask.text("q").unwrap_or_default(), ask.flag("system", false)?);
    let indexing = gathered(&ask).await?;
    let mut items: Vec<TypeItem> = {
        let known = ask.shared.v1.names.look();
        let all = known.types().iter().filter(|of| of.name.starts_with(prefix) && *of.name > *after);
        all.filter(|of| system || prefix.starts_with('$') || !of.name.starts_with('$'))
            .map(|of| TypeItem {
                name: of.name.to_string(),
                count: of.count,
                schema_version: of.schema_version,
                versions: of.versions.iter().map(VersionItem::from).collect(),
            })
            .collect()
    };
    items.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    debug_assert_eq!(items.iter().map(|item| &item.name).collect::<HashSet<_>>().len(), items.len());
    let next = cut(&mut items, limit, |item| item.name.clone());
    let next =
        next.map(|after| next_page(&ask, "/v1/types", &store, "type", after, &["q", "system", "limit"]));
    Ok(list(&ask, items, next.as_deref(), indexing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_matched_without_taking_long() {
        for (pattern, name, fits) in [
            ("order-*", "order-1", true),
            ("order-*", "orders", false),
            ("*-7?", "a-b-71", true),
            ("*-7?", "a-b-7", false),
            ("*", "", true),
            ("?", "é", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbYcd", false),
            ("**a**", "bab", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        assert!(!matches(&"a*".repeat(50), &"a".repeat(49)));
        assert!(!matches(&format!("{}b", "a*".repeat(100)), &"a".repeat(5_000)));
    }
}

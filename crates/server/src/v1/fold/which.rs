//! Which folds are there for a stream, and which one is wanted?

use std::sync::Arc;

use factum::AggregateFold;
use factum_core::StreamName;
use factum_core::read_model::ProjectionName;

use super::rows::RowsOf;
use crate::shared::Shared;
use crate::v1::ask::{Ask, shown};
use crate::v1::problem::{Problem, Slug};

/// The fold that is there for every stream.
pub(crate) const MERGE: &str = "merge";
/// The stream's usual one.
const DEFAULT: &str = "default";
const AGGREGATE: &str = "aggregate:";
const PROJECTION: &str = "projection:";

/// A fold.
pub(crate) enum Which {
    /// JSON merge patch.
    Merge,
    /// The application's own.
    Aggregate { name: String, fold: Arc<dyn AggregateFold> },
    /// Into the rows of a declared projection.
    Rows { name: String, of: Arc<RowsOf> },
}

impl Which {
    /// As it is asked for.
    pub(crate) fn name(&self) -> &str {
        match self {
            Which::Merge => MERGE,
            Which::Aggregate { name, .. } | Which::Rows { name, .. } => name,
        }
    }

    /// Whether its states are remembered.
    pub(super) fn is_remembered(&self) -> bool {
        !matches!(self, Which::Rows { .. })
    }
}

/// One that there is.
pub(crate) struct Named {
    /// As it is asked for.
    pub(crate) fold: String,
    /// `merge`, `aggregate` or `projection`.
    pub(crate) kind: &'static str,
    /// Its own name.
    pub(crate) name: String,
}

/// The folds of a stream, the usual one first; without a stream, all that there are.
///
/// # Errors
/// What the read models say.
pub(crate) async fn names_of(shared: &Shared, stream: Option<&StreamName>) -> Result<Vec<Named>, Problem> {
    let mut found = Vec::new();
    for fold in shared.ops.domain.iter().flat_map(|domain| domain.aggregates()) {
        let fits = stream
            .is_none_or(|stream| factum_core::category_of(stream.as_str()) == Some(fold.category().as_str()));
        if fits {
            let name = fold.name().to_owned();
            found.push(Named { fold: format!("{AGGREGATE}{name}"), kind: "aggregate", name });
        }
    }
    let merge = Named { fold: MERGE.to_owned(), kind: "merge", name: MERGE.to_owned() };
    let at = if stream.is_some() { found.len() } else { 0 };
    found.insert(at, merge);
    for name in super::rows::names_of(shared, stream).await? {
        found.push(Named { fold: format!("{PROJECTION}{name}"), kind: "projection", name: name.to_string() });
    }
    Ok(found)
}

/// The fold that a request wants.
///
/// # Errors
/// `bad-parameter` where there is none of this name; `refused` where there is and it cannot be folded here.
pub(crate) async fn which(ask: &Ask, stream: &StreamName) -> Result<Which, Problem> {
    let wanted = ask.text("fold").unwrap_or(MERGE);
    let (shared, name) = (&ask.shared, wanted.to_owned());
    if wanted == MERGE {
        return Ok(Which::Merge);
    }
    if wanted == DEFAULT {
        let usual = shared.ops.domain.as_ref().and_then(|domain| domain.aggregate_of(stream.as_str()));
        return Ok(match usual.cloned() {
            Some(fold) => Which::Aggregate { name: format!("{AGGREGATE}{}", fold.name()), fold },
            None => Which::Merge,
        });
    }
    if let Some(aggregate) = wanted.strip_prefix(AGGREGATE) {
        let Some(domain) = &shared.ops.domain else {
            let detail = "this server was not given the types of an application";
            return Err(Problem::new(Slug::Unsupported, detail).next(NO_DOMAIN));
        };
        let found = domain.aggregate_named(aggregate).cloned();
        if let Some(fold) = found {
            return Ok(Which::Aggregate { name, fold });
        }
    }
    if let Some(projection) = wanted.strip_prefix(PROJECTION)
        && let Ok(projection) = ProjectionName::new(projection)
        && let Some(side) = &shared.ops.read_side
        && let Some(of) = RowsOf::find(side, &projection).await?
    {
        return Ok(Which::Rows { name, of: Arc::new(of) });
    }
    let there = names_of(shared, Some(stream)).await?;
    let there: Vec<&str> = there.iter().map(|named| named.fold.as_str()).collect();
    let detail =
        format!("there is no fold '{}': for this stream there are {}", shown(wanted), there.join(", "));
    Err(Problem::parameter("fold", detail))
}

/// How a server comes to know aggregates.
pub(crate) const NO_DOMAIN: &str = "Aggregates are of the application: one that embeds the server gives it its types \
                                    (`Server::with_domain`). `factum serve` knows none; merge folds any stream of JSON events.";

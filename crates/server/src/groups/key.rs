//! What is a group called, and where does it keep its things?

use std::fmt;

use factum_core::{NameError, StreamName};

use crate::source::Source;

/// The log, as groups over it are named.
const ALL: &str = "$all";

/// A group: what it reads, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupKey {
    /// The name of the source: a stream, an index stream, or `$all`.
    source: String,
    /// The name of the group.
    group: String,
}

/// The streams in which a group keeps its things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupStreams {
    /// How far it has come.
    pub(super) checkpoint: StreamName,
    /// The events that it has put aside.
    pub(super) parked: StreamName,
}

impl GroupKey {
    /// The group of that name over a source.
    pub(crate) fn new(source: &Source, group: impl Into<String>) -> Self {
        Self { source: source.name().to_owned(), group: group.into() }
    }

    /// The group, as configuration names it; `None` where the source's name cannot be one.
    pub(super) fn read(source: &str, group: &str) -> Option<Self> {
        let is_source = source == ALL || StreamName::new(source.to_owned()).is_ok();
        is_source.then(|| Self { source: source.to_owned(), group: group.to_owned() })
    }

    /// What it reads, as clients name it.
    pub(crate) fn source_name(&self) -> &str {
        &self.source
    }

    /// Its name.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// What it reads.
    pub(crate) fn source(&self) -> Source {
        match StreamName::new(self.source.clone()) {
            Ok(name) => Source::named(name),
            // Every other name was checked when the key was made.
            Err(_) => Source::All,
        }
    }

    /// Where it keeps its things.
    ///
    /// # Errors
    /// `NameError` where the names of group and source are too long together.
    pub(super) fn streams(&self) -> Result<GroupStreams, NameError> {
        let named = |what: &str| StreamName::new(format!("$persistentsubscription-{self}-{what}"));
        Ok(GroupStreams { checkpoint: named("checkpoint")?, parked: named("parked")? })
    }
}

impl fmt::Display for GroupKey {
    /// `stream::group`: what clients call a subscription.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.source, self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_names_and_keeps_its_things_beside_them() {
        let key = GroupKey::read("account-1", "mail").expect("a key");
        assert_eq!(key, GroupKey::new(&key.source(), "mail"));
        let streams = key.streams().expect("names");
        assert_eq!(streams.checkpoint.as_str(), "$persistentsubscription-account-1::mail-checkpoint");
        assert_eq!(streams.parked.as_str(), "$persistentsubscription-account-1::mail-parked");
        let all = GroupKey::read("$all", "g").expect("a key");
        assert_eq!((all.source(), all.to_string().as_str()), (Source::All, "$all::g"));
        assert!(matches!(GroupKey::read("$ce-account", "g").expect("a key").source(), Source::Index(_)));
        assert_eq!(GroupKey::read("", "g"), None);
        assert!(GroupKey::read("s", &"g".repeat(1_100)).expect("a key").streams().is_err());
    }
}

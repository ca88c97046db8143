//! What does a projection say of itself, and what makes its rows out of date?

use factum_core::read_model::{InvalidProjectionName, NewVersion, PersonalData, ProjectionName};
use factum_core::{Checkpoint, EventType, Position, Query, QueryItem, Selector, Tag, Timestamp};
use factum_vault::KEYS_DESTROYED_TYPE;
use sha2::{Digest, Sha256};

use crate::{Codec, CodecError, Event};

/// Most partitions of a projection.
pub const MAX_PARTITIONS: u16 = 64;

/// A projection's name, which events it is about, its tables, and all else that its rows depend on.
#[derive(Clone, Debug)]
pub struct Definition {
    name: ProjectionName,
    selector: Selector,
    tables: String,
    partitions: u16,
    personal: PersonalData,
    /// What the rows depend on beside tables and selection: code, shapes of events.
    depends_on: Vec<(&'static str, String)>,
    text: String,
}

impl Definition {
    /// A projection over `selector`, into the tables that these statements make (separated by `;`).
    ///
    /// # Errors
    /// Where the name cannot stand in SQL.
    pub fn new(
        name: &str,
        selector: Selector,
        tables: impl Into<String>,
    ) -> Result<Self, InvalidProjectionName> {
        Ok(Self {
            name: ProjectionName::new(name)?,
            selector,
            tables: tables.into(),
            partitions: 1,
            personal: PersonalData::None,
            depends_on: Vec::new(),
            text: String::new(),
        })
    }

    /// Every event of `E`, under its current names and the ones it had before.
    pub(crate) fn selecting<E: Event>(mut self, codec: &Codec<E>) -> Self {
        self.selector = Selector::Query(Query::item(codec.query_item()));
        self.shaped_by::<E>()
    }

    /// The rows depend on the kinds of `E` and their versions.
    pub(crate) fn shaped_by<E: Event>(mut self) -> Self {
        let kinds = E::kinds().iter().map(|kind| format!("{}@{}", kind.event_type, kind.version));
        self.depends_on.push(("events", kinds.collect::<Vec<_>>().join(",")));
        self
    }

    /// The rows depend on this text: `include_str!` of the projection's own file makes every change of it count.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.depends_on.push(("source", source.to_owned()));
        self
    }

    /// The rows depend on this number: count it up when `apply` means something else.
    #[must_use]
    pub fn revision(mut self, revision: u32) -> Self {
        self.depends_on.push(("revision", revision.to_string()));
        self
    }

    /// Events of different streams may be applied in any order: they are spread over so many partitions, by stream, each
    /// with a thread and a place of its own. At most [`MAX_PARTITIONS`]; 0 counts as 1.
    #[must_use]
    pub fn partitioned_by_stream(mut self, partitions: u16) -> Self {
        self.partitions = partitions.clamp(1, MAX_PARTITIONS);
        self
    }

    /// What of the rows is personal data, and how it is forgotten. A projection of events with personal data must say.
    #[must_use]
    pub fn personal_data(mut self, personal: PersonalData) -> Self {
        self.personal = personal;
        self
    }

    /// Keeps the declaration as text, so that another process can apply it.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Its name.
    pub fn name(&self) -> &ProjectionName {
        &self.name
    }

    /// Which events it is about.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// The statements that make its tables.
    pub fn tables(&self) -> &str {
        &self.tables
    }

    /// In how many partitions it is applied.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// What of the rows is personal data.
    pub fn personal(&self) -> PersonalData {
        self.personal
    }

    /// What the log is asked for: the projection's own events and, where it forgets, what the vault says.
    pub(crate) fn subscribed(&self) -> Selector {
        let told = || EventType::new(KEYS_DESTROYED_TYPE).map(|told| QueryItem::types([told]));
        match (&self.selector, told()) {
            (Selector::Query(query), Ok(told)) if self.forgets() && !query.is_all() => {
                Selector::Query(query.clone().or(told))
            }
            (selector, _) => selector.clone(),
        }
    }

    /// Whether it is told of erasures. Only a projection of a query or of the whole log can be.
    pub(crate) fn forgets(&self) -> bool {
        self.personal == PersonalData::Forgotten
    }

    pub(crate) fn can_be_told(&self) -> bool {
        matches!(self.selector, Selector::Query(_) | Selector::All)
    }

    /// The declaration as text, or nothing.
    pub fn declaration(&self) -> &str {
        &self.text
    }

    /// A version that is to be made of it at this time, from the beginning of the log that `origin` is a place of.
    pub fn new_version(&self, origin: &Checkpoint, at: Timestamp) -> NewVersion {
        NewVersion {
            name: self.name.clone(),
            fingerprint: self.fingerprint(),
            definition: self.text.clone(),
            tables: self.tables.clone(),
            partitions: self.partitions,
            personal: self.personal,
            start: origin.at(Position::START),
            at,
        }
    }

    /// What the rows depend on, hashed: 64 hexadecimal digits. Rows of another fingerprint are of another projection,
    /// until they are rebuilt or someone says that they are the same.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |name: &str, text: &str| {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        part("selector", &selector_text(&self.selector));
        part("tables", &self.tables);
        part("partitions", &self.partitions.to_string());
        part("text", &self.text);
        if self.personal != PersonalData::None {
            part("personal", self.personal.as_str());
        }
        for (name, text) in &self.depends_on {
            part(name, text);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn partition_of(&self, stream: &str) -> u16 {
        partition_of(stream, self.partitions)
    }
}

/// A selector in words of its own: stored versions are known by it, whatever the types are called in a later build. Each
/// part is quoted, so that no two selectors read the same.
fn selector_text(selector: &Selector) -> String {
    let of_item = |item: &QueryItem| {
        let types: Vec<&str> = item.types.iter().map(EventType::as_str).collect();
        let tags: Vec<&str> = item.tags.iter().map(Tag::as_str).collect();
        format!("types {types:?} tags {tags:?}")
    };
    match selector {
        Selector::All => "all".to_owned(),
        Selector::Stream(stream) => format!("stream {:?}", stream.as_str()),
        Selector::Category(category) => format!("category {:?}", category.as_str()),
        Selector::Query(query) => {
            format!("query {}", query.items.iter().map(of_item).collect::<Vec<_>>().join(" or "))
        }
        Selector::Correlation(id) => format!("correlation {id:?}"),
        Selector::Causation(id) => format!("causation {id:?}"),
        Selector::Append(id) => format!("append {id}"),
        Selector::Event(id) => format!("event {id}"),
        Selector::StreamStarts => "stream starts".to_owned(),
    }
}

/// Which of so many partitions the events of a stream belong to. FNV-1a: the same on every machine, for ever, since the
/// progress of each partition rests on it.
pub(crate) fn partition_of(stream: &str, partitions: u16) -> u16 {
    if partitions <= 1 {
        return 0;
    }
    let hash = stream.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // FNV alone leaves names that differ in their last letters close together: mix high bits into low ones.
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    u16::try_from((mixed ^ (mixed >> 33)) % u64::from(partitions)).unwrap_or_default()
}

/// What is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The name.
    #[error(transparent)]
    Name(#[from] InvalidProjectionName),
    /// The events.
    #[error(transparent)]
    Events(#[from] CodecError),
}

#[cfg(test)]
mod tests {
    use super::Definition;
    use factum_core::Selector;

    const FIRST: &str = "6219a497798926a551c79753c472c3b8dc697392df20f163999c3ed3c2d746da";

    fn definition() -> Definition {
        Definition::new("balances", Selector::All, "create table a (b integer)").unwrap()
    }

    #[test]
    fn whatever_the_rows_depend_on_changes_the_fingerprint() {
        let mut all = vec![
            definition().fingerprint(),
            definition().revision(1).fingerprint(),
            definition().revision(2).fingerprint(),
            definition().source("1").fingerprint(),
            definition().text("1").fingerprint(),
            definition().partitioned_by_stream(2).fingerprint(),
            Definition::new("balances", Selector::StreamStarts, "create table a (b integer)")
                .unwrap()
                .fingerprint(),
            Definition::new("balances", Selector::All, "create table a (b text)").unwrap().fingerprint(),
        ];
        assert_eq!(definition().fingerprint(), all[0], "the same declaration, the same fingerprint");
        assert_eq!(all[0], FIRST, "stored versions are known by it: it stays the same in every later build");
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn streams_spread_over_partitions_and_stay_there() {
        let four = definition().partitioned_by_stream(4);
        let mut seen = [0; 4];
        for n in 0..4_000 {
            let stream = format!("account-{n}");
            let partition = four.partition_of(&stream);
            assert_eq!(partition, four.partition_of(&stream));
            seen[usize::from(partition)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 800), "{seen:?}");
        // Fixed for ever: stored progress rests on it.
        assert_eq!(
            ["account-1", "account-7", "order-5", "a"].map(|name| four.partition_of(name)),
            [3, 3, 2, 1]
        );
        assert_eq!(definition().partition_of("account-1"), 0);
    }
}

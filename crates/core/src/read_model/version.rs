//! What is a version of a read model, and what has been done with it?

use std::fmt;

use super::ProjectionName;
use crate::{Checkpoint, Timestamp};

/// The number of a version of one projection, from 1. A number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionNumber(pub u32);

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What a version is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Queries read it.
    Serving,
    /// It is being built beside the one that serves.
    Building,
    /// It served before, and is kept to go back to.
    Previous,
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Serving => "serving",
            Role::Building => "building",
            Role::Previous => "previous",
        }
    }

    /// The role with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Role::Serving, Role::Building, Role::Previous].into_iter().find(|role| role.as_str() == word)
    }
}

/// What of a version's rows is personal data, and how it is forgotten when a subject is erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PersonalData {
    /// There is none.
    #[default]
    None,
    /// It is sealed in the rows too: with the key it is gone.
    Sealed,
    /// The projection forgets it when the log says that the keys are destroyed.
    Forgotten,
    /// The rows are built anew; those that were made before are discarded.
    Rebuilt,
}

impl PersonalData {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            PersonalData::None => "none",
            PersonalData::Sealed => "sealed",
            PersonalData::Forgotten => "forgotten",
            PersonalData::Rebuilt => "rebuilt",
        }
    }

    /// The one with this word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [PersonalData::None, PersonalData::Sealed, PersonalData::Forgotten, PersonalData::Rebuilt];
        all.into_iter().find(|personal| personal.as_str() == word)
    }
}

/// A version that is to be made. The first of a projection serves at once, later ones are building.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// The projection.
    pub name: ProjectionName,
    /// What the rows depend on, hashed: code, tables, the events' shape.
    pub fingerprint: String,
    /// The projection's declaration, where it has one that can be kept as text; else empty.
    pub definition: String,
    /// The statements that make its tables, separated by `;`.
    pub tables: String,
    /// In how many partitions it is applied, at least 1.
    pub partitions: u16,
    /// What of the rows is personal data.
    pub personal: PersonalData,
    /// The place before the first event to apply: it also says of which store the rows are.
    pub start: Checkpoint,
    /// When.
    pub at: Timestamp,
}

/// A version that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The projection.
    pub name: ProjectionName,
    /// Its number.
    pub number: VersionNumber,
    /// What it is for.
    pub role: Role,
    /// What its rows depend on, hashed.
    pub fingerprint: String,
    /// The projection's declaration, as it was given.
    pub definition: String,
    /// In how many partitions it is applied.
    pub partitions: u16,
    /// What of the rows is personal data.
    pub personal: PersonalData,
    /// Whether an operator stopped it.
    pub stopped: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One of the partitions of a version, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    /// The projection.
    pub name: ProjectionName,
    /// The version.
    pub version: VersionNumber,
    /// Which partition.
    pub index: u16,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, partition {}", self.name, self.version, self.index)
    }
}

/// Something that was done with a projection: kept for ever, beyond the version that it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The projection.
    pub name: ProjectionName,
    /// The version.
    pub version: VersionNumber,
    /// What: `created`, `promoted`, `rolled back`, `discarded`, `accepted`, `skipped`, `stopped`, `started`.
    pub what: String,
    /// Who.
    pub actor: String,
    /// Why, and at which position where that matters.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

//! Why does a read-model database refuse?

use super::{Partition, ProjectionName, VersionNumber};
use crate::{Checkpoint, CheckpointError, ErrorKind};

/// Why a read-model database refused. Never holds a password or a row's values.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadModelError {
    /// The database cannot be reached or is in use; trying again may help.
    #[error("{database} is not available: {why}")]
    Unavailable {
        /// Which database.
        database: String,
        /// What it said.
        why: String,
    },
    /// The database may be read, but not written.
    #[error("{database} is read-only: {why}; make it writable, or name another one")]
    ReadOnly {
        /// Which database.
        database: String,
        /// What it said.
        why: String,
    },
    /// There is no such database.
    #[error("there is no read-model database at {database}: {why}")]
    Missing {
        /// Which database.
        database: String,
        /// What it said.
        why: String,
    },
    /// It was made by a later build.
    #[error("{database} has layout {found}, this build knows up to {known}: use a newer build")]
    NewerLayout {
        /// Which database.
        database: String,
        /// The layout found.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
    /// There is no such projection.
    #[error("there is no projection '{name}'")]
    UnknownProjection {
        /// The name asked for.
        name: ProjectionName,
    },
    /// The projection has no such version.
    #[error("projection '{name}' has no {wanted}")]
    UnknownVersion {
        /// The projection.
        name: ProjectionName,
        /// What was asked for: a number or a role.
        wanted: String,
    },
    /// Another version is already being built.
    #[error("projection '{name}' is already being rebuilt as {building}: promote or discard that one first")]
    AlreadyBuilding {
        /// The projection.
        name: ProjectionName,
        /// The version in the making.
        building: VersionNumber,
    },
    /// The rows come from another store, or from before or after a restore.
    #[error(
        "the read models in {database} are of another history: {source}; rebuild them, or name another database"
    )]
    OtherHistory {
        /// Which database.
        database: String,
        /// How the two differ.
        source: CheckpointError,
    },
    /// Another owner has taken the partition over; nothing was written.
    #[error("{partition} was taken over by another process: this one stops writing to it")]
    Fenced {
        /// Which partition.
        partition: Partition,
    },
    /// The version has not come as far as the one that serves.
    #[error(
        "{version} of '{name}' has come to {applied}, the serving version to {serving}: wait until it has caught up"
    )]
    NotCaughtUp {
        /// The projection.
        name: ProjectionName,
        /// The version that was to serve.
        version: VersionNumber,
        /// How far it is.
        applied: Box<Checkpoint>,
        /// How far the serving one is.
        serving: Box<Checkpoint>,
    },
    /// The version may not be discarded: it serves.
    #[error("{version} of '{name}' serves: promote another version first, or delete the projection")]
    Serves {
        /// The projection.
        name: ProjectionName,
        /// The version.
        version: VersionNumber,
    },
    /// A statement that the database does not take.
    #[error("the statement `{statement}` failed: {why}")]
    Statement {
        /// The statement, without the values of its parameters.
        statement: String,
        /// What the database said.
        why: String,
    },
    /// A statement that names a parameter which was not given.
    #[error("the statement `{statement}` names the parameter :{parameter}, which was not given")]
    MissingParameter {
        /// The statement.
        statement: String,
        /// The parameter.
        parameter: String,
    },
    /// The database is damaged, or holds what it should not.
    #[error("{database} is damaged: {why}; discard it and rebuild: read models can always be made again")]
    Damaged {
        /// Which database.
        database: String,
        /// What is wrong.
        why: String,
    },
    /// Something else failed.
    #[error("{database} failed: {why}")]
    Failed {
        /// Which database.
        database: String,
        /// What it said.
        why: String,
    },
}

impl ReadModelError {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } | Self::ReadOnly { .. } | Self::Failed { .. } => ErrorKind::Unavailable,
            Self::Missing { .. } | Self::UnknownProjection { .. } | Self::UnknownVersion { .. } => {
                ErrorKind::NotFound
            }
            Self::NewerLayout { .. } => ErrorKind::Unsupported,
            Self::AlreadyBuilding { .. }
            | Self::OtherHistory { .. }
            | Self::Fenced { .. }
            | Self::NotCaughtUp { .. }
            | Self::Serves { .. } => ErrorKind::Conflict,
            Self::Statement { .. } | Self::MissingParameter { .. } => ErrorKind::Invalid,
            Self::Damaged { .. } => ErrorKind::Damaged,
        }
    }

    /// Whether the same call may succeed later without anyone doing anything: the database is restarting or busy.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

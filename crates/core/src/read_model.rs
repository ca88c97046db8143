//! What must a database of read models keep? The contract between projections and the databases that hold their rows.
//!
//! A read model lives in versions. Each version has tables of its own, and a [`Progress`] per partition that is written
//! in the same transaction as the rows: what has been applied is known exactly, whatever is killed. One version serves,
//! another may be built beside it, and the one that served before may be kept to go back to.
//!
//! [`ReadModels`] is the database, [`ReadModelWriter`] the one owner of a partition's rows, [`ReadModelReader`] a view
//! of what is served. All three block: a projection has a thread of its own.

mod contract;
mod error;
mod name;
mod progress;
mod statement;
mod value;
mod version;

pub use contract::{
    AppliedWatch, CompareOptions, ReadModelReader, ReadModelWriter, ReadModels, RowDifference,
    TableDifference, Tables, Woken,
};
pub use error::ReadModelError;
pub use name::{InvalidProjectionName, ProjectionName};
pub use progress::{Attempt, Fault, Progress, Skip};
pub use statement::{NamedStatement, Piece};
pub use value::{Parameters, Row, Rows, Value};
pub use version::{Action, NewVersion, Partition, PersonalData, Role, Version, VersionNumber};

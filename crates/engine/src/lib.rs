//! Factum's embedded log engine: an event store in a directory, in one process.
//!
//! Start with [`Engine::open`]. The bytes are drawn in `docs/format.md`.
//!
//! **Invariant:** what was acknowledged is on disk and is never changed; whatever can be rebuilt from the segments is never
//! needed to open them.

mod engine;
mod identity;
mod index;
mod log;
mod open;
mod options;
mod reader;
mod segment;
mod upkeep;
mod vfs;
mod waiting;
mod writer;

pub use engine::Engine;
pub use options::{Create, DEFAULT_SEGMENT_BYTES, MIN_SEGMENT_BYTES, OpenError, Options, Upkeep};
pub use segment::format::FORMAT;
pub use vfs::{OpenMode, OsVfs, Vfs, VfsFile};

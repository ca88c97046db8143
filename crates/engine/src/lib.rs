//! Factum's embedded log engine: an event store in a directory, in one process.
//!
//! Start with [`Engine::open`]. The bytes are drawn in `docs/format.md`.
//!
//! **Invariant:** what was acknowledged is on disk and is never changed, but for what a redaction takes out; whatever can be rebuilt from the segments is never
//! needed to open them.

mod backup;
mod engine;
mod identity;
mod index;
mod info;
mod log;
mod open;
mod options;
mod reader;
mod redact;
mod rewrite;
mod scavenge;
mod segment;
mod spare;
mod upkeep;
mod verify;
mod vfs;
mod writer;

pub use backup::{BackupError, BackupInfo, LedgerEnd, look_at_backup, restore, verify_backup};
pub use engine::Engine;
pub use identity::origin_of;
pub use info::StoreInfo;
pub use options::{Create, DEFAULT_SEGMENT_BYTES, MIN_SEGMENT_BYTES, OpenError, Options, Upkeep};
pub use scavenge::{ScavengeMode, Scavenged};
pub use segment::format::FORMAT;
pub use verify::{Damage, Verified, verify};
pub use vfs::{OpenMode, OsVfs, Vfs, VfsFile};

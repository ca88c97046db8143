//! Factum's embedded log engine.

#[allow(dead_code, reason = "the log is being built on it")]
mod index;
mod vfs;

pub use vfs::{OpenMode, OsVfs, Vfs, VfsFile};

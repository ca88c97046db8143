//! Factum's embedded log engine.

mod vfs;

pub use vfs::{OpenMode, OsVfs, Vfs, VfsFile};

//! What leaves a store as a file.

mod ndjson;

pub use ndjson::{ExportError, ExportProgress, export_ndjson};

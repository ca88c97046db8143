//! The `factum` command line, as a library: examples use its import.

#[cfg_attr(not(test), expect(dead_code, reason = "the verbs that use it land next"))]
mod event_json;
mod export;
mod import;

pub use export::{ExportError, ExportProgress, export_ndjson};
pub use import::{
    ImportError, ImportPhase, ImportProgress, ImportSummary, Place, TRACE_STARTED, XesImport, import_ndjson,
    import_xes,
};

//! The `factum` command line, as a library: its binary is [`run`], and examples use its import, its vault and its server.
//!
//! One file per verb. `store.rs` is the one place that names a concrete store, `read_models.rs` the one that names
//! databases of read models, `failure.rs` the one map from kinds of errors to exit codes.

mod append;
mod backup;
mod bench;
mod command_line;
mod completions;
mod context;
mod demo;
mod event;
mod explain;
mod export;
mod export_verb;
mod failure;
mod import;
mod import_verb;
mod log;
mod moment;
mod output;
mod privacy;
mod processes;
mod progress;
mod projections;
mod read;
mod read_models;
mod schema;
mod selector;
mod serve;
mod serving;
mod sql;
mod state;
mod storage;
mod store;
mod streams;
mod tail;
mod users;
mod vault;
mod version;

pub use command_line::run;
pub use export::{ExportError, ExportProgress, export_ndjson};
pub use failure::NotDone;
pub use import::{
    ImportError, ImportPhase, ImportProgress, ImportSummary, NdjsonImport, Place, TRACE_STARTED, XesImport,
    import_ndjson, import_xes,
};
pub use serving::{Files, KnownHere, Served, serve_locally};
pub use vault::VaultArgs;

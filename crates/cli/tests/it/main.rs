//! Tests of the command line through its public face.

mod import_xes;
mod ndjson;

//! The `factum` command line, as a library: examples use its import.

#[cfg_attr(not(test), expect(dead_code, reason = "the verbs that use it land next"))]
mod event_json;

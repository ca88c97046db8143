//! What Factum's own tests share: the conformance suite that every store passes, fixtures, and how a test is skipped.

mod skip;

pub use skip::skip;

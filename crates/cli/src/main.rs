//! The factum binary.
fn main() {}

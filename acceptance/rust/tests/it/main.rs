//! KurrentDB's own Rust client, against `factum serve`.

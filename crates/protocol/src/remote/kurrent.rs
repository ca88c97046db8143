//! KurrentDB's calls, asked.
//!
//! What they have no words for is done here over the log where that is exact (times, queries, what a stream hides), and
//! refused where it is not (conditions over queries, append ids).

mod append;
mod carry;
mod place;
mod read;
mod subscribe;
mod wire_read;

use factum_core::{Capabilities, Capability, Durability};

use super::cluster::Features;

pub(super) use append::{append, delete};
pub(super) use read::read;
pub(super) use subscribe::subscribe;

/// What can be done by the calls that a server lists.
pub(super) fn capabilities(features: Features) -> Capabilities {
    let mut supported = vec![Capability::GlobalOrder];
    if features.append_session || features.append_records {
        supported.push(Capability::MultiStreamAppend);
    }
    if features.append_records {
        supported.push(Capability::StreamChecks);
    }
    // One node syncs before it answers; whether there are more is its owner's to know.
    Capabilities { supported, durability: Durability::Disk }
}

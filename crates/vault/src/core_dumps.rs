//! May what this process holds in memory be written to a file when it crashes?

/// What opening a vault does about core dumps of the process that opens it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreDumps {
    /// There are none from then on, and no other process of the same user attaches to this one or reads its memory. Known to Linux
    /// only; elsewhere nothing is done.
    #[default]
    Off,
    /// They stay as they are: for who debugs or profiles a process with a vault.
    AsTheyAre,
}

impl CoreDumps {
    /// Best effort: a system that does not allow it is no reason to keep personal data from those who may read it.
    pub(crate) fn apply(self) {
        #[cfg(target_os = "linux")]
        if self == CoreDumps::Off {
            use rustix::process::{DumpableBehavior, set_dumpable_behavior};
            let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        }
    }
}

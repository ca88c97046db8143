//! The upkeep of the engine's store, for the server; and what Linux knows about this process.

use std::ops::ControlFlow;
use std::path::Path;

use factum_core::ReadError;
use factum_engine::{ScavengeMode, Verified};
use factum_server::{
    Condition, Disk, Fault, Maintenance, ProcessFigures, Progress, Reclaimed, ScavengeEstimate,
    StorageFigures, Verification,
};

use crate::serving::Files;

/// The upkeep of a log's files.
pub(crate) struct Upkeep(pub(crate) Files);

impl Maintenance for Upkeep {
    fn scavenge(&self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Reclaimed, ReadError> {
        let watched = |done, all| watch(Progress { done, all });
        let done = self.0.engine.scavenge_while(ScavengeMode::Reclaim, watched)?;
        Ok(Reclaimed { events: done.events, bytes: done.bytes })
    }

    fn estimate(&self) -> Result<Option<ScavengeEstimate>, ReadError> {
        let found = self.0.engine.scavenge(ScavengeMode::Estimate, |_, _| {})?;
        Ok(Some(ScavengeEstimate {
            segments: found.segments,
            rewritten: found.rewritten,
            events: found.events,
            bytes: found.bytes,
        }))
    }

    fn verifies(&self) -> bool {
        true
    }

    fn verify(
        &self,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<Verification>, ReadError> {
        let found = self.0.engine.verify_while(|done, all| watch(Progress { done, all }))?;
        Ok(found.map(|found| verification(&self.0.dir, &found)))
    }

    fn condition(&self) -> Condition {
        let info = self.0.engine.info();
        Condition {
            recovered: info.recovered,
            stopped: info.stopped,
            background: info.upkeep_failure.or(info.redaction_failure),
            disk: disk(&self.0.dir),
        }
    }

    fn figures(&self) -> StorageFigures {
        let info = self.0.engine.info();
        StorageFigures {
            end: info.end.0,
            segments: info.segments,
            log_bytes: info.log_bytes,
            index_layers: info.index_layers,
            index_memory_bytes: info.index_memory_bytes,
        }
    }
}

/// Damaged places that are named; the others are counted.
const PLACES: usize = 100;

/// What a walk found, with places as they are called within the store.
fn verification(dir: &Path, found: &Verified) -> Verification {
    let prefix = format!("{}/", dir.display());
    let faults = found.damage.iter().take(PLACES).map(|damage| Fault {
        place: damage.place.strip_prefix(&prefix).unwrap_or(&damage.place).to_owned(),
        what: damage.what.clone(),
        mends: damage.rebuilt_on_open,
    });
    Verification {
        end: found.end.0,
        events: found.events,
        redacted: found.redacted,
        removed: found.removed,
        segments: found.segments,
        bytes: found.bytes,
        root: found.root_hex(),
        damaged: found.damage.len() as u64,
        damage: faults.collect(),
    }
}

/// The disk that a directory is on, as the system tells it.
fn disk(dir: &Path) -> Option<Disk> {
    let told = rustix::fs::statvfs(dir).ok()?;
    let of = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Some(Disk { size: of(told.f_blocks), free: of(told.f_bavail) })
}

/// Ticks of processor time in a second, as Linux tells them to programs on every architecture that it runs on today.
const TICKS_PER_SECOND: f64 = 100.0;
const BYTES_PER_KIB: u64 = 1024;

/// What Linux tells about this process; elsewhere nothing.
pub(super) fn process() -> Option<ProcessFigures> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse(&stat, &status)
}

fn parse(stat: &str, status: &str) -> Option<ProcessFigures> {
    // The name of the program stands in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let of_status = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Some(ProcessFigures {
        cpu_seconds: (user + system) / TICKS_PER_SECOND,
        resident_bytes: of_status("VmRSS:")?.saturating_mul(BYTES_PER_KIB),
        threads: of_status("Threads:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_program_is_called() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 7 0 100 1 2 3";
        let status = "Name:\ta) b\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        let figures = parse(stat, status).unwrap();
        assert_eq!(figures, ProcessFigures { cpu_seconds: 2.0, resident_bytes: 2 << 20, threads: 7 });
        assert_eq!(parse("", status), None);
        assert_eq!(parse(stat, ""), None);
    }

    #[test]
    fn a_directory_is_on_a_disk() {
        let disk = disk(Path::new(".")).unwrap();
        assert!(disk.size > 0 && disk.free <= disk.size, "{disk:?}");
        assert_eq!(super::disk(Path::new("/nowhere/at/all")), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_figures() {
        let figures = process().unwrap();
        assert!(figures.resident_bytes > 1 << 20 && figures.threads > 0, "{figures:?}");
    }
}

//! Are the runs in a directory whole? For `verify`: a run that is not is built again when the store opens.

use std::path::Path;

use super::build::{file_name, parse_file_name};
use super::error::IndexError;
use super::merge::check;
use super::run::Run;
use crate::vfs::Vfs;

/// Reads every run in `dir`, and tells `damage` the place and the fault of each that is not whole.
pub(crate) fn verify_runs(vfs: &dyn Vfs, dir: &Path, mut damage: impl FnMut(String, String)) {
    // No directory, no runs: they are built at the next opening.
    let names = vfs.list(dir).unwrap_or_default();
    for (from, to) in names.iter().filter_map(|name| parse_file_name(name)) {
        let path = dir.join(file_name(from, to));
        match Run::open(vfs, &path).and_then(|run| check(&run)) {
            Ok(()) => {}
            Err(IndexError::Damaged { offset, what, .. }) => {
                damage(format!("{} at byte {offset}", path.display()), what.to_owned());
            }
            Err(IndexError::Io { source, .. }) => damage(path.display().to_string(), source.to_string()),
        }
    }
}

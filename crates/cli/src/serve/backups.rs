//! Backups that a server makes: each a directory in the one that it was started with.
//!
//! A backup is made beside its place, under a name that begins with a dot, checked there, and only then given its name: whatever has
//! a plain name was whole when it got it. What a crash leaves under the other name is listed as unfinished and never taken for a backup.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use factum_core::Timestamp;
use factum_engine::{BackupInfo, Engine, OsVfs, Verified, Vfs, look_at_backup, verify, verify_backup};
use factum_server::{Backup, BackupCheck, BackupName, Backups, BackupsError, Progress};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;

/// What was found when the copy was read to its end, beside its manifest.
const CHECKED: &str = "checked.json";
/// How the name of one that is being made ends.
const UNFINISHED: &str = ".partial";

/// Where backups may be made.
#[derive(Args, Debug)]
pub(crate) struct BackupDirArgs {
    /// Let operators make backups over HTTP, in this directory [default: none may be made]
    #[arg(
        long,
        value_name = "DIR",
        env = "FACTUM_BACKUP_DIR",
        hide_env_values = true,
        conflicts_with = "memory"
    )]
    backup_dir: Option<PathBuf>,
}

impl BackupDirArgs {
    /// The directory, which is made where it is not there.
    pub(super) fn open(&self, engine: &Engine, context: &Context) -> Result<Option<InDirectory>, Failure> {
        let Some(dir) = &self.backup_dir else { return Ok(None) };
        let failed = |error: io::Error| Failure::io("--backup-dir cannot be used", &error);
        fs::create_dir_all(dir).map_err(failed)?;
        let (dir, data) =
            (fs::canonicalize(dir).map_err(failed)?, fs::canonicalize(context.data()?).map_err(failed)?);
        if dir.starts_with(&data) {
            let why = format!("{} lies in the store's own directory", dir.display());
            return Err(Failure::usage(
                "--backup-dir cannot be used",
                why,
                "name a directory elsewhere, at best on another disk",
            ));
        }
        let has_vault = context.has_vault();
        Ok(Some(InDirectory { engine: engine.clone(), dir, has_vault }))
    }
}

/// Backups of an engine, in a directory.
pub(super) struct InDirectory {
    engine: Engine,
    dir: PathBuf,
    has_vault: bool,
}

impl Backups for InDirectory {
    fn directory(&self) -> String {
        self.dir.display().to_string()
    }

    fn list(&self) -> Result<Vec<Backup>, BackupsError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(|error| failed(&self.dir, &error))? {
            let path = entry.map_err(|error| failed(&self.dir, &error))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(name) = name.strip_prefix('.').and_then(|name| name.strip_suffix(UNFINISHED)) {
                let name = name.rsplit_once('.').map_or(name, |(name, _)| name).to_owned();
                found.push(self.unfinished(&path, name));
            } else if path.join("backup.json").exists() || path.join("log").is_dir() {
                found.push(self.look_at(&path, name));
            }
        }
        Ok(found)
    }

    fn make(
        &self,
        name: &BackupName,
        at: Timestamp,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<Backup>, BackupsError> {
        let place = self.dir.join(name.as_str());
        if place.exists() {
            return Err(BackupsError { why: format!("'{name}' is there already") });
        }
        // The time makes it another name than that of one that was cut off.
        let beside = self.dir.join(format!(".{name}.{}{UNFINISHED}", at.0));
        let made = self.make_beside(&beside, at, watch).and_then(|made| match made {
            None => Ok(None),
            Some(()) => {
                fs::rename(&beside, &place).map_err(|error| failed(&place, &error))?;
                OsVfs.sync_dir(&self.dir).map_err(|error| failed(&self.dir, &error))?;
                Ok(Some(self.look_at(&place, name.as_str())))
            }
        });
        if !matches!(made, Ok(Some(_))) {
            // What stays is listed as unfinished.
            drop(fs::remove_dir_all(&beside));
        }
        made
    }

    fn left_out(&self) -> Vec<String> {
        let mut left_out = vec![
            "Read models: they are made again from the log.".to_owned(),
            "Certificates, tokens and options of the server.".to_owned(),
        ];
        if self.has_vault {
            left_out.push(
                "The vault's keys, without which nobody reads personal values: factum privacy backup FILE, kept apart from this \
                 directory, and what wraps them."
                    .to_owned(),
            );
            left_out.push(
                "Whoever is erased after a backup: keep what factum privacy ledger writes, and give it to --ledger when restoring."
                    .to_owned(),
            );
        }
        left_out
    }
}

impl InDirectory {
    /// Copies and checks; `None`: it was broken off.
    fn make_beside(
        &self,
        to: &Path,
        at: Timestamp,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<()>, BackupsError> {
        // Each byte is written once and read once.
        let mut total = 0;
        let copied = self.engine.backup_while(to, |done, all| {
            total = all;
            watch(Progress { done, all: 2 * all })
        });
        let Some(copied) = copied.map_err(|error| BackupsError { why: error.to_string() })? else {
            return Ok(None);
        };
        verify_backup(&OsVfs, to).map_err(|error| BackupsError { why: error.to_string() })?;
        let mut goes_on = ControlFlow::Continue(());
        let walked = verify(to, &OsVfs, |done, _| {
            if goes_on.is_continue() {
                goes_on = watch(Progress { done: (total + done).min(2 * total), all: 2 * total });
            }
        });
        let walked = walked.map_err(|error| BackupsError { why: error.to_string() })?;
        // The lock of whoever walks a store is not part of the copy.
        drop(fs::remove_file(to.join("lock")));
        if goes_on.is_break() {
            return Ok(None);
        }
        check(&copied, &walked)?;
        let checked = json!({ "at": at.to_string(), "root": walked.root_hex(), "events": walked.events });
        let path = to.join(CHECKED);
        fs::write(&path, format!("{checked:#}\n")).map_err(|error| failed(&path, &error))?;
        Ok(Some(()))
    }

    fn look_at(&self, path: &Path, name: &str) -> Backup {
        let checked = fs::read(path.join(CHECKED)).ok();
        let checked =
            checked.and_then(|bytes| serde_json::from_slice(&bytes).ok()).and_then(|of| check_of(&of));
        let modified = fs::metadata(path.join("backup.json")).and_then(|metadata| metadata.modified()).ok();
        let made = checked.as_ref().map(|checked| checked.at).or_else(|| modified.and_then(timestamp));
        match look_at_backup(&OsVfs, path) {
            Ok(info) => Backup {
                end: info.end.0,
                bytes: info.bytes,
                segments: info.segments,
                store: Some((info.store.to_string(), info.epoch)),
                made,
                verified: checked,
                ..self.unknown(path, name.to_owned())
            },
            Err(error) => {
                Backup { incomplete: Some(error.to_string()), made, ..self.unknown(path, name.to_owned()) }
            }
        }
    }

    fn unfinished(&self, path: &Path, name: String) -> Backup {
        let why = "it is being made, or was not finished: then its directory can be removed".to_owned();
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        Backup { incomplete: Some(why), made: modified.and_then(timestamp), ..self.unknown(path, name) }
    }

    fn unknown(&self, path: &Path, name: String) -> Backup {
        Backup {
            name,
            made: None,
            end: 0,
            bytes: 0,
            segments: 0,
            store: None,
            incomplete: None,
            verified: None,
            restore: format!("factum backup restore {} --data NEW", quoted(&path.display().to_string())),
        }
    }
}

/// A copy that is not whole is none.
fn check(copied: &BackupInfo, walked: &Verified) -> Result<(), BackupsError> {
    if let Some(damage) = walked.damage.iter().find(|damage| !damage.rebuilt_on_open) {
        return Err(BackupsError { why: format!("the copy is damaged: {}: {}", damage.place, damage.what) });
    }
    if walked.end != copied.end {
        let why = format!("the copy ends at position {}, and not at {}", walked.end, copied.end);
        return Err(BackupsError { why });
    }
    Ok(())
}

fn check_of(checked: &Value) -> Option<BackupCheck> {
    Some(BackupCheck {
        at: Timestamp::parse(checked["at"].as_str()?).ok()?,
        root: checked["root"].as_str()?.to_owned(),
        events: checked["events"].as_u64()?,
    })
}

fn timestamp(time: std::time::SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix_millis(i64::try_from(since.as_millis()).ok()?))
}

fn failed(path: &Path, error: &io::Error) -> BackupsError {
    BackupsError { why: format!("{}: {error}", path.display()) }
}

/// A word of a shell's command line.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_command() {
        assert_eq!(quoted("/srv/backups/a-1"), "/srv/backups/a-1");
        assert_eq!(quoted("/srv/my backups"), "'/srv/my backups'");
        assert_eq!(quoted("/srv/o'clock; rm"), r"'/srv/o'\''clock; rm'");
    }
}

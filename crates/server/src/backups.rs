//! Which backups are there, and who makes them? Whoever starts a server knows where they may be.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use factum_core::Timestamp;

use crate::maintenance::Progress;
use crate::shared::Shared;

/// Longest name of a backup, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// A directory of backups.
pub trait Backups: Send + Sync + 'static {
    /// Where it is, for people.
    fn directory(&self) -> String;

    /// What is there, finished or not. Blocks, and reads no more than manifests.
    ///
    /// # Errors
    /// `BackupsError` where the directory cannot be read.
    fn list(&self) -> Result<Vec<Backup>, BackupsError>;

    /// Copies everything that is committed, while the store is in use, and checks the copy. Blocks. `watch` is told the bytes copied
    /// and may break it off: then nothing is left of it, and the answer is `None`.
    ///
    /// # Errors
    /// `BackupsError` where there is one of that name, the disk refuses, or the copy is not whole. Nothing is left of it then.
    fn make(
        &self,
        name: &BackupName,
        at: Timestamp,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<Backup>, BackupsError>;

    /// What a backup does not hold, each with what to do about it.
    fn left_out(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A backup could not be made, or the directory not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BackupsError {
    /// What is in the way.
    pub why: String,
}

/// One backup, or what is left of one that was not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its name in the directory.
    pub name: String,
    /// When it was made; `None` where that is not known.
    pub made: Option<Timestamp>,
    /// Position after its last event.
    pub end: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// The store that it is a copy of, and that store's epoch.
    pub store: Option<(String, u32)>,
    /// Why it cannot be restored; `None` where it is whole as far as a look at its files tells.
    pub incomplete: Option<String>,
    /// When all of it was read and found to be whole; `None` where that was never done.
    pub verified: Option<BackupCheck>,
    /// The command that restores it.
    pub restore: String,
}

/// A backup that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupCheck {
    /// When.
    pub at: Timestamp,
    /// The root of its proof, in hexadecimal digits.
    pub root: String,
    /// Events in it.
    pub events: u64,
}

/// A name that a backup may have: a plain file name of letters, digits, `-`, `_` and `.`, which does not begin with a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupName(String);

/// A name that a backup cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a backup's name is 1 to {} letters, digits, '-', '_' or '.', and begins with a letter or a digit",
    MAX_NAME_BYTES
)]
pub struct BackupNameError;

impl BackupName {
    /// Checks a name.
    ///
    /// # Errors
    /// `BackupNameError`.
    pub fn new(name: impl Into<String>) -> Result<Self, BackupNameError> {
        let name = name.into();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let fits = name.len() <= MAX_NAME_BYTES && begins && name.bytes().all(plain);
        if fits { Ok(Self(name)) } else { Err(BackupNameError) }
    }

    /// The name of a backup that nobody named: the time, to the second.
    pub(crate) fn of(at: Timestamp) -> Self {
        let digits: String =
            at.to_string().chars().take_while(|c| *c != '.').filter(|c| !matches!(c, '-' | ':')).collect();
        Self(format!("backup-{}", digits.trim_end_matches('Z')))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The backups of a server, and what it last saw of them.
#[derive(Default)]
pub(crate) struct Kept {
    /// The directory; `None` where the server was told of none.
    pub(crate) directory: Option<Arc<dyn Backups>>,
    seen: tokio::sync::Mutex<Option<(Timestamp, Vec<Backup>)>>,
}

impl Kept {
    pub(crate) fn new(directory: Option<Arc<dyn Backups>>) -> Self {
        Self { directory, ..Self::default() }
    }
}

/// Milliseconds for which what was seen of the directory is good enough for a look in passing.
const SEEN_MILLIS: i64 = 60_000;

/// How new an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// As of now.
    Now,
    /// Of the last minute.
    Recent,
}

/// What is in the directory; `None` where there is none.
pub(crate) async fn list(shared: &Shared, age: Age) -> Option<Result<Vec<Backup>, BackupsError>> {
    let kept = &shared.ops.backups;
    let directory = kept.directory.clone()?;
    let now = shared.options.clock.now();
    let mut seen = kept.seen.lock().await;
    if let (Age::Recent, Some((at, backups))) = (age, &*seen)
        && now.unix_millis().saturating_sub(at.unix_millis()) < SEEN_MILLIS
    {
        return Some(Ok(backups.clone()));
    }
    let listed = tokio::task::spawn_blocking(move || directory.list()).await;
    let listed = listed.unwrap_or_else(|error| Err(BackupsError { why: error.to_string() }));
    if let Ok(backups) = &listed {
        *seen = Some((now, backups.clone()));
    }
    Some(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for good in ["a", "2026-11-22", "before.upgrade_2", &"x".repeat(MAX_NAME_BYTES)] {
            assert!(BackupName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "-rf", "a/b", "a\\b", "a b", "ä", "a\0", &"x".repeat(101)] {
            assert_eq!(BackupName::new(bad), Err(BackupNameError), "{bad}");
        }
    }

    #[test]
    fn a_backup_without_a_name_is_called_by_its_time() {
        let at = Timestamp::parse("2026-11-22T09:10:29.0001230Z").expect("a time");
        assert_eq!(BackupName::of(at).as_str(), "backup-20261122T091029");
        assert!(BackupName::new(BackupName::of(at).as_str()).is_ok());
    }
}

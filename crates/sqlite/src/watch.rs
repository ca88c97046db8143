//! How does a process learn that another one has applied more, without asking again and again?
//!
//! After each commit the writer writes eight bytes into a small file beside the version's. On Linux the kernel tells who
//! watches that file (inotify). Elsewhere the watch compares the file's bytes every 20 ms: it asks, but only
//! the file system and never the database.

use std::path::Path;
use std::time::Duration;

use factum_core::read_model::{AppliedWatch, ReadModelError, Woken};

/// How often the file is looked at where the system tells nobody.
#[cfg(not(target_os = "linux"))]
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Watches the file that is touched after each commit.
#[derive(Debug)]
pub(crate) struct Watch(system::Watch);

impl Watch {
    pub(crate) fn open(applied: &Path) -> Result<Self, ReadModelError> {
        system::Watch::open(applied).map(Self)
    }
}

impl AppliedWatch for Watch {
    fn wait(&mut self, at_most: Duration) -> Result<Woken, ReadModelError> {
        self.0.wait(at_most)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::time::Duration;

    use factum_core::read_model::{ReadModelError, Woken};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
    use rustix::io::Errno;

    #[derive(Debug)]
    pub(super) struct Watch {
        inotify: OwnedFd,
        database: String,
    }

    impl Watch {
        pub(super) fn open(applied: &Path) -> Result<Self, ReadModelError> {
            let database = applied.display().to_string();
            let refused = |errno: Errno| match errno {
                Errno::MFILE | Errno::NFILE | Errno::NOSPC => ReadModelError::Unavailable {
                    database: database.clone(),
                    why: format!("too many files are watched (fs.inotify.max_user_instances): {errno}"),
                },
                Errno::NOENT => {
                    ReadModelError::Missing { database: database.clone(), why: errno.to_string() }
                }
                _ => ReadModelError::Failed { database: database.clone(), why: errno.to_string() },
            };
            let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(refused)?;
            // The link count changes when the version is discarded: whoever waits for it shall look.
            add_watch(&inotify, applied, WatchFlags::MODIFY | WatchFlags::ATTRIB).map_err(refused)?;
            Ok(Self { inotify, database })
        }

        pub(super) fn wait(&mut self, at_most: Duration) -> Result<Woken, ReadModelError> {
            let seconds = i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX);
            let timeout = Timespec { tv_sec: seconds, tv_nsec: at_most.subsec_nanos().into() };
            let mut polled = [PollFd::new(&self.inotify, PollFlags::IN)];
            match poll(&mut polled, Some(&timeout)) {
                Ok(0) => return Ok(Woken::TimedOut),
                // A signal came in between. There may have been a commit: whoever asks will look.
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(self.failed(errno)),
            }
            self.take_all()
        }

        /// Takes all that was told: several commits wake once.
        fn take_all(&self) -> Result<Woken, ReadModelError> {
            let mut buffer = [MaybeUninit::uninit(); 1_024];
            let mut told = Reader::new(&self.inotify, &mut buffer);
            loop {
                match told.next() {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return Ok(Woken::Committed),
                    Err(errno) => return Err(self.failed(errno)),
                }
            }
        }

        fn failed(&self, errno: Errno) -> ReadModelError {
            ReadModelError::Failed { database: self.database.clone(), why: errno.to_string() }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use factum_core::read_model::{ReadModelError, Woken};

    use crate::directory;

    #[derive(Debug)]
    pub(super) struct Watch {
        applied: PathBuf,
        seen: directory::Touched,
    }

    impl Watch {
        pub(super) fn open(applied: &Path) -> Result<Self, ReadModelError> {
            Ok(Self { applied: applied.to_owned(), seen: directory::touched(applied)? })
        }

        pub(super) fn wait(&mut self, at_most: Duration) -> Result<Woken, ReadModelError> {
            let mut left = at_most;
            loop {
                let now = directory::touched(&self.applied)?;
                if now != self.seen {
                    self.seen = now;
                    return Ok(Woken::Committed);
                }
                if left.is_zero() {
                    return Ok(Woken::TimedOut);
                }
                let pause = left.min(super::LOOK_EVERY);
                std::thread::sleep(pause);
                left -= pause;
            }
        }
    }
}

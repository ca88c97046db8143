//! What could be left on a disk that stopped at any moment? A disk in memory that forgets, tears, fills up and fails.
//!
//! It keeps what is safe apart from what was only written: per file the durable bytes and the writes since the last
//! `sync_data`, cut into sectors; per name the durable entry and the creations, renames and removals since the last
//! `sync_dir`. Every effect is a numbered point at which a [`Fault`] can strike. Directories themselves are safe as soon
//! as they are made.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factum_engine::{OpenMode, Vfs, VfsFile};

/// What a disk writes whole or not at all, in bytes.
pub(crate) const SECTOR: u64 = 512;

/// How long a sync takes on a disk whose syncs are slow.
const SLOW_SYNC: Duration = Duration::from_micros(300);

/// What is left of the unsynced when the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survival {
    /// Nothing.
    Lost,
    /// Everything.
    Kept,
    /// The first half of the sectors and names of each file and directory.
    FirstHalf,
    /// Any sectors and names, drawn from this seed; of one sector or name a prefix of its changes.
    Random(u64),
}

/// What goes wrong at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine stops in the middle of the effect; from then on every call fails.
    Crash(Survival),
    /// A write stops half-way with an error; any other effect fails and does nothing.
    Short,
    /// There is no space, now and until `free_space`: whatever grows a file or makes a name fails.
    Full,
    /// A sync fails once and what it should have kept is dropped; any other effect fails and does nothing.
    SyncError,
}

/// A disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct FakeDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    directories: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    points: Vec<String>,
    plan: Option<(usize, Fault)>,
    full: bool,
    crashed: Option<Survival>,
    slow_syncs: bool,
}

#[derive(Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

/// A change of a file's bytes that no sync has kept yet.
#[derive(Clone)]
enum Change {
    /// Bytes within one sector.
    Bytes {
        offset: u64,
        bytes: Vec<u8>,
    },
    Length(u64),
}

/// A change of names that no sync of the directory has kept yet.
#[derive(Clone)]
enum NameChange {
    Create { path: PathBuf, inode: usize },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, inode: usize },
}

impl NameChange {
    fn paths(&self) -> Vec<&PathBuf> {
        match self {
            NameChange::Create { path, .. } | NameChange::Remove { path } => vec![path],
            NameChange::Rename { from, to, .. } => vec![from, to],
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Create { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Remove { path } => {
                names.remove(path);
            }
            NameChange::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        let mut at = 0;
        while at < bytes.len() {
            let place = offset + at as u64;
            let room = (SECTOR - place % SECTOR) as usize;
            let part = &bytes[at..bytes.len().min(at + room)];
            self.unsynced.push(Change::Bytes { offset: place, bytes: part.to_vec() });
            at += part.len();
        }
        put(&mut self.current, bytes, offset);
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Bytes { offset, bytes } => put(content, bytes, *offset),
            Change::Length(length) => content.resize(*length as usize, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, bytes: &[u8], offset: u64) {
    let end = offset as usize + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset as usize..end].copy_from_slice(bytes);
}

/// What the effect under way is to do.
enum Strike {
    /// All of it.
    None,
    /// All of it, and then the machine stops: whether it survives is decided like for all else.
    AsItStops,
    /// Fail, having done half where there are halves.
    Half,
    /// Fail with this error and do nothing.
    Fail(io::Error),
    /// Fail and drop what was to be kept.
    Drop(io::Error),
}

impl State {
    /// Counts an effect, and says what is to become of it. `grows`: needs space; `syncs`: keeps bytes.
    fn strike(&mut self, what: String, grows: bool, syncs: bool) -> io::Result<Strike> {
        self.alive()?;
        let number = self.points.len();
        self.points.push(what);
        let planned = self.plan.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        Ok(match planned {
            None if self.full && grows => Strike::Fail(no_space()),
            None => Strike::None,
            Some(Fault::Crash(survival)) => {
                self.crashed = Some(survival);
                Strike::AsItStops
            }
            Some(Fault::Short) => Strike::Half,
            Some(Fault::Full) => {
                self.full = true;
                if syncs { Strike::Drop(no_space()) } else { Strike::Fail(no_space()) }
            }
            Some(Fault::SyncError) if syncs => Strike::Drop(io::Error::other("injected sync error")),
            Some(Fault::SyncError) => Strike::Fail(io::Error::other("injected error")),
        })
    }

    fn alive(&self) -> io::Result<()> {
        if self.crashed.is_some() { Err(stopped()) } else { Ok(()) }
    }

    fn inode_of(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// Runs an effect on names under whatever strikes it.
    fn name_effect(&mut self, what: String, grows: bool, change: NameChange) -> io::Result<()> {
        match self.strike(what, grows, false)? {
            Strike::None => self.change_names(change),
            Strike::AsItStops => {
                self.change_names(change);
                return Err(stopped());
            }
            Strike::Half => return Err(io::Error::other("injected error")),
            Strike::Fail(error) | Strike::Drop(error) => return Err(error),
        }
        Ok(())
    }

    fn survivors(&self, survival: Survival) -> State {
        let mut random = Random(match survival {
            Survival::Random(seed) => seed,
            _ => 0,
        });
        let mut names = self.durable_names.clone();
        for change in surviving_names(&self.unsynced_names, survival, &mut random) {
            change.apply(&mut names);
        }
        let inodes = self.inodes.iter().map(|inode| {
            let mut content = inode.durable.clone();
            for change in surviving_changes(&inode.unsynced, survival, &mut random) {
                change.apply(&mut content);
            }
            Inode { current: content.clone(), durable: content, unsynced: Vec::new() }
        });
        State {
            inodes: inodes.collect(),
            directories: self.directories.clone(),
            durable_names: names.clone(),
            names,
            ..State::default()
        }
    }
}

fn surviving_names<'a>(
    changes: &'a [NameChange],
    survival: Survival,
    random: &mut Random,
) -> Vec<&'a NameChange> {
    match survival {
        Survival::Lost => Vec::new(),
        Survival::Kept => changes.iter().collect(),
        Survival::FirstHalf => changes.iter().take(changes.len().div_ceil(2)).collect(),
        Survival::Random(_) => {
            let mut gone: BTreeSet<&PathBuf> = BTreeSet::new();
            let survives = |change: &&'a NameChange| {
                let lost = change.paths().iter().any(|path| gone.contains(path)) || random.half();
                if lost {
                    gone.extend(change.paths());
                }
                !lost
            };
            changes.iter().filter(survives).collect()
        }
    }
}

fn surviving_changes<'a>(changes: &'a [Change], survival: Survival, random: &mut Random) -> Vec<&'a Change> {
    match survival {
        Survival::Lost => Vec::new(),
        Survival::Kept => changes.iter().collect(),
        Survival::FirstHalf => changes.iter().take(changes.len().div_ceil(2)).collect(),
        Survival::Random(_) => {
            // A sector holds one copy: what reached the disk is some state of it, never an old one over a new one.
            let mut gone: BTreeSet<Option<u64>> = BTreeSet::new();
            let survives = |change: &&Change| {
                let sector = match change {
                    Change::Bytes { offset, .. } => Some(offset / SECTOR),
                    Change::Length(_) => None,
                };
                let lost = gone.contains(&sector) || random.half();
                if lost {
                    gone.insert(sector);
                }
                !lost
            };
            changes.iter().filter(survives).collect()
        }
    }
}

impl FakeDisk {
    /// An empty disk on which nothing goes wrong.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Lets `fault` strike at the effect with this number, from 0.
    pub(crate) fn plan(&self, point: usize, fault: Fault) {
        self.lock().plan = Some((point, fault));
    }

    /// How many effects there were.
    pub(crate) fn points(&self) -> usize {
        self.lock().points.len()
    }

    /// What the effect with this number was, for a failing test's message.
    pub(crate) fn point(&self, number: usize) -> String {
        self.lock().points.get(number).cloned().unwrap_or_else(|| "(not reached)".to_owned())
    }

    /// Whether the machine has stopped.
    pub(crate) fn has_crashed(&self) -> bool {
        self.lock().crashed.is_some()
    }

    /// Stops the machine now, unless it has stopped before.
    pub(crate) fn crash(&self, survival: Survival) {
        self.lock().crashed.get_or_insert(survival);
    }

    /// From now on there is no space.
    pub(crate) fn fill(&self) {
        self.lock().full = true;
    }

    /// Makes syncs take their time, so that other work gathers behind them.
    pub(crate) fn slow_syncs(&self) {
        self.lock().slow_syncs = true;
    }

    /// There is space again.
    pub(crate) fn free_space(&self) {
        self.lock().full = false;
    }

    /// A new disk with what survived; this one goes on failing. A machine that has not stopped loses the unsynced.
    pub(crate) fn reboot(&self) -> FakeDisk {
        let mut state = self.lock();
        let survival = *state.crashed.get_or_insert(Survival::Lost);
        FakeDisk { state: Arc::new(Mutex::new(state.survivors(survival))) }
    }

    /// What a file holds, as a reader sees it.
    pub(crate) fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.lock();
        state.inodes[state.inode_of(path).unwrap()].current.clone()
    }

    /// The paths of all files.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.lock().names.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many effects `run` has on an empty disk.
pub(crate) fn count_points(run: impl FnOnce(&FakeDisk)) -> usize {
    let disk = FakeDisk::new();
    run(&disk);
    disk.points()
}

impl fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDisk").field("files", &self.paths()).finish_non_exhaustive()
    }
}

impl Vfs for FakeDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.alive()?;
        state.directories.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        state.alive()?;
        if !state.directories.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut state = self.lock();
        state.alive()?;
        let inode = match (mode, state.inode_of(path)) {
            (OpenMode::CreateNew, Ok(_)) => return Err(ErrorKind::AlreadyExists.into()),
            (OpenMode::CreateNew, Err(_)) => {
                if !path.parent().is_some_and(|dir| state.directories.contains(dir)) {
                    return Err(ErrorKind::NotFound.into());
                }
                let inode = state.inodes.len();
                state.inodes.push(Inode::default());
                let change = NameChange::Create { path: path.to_path_buf(), inode };
                state.name_effect(format!("create {}", path.display()), true, change)?;
                inode
            }
            (OpenMode::Read | OpenMode::Write, found) => found?,
        };
        let path = path.to_path_buf();
        Ok(Arc::new(FakeFile { disk: self.clone(), inode, path, writable: mode != OpenMode::Read }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.alive()?;
        let inode = state.inode_of(from)?;
        let change = NameChange::Rename { from: from.to_path_buf(), to: to.to_path_buf(), inode };
        state.name_effect(format!("rename {} to {}", from.display(), to.display()), true, change)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.alive()?;
        state.inode_of(path)?;
        let change = NameChange::Remove { path: path.to_path_buf() };
        state.name_effect(format!("remove {}", path.display()), false, change)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        match state.strike(format!("sync directory {}", dir.display()), false, false)? {
            Strike::None => {}
            Strike::AsItStops => return Err(stopped()),
            Strike::Half => return Err(io::Error::other("injected error")),
            Strike::Fail(error) | Strike::Drop(error) => return Err(error),
        }
        let changes = std::mem::take(&mut state.unsynced_names);
        for change in changes {
            if change.paths().iter().any(|path| path.parent() == Some(dir)) {
                change.apply(&mut state.durable_names);
            } else {
                state.unsynced_names.push(change);
            }
        }
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut state = self.lock();
        state.alive()?;
        if !state.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        // The file behind a lock has no bytes; whether its name survives is all the same.
        if !state.names.contains_key(path) {
            let inode = state.inodes.len();
            state.inodes.push(Inode::default());
            state.names.insert(path.to_path_buf(), inode);
            state.durable_names.insert(path.to_path_buf(), inode);
        }
        Ok(Some(Box::new(Held { disk: self.clone(), path: path.to_path_buf() })))
    }
}

/// A lock that ends when it is dropped.
struct Held {
    disk: FakeDisk,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.path);
    }
}

struct FakeFile {
    disk: FakeDisk,
    inode: usize,
    path: PathBuf,
    writable: bool,
}

impl FakeFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }
}

impl VfsFile for FakeFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        state.alive()?;
        let content = &state.inodes[self.inode].current;
        let from = content.len().min(offset as usize);
        let count = buffer.len().min(content.len() - from);
        buffer[..count].copy_from_slice(&content[from..from + count]);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.lock();
        let grows = offset + bytes.len() as u64 > state.inodes[self.inode].current.len() as u64;
        let what = format!("write {} bytes at {offset} of {}", bytes.len(), self.path.display());
        let strike = state.strike(what, grows, false)?;
        let inode = &mut state.inodes[self.inode];
        match strike {
            Strike::None => inode.write(bytes, offset),
            Strike::AsItStops => {
                inode.write(bytes, offset);
                return Err(stopped());
            }
            Strike::Half => {
                inode.write(&bytes[..bytes.len() / 2], offset);
                return Err(ErrorKind::WriteZero.into());
            }
            Strike::Fail(error) | Strike::Drop(error) => return Err(error),
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.disk.lock().slow_syncs {
            std::thread::sleep(SLOW_SYNC);
        }
        let mut state = self.disk.lock();
        let strike = state.strike(format!("sync {}", self.path.display()), false, true)?;
        let inode = &mut state.inodes[self.inode];
        match strike {
            Strike::None => {
                for change in std::mem::take(&mut inode.unsynced) {
                    change.apply(&mut inode.durable);
                }
                Ok(())
            }
            Strike::AsItStops => Err(stopped()),
            Strike::Half => Err(io::Error::other("injected error")),
            Strike::Fail(error) => Err(error),
            Strike::Drop(error) => {
                // The cache still shows the bytes and calls them clean; no later sync will keep them.
                inode.unsynced.clear();
                Err(error)
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        state.alive()?;
        Ok(state.inodes[self.inode].current.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.lock();
        let grows = len > state.inodes[self.inode].current.len() as u64;
        let strike = state.strike(format!("set length {len} of {}", self.path.display()), grows, false)?;
        let stops = match strike {
            Strike::None => false,
            Strike::AsItStops => true,
            Strike::Half => return Err(io::Error::other("injected error")),
            Strike::Fail(error) | Strike::Drop(error) => return Err(error),
        };
        let inode = &mut state.inodes[self.inode];
        inode.unsynced.push(Change::Length(len));
        inode.current.resize(len as usize, 0);
        if stops { Err(stopped()) } else { Ok(()) }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the machine has stopped")
}

fn no_space() -> io::Error {
    ErrorKind::StorageFull.into()
}

/// A small generator (splitmix64): the same seed tears in the same way.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn half(&mut self) -> bool {
        self.next() & 1 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: &str = "/data";

    fn path(name: &str) -> PathBuf {
        Path::new(DIR).join(name)
    }

    fn disk() -> FakeDisk {
        let disk = FakeDisk::new();
        disk.create_dir_all(Path::new(DIR)).unwrap();
        disk
    }

    fn create(disk: &FakeDisk, name: &str) -> Arc<dyn VfsFile> {
        disk.open(&path(name), OpenMode::CreateNew).unwrap()
    }

    /// A file whose name and first bytes are safe.
    fn safe(disk: &FakeDisk, name: &str, bytes: &[u8]) -> Arc<dyn VfsFile> {
        let file = create(disk, name);
        file.write_all_at(bytes, 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        file
    }

    fn content(disk: &FakeDisk, name: &str) -> Option<Vec<u8>> {
        let file = disk.open(&path(name), OpenMode::Read).ok()?;
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        Some(bytes)
    }

    #[test]
    fn synced_bytes_survive_and_others_are_lost_or_kept() {
        for (survival, expected) in [(Survival::Lost, &b"one"[..]), (Survival::Kept, b"two")] {
            let disk = disk();
            let file = safe(&disk, "a", b"one");
            file.write_all_at(b"two", 0).unwrap();
            disk.crash(survival);
            assert!(file.sync_data().is_err() && file.len().is_err() && disk.list(Path::new(DIR)).is_err());
            assert_eq!(content(&disk.reboot(), "a").unwrap(), expected);
        }
    }

    #[test]
    fn a_name_is_safe_only_after_its_directory_is_synced() {
        let disk = disk();
        let file = create(&disk, "a");
        file.write_all_at(b"one", 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(content(&disk.reboot(), "a"), None);
    }

    #[test]
    fn renames_and_removals_wait_for_the_directory_too() {
        let disk = disk();
        safe(&disk, "a", b"new");
        safe(&disk, "b", b"old");
        safe(&disk, "c", b"gone");
        disk.rename(&path("a"), &path("b")).unwrap();
        disk.remove(&path("c")).unwrap();
        assert_eq!(content(&disk, "b").unwrap(), b"new");
        let lost = disk.reboot();
        assert_eq!(content(&lost, "a").unwrap(), b"new");
        assert_eq!(content(&lost, "b").unwrap(), b"old");
        assert_eq!(content(&lost, "c").unwrap(), b"gone");
        lost.rename(&path("a"), &path("b")).unwrap();
        lost.remove(&path("c")).unwrap();
        lost.sync_dir(Path::new(DIR)).unwrap();
        let kept = lost.reboot();
        assert_eq!(content(&kept, "b").unwrap(), b"new");
        assert_eq!((content(&kept, "a"), content(&kept, "c")), (None, None));
    }

    #[test]
    fn a_torn_write_leaves_whole_sectors_in_any_combination() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let disk = disk();
            let file = safe(&disk, "a", &[0; 3 * SECTOR as usize]);
            file.write_all_at(&[1; 3 * SECTOR as usize], 0).unwrap();
            disk.crash(Survival::Random(seed));
            let bytes = content(&disk.reboot(), "a").unwrap();
            let sectors: Vec<u8> = bytes.chunks(SECTOR as usize).map(|sector| sector[0]).collect();
            for sector in bytes.chunks(SECTOR as usize) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector was torn");
            }
            seen.insert(sectors);
        }
        assert_eq!(seen.len(), 8, "every combination of three sectors");
    }

    #[test]
    fn a_sector_never_goes_back_in_time() {
        for seed in 0..100 {
            let disk = disk();
            let file = safe(&disk, "a", &[0]);
            for value in 1..=3 {
                file.write_all_at(&[value, value], 0).unwrap();
            }
            disk.crash(Survival::Random(seed));
            let bytes = content(&disk.reboot(), "a").unwrap();
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "two versions mixed: {bytes:?}");
        }
    }

    #[test]
    fn the_first_half_survives_in_order() {
        let disk = disk();
        let file = safe(&disk, "a", &[0; 4 * SECTOR as usize]);
        file.write_all_at(&[1; 4 * SECTOR as usize], 0).unwrap();
        disk.crash(Survival::FirstHalf);
        let bytes = content(&disk.reboot(), "a").unwrap();
        let half = 2 * SECTOR as usize;
        assert!(bytes[..half].iter().all(|byte| *byte == 1) && bytes[half..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_crash_at_a_write_may_keep_that_write() {
        for (survival, expected) in [(Survival::Lost, &b"one"[..]), (Survival::Kept, b"two")] {
            let disk = disk();
            let file = safe(&disk, "a", b"one");
            disk.plan(disk.points(), Fault::Crash(survival));
            assert!(file.write_all_at(b"two", 0).is_err() && disk.has_crashed());
            assert_eq!(content(&disk.reboot(), "a").unwrap(), expected);
        }
    }

    #[test]
    fn a_short_write_leaves_half_and_goes_on() {
        let disk = disk();
        let file = safe(&disk, "a", b"----");
        disk.plan(disk.points(), Fault::Short);
        assert_eq!(file.write_all_at(b"abcd", 0).unwrap_err().kind(), ErrorKind::WriteZero);
        assert_eq!(content(&disk, "a").unwrap(), b"ab--");
        file.write_all_at(b"abcd", 0).unwrap();
        assert_eq!(content(&disk, "a").unwrap(), b"abcd");
    }

    #[test]
    fn a_full_disk_refuses_growth_until_there_is_space() {
        let disk = disk();
        let file = safe(&disk, "a", b"one");
        disk.fill();
        file.write_all_at(b"two", 0).unwrap();
        let full = |result: io::Result<()>| result.unwrap_err().kind() == ErrorKind::StorageFull;
        assert!(full(file.write_all_at(b"more", 0)));
        assert!(full(file.set_len(10)));
        assert!(full(disk.open(&path("b"), OpenMode::CreateNew).map(|_| ())));
        disk.free_space();
        file.write_all_at(b"more", 0).unwrap();
        // Planned, it strikes the write even where nothing grows, as on a disk that copies what it writes.
        disk.plan(disk.points(), Fault::Full);
        assert!(full(file.write_all_at(b"less", 0)) && full(file.set_len(10)));
        disk.free_space();
        file.set_len(10).unwrap();
    }

    #[test]
    fn a_failed_sync_drops_what_it_should_have_kept() {
        let disk = disk();
        let file = safe(&disk, "a", b"one");
        file.write_all_at(b"two", 0).unwrap();
        disk.plan(disk.points(), Fault::SyncError);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(content(&disk, "a").unwrap(), b"two", "the cache still shows it");
        assert_eq!(content(&disk.reboot(), "a").unwrap(), b"one", "the disk never had it");
    }

    #[test]
    fn lengths_are_unsynced_too() {
        let disk = disk();
        let file = safe(&disk, "a", b"one");
        file.set_len(1).unwrap();
        assert_eq!(content(&disk, "a").unwrap(), b"o");
        assert_eq!(content(&disk.reboot(), "a").unwrap(), b"one");
    }

    #[test]
    fn removed_files_can_be_read_by_who_has_them_open() {
        let disk = disk();
        let file = safe(&disk, "a", b"one");
        disk.remove(&path("a")).unwrap();
        let mut bytes = [0; 3];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((&bytes, content(&disk, "a")), (b"one", None));
    }

    #[test]
    fn a_lock_is_held_once_and_ends_with_its_guard_or_the_machine() {
        let disk = disk();
        let guard = disk.try_lock(&path("lock")).unwrap();
        assert!(guard.is_some() && disk.try_lock(&path("lock")).unwrap().is_none());
        assert!(disk.reboot().try_lock(&path("lock")).unwrap().is_some());
        drop(guard);
        let disk = disk.reboot();
        let guard = disk.try_lock(&path("lock")).unwrap();
        drop(guard);
        assert!(disk.try_lock(&path("lock")).unwrap().is_some());
    }

    #[test]
    fn points_are_counted_and_named() {
        let run = |disk: &FakeDisk| {
            disk.create_dir_all(Path::new(DIR)).unwrap();
            safe(disk, "a", b"one");
        };
        assert_eq!(count_points(run), 4, "create, write, sync, sync directory");
        let disk = FakeDisk::new();
        run(&disk);
        assert_eq!(disk.point(1), "write 3 bytes at 0 of /data/a");
    }
}

//! How are key-encryption keys kept in one file?

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use factum_core::{Clock, Timestamp};
use zeroize::Zeroizing;

use super::{EpochInfo, KekEpoch, KekError, KekProvider, ToUnwrap, ToWrap, Wrapped, check_batch};
use crate::data_key::random;

const FIRST_LINE: &str = "factum key file 1";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Longest key file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Key-encryption keys in a file that only its owner may read (mode 0600): one line per epoch.
///
/// The file is replaced whole, so that a crash leaves the old one or the new one. Keep it, and its backups, apart from the key
/// store and from the log: whoever has file and key store can read everything.
pub struct LocalKeyFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

struct Epoch {
    number: KekEpoch,
    created: Timestamp,
    key: Zeroizing<[u8; 32]>,
}

impl LocalKeyFile {
    /// The file at `path`, which must be there.
    ///
    /// # Errors
    /// `Missing`, `Exposed`, `Malformed` or `Io`.
    pub fn open(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, KekError> {
        let file = Self { path: path.into(), clock };
        file.read()?;
        Ok(file)
    }

    /// A new file with a first epoch. Never over one that is there.
    ///
    /// # Errors
    /// `Io`, also where the file exists.
    pub fn create(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, KekError> {
        let file = Self { path: path.into(), clock };
        let first = file.fresh(KekEpoch(1))?;
        let text = render(&[first]);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut created = private(&mut options).open(&file.path).map_err(|e| file.io("written", e))?;
        created.write_all(text.as_bytes()).map_err(|e| file.io("written", e))?;
        created.sync_all().map_err(|e| file.io("written", e))?;
        file.sync_directory()?;
        Ok(file)
    }

    fn fresh(&self, number: KekEpoch) -> Result<Epoch, KekError> {
        let key = random().map_err(|error| KekError::Unreachable {
            provider: self.description(),
            why: error.to_string(),
        })?;
        Ok(Epoch { number, created: self.clock.now(), key })
    }

    fn io(&self, verb: &'static str, source: std::io::Error) -> KekError {
        KekError::Io { path: self.path.clone(), verb, source }
    }

    /// Read each time: another process may have rotated it.
    fn read(&self) -> Result<Vec<Epoch>, KekError> {
        let file = File::open(&self.path).map_err(|error| match error.kind() {
            IoKind::NotFound => KekError::Missing { path: self.path.clone() },
            _ => self.io("read", error),
        })?;
        let metadata = file.metadata().map_err(|e| self.io("read", e))?;
        check_mode(&self.path, &metadata)?;
        let malformed = |why: String| KekError::Malformed { path: self.path.clone(), why };
        if metadata.len() > MAX_FILE_BYTES {
            return Err(malformed(format!("it has {} bytes", metadata.len())));
        }
        let text = Zeroizing::new(std::io::read_to_string(file).map_err(|e| self.io("read", e))?);
        parse(&text).map_err(malformed)
    }

    fn replace(&self, epochs: &[Epoch]) -> Result<(), KekError> {
        let text = render(epochs);
        let beside = self.beside(".new");
        // What a crash left there is of no use to anybody.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != IoKind::NotFound => return Err(self.io("written", error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = private(&mut options).open(&beside).map_err(|e| self.io("written", e))?;
        file.write_all(text.as_bytes()).map_err(|e| self.io("written", e))?;
        file.sync_all().map_err(|e| self.io("written", e))?;
        fs::rename(&beside, &self.path).map_err(|e| self.io("written", e))?;
        self.sync_directory()
    }

    /// Held while the file is read and replaced: two processes that change it at once would lose one's epoch. The file beside it
    /// stays, empty: a lock on the key file itself would be one on the file that is replaced.
    fn lock(&self) -> Result<File, KekError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let lock = private(&mut options).open(self.beside(".lock"));
        let lock = lock.map_err(|e| self.io("written", e))?;
        lock.lock().map_err(|e| self.io("written", e))?;
        Ok(lock)
    }

    /// A file of its own name and what is added to it.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.file_name().map(OsString::from).unwrap_or_default();
        name.push(suffix);
        self.path.with_file_name(name)
    }

    fn sync_directory(&self) -> Result<(), KekError> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or(Path::new("."))).map_err(|e| self.io("written", e))?;
        directory.sync_all().map_err(|e| self.io("written", e))
    }

    fn cipher(&self, epochs: &[Epoch], epoch: KekEpoch) -> Result<Aes256Gcm, KekError> {
        match epochs.iter().find(|kek| kek.number == epoch) {
            Some(kek) => Ok(Aes256Gcm::new((&*kek.key).into())),
            None => Err(KekError::NoEpoch { provider: self.description(), epoch }),
        }
    }
}

impl KekProvider for LocalKeyFile {
    fn description(&self) -> String {
        format!("the key file '{}'", self.path.display())
    }

    fn epochs(&mut self) -> Result<Vec<EpochInfo>, KekError> {
        let info = |kek: &Epoch| EpochInfo { epoch: kek.number, created: Some(kek.created) };
        Ok(self.read()?.iter().map(info).collect())
    }

    fn wrap(&mut self, epoch: KekEpoch, secrets: &[ToWrap<'_>]) -> Result<Vec<Wrapped>, KekError> {
        check_batch(secrets.len())?;
        let cipher = self.cipher(&self.read()?, epoch)?;
        let wrap = |item: &ToWrap<'_>| {
            let nonce = *random::<NONCE_BYTES>().map_err(|error| error.to_string())?;
            let mut bytes = Vec::with_capacity(NONCE_BYTES + item.secret.len() + TAG_BYTES);
            bytes.extend_from_slice(&nonce);
            bytes.extend_from_slice(item.secret);
            let secret = (&mut bytes[NONCE_BYTES..]).into();
            let tag = cipher
                .encrypt_inout_detached(&nonce.into(), item.label, secret)
                .map_err(|_| "the secret is too long".to_owned())?;
            bytes.extend_from_slice(&tag);
            Ok(Wrapped(bytes))
        };
        let wrapped: Result<Vec<Wrapped>, String> = secrets.iter().map(wrap).collect();
        wrapped.map_err(|why| KekError::Unreachable { provider: self.description(), why })
    }

    fn unwrap_keys(&mut self, wrapped: &[ToUnwrap<'_>]) -> Result<Vec<Zeroizing<Vec<u8>>>, KekError> {
        check_batch(wrapped.len())?;
        let epochs = self.read()?;
        let mut secrets = Vec::with_capacity(wrapped.len());
        let mut last = None;
        for item in wrapped {
            let cipher = match last.take().filter(|(epoch, _)| *epoch == item.epoch) {
                Some((_, cipher)) => cipher,
                None => self.cipher(&epochs, item.epoch)?,
            };
            let secret = unwrap(&cipher, item)
                .ok_or_else(|| KekError::NotOurs { provider: self.description(), epoch: item.epoch })?;
            secrets.push(secret);
            last = Some((item.epoch, cipher));
        }
        Ok(secrets)
    }

    fn new_epoch(&mut self) -> Result<KekEpoch, KekError> {
        let _changing = self.lock()?;
        let mut epochs = self.read()?;
        let number = KekEpoch(epochs.last().map_or(1, |kek| kek.number.0.saturating_add(1)));
        epochs.push(self.fresh(number)?);
        self.replace(&epochs)?;
        Ok(number)
    }

    fn destroy_before(&mut self, keep: KekEpoch) -> Result<(), KekError> {
        let _changing = self.lock()?;
        let epochs = self.read()?;
        if !epochs.iter().any(|kek| kek.number >= keep) {
            return Err(KekError::NoEpoch { provider: self.description(), epoch: keep });
        }
        if epochs.iter().all(|kek| kek.number >= keep) {
            return Ok(());
        }
        let kept: Vec<Epoch> = epochs.into_iter().filter(|kek| kek.number >= keep).collect();
        self.replace(&kept)
    }
}

fn unwrap(cipher: &Aes256Gcm, item: &ToUnwrap<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = item.wrapped.0.split_first_chunk::<NONCE_BYTES>()?;
    let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut secret = Zeroizing::new(sealed.to_vec());
    let buffer = secret.as_mut_slice().into();
    cipher.decrypt_inout_detached(nonce.into(), item.label, buffer, &Tag::from(*tag)).ok()?;
    Some(secret)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), KekError> {
    use std::os::unix::fs::PermissionsExt;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(KekError::Exposed { path: path.to_owned(), mode }),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), KekError> {
    Ok(())
}

fn render(epochs: &[Epoch]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256 + epochs.len() * 128));
    text.push_str(FIRST_LINE);
    text.push('\n');
    for Epoch { number, created, key } in epochs {
        let key = Zeroizing::new(BASE64.encode(**key));
        text.push_str(&format!("{number} {created} "));
        text.push_str(&key);
        text.push('\n');
    }
    text
}

/// Says which line is wrong, never what is in it.
fn parse(text: &str) -> Result<Vec<Epoch>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(format!("its first line is not '{FIRST_LINE}'"));
    }
    let mut epochs: Vec<Epoch> = Vec::new();
    for (line, number) in lines.zip(2..) {
        let wrong = || format!("line {number} is not an epoch, a time and a key");
        let mut words = line.split(' ');
        let (Some(epoch), Some(created), Some(key), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong());
        };
        let epoch = KekEpoch(epoch.parse().map_err(|_| wrong())?);
        if epochs.last().is_some_and(|before| before.number >= epoch) {
            return Err(format!("line {number} is not later than the line before it"));
        }
        let bytes = Zeroizing::new(BASE64.decode(key).map_err(|_| wrong())?);
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return Err(wrong());
        }
        key.copy_from_slice(&bytes);
        epochs.push(Epoch { number: epoch, created: Timestamp::parse(created).map_err(|_| wrong())?, key });
    }
    if epochs.is_empty() { Err("it has no keys".to_owned()) } else { Ok(epochs) }
}

#[cfg(test)]
mod tests {
    use factum_core::SystemClock;

    use super::*;

    fn file(directory: &Path) -> LocalKeyFile {
        LocalKeyFile::create(directory.join("kek"), Arc::new(SystemClock)).unwrap()
    }

    fn wrap_one(keys: &mut LocalKeyFile, epoch: KekEpoch) -> Wrapped {
        keys.wrap(epoch, &[ToWrap { secret: b"secret", label: b"label" }]).unwrap().remove(0)
    }

    #[test]
    fn what_was_wrapped_is_unwrapped_with_its_label_only() {
        let directory = tempfile::tempdir().unwrap();
        let mut keys = file(directory.path());
        let wrapped = wrap_one(&mut keys, KekEpoch(1));
        let item = |label: &'static [u8]| [ToUnwrap { epoch: KekEpoch(1), wrapped: &wrapped, label }];
        assert_eq!(**keys.unwrap_keys(&item(b"label")).unwrap()[0], *b"secret");
        assert!(matches!(keys.unwrap_keys(&item(b"other")), Err(KekError::NotOurs { .. })));
        let cut = Wrapped(wrapped.0[..20].to_vec());
        let item = [ToUnwrap { epoch: KekEpoch(1), wrapped: &cut, label: b"label" }];
        assert!(matches!(keys.unwrap_keys(&item), Err(KekError::NotOurs { .. })));
    }

    #[test]
    fn an_epoch_that_was_destroyed_unwraps_nothing_and_is_in_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut keys = file(directory.path());
        let first = wrap_one(&mut keys, KekEpoch(1));
        let old = fs::read_to_string(&keys.path).unwrap();
        let old_key = old.lines().nth(1).unwrap().split(' ').next_back().unwrap().to_owned();
        assert_eq!(keys.new_epoch().unwrap(), KekEpoch(2));
        let second = wrap_one(&mut keys, KekEpoch(2));
        let both = [
            ToUnwrap { epoch: KekEpoch(1), wrapped: &first, label: b"label" },
            ToUnwrap { epoch: KekEpoch(2), wrapped: &second, label: b"label" },
        ];
        assert_eq!(keys.unwrap_keys(&both).unwrap().len(), 2);
        keys.destroy_before(KekEpoch(2)).unwrap();
        keys.destroy_before(KekEpoch(2)).unwrap();
        assert!(matches!(keys.unwrap_keys(&both[..1]), Err(KekError::NoEpoch { epoch: KekEpoch(1), .. })));
        assert_eq!(keys.unwrap_keys(&both[1..]).unwrap().len(), 1);
        assert!(matches!(keys.destroy_before(KekEpoch(3)), Err(KekError::NoEpoch { .. })));
        for entry in fs::read_dir(directory.path()).unwrap() {
            assert!(!fs::read_to_string(entry.unwrap().path()).unwrap().contains(&old_key));
        }
        // The old file does not know the new epoch.
        fs::write(&keys.path, old).unwrap();
        assert!(matches!(keys.unwrap_keys(&both[1..]), Err(KekError::NoEpoch { epoch: KekEpoch(2), .. })));
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why_and_shows_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let path = directory.path().join("kek");
        let open = || LocalKeyFile::open(&path, Arc::clone(&clock));
        assert!(matches!(open(), Err(KekError::Missing { .. })));
        let created = LocalKeyFile::create(&path, Arc::clone(&clock)).unwrap();
        drop(created);
        assert!(matches!(LocalKeyFile::create(&path, Arc::clone(&clock)), Err(KekError::Io { .. })));
        let good = fs::read_to_string(&path).unwrap();
        let line = good.lines().nth(1).unwrap();
        for bad in [
            "",
            "factum key file 2\n",
            FIRST_LINE,
            &good.replace(' ', "  "),
            &format!("{good}{line}\n"),
            &good[..60],
        ] {
            fs::write(&path, bad).unwrap();
            let error = open().map(drop).unwrap_err();
            assert!(matches!(error, KekError::Malformed { .. }), "{bad}");
            assert!(!error.to_string().contains(&line[line.len() - 20..]), "{error}");
        }
        fs::write(&path, &good).unwrap();
        assert!(open().is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let mut keys = file(directory.path());
        let mode = |mode| {
            fs::set_permissions(directory.path().join("kek"), fs::Permissions::from_mode(mode)).unwrap();
        };
        assert!(keys.epochs().is_ok());
        mode(0o640);
        assert!(matches!(keys.epochs(), Err(KekError::Exposed { mode: 0o640, .. })));
        mode(0o600);
        keys.new_epoch().unwrap();
        let after = fs::metadata(directory.path().join("kek")).unwrap().permissions().mode();
        assert_eq!(after & 0o777, 0o600);
    }
}

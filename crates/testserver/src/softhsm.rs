//! Where is SoftHSM's PKCS#11 module, and where does it keep the tokens of tests?

use std::path::{Path, PathBuf};

/// Where Debian, Fedora and Homebrew put the module.
const PLACES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

/// SoftHSM, a PKCS#11 token in software, with a directory of tokens that goes with this value.
#[derive(Debug)]
pub struct SoftHsm {
    module: PathBuf,
    directory: PathBuf,
}

impl SoftHsm {
    /// The module's path.
    ///
    /// # Errors
    /// A sentence that names the places that were looked at.
    pub fn find() -> Result<PathBuf, String> {
        let found = PLACES.iter().map(Path::new).find(|path| path.is_file());
        found.map(Path::to_owned).ok_or_else(|| format!("SoftHSM is not at {}", PLACES.join(", ")))
    }

    /// An empty directory of tokens below `parent`, and the settings that name it. What owners that were killed left there is
    /// removed.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn prepare(module: PathBuf, parent: &Path) -> Result<Self, String> {
        remove_abandoned(parent);
        let directory = parent.join(format!("softhsm-{}", std::process::id()));
        let tokens = directory.join("tokens");
        let cannot = |error| format!("cannot make {}: {error}", tokens.display());
        std::fs::create_dir_all(&tokens).map_err(cannot)?;
        let prepared = Self { module, directory };
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(prepared.settings(), settings).map_err(cannot)?;
        Ok(prepared)
    }

    /// The PKCS#11 module.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// What the environment variable `SOFTHSM2_CONF` has to name.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }
}

impl Drop for SoftHsm {
    fn drop(&mut self) {
        // What stays is removed by the next owner.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Removes the directories of processes that are no more, where the system says which there are.
fn remove_abandoned(parent: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("softhsm-"));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::SoftHsm;

    #[test]
    fn tokens_go_with_their_owner_and_what_was_abandoned_goes_too() {
        let parent = std::env::temp_dir().join(format!("factum-softhsm-test-{}", std::process::id()));
        let abandoned = parent.join("softhsm-4294967295");
        std::fs::create_dir_all(&abandoned).unwrap();
        let prepared = SoftHsm::prepare(PathBuf::from("/module.so"), &parent).unwrap();
        let settings = std::fs::read_to_string(prepared.settings()).unwrap();
        let tokens = settings.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
        assert!(Path::new(&tokens).is_dir());
        assert_eq!(abandoned.exists(), !Path::new("/proc/self").exists());
        drop(prepared);
        assert!(!Path::new(&tokens).exists());
        std::fs::remove_dir_all(parent).unwrap();
    }
}

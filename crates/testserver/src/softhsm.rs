//! Where is SoftHSM's PKCS#11 module on this machine?

use std::path::{Path, PathBuf};

/// Where Debian, Fedora and Homebrew put the module.
const PLACES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

/// SoftHSM's module, a PKCS#11 token in software.
///
/// # Errors
/// A sentence that names the places that were looked at.
pub fn find_softhsm() -> Result<PathBuf, String> {
    let found = PLACES.iter().map(Path::new).find(|path| path.is_file());
    found.map(Path::to_owned).ok_or_else(|| format!("SoftHSM is not at {}", PLACES.join(", ")))
}

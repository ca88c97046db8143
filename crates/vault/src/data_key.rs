//! What is a data key in memory, and what does it derive?

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::marker::opened_head;
use crate::subject::{KeyId, KeyOwner};

/// Size of a data key, in bytes.
pub const DATA_KEY_BYTES: usize = 32;

/// The key of one subject (or of one purpose of it), ready to seal and open. A clone is cheap. `Debug` does not show it.
///
/// What is held is not the key but the state of the key derivation after it: overwritten when the last clone is dropped.
#[derive(Clone)]
pub struct DataKey(Arc<Inner>);

struct Inner {
    id: KeyId,
    owner: KeyOwner,
    /// How the marker of each value that it opens begins.
    marker_head: Box<[u8]>,
    // A data key is 256 random bits, so the extract step of HKDF has nothing to do (RFC 5869, 3.3).
    derive: Hkdf<Sha256>,
}

impl DataKey {
    /// From 256 random bits.
    pub fn new(id: KeyId, owner: KeyOwner, key: &[u8; DATA_KEY_BYTES]) -> Self {
        // 32 bytes are what SHA-256 asks for, so this is never the other case; a constant key would be worse than a panic.
        #[allow(clippy::expect_used)]
        let derive = Hkdf::from_prk(key).expect("a data key has the size of a hash");
        let marker_head = opened_head(id, &owner);
        Self(Arc::new(Inner { id, owner, marker_head, derive }))
    }

    /// Its identity.
    pub fn id(&self) -> KeyId {
        self.0.id
    }

    /// Whose it is.
    pub fn owner(&self) -> &KeyOwner {
        &self.0.owner
    }

    pub(crate) fn marker_head(&self) -> &[u8] {
        &self.0.marker_head
    }

    /// `N` bytes for this label and salt.
    pub(crate) fn derive<const N: usize>(&self, label: &[u8], salt: &[u8]) -> Zeroizing<[u8; N]> {
        let mut bytes = Zeroizing::new([0; N]);
        // Only more than 255 hashes would be refused.
        let _ = self.0.derive.expand_multi_info(&[label, salt], &mut *bytes);
        bytes
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, RandomError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| RandomError { why: error.to_string() })?;
    Ok(bytes)
}

/// The operating system gives no randomness: nothing can be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes ({why}): nothing is sealed without them")]
pub struct RandomError {
    why: String,
}

//! Which secrets belong to a vault as a whole, and what do they derive?

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use factum_core::StoreId;
use hkdf::Hkdf;
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::data_key::{RandomError, random};
use crate::subject::{Subject, SubjectRef};

/// Three secrets of 32 bytes: for subject references, for blind indexes, for signatures.
pub(crate) const ROOT_BYTES: usize = 96;

const SUBJECT_LABEL: &[u8] = b"factum/subject/v1";
const INDEX_LABEL: &[u8] = b"factum/blind-index/v1";

/// The root secrets, unwrapped. Overwritten when dropped.
pub(crate) struct Roots {
    tenant: String,
    subjects: Hkdf<Sha256>,
    index: Hkdf<Sha256>,
    signing: SigningKey,
}

/// A value's keyed hash, for equality only: in rows that can be deleted, never in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlindIndex(pub [u8; 16]);

impl fmt::Display for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Roots {
    pub(crate) fn fresh() -> Result<Zeroizing<[u8; ROOT_BYTES]>, RandomError> {
        random::<ROOT_BYTES>()
    }

    /// `None` where the secret has another size: it was not written by this version.
    pub(crate) fn from_secret(tenant: &str, secret: &[u8]) -> Option<Self> {
        let (subjects, rest) = secret.split_first_chunk::<32>()?;
        let (index, rest) = rest.split_first_chunk::<32>()?;
        let signing: &[u8; 32] = rest.try_into().ok()?;
        Some(Self {
            tenant: tenant.to_owned(),
            subjects: Hkdf::from_prk(subjects).ok()?,
            index: Hkdf::from_prk(index).ok()?,
            signing: SigningKey::from_bytes(signing),
        })
    }

    pub(crate) fn subject_ref(&self, subject: &Subject) -> SubjectRef {
        SubjectRef(keyed_hash(
            &self.subjects,
            SUBJECT_LABEL,
            &[self.tenant.as_bytes(), subject.expose().as_bytes()],
        ))
    }

    pub(crate) fn blind_index(&self, field: &str, value: &str) -> BlindIndex {
        let parts = [self.tenant.as_bytes(), field.as_bytes(), value.as_bytes()];
        BlindIndex(keyed_hash(&self.index, INDEX_LABEL, &parts))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }
}

/// What the wrapped roots are bound to: those of another vault, log or tenant do not unwrap here.
pub(crate) fn label(vault: Uuid, log: StoreId, tenant: &str) -> Vec<u8> {
    format!("factum/roots/v1|{vault}|{log}|{tenant}").into_bytes()
}

/// 16 bytes by a keyed hash over the parts, each with its length before it.
fn keyed_hash(key: &Hkdf<Sha256>, label: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut message =
        Vec::with_capacity(label.len() + parts.iter().map(|part| part.len() + 8).sum::<usize>());
    message.extend_from_slice(label);
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_le_bytes());
        message.extend_from_slice(part);
    }
    let mut hash = [0; 16];
    // The expand step of HKDF is a keyed hash of its message; only more than 255 hashes would be refused.
    let _ = key.expand(&message, &mut hash);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(tenant: &str, byte: u8) -> Roots {
        Roots::from_secret(tenant, &[byte; ROOT_BYTES]).unwrap()
    }

    #[test]
    fn a_reference_depends_on_subject_tenant_and_secret_only() {
        let ada = Subject::new("ada").unwrap();
        let of_ada = roots("default", 1).subject_ref(&ada);
        assert_eq!(of_ada, roots("default", 1).subject_ref(&ada));
        assert_ne!(of_ada, roots("default", 1).subject_ref(&Subject::new("adb").unwrap()));
        assert_ne!(of_ada, roots("other", 1).subject_ref(&ada));
        assert_ne!(of_ada, roots("default", 2).subject_ref(&ada));
    }

    #[test]
    fn an_index_tells_fields_apart() {
        let roots = roots("default", 1);
        assert_eq!(roots.blind_index("email", "a@b"), roots.blind_index("email", "a@b"));
        assert_ne!(roots.blind_index("email", "a@b"), roots.blind_index("name", "a@b"));
        assert_ne!(roots.blind_index("ab", "c"), roots.blind_index("a", "bc"));
    }

    #[test]
    fn secrets_of_another_size_are_refused() {
        assert!(Roots::from_secret("default", &[1; 95]).is_none());
        assert!(Roots::from_secret("default", &[1; 97]).is_none());
    }
}

//! How fast is the cipher itself? The limit that sealing and opening are measured against, in the same run.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};

/// Encrypts `bytes` in place `times` times, with one key that was set up once and nothing of ours around it. The caller
/// measures how long it takes. The bytes are of no use to anybody.
pub fn encrypt_bare(bytes: &mut [u8], times: usize) {
    let cipher = Aes256Gcm::new(&[7; 32].into());
    for n in 0..times {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&(n as u64).to_le_bytes());
        // A short text is never refused.
        let _ = std::hint::black_box(cipher.encrypt_inout_detached(&nonce.into(), b"", (&mut *bytes).into()));
    }
}

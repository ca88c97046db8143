//! A log with its vault, for tests of what is personal.

use std::sync::Arc;

use factum::ForgettingReadModels;
use factum_core::read_model::ReadModels;
use factum_core::{EventStore, MemoryStore, SystemClock};
use factum_vault::{
    ErasureRequest, KeyVault, LocalKeyFile, MemoryKeyStore, Purpose, SealingStore, SignedReceipt, Subject,
    VaultOptions,
};

/// How long a read model may take to forget.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A store that seals, over one that keeps what it is given.
pub(crate) struct Sealed {
    pub(crate) store: Arc<SealingStore>,
    /// Holds the key file.
    _directory: tempfile::TempDir,
}

impl Sealed {
    pub(crate) async fn new() -> Self {
        let log: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
        let directory = tempfile::tempdir().unwrap();
        let kek = LocalKeyFile::create(directory.path().join("kek"), Arc::new(SystemClock)).unwrap();
        let options = VaultOptions::new(Box::new(MemoryKeyStore::new()), Box::new(kek));
        let (vault, _) = KeyVault::open(options, &*log).await.unwrap();
        Self { store: Arc::new(SealingStore::new(log, vault)), _directory: directory }
    }

    /// Erases everything of a subject, or what is kept for a purpose.
    pub(crate) async fn erase(
        &self,
        subject: &str,
        purpose: Option<&str>,
        read_models: &Arc<dyn ReadModels>,
    ) -> SignedReceipt {
        let (vault, log) = (self.store.vault(), self.store.sealed());
        let subject = vault.subject_ref(&Subject::new(subject).unwrap());
        let mut request = ErasureRequest::everything(subject, "art. 17", "dpo");
        request.purpose = purpose.map(|purpose| Purpose::new(purpose).unwrap());
        let forgetting = ForgettingReadModels::new(log.clone(), read_models.clone(), PATIENCE);
        vault.erase(&**log, &request, &[&forgetting]).await.unwrap()
    }
}

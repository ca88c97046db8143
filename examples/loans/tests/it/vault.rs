//! A log with its vault, and how the loan book is imported through it.

use std::path::Path;
use std::sync::Arc;

use factum_cli::XesImport;
use factum_core::{EventStore, SystemClock};
use factum_vault::{KeyVault, LocalKeyFile, MemoryKeyStore, SealingStore, VaultOptions};

/// In front of `log`, with the key file in this directory.
pub(crate) async fn sealing(log: Arc<dyn EventStore>, directory: &Path) -> SealingStore {
    let kek = LocalKeyFile::create(directory.join("kek"), Arc::new(SystemClock)).unwrap();
    let options = VaultOptions::new(Box::new(MemoryKeyStore::new()), Box::new(kek));
    let (vault, _) = KeyVault::open(options, &*log).await.unwrap();
    SealingStore::new(log, vault)
}

pub(crate) fn options() -> XesImport {
    let personal = vec![loans::RESOURCE.to_owned()];
    XesImport { personal, ..XesImport::new(loans::CATEGORY, std::env::temp_dir()) }
}

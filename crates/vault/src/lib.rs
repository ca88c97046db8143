//! The vault: personal data sealed with a key per person, and forgotten by destroying the key.
//!
//! Pure at its core: `seal` turns a value into bytes that open in one place of one event only; `envelope` says how they look
//! in the event's JSON, `docs/format-privacy.md` byte by byte. Data keys live in a [`KeyStore`], wrapped by a
//! [`KekProvider`]; neither ever sees an event.
//!
//! **Invariant:** a value comes out as itself, as erased, or as an error. An error is never taken for an erasure, and no key
//! is given out once its owner is behind a fence.

mod cache;
mod cell;
mod core_dumps;
mod data_key;
mod envelope;
mod erase;
mod error;
mod expiry;
mod find;
mod holds;
mod keeper;
mod kek;
mod key_store;
mod ledger;
mod ledger_copy;
mod marker;
mod open_event;
mod opening;
mod own_rate;
mod receipt;
mod restored;
mod retention;
mod roots;
mod rotation;
mod seal;
mod seal_event;
mod sealing_store;
mod sinks;
mod subject;
mod vault;

pub use cache::{KEY_TTL, LEASE, MAX_CACHED_KEYS, REFRESH_EVERY};
pub use cell::{Cell, CellError, OpenedCell};
pub use core_dumps::CoreDumps;
pub use data_key::{DATA_KEY_BYTES, DataKey, RandomError};
pub use envelope::{Body, Envelope, MalformedEnvelope, SEALED_MEMBER};
pub use erase::{EraseError, ErasureHandler, ErasureRequest, Preview, Reached, SUBJECT_TAG, subject_tag};
pub use error::VaultError;
pub use find::{Found as FoundObject, MAX_DEPTH, MAX_ENVELOPES, NotSearched, find as find_objects};
pub use holds::{HOLD_PLACED_TYPE, HOLD_RELEASED_TYPE, Hold};
pub use kek::{
    EpochInfo, KekEpoch, KekError, KekProvider, LocalKeyFile, MAX_WRAP_BATCH, OpenBaoTransit, Pkcs11Options,
    Pkcs11Token, ToUnwrap, ToWrap, TransitOptions, Wrapped,
};
pub use key_store::{
    Created, Extent, Fence, Found, Holdings, Identity, KeyStore, KeyStoreError, KeySummary, Latest, Lease,
    LedgerEntry, MAX_KEY_BATCH, MemoryKeyStore, OutsideValue, Rewrapped, StoredKey, Watermark,
};
pub use ledger::{
    ERASURE_REQUESTED_TYPE, Erasure, KEK_ROTATED_TYPE, KEYS_DESTROYED_TYPE, KeysDestroyed, LOG_RESTORED_TYPE,
    Ledger, MAX_REASON_BYTES, NEW_KEYS_ALLOWED_TYPE, PRIVACY_STREAM, SUBJECT_ERASED_TYPE, VAULT_OPENED_TYPE,
};
pub use ledger_copy::{LedgerApplied, LedgerCopy, LedgerCopyError};
pub use marker::{Content, Keep, MalformedMarker, Marker, Unavailable, key_id, key_id_text};
pub use own_rate::encrypt_bare;
pub use receipt::{RECEIPT_FORMAT, Reach, Receipt, ReceiptError, SignedReceipt};
pub use restored::OnRestore;
pub use retention::Retention;
pub use roots::BlindIndex;
pub use rotation::{Rotated, Rotation};
pub use seal::{
    COMMITMENT_BYTES, MAX_SEALED_BYTES, NotSealed, Place, SALT_BYTES, SealError, SealFormat, Sealed,
    TAG_BYTES, open, seal,
};
pub use sealing_store::SealingStore;
pub use sinks::{
    Acknowledged, ERASURE_ACKNOWLEDGED_TYPE, MAX_SINK_BYTES, MAX_SINKS, SINK_ADDED_TYPE, SINK_REMOVED_TYPE,
    Sink, SinkName,
};
pub use subject::{
    ErasureId, InvalidName, KeyId, KeyOwner, MAX_PURPOSE_BYTES, MAX_SUBJECT_BYTES, Purpose, Subject,
    SubjectRef,
};
pub use vault::{DEFAULT_TENANT, KeyVault, Opened, VaultOptions};

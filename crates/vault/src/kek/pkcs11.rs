//! How does a PKCS#11 token, such as a hardware security module, hold key-encryption keys?

mod keys;
mod link;
mod options;

pub use options::Pkcs11Options;

use std::sync::Arc;

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use factum_core::Clock;
use zeroize::Zeroizing;

use super::{EpochInfo, KekEpoch, KekError, KekProvider, ToUnwrap, ToWrap, Wrapped, check_batch};
use crate::data_key::random;
use keys::Keys;
use link::{Failure, Link};

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const TAG_BITS: usize = 8 * TAG_BYTES;
/// `CKR_AEAD_DECRYPT_FAILED` of PKCS#11 3.0, for which the crate has no name.
const AEAD_DECRYPT_FAILED: RvError = RvError::UnknownErrorCode(0x42);

/// Key-encryption keys in a PKCS#11 token: AES-256 keys that are made there, are marked sensitive and not extractable, and never
/// leave it. Epoch 7 is the key labelled `factum-kek-7`; its `CKA_ID` is the moment at which it was made.
///
/// The token encrypts with AES-GCM, under a nonce that this program draws or, where the token insists on one of its own and
/// returns it as PKCS#11 says, under that one.
///
/// # What is destroyed
/// [`destroy_before`](KekProvider::destroy_before) destroys the old keys' objects and looks that they are gone. Backups of the
/// token, its replicas, and the files of a token in software still hold them: keep those for less time than an epoch lasts.
///
/// # Waiting
/// PKCS#11 knows no timeouts: a call takes as long as the module takes.
pub struct Pkcs11Token {
    link: Link,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

/// Why one secret was not unwrapped by one key.
enum NotUnwrapped {
    /// The token says that bytes, label and key do not fit.
    Foreign,
    /// The token failed without saying why, as some do where they do not fit.
    Unclear(Error),
    Other(Failure),
}

impl Pkcs11Token {
    /// The token with a vault's keys, which must be there.
    ///
    /// # Errors
    /// `Misconfigured` where module, token or keys cannot be used as they are; `Denied`, also for a wrong PIN; `Unreachable`.
    pub fn open(options: Pkcs11Options, clock: Arc<dyn Clock>) -> Result<Self, KekError> {
        let mut token = Self::new(options, clock)?;
        token.epochs()?;
        Ok(token)
    }

    /// The token, with a first key made where there is none: for a new vault. One that exists needs [`open`](Self::open), lest
    /// lost keys be replaced by one that opens nothing.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_or_create(options: Pkcs11Options, clock: Arc<dyn Clock>) -> Result<Self, KekError> {
        let mut token = Self::new(options, clock)?;
        let keys = &token.keys;
        if token.link.with(|session| keys.list(session))?.is_empty() {
            token.new_epoch()?;
        }
        Ok(token)
    }

    fn new(options: Pkcs11Options, clock: Arc<dyn Clock>) -> Result<Self, KekError> {
        let description = options.description();
        let misconfigured = |why| KekError::Misconfigured { provider: description.clone(), why };
        let parts = options.check().map_err(misconfigured)?;
        let keys = Keys::new(parts.keys, description.clone());
        Ok(Self { link: Link::new(description, parts.module, parts.token, parts.pin), keys, clock })
    }
}

impl KekProvider for Pkcs11Token {
    fn description(&self) -> String {
        self.link.description()
    }

    fn epochs(&mut self) -> Result<Vec<EpochInfo>, KekError> {
        let keys = &self.keys;
        let epochs: Vec<EpochInfo> =
            self.link.with(|session| keys.list(session))?.iter().map(|key| key.info).collect();
        if epochs.is_empty() {
            return Err(self.keys.none());
        }
        Ok(epochs)
    }

    fn wrap(&mut self, epoch: KekEpoch, secrets: &[ToWrap<'_>]) -> Result<Vec<Wrapped>, KekError> {
        check_batch(secrets.len())?;
        let keys = &self.keys;
        self.link.with(|session| {
            // Where two were made at once, either will do: unwrapping tries both.
            let key = keys.of(session, epoch)?[0];
            secrets.iter().map(|item| encrypt(session, key, item)).collect()
        })
    }

    fn unwrap_keys(&mut self, wrapped: &[ToUnwrap<'_>]) -> Result<Vec<Zeroizing<Vec<u8>>>, KekError> {
        check_batch(wrapped.len())?;
        let keys = &self.keys;
        self.link.with(|session| {
            let mut secrets = Vec::with_capacity(wrapped.len());
            let mut last: Option<(KekEpoch, Vec<ObjectHandle>)> = None;
            for item in wrapped {
                let handles = match last.take().filter(|(epoch, _)| *epoch == item.epoch) {
                    Some((_, handles)) => handles,
                    None => keys.of(session, item.epoch)?,
                };
                secrets.push(unwrap_one(session, keys, &handles, item)?);
                last = Some((item.epoch, handles));
            }
            Ok(secrets)
        })
    }

    fn new_epoch(&mut self) -> Result<KekEpoch, KekError> {
        let (keys, now) = (&self.keys, self.clock.now());
        self.link.with(|session| {
            let last = keys.list(session)?.last().map_or(0, |key| key.info.epoch.0);
            let epoch = KekEpoch(last.saturating_add(1));
            keys.generate(session, epoch, now)?;
            Ok(epoch)
        })
    }

    fn destroy_before(&mut self, keep: KekEpoch) -> Result<(), KekError> {
        let keys = &self.keys;
        self.link.with(|session| {
            let all = keys.list(session)?;
            if all.last().is_none_or(|key| key.info.epoch < keep) {
                return Err(keys.no_epoch(keep).into());
            }
            for key in all.iter().filter(|key| key.info.epoch < keep) {
                keys.destroy(session, key)?;
            }
            keys.check_none_before(session, keep)
        })
    }
}

fn encrypt(session: &Session, key: ObjectHandle, item: &ToWrap<'_>) -> Result<Wrapped, Failure> {
    let drawn = random::<NONCE_BYTES>().map_err(|error| Failure::Unreachable(error.to_string()))?;
    let mut nonce = *drawn;
    let parameters = GcmParams::new(&mut nonce, item.label, TAG_BITS.try_into()?)?;
    let sealed = session.encrypt(&Mechanism::AesGcm(parameters), key, item.secret)?;
    if sealed.len() != item.secret.len() + TAG_BYTES {
        let why = "its AES-GCM gives out other bytes than ciphertext and a tag of 16 bytes: this kind of token is not \
                   supported";
        return Err(Failure::Misconfigured(why.to_owned()));
    }
    // Read only now: a token that draws its own nonce has written it there.
    Ok(Wrapped([&nonce[..], &sealed].concat()))
}

fn unwrap_one(
    session: &Session,
    keys: &Keys,
    handles: &[ObjectHandle],
    item: &ToUnwrap<'_>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut unclear = None;
    for key in handles {
        match decrypt(session, *key, item) {
            Ok(secret) => return Ok(secret),
            Err(NotUnwrapped::Foreign) => {}
            Err(NotUnwrapped::Unclear(error)) => unclear = Some((*key, error)),
            // Somebody destroyed it since it was found.
            Err(NotUnwrapped::Other(failure)) if failure.is_no_object() => {
                return Err(keys.no_epoch(item.epoch).into());
            }
            Err(NotUnwrapped::Other(failure)) => return Err(failure),
        }
    }
    // A token that still works has failed because of the bytes.
    match unclear {
        Some((key, error)) if !works(session, key) => Err(error.into()),
        _ => Err(keys.not_ours(item.epoch).into()),
    }
}

fn decrypt(
    session: &Session,
    key: ObjectHandle,
    item: &ToUnwrap<'_>,
) -> Result<Zeroizing<Vec<u8>>, NotUnwrapped> {
    let Some((nonce, sealed)) = item.wrapped.0.split_first_chunk::<NONCE_BYTES>() else {
        return Err(NotUnwrapped::Foreign);
    };
    if sealed.len() < TAG_BYTES {
        return Err(NotUnwrapped::Foreign);
    }
    let mut nonce = *nonce;
    let unsent = |error: Error| NotUnwrapped::Other(error.into());
    let tag_bits = TAG_BITS.try_into().map_err(unsent)?;
    let parameters = GcmParams::new(&mut nonce, item.label, tag_bits).map_err(unsent)?;
    match session.decrypt(&Mechanism::AesGcm(parameters), key, sealed) {
        Ok(secret) => Ok(Zeroizing::new(secret)),
        Err(Error::Pkcs11(
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | AEAD_DECRYPT_FAILED,
            _,
        )) => Err(NotUnwrapped::Foreign),
        Err(
            error @ Error::Pkcs11(
                RvError::GeneralError
                | RvError::FunctionFailed
                | RvError::DataInvalid
                | RvError::DataLenRange
                | RvError::ArgumentsBad
                | RvError::VendorDefined(_),
                _,
            ),
        ) => Err(NotUnwrapped::Unclear(error)),
        Err(error) => Err(NotUnwrapped::Other(error.into())),
    }
}

/// Whether the token can wrap and unwrap with this key now.
fn works(session: &Session, key: ObjectHandle) -> bool {
    let label = b"works";
    let Ok(wrapped) = encrypt(session, key, &ToWrap { secret: label, label }) else { return false };
    let item = ToUnwrap { epoch: KekEpoch(0), wrapped: &wrapped, label };
    decrypt(session, key, &item).is_ok()
}

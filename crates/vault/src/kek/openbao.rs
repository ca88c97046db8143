//! How does the Transit engine of OpenBao or HashiCorp Vault hold key-encryption keys?

mod api;
mod key;
mod options;

pub use options::TransitOptions;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{EpochInfo, KekEpoch, KekError, KekProvider, ToUnwrap, ToWrap, Wrapped, check_batch};
use api::{Answer, Api, Patience};
use key::{Key, KeyAnswer};

/// What Transit's ciphertexts begin with, before the version and a colon. Not stored: epoch and bytes are.
const PREFIX: &str = "vault:v";

/// Most secrets in one request: OpenBao refuses JSON of more than a thousand strings, and a secret takes five.
const MAX_REQUEST_SECRETS: usize = 100;

/// Bytes of JSON around one secret of a batch, in which its base64 stands.
const ITEM_BYTES: usize = 96;

/// Key-encryption keys in the Transit engine of OpenBao or HashiCorp Vault, which does the wrapping: an epoch is a version of
/// one Transit key. The key has to be of a kind with associated data (`aes256-gcm96`, `chacha20-poly1305`), and not derived.
///
/// # Rights
/// The token needs, for the mount `transit` and the key `factum`: `read` on `transit/keys/factum`, `update` on
/// `transit/encrypt/factum` and `transit/decrypt/factum`; to rotate, `update` on `transit/keys/factum/rotate`,
/// `transit/keys/factum/config` and `transit/keys/factum/trim`; to make the key, `update` on `transit/keys/factum`. Do not give
/// `create` on `transit/encrypt/factum`: it lets a key that was deleted be made again by whoever wraps.
///
/// # What is destroyed
/// [`destroy_before`](KekProvider::destroy_before) forbids the old versions and then trims them, which removes them from
/// OpenBao's storage. Snapshots and backups of that storage still hold them, and a restored snapshot uses them again: keep
/// snapshots for less time than an epoch lasts, and count their age into what a receipt of erasure promises.
///
/// # Token
/// It is wiped from memory with this value, but buffers of the HTTP client are not. It is not renewed here: give a periodic
/// token that something else renews, such as OpenBao's agent. Neither proxies from the environment nor redirects are followed,
/// so that the token reaches the given address only.
pub struct OpenBaoTransit {
    api: Api,
    mount: String,
    name: String,
}

#[derive(Serialize)]
struct Batch<T> {
    batch_input: Vec<T>,
}

#[derive(Serialize)]
struct Plain {
    plaintext: SecretText,
    associated_data: String,
    key_version: u32,
}

#[derive(Serialize)]
struct Cipher {
    ciphertext: String,
    associated_data: String,
}

/// Base64 of a secret.
struct SecretText(Zeroizing<String>);

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[derive(Deserialize)]
struct BatchAnswer<'a> {
    #[serde(borrow)]
    data: BatchResults<'a>,
}

#[derive(Deserialize)]
struct BatchResults<'a> {
    #[serde(borrow)]
    batch_results: Vec<BatchResult<'a>>,
}

/// Base64 has nothing that JSON escapes, so that it is read in place and wiped with the answer.
#[derive(Deserialize)]
struct BatchResult<'a> {
    #[serde(default)]
    ciphertext: &'a str,
    #[serde(default)]
    plaintext: &'a str,
    #[serde(default)]
    error: String,
}

/// Which way secrets go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Encrypt,
    Decrypt,
}

impl OpenBaoTransit {
    /// The key, which must be there.
    ///
    /// # Errors
    /// `Misconfigured` where the options cannot work, the key is missing, or is of another kind; `Denied`; `Unreachable`.
    pub fn open(options: TransitOptions) -> Result<Self, KekError> {
        let transit = Self::new(options)?;
        match transit.find_key()? {
            Some(_) => Ok(transit),
            None => Err(transit.no_key()),
        }
    }

    /// The key, made where it is missing: for a new vault. One that exists needs [`open`](Self::open), lest a lost key be
    /// replaced by one that opens nothing.
    ///
    /// # Errors
    /// As `open`; `Denied` where the token may not make it.
    pub fn open_or_create(options: TransitOptions) -> Result<Self, KekError> {
        let transit = Self::new(options)?;
        if transit.find_key()?.is_none() {
            let answer =
                transit.api.post(&transit.path("keys", ""), "update", br#"{"type":"aes256-gcm96"}"#)?;
            transit.succeeded(&answer)?;
            // Another may have made it meanwhile, of another kind.
            transit.key()?;
        }
        Ok(transit)
    }

    fn new(options: TransitOptions) -> Result<Self, KekError> {
        let description = options.description();
        let misconfigured = |why| KekError::Misconfigured { provider: description.clone(), why };
        let parts = options.check().map_err(misconfigured)?;
        let api = Api::new(description.clone(), parts.base, parts.token, parts.trusted, Patience::default());
        Ok(Self { api, mount: parts.mount, name: parts.key })
    }

    fn path(&self, verb: &str, after: &str) -> String {
        let Self { mount, name, .. } = self;
        format!("{mount}/{verb}/{name}{after}")
    }

    fn denied(&self, why: String) -> KekError {
        KekError::Denied { provider: self.api.description(), why }
    }

    fn no_key(&self) -> KekError {
        let Self { mount, name, .. } = self;
        let why = format!(
            "it has no key '{name}' under '{mount}': give the name of the vault's key, or restore it; without it no \
             personal data can be read"
        );
        KekError::Misconfigured { provider: self.api.description(), why }
    }

    /// `None` where there is no key of that name.
    fn find_key(&self) -> Result<Option<Key>, KekError> {
        let answer = self.api.get(&self.path("keys", ""), "read")?;
        if answer.status == 404 {
            if answer.reason().contains("no handler for route") {
                let why = format!(
                    "nothing is mounted at '{mount}': enable it (bao secrets enable -path={mount} transit), or give the \
                     path at which it is",
                    mount = self.mount
                );
                return Err(KekError::Misconfigured { provider: self.api.description(), why });
            }
            return Ok(None);
        }
        self.succeeded(&answer)?;
        let key = answer.parse::<KeyAnswer>().map_err(|why| self.api.not_understood(&why))?.key();
        let key = key.map_err(|why| self.api.not_understood(&why))?;
        match key.unfit() {
            Some(why) => Err(KekError::Misconfigured { provider: self.api.description(), why }),
            None => Ok(Some(key)),
        }
    }

    fn key(&self) -> Result<Key, KekError> {
        self.find_key()?.ok_or_else(|| self.no_key())
    }

    fn succeeded(&self, answer: &Answer) -> Result<(), KekError> {
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(self.denied(answer.reason())) }
    }

    fn encrypt(&self, epoch: KekEpoch, secrets: &[ToWrap<'_>]) -> Result<Vec<Wrapped>, KekError> {
        let mut bytes = 0;
        let mut plain = |item: &ToWrap<'_>| {
            let plaintext = SecretText(Zeroizing::new(BASE64.encode(item.secret)));
            let associated_data = BASE64.encode(item.label);
            bytes += plaintext.0.len() + associated_data.len();
            Plain { plaintext, associated_data, key_version: epoch.0 }
        };
        let batch: Vec<Plain> = secrets.iter().map(&mut plain).collect();
        self.ask(Verb::Encrypt, batch, bytes, &vec![epoch; secrets.len()], |epoch, result| {
            let text = result.ciphertext.strip_prefix(PREFIX)?;
            let (version, text) = text.split_once(':')?;
            (version.parse() == Ok(epoch.0)).then_some(())?;
            BASE64.decode(text).ok().map(Wrapped)
        })
    }

    fn decrypt(&self, wrapped: &[ToUnwrap<'_>]) -> Result<Vec<Zeroizing<Vec<u8>>>, KekError> {
        let mut bytes = 0;
        let mut cipher = |item: &ToUnwrap<'_>| {
            let ciphertext = format!("{PREFIX}{}:{}", item.epoch, BASE64.encode(&item.wrapped.0));
            let associated_data = BASE64.encode(item.label);
            bytes += ciphertext.len() + associated_data.len();
            Cipher { ciphertext, associated_data }
        };
        let batch: Vec<Cipher> = wrapped.iter().map(&mut cipher).collect();
        let epochs: Vec<KekEpoch> = wrapped.iter().map(|item| item.epoch).collect();
        self.ask(Verb::Decrypt, batch, bytes, &epochs, |_, result| {
            BASE64.decode(result.plaintext).ok().map(Zeroizing::new)
        })
    }

    /// Sends a batch and gives what `read` makes of each result. `epochs` are those of the batch, in order.
    fn ask<T: Serialize, R>(
        &self,
        verb: Verb,
        batch_input: Vec<T>,
        bytes: usize,
        epochs: &[KekEpoch],
        read: impl Fn(KekEpoch, &BatchResult<'_>) -> Option<R>,
    ) -> Result<Vec<R>, KekError> {
        // As long as it will be: a buffer that grew would leave copies of the secrets.
        let mut body = Zeroizing::new(Vec::with_capacity(bytes + ITEM_BYTES * (epochs.len() + 1)));
        if let Err(error) = serde_json::to_writer(&mut *body, &Batch { batch_input }) {
            return Err(self.api.not_understood(&error.to_string()));
        }
        let path = match verb {
            Verb::Encrypt => self.path("encrypt", ""),
            Verb::Decrypt => self.path("decrypt", ""),
        };
        let answer = self.api.post(&path, "update", &body)?;
        // Failures of single secrets come with 200 or 400, according to version and kind.
        let Ok(BatchAnswer { data }) = answer.parse::<BatchAnswer<'_>>() else {
            // A key that is gone is told apart from other refusals.
            self.key()?;
            self.succeeded(&answer)?;
            return Err(self.api.not_understood("an answer without results"));
        };
        if data.batch_results.len() != epochs.len() {
            return Err(self.api.not_understood("another number of results than was asked for"));
        }
        let mut read_all = Vec::with_capacity(epochs.len());
        for (epoch, result) in epochs.iter().zip(&data.batch_results) {
            if !result.error.is_empty() {
                return Err(self.refused(verb, *epoch, &result.error));
            }
            let one = read(*epoch, result);
            read_all
                .push(one.ok_or_else(|| self.api.not_understood("a result that is not what was asked for"))?);
        }
        Ok(read_all)
    }

    /// Why a single secret was refused. What the key has decides, so that little depends on the wording.
    fn refused(&self, verb: Verb, epoch: KekEpoch, error: &str) -> KekError {
        let key = match self.key() {
            Ok(key) => key,
            Err(error) => return error,
        };
        let provider = self.api.description();
        if !key.epochs.iter().any(|info| info.epoch == epoch) {
            return KekError::NoEpoch { provider, epoch };
        }
        let is_foreign = error.contains("authentication failed") || error.contains("invalid ciphertext");
        if verb == Verb::Decrypt && is_foreign {
            return KekError::NotOurs { provider, epoch };
        }
        self.denied(api::plain(error))
    }
}

impl KekProvider for OpenBaoTransit {
    fn description(&self) -> String {
        self.api.description()
    }

    fn epochs(&mut self) -> Result<Vec<EpochInfo>, KekError> {
        Ok(self.key()?.epochs)
    }

    fn wrap(&mut self, epoch: KekEpoch, secrets: &[ToWrap<'_>]) -> Result<Vec<Wrapped>, KekError> {
        check_batch(secrets.len())?;
        // Transit takes version 0 for the latest.
        if epoch.0 == 0 {
            return Err(KekError::NoEpoch { provider: self.description(), epoch });
        }
        let mut wrapped = Vec::with_capacity(secrets.len());
        for part in secrets.chunks(MAX_REQUEST_SECRETS) {
            wrapped.extend(self.encrypt(epoch, part)?);
        }
        Ok(wrapped)
    }

    fn unwrap_keys(&mut self, wrapped: &[ToUnwrap<'_>]) -> Result<Vec<Zeroizing<Vec<u8>>>, KekError> {
        check_batch(wrapped.len())?;
        // Transit takes version 0 for the first.
        if let Some(item) = wrapped.iter().find(|item| item.epoch.0 == 0) {
            return Err(KekError::NoEpoch { provider: self.description(), epoch: item.epoch });
        }
        let mut secrets = Vec::with_capacity(wrapped.len());
        for part in wrapped.chunks(MAX_REQUEST_SECRETS) {
            secrets.extend(self.decrypt(part)?);
        }
        Ok(secrets)
    }

    /// Where the answer is lost, an epoch more may have been made; that harms nothing.
    fn new_epoch(&mut self) -> Result<KekEpoch, KekError> {
        let before = self.key()?.latest;
        let answer = self.api.post(&self.path("keys", "/rotate"), "update", b"{}")?;
        self.succeeded(&answer)?;
        let latest = self.key()?.latest;
        if latest > before { Ok(latest) } else { Err(self.api.not_understood("the key was not rotated")) }
    }

    fn destroy_before(&mut self, keep: KekEpoch) -> Result<(), KekError> {
        let key = self.key()?;
        if key.latest < keep {
            return Err(KekError::NoEpoch { provider: self.description(), epoch: keep });
        }
        if key.has_destroyed_before(keep) {
            return Ok(());
        }
        // Forbidden first, then gone: the trim takes away only what is forbidden both ways.
        if key.min_decryption < keep.0 || key.min_encryption < keep.0 {
            let minimum = |now: u32| now.max(keep.0);
            let body = format!(
                r#"{{"min_decryption_version":{},"min_encryption_version":{}}}"#,
                minimum(key.min_decryption),
                minimum(key.min_encryption)
            );
            let answer = self.api.post(&self.path("keys", "/config"), "update", body.as_bytes())?;
            self.succeeded(&answer)?;
        }
        let body = format!(r#"{{"min_available_version":{keep}}}"#);
        let answer = self.api.post(&self.path("keys", "/trim"), "update", body.as_bytes())?;
        // What the key says decides: another may have destroyed more meanwhile.
        if self.key()?.has_destroyed_before(keep) {
            return Ok(());
        }
        self.succeeded(&answer)?;
        Err(self.api.not_understood("old versions are still there after they were trimmed"))
    }
}

//! Where does the command line get the vault from: its key store, and what wraps the keys in it?

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::log::OpenLog;
use clap::Args;
use factum_core::{EventStore, InvalidEvent, NewEvent, StreamName, SystemClock};
use factum_postgres::PostgresKeyStore;
use factum_sqlite::SqliteKeyStore;
use factum_vault::{
    DEFAULT_TENANT, KekError, KekProvider, KeyStore, KeyStoreError, KeyVault, Ledger, LocalKeyFile,
    OpenBaoTransit, Pkcs11Options, Pkcs11Token, Retention, Rotation, SealingStore, TransitOptions,
    VaultError, VaultOptions,
};

use crate::context::Context;
use crate::failure::{Exit, Failure, NotDone, of_kind};
use crate::moment::duration;

const GLOBAL: &str = "Options of every command";

/// The schema of a key store in PostgreSQL.
const POSTGRES_SCHEMA: &str = "factum_keys";
/// The file of a key store in a directory.
const KEY_STORE_FILE: &str = "keys.sqlite";
/// The secret that the key provider asks for, and the file that holds it.
const SECRET: [&str; 2] = ["FACTUM_KEK_SECRET", "FACTUM_KEK_SECRET_FILE"];
/// The certificate of who may speak for the key provider.
const TRUSTED: &str = "FACTUM_KEK_CA_FILE";

/// Where the vault is.
#[derive(Args, Clone, Debug, Default)]
pub struct VaultArgs {
    /// Keys of personal data: a directory, or postgres://... [default: DIR.vault beside the store, if it is there]
    #[arg(long, value_name = "DIR|URL", env = "FACTUM_VAULT", hide_env_values = true, global = true, help_heading = GLOBAL)]
    vault: Option<String>,
    /// What wraps those keys: file:PATH, openbao:URL/KEY, pkcs11:MODULE/TOKEN/KEYS [default: file:DIR.kek]
    #[arg(long, value_name = "PLACE", env = "FACTUM_KEK", hide_env_values = true, global = true, help_heading = GLOBAL)]
    kek: Option<String>,
    /// Whose vault it is
    #[arg(
        long,
        value_name = "NAME",
        env = "FACTUM_TENANT",
        hide_env_values = true,
        global = true,
        hide = true
    )]
    tenant: Option<String>,
    /// How often the key-encryption key is rotated: receipts say when older copies of the key store become useless
    #[arg(
        long,
        value_name = "TIME",
        value_parser = duration,
        env = "FACTUM_KEK_ROTATION",
        hide_env_values = true,
        global = true,
        hide = true
    )]
    kek_rotation: Option<Duration>,
}

/// Whether a vault may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Where there is none is an error.
    Existing,
    /// One is made.
    Create,
}

/// Where the keys are.
#[derive(Clone, Debug)]
enum KeyStorePlace {
    Directory(PathBuf),
    Postgres(String),
}

/// What wraps the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KekPlace {
    File(PathBuf),
    OpenBao { address: String, mount: Option<String>, key: String },
    Pkcs11 { module: PathBuf, token: String, keys: Option<String> },
}

impl FromStr for KekPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is no place of a key-encryption key: give file:PATH, \
                 openbao:http://127.0.0.1:8200/KEY (or /MOUNT/KEY), or pkcs11:/path/to/module.so/TOKEN/KEYS"
            )
        };
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "file" if !rest.is_empty() => Ok(Self::File(PathBuf::from(rest))),
            "openbao" | "vault" => {
                let (scheme, path) = rest.split_once("://").ok_or_else(wrong)?;
                let mut parts = path.split('/').filter(|part| !part.is_empty());
                let host = parts.next().ok_or_else(wrong)?;
                let mut parts: Vec<&str> = parts.collect();
                let key = parts.pop().ok_or_else(wrong)?.to_owned();
                let mount = (!parts.is_empty()).then(|| parts.join("/"));
                Ok(Self::OpenBao { address: format!("{scheme}://{host}"), mount, key })
            }
            "pkcs11" => {
                let at = rest.find(".so/").ok_or_else(wrong)?;
                let (module, rest) = rest.split_at(at + 3);
                let mut parts = rest.trim_start_matches('/').splitn(2, '/');
                let token = parts.next().filter(|token| !token.is_empty()).ok_or_else(wrong)?;
                let keys = parts.next().filter(|keys| !keys.is_empty()).map(str::to_owned);
                Ok(Self::Pkcs11 { module: PathBuf::from(module), token: token.to_owned(), keys })
            }
            _ => Err(wrong()),
        }
    }
}

impl VaultArgs {
    /// Whether a vault was named, or is where it would be.
    pub(crate) fn is_there(&self, data: &Path) -> bool {
        self.vault.is_some() || beside(data, ".vault").join(KEY_STORE_FILE).exists()
    }

    fn kek(&self, data: &Path) -> Result<KekPlace, Failure> {
        match &self.kek {
            None => Ok(KekPlace::File(beside(data, ".kek"))),
            Some(text) => text.parse().map_err(|why| Failure::usage("--kek cannot be read", why, "")),
        }
    }

    /// The directory of the key store, or the URL of its database.
    fn place(&self, data: &Path) -> KeyStorePlace {
        match &self.vault {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                KeyStorePlace::Postgres(url.clone())
            }
            Some(directory) => KeyStorePlace::Directory(PathBuf::from(directory)),
            None => KeyStorePlace::Directory(beside(data, ".vault")),
        }
    }

    /// The options of the vault of the store in `data`. Where something is missing for a new one, nothing is made.
    pub(crate) fn options(&self, data: &Path, want: Want) -> Result<VaultOptions, Failure> {
        let (kek, place) = (self.kek(data)?, self.place(data));
        let found = match place.open() {
            Err(KeyStoreError::Missing { .. }) if want == Want::Create => None,
            opened => Some(opened?),
        };
        let (kek, key_store) = match found {
            None => {
                must_be_apart(data, &place, &kek)?;
                let kek = kek.open(Want::Create)?;
                (kek, place.create()?)
            }
            Some(mut key_store) => {
                // A lost key is not replaced by a new one: that could open nothing of what is there.
                let used = key_store.identity()?.is_some();
                (kek.open(if used { Want::Existing } else { want })?, key_store)
            }
        };
        let tenant = self.tenant.clone().unwrap_or_else(|| DEFAULT_TENANT.to_owned());
        let rotation = self.kek_rotation.map_or(Rotation::Unscheduled, Rotation::Every);
        Ok(VaultOptions { tenant, rotation, ..VaultOptions::new(key_store, kek) })
    }

    /// The options of the vault of this log, which is in `data`. A lost vault is not replaced by a new one.
    pub(crate) async fn options_for(
        &self,
        data: &Path,
        log: &dyn EventStore,
        want: Want,
    ) -> Result<VaultOptions, Failure> {
        let Some((vault, _)) = Ledger::read(log).await?.vault else {
            return self.options(data, want);
        };
        // What it was sealed with may be away; something new in its place could read none of it.
        self.options(data, Want::Existing).map_err(|failure| match self.place(data).open() {
            Err(KeyStoreError::Missing { store, .. }) => failure
                .because(format!(
                    "the log was sealed with vault {vault}, and there is no key store at {store}"
                ))
                .advise("check --vault, or restore the key store: without it no personal data can be read"),
            _ => failure,
        })
    }

    /// The log of the store in `data`, with its vault in front of it.
    ///
    /// # Errors
    /// Where there is none, or it cannot be used.
    pub async fn open(&self, data: &Path, log: Arc<dyn EventStore>) -> Result<SealingStore, NotDone> {
        self.in_front(data, log, Want::Existing).await
    }

    /// The same, and makes the vault where there is none.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub async fn open_or_create(
        &self,
        data: &Path,
        log: Arc<dyn EventStore>,
    ) -> Result<SealingStore, NotDone> {
        self.in_front(data, log, Want::Create).await
    }

    async fn in_front(
        &self,
        data: &Path,
        log: Arc<dyn EventStore>,
        want: Want,
    ) -> Result<SealingStore, NotDone> {
        let options = self.options_for(data, &*log, want).await?;
        let (vault, _) = KeyVault::open(options, &*log).await.map_err(Failure::from)?;
        Ok(SealingStore::new(log, vault))
    }

    /// The SQLite key store in its directory, for a backup of it.
    pub(crate) fn sqlite(&self, data: &Path) -> Result<SqliteKeyStore, Failure> {
        match self.place(data) {
            KeyStorePlace::Postgres(_) => Err(Failure::usage(
                "this key store is in PostgreSQL",
                "its database has backups of its own",
                "use pg_dump on the schema 'factum_keys'",
            )),
            KeyStorePlace::Directory(directory) => Ok(SqliteKeyStore::open(directory)?),
        }
    }
}

impl KeyStorePlace {
    fn open(&self) -> Result<Box<dyn KeyStore>, KeyStoreError> {
        Ok(match self {
            KeyStorePlace::Postgres(url) => Box::new(PostgresKeyStore::open(url, POSTGRES_SCHEMA)?),
            KeyStorePlace::Directory(directory) => Box::new(SqliteKeyStore::open(directory)?),
        })
    }

    fn create(&self) -> Result<Box<dyn KeyStore>, KeyStoreError> {
        Ok(match self {
            KeyStorePlace::Postgres(url) => Box::new(PostgresKeyStore::create(url, POSTGRES_SCHEMA)?),
            KeyStorePlace::Directory(directory) => Box::new(SqliteKeyStore::create(directory)?),
        })
    }
}

/// Whoever copies the store may not have its keys with it, nor whoever copies the keys what wraps them.
fn must_be_apart(data: &Path, keys: &KeyStorePlace, kek: &KekPlace) -> Result<(), Failure> {
    let directory = match keys {
        KeyStorePlace::Directory(directory) => Some(directory.as_path()),
        KeyStorePlace::Postgres(_) => None,
    };
    let file = match kek {
        KekPlace::File(file) => Some(file.as_path()),
        KekPlace::OpenBao { .. } | KekPlace::Pkcs11 { .. } => None,
    };
    let inside = |inner: Option<&Path>, outer: Option<&Path>| match (inner, outer) {
        (Some(inner), Some(outer)) => absolute(inner).starts_with(absolute(outer)),
        _ => false,
    };
    let refused = |what, where_| {
        let why = format!("{what} would be in {where_}: whoever copies the one would have the other");
        let next = "keep them apart, also in their backups: see `factum privacy init --help`";
        Err(Failure::usage("no vault was made", why, next))
    };
    if inside(directory, Some(data)) {
        return refused("the key store", "the store's directory");
    }
    if inside(file, Some(data)) {
        return refused("the key file", "the store's directory");
    }
    if inside(file, directory) {
        return refused("the key file", "the key store's directory");
    }
    Ok(())
}

/// Where a path leads, as far as it is there.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path
        .ancestors()
        .find_map(|there| Some((there.canonicalize().ok()?, path.strip_prefix(there).ok()?)))
    {
        Some((there, rest)) => there.join(rest),
        None => path,
    }
}

/// A neighbour of the store's directory: never in it, so that no copy of the store has the keys.
fn beside(data: &Path, suffix: &str) -> PathBuf {
    let mut name = data.file_name().map_or_else(|| OsString::from("factum"), OsString::from);
    name.push(suffix);
    data.with_file_name(name)
}

impl KekPlace {
    fn open(&self, want: Want) -> Result<Box<dyn KekProvider>, Failure> {
        let clock = Arc::new(SystemClock);
        Ok(match self {
            KekPlace::File(path) if want == Want::Create && !path.exists() => {
                Box::new(LocalKeyFile::create(path, clock)?)
            }
            KekPlace::File(path) => Box::new(LocalKeyFile::open(path, clock)?),
            KekPlace::OpenBao { address, mount, key } => {
                let mut options =
                    TransitOptions::new(address.clone(), key.clone(), &secret("the token of OpenBao")?);
                if let Some(mount) = mount {
                    options = options.mount(mount.clone());
                }
                if let Some(file) = std::env::var_os(TRUSTED) {
                    let pem = std::fs::read(&file);
                    options =
                        options.trust(pem.map_err(|e| Failure::io(format!("{TRUSTED} cannot be read"), &e))?);
                }
                Box::new(match want {
                    Want::Create => OpenBaoTransit::open_or_create(options)?,
                    Want::Existing => OpenBaoTransit::open(options)?,
                })
            }
            KekPlace::Pkcs11 { module, token, keys } => {
                let mut options =
                    Pkcs11Options::new(module.clone(), token.clone(), &secret("the PIN of the token")?);
                if let Some(keys) = keys {
                    options = options.keys(keys.clone());
                }
                Box::new(match want {
                    Want::Create => Pkcs11Token::open_or_create(options, clock)?,
                    Want::Existing => Pkcs11Token::open(options, clock)?,
                })
            }
        })
    }
}

/// The secret of the key provider: from the environment, or from a file that it names. Never an argument, which others see.
fn secret(what: &str) -> Result<String, Failure> {
    let [direct, file] = SECRET;
    if let Some(path) = std::env::var_os(file) {
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|e| Failure::io(format!("the file that {file} names cannot be read"), &e))?;
        return Ok(text.trim_end().to_owned());
    }
    std::env::var(direct).map_err(|_| {
        Failure::usage(
            format!("{what} is missing"),
            format!("neither {direct} nor {file} is set"),
            format!("put it into a file that only you may read, and name that with {file}"),
        )
    })
}

impl Context {
    /// The store of `engine`, with its vault where it has one: what is appended is sealed, what is read is opened.
    pub(crate) async fn with_vault(&self, log: OpenLog) -> Result<Arc<dyn EventStore>, Failure> {
        let log = log.shared();
        if !self.has_vault() {
            return Ok(log);
        }
        let vault = self.open_vault(&log, Want::Existing).await?;
        Ok(Arc::new(SealingStore::new(log, vault)))
    }

    /// Whether there is a vault beside the data directory. The log of a server may have one elsewhere.
    pub(crate) fn has_vault(&self) -> bool {
        self.data_if_given().is_some_and(|data| self.vault().is_there(data))
    }

    /// The log for whoever appends.
    pub(crate) fn sealing(&self, log: OpenLog) -> Sealing<'_> {
        Sealing { context: self, log: log.shared(), sealed: None }
    }

    /// The vault of this log.
    pub(crate) async fn open_vault(
        &self,
        log: &Arc<dyn EventStore>,
        want: Want,
    ) -> Result<KeyVault, Failure> {
        self.open_vault_keeping(log, want, Retention::none()).await
    }

    /// The vault of this log, with how long it keeps what.
    pub(crate) async fn open_vault_keeping(
        &self,
        log: &Arc<dyn EventStore>,
        want: Want,
        retention: Retention,
    ) -> Result<KeyVault, Failure> {
        let options = self.vault().options_for(self.data()?, &**log, want).await?;
        let (vault, opened) = KeyVault::open(VaultOptions { retention, ..options }, &**log).await?;
        if opened.reapplied > 0 {
            self.say(&format!(
                "the key store was older than the log, or an erasure was interrupted: {} erasures were applied before any key \
                 was used",
                opened.reapplied
            ));
        }
        Ok(vault)
    }
}

/// A log for whoever appends. Its vault is opened by the first event with something to seal, so that everything else is taken
/// also while the vault is away.
pub(crate) struct Sealing<'a> {
    context: &'a Context,
    log: Arc<dyn EventStore>,
    sealed: Option<SealingStore>,
}

impl Sealing<'_> {
    /// The store that takes these events.
    pub(crate) async fn store_for(
        &mut self,
        stream: &StreamName,
        events: &[NewEvent],
    ) -> Result<&dyn EventStore, Failure> {
        let to_seal = |event: &NewEvent| matches!(event.check(stream), Err(InvalidEvent::Unsealed));
        if !events.iter().any(to_seal) {
            return Ok(&*self.log);
        }
        if self.sealed.is_none() {
            let there = self.context.has_vault() || Ledger::read(&*self.log).await?.vault.is_some();
            if !there {
                // It says that there is nothing to seal it with.
                return Ok(&*self.log);
            }
            let vault = self.context.open_vault(&self.log, Want::Existing).await?;
            self.sealed = Some(SealingStore::new(Arc::clone(&self.log), vault));
        }
        Ok(self.sealed.as_ref().map_or(&*self.log, |sealed| sealed))
    }
}

impl From<KeyStoreError> for Failure {
    fn from(error: KeyStoreError) -> Self {
        let (exit, slug) = of_kind(error.kind());
        let next = match &error {
            KeyStoreError::Missing { .. } => {
                "check --vault; `factum privacy init` makes a vault for a store that has none"
            }
            _ => "",
        };
        Self::new((exit, slug), "the vault's key store did not open", error.to_string(), next)
    }
}

impl From<KekError> for Failure {
    fn from(error: KekError) -> Self {
        let (exit, slug) = match &error {
            KekError::Exposed { .. } => (Exit::Usage, "key-exposed"),
            KekError::Denied { .. } => (Exit::Denied, "permission-denied"),
            other => of_kind(other.kind()),
        };
        let next = match &error {
            KekError::NoEpoch { .. } | KekError::NotOurs { .. } => {
                "check --kek and --vault: a key store put back from before a rotation is of no use any more, and so is an older key"
            }
            KekError::Denied { .. } => {
                "check the token or the PIN that FACTUM_KEK_SECRET_FILE or FACTUM_KEK_SECRET holds, and what it may do there"
            }
            _ => "check --kek",
        };
        Self::new((exit, slug), "the vault's key-encryption key cannot be used", error.to_string(), next)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::KeyStore(error) => error.into(),
            VaultError::Kek(error) => error.into(),
            VaultError::Ledger(error) => {
                let (exit, slug) = of_kind(error.kind());
                Self::new(
                    (exit, slug),
                    "the vault did not open",
                    error.to_string(),
                    "`factum storage verify` checks the log",
                )
            }
            VaultError::Append(error) => error.into(),
            error @ (VaultError::LogRestored { .. } | VaultError::LogBehind { .. }) => Self::new(
                (Exit::Refused, "log-restored"),
                "the vault does not open: the log was restored",
                error.to_string(),
                "factum privacy apply-ledger FILE, with the newest copy that `factum privacy ledger` wrote; or, if nothing was \
                 erased since the backup, factum privacy apply-ledger --accept-resurrection --reason TEXT",
            ),
            error @ VaultError::Held { .. } => Self::new(
                (Exit::Refused, "legal-hold"),
                "nothing was erased",
                error.to_string(),
                "`factum privacy release SUBJECT --reason TEXT` ends the hold",
            ),
            error => {
                let (exit, slug) = of_kind(error.kind());
                Self::new((exit, slug), "the vault refused", error.to_string(), "")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_keys_are_told_apart() {
        assert_eq!("file:/k".parse(), Ok(KekPlace::File("/k".into())));
        let openbao = |mount: Option<&str>| KekPlace::OpenBao {
            address: "http://127.0.0.1:8200".into(),
            mount: mount.map(str::to_owned),
            key: "bank".into(),
        };
        assert_eq!("openbao:http://127.0.0.1:8200/bank".parse(), Ok(openbao(None)));
        assert_eq!("openbao:http://127.0.0.1:8200/a/b/bank".parse(), Ok(openbao(Some("a/b"))));
        let token = |keys: Option<&str>| KekPlace::Pkcs11 {
            module: "/lib/hsm.so".into(),
            token: "bank".into(),
            keys: keys.map(str::to_owned),
        };
        assert_eq!("pkcs11:/lib/hsm.so/bank".parse(), Ok(token(None)));
        assert_eq!("pkcs11:/lib/hsm.so/bank/kek".parse(), Ok(token(Some("kek"))));
        for wrong in
            ["", "file:", "/k", "openbao:bank", "openbao:http://", "openbao:http://h", "pkcs11:/lib/hsm.so"]
        {
            assert!(wrong.parse::<KekPlace>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_are_beside_the_store_and_never_in_it() {
        assert_eq!(beside(Path::new("/a/bank"), ".vault"), Path::new("/a/bank.vault"));
        assert_eq!(beside(Path::new("bank/"), ".kek"), Path::new("bank.kek"));
    }
}

//! What is wrong with the vault is said, nothing is written, and what is not personal is read on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::read_models::FORGETTING;
use super::{copy, files, registered, replace};
use crate::factum::{Factum, Ran};

/// Every file with its bytes. A lock file, and what SQLite keeps beside a database while it is open, are nobody's data.
fn bytes(roots: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = roots.iter().filter(|root| root.exists());
    let all = all.flat_map(|root| if root.is_dir() { files(root) } else { vec![root.clone()] });
    let passing = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name == "lock" || name.ends_with("-journal") || name.ends_with("-shm") || name.ends_with("-wal")
    };
    all.filter(|path| !passing(path)).map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

impl Factum {
    fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        bytes(&[self.path("data"), self.path("data.vault"), self.path("data.kek")])
    }

    /// What needs the vault fails with this code and these words in three lines, and writes nothing; what does not, goes on.
    #[track_caller]
    pub(super) fn is_refused(&self, more: &[&str], code: i32, words: &[&str]) {
        let before = self.everything();
        let data = registered("customer-9", "Charles", &json!({}));
        let append = ["append", "customer-9", "Registered", &data];
        for args in [
            &append[..],
            &["privacy", "show", "customer-7"],
            &["privacy", "export", "customer-7"],
            &["privacy", "erase", "customer-7", "--reason", "r", "--confirm", "customer-7"],
            &["privacy", "expire", "--keep", "billing=30d"],
            &["privacy", "rotate"],
            &["privacy", "init"],
        ] {
            let ran = self.run_with(args, more);
            let error = ran.fails(code);
            assert_eq!(ran.stdout, "", "{args:?}");
            let of_it: Vec<&str> = error.lines().skip_while(|line| !line.starts_with("error: ")).collect();
            assert!((2..=3).contains(&of_it.len()), "{args:?}: {error}");
            for word in words {
                assert!(error.contains(word), "{args:?}: '{word}' is not in: {error}");
            }
            let secret = self.environment("FACTUM_KEK_SECRET").unwrap_or("Charles");
            for value in ["Charles", "Lovelace", secret] {
                assert!(!error.contains(value), "{args:?}: {error}");
            }
            let json = self.run_with(&[args, &["-o", "json"]].concat(), more);
            assert_eq!(json.code, code, "{args:?}");
            let json: Value = serde_json::from_str(json.stderr.lines().next_back().unwrap()).unwrap();
            assert_eq!(json["exitCode"], code, "{args:?}: {json}");
            assert!(self.everything() == before, "{args:?}: something was written");
        }
        for args in [
            &["read", "customer-7"][..],
            &["read", "--all"],
            &["tail"],
            &["event", "customer-7@0"],
            &["state", "customer-7"],
            &["streams", "ls"],
            &["export", "ndjson"],
            &["privacy", "receipts"],
            &["sql", "select customer from customers"],
            &["storage", "verify"],
            &["append", "customer-9", "Moved", "{}"],
        ] {
            let ran = self.run_with(args, more);
            ran.ok();
            assert!(!ran.stdout.contains("Lovelace"), "{args:?}: {}", ran.stdout);
        }
        assert_eq!(self.run_with(&["privacy", "check"], more).code, 8);
    }

    fn run_with(&self, args: &[&str], more: &[&str]) -> Ran {
        self.run(&[args, more].concat())
    }

    /// Customers with a read model, so that reading goes on everywhere.
    pub(super) fn with_everything() -> Self {
        let factum = Self::with_customers();
        factum.projected();
        factum
    }

    pub(super) fn projected(&self) {
        let file = self.file("customers.toml", FORGETTING);
        self.run(&["projections", "create", &file]).ok();
        self.run(&["projections", "run", "--until-caught-up"]).ok();
    }

    /// After a fault was mended everything is as it was.
    #[track_caller]
    pub(super) fn is_well(&self) {
        assert_eq!(self.exported("customer-7"), [json!("Ada Lovelace"), json!({"owes": ["a goat"]})]);
        self.privacy(&["check"]).ok();
    }
}

#[test]
fn a_missing_key_file() {
    let factum = Factum::with_everything();
    let away = factum.path("away");
    std::fs::rename(factum.path("data.kek"), &away).unwrap();
    factum.is_refused(&[], 2, &["there is no key file", "data.kek"]);
    std::fs::rename(&away, factum.path("data.kek")).unwrap();
    factum.is_well();
}

#[test]
#[cfg(unix)]
fn a_key_file_or_a_key_store_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let factum = Factum::with_everything();
    let mode = |path: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(factum.path(path), permissions).unwrap();
    };
    for (path, open, closed, says) in [
        ("data.kek", 0o644, 0o600, "chmod 600"),
        ("data.kek", 0o640, 0o600, "mode 640"),
        ("data.vault/keys.sqlite", 0o604, 0o600, "604"),
        ("data.vault", 0o755, 0o700, "755"),
    ] {
        mode(path, open);
        factum.is_refused(&[], 2, &[says]);
        mode(path, closed);
    }
    factum.is_well();
}

#[test]
fn the_key_file_of_another_vault() {
    let (factum, other) = (Factum::with_everything(), Factum::with_customers());
    std::fs::copy(other.path("data.kek"), factum.path("other.kek")).unwrap();
    let kek = format!("file:{}", factum.path("other.kek").display());
    factum.is_refused(&["--kek", &kek], 1, &["another vault's key", "other.kek"]);
    factum.is_well();
}

#[test]
fn a_key_file_that_is_none() {
    let factum = Factum::with_everything();
    let whole = std::fs::read(factum.path("data.kek")).unwrap();
    let line = String::from_utf8(whole.clone()).unwrap().lines().nth(1).unwrap().to_owned();
    let secret = line.split(' ').next_back().unwrap().to_owned();
    for wrong in [&b""[..], b"nonsense", &whole[..whole.len() / 2], &[&whole[..], b"9 9 9\n"].concat()] {
        std::fs::write(factum.path("data.kek"), wrong).unwrap();
        factum.is_refused(&[], 1, &["data.kek", "restore it from its own backup"]);
        let error = factum.privacy(&["show", "customer-7"]).stderr;
        assert!(!error.contains(&secret) && !error.contains(&secret[..10]), "{error}");
    }
    std::fs::write(factum.path("data.kek"), whole).unwrap();
    factum.is_well();
}

#[test]
fn the_key_store_of_another_log() {
    let (factum, other) = (Factum::with_everything(), Factum::with_customers());
    copy(&other.path("data.vault"), &factum.path("other.vault"));
    std::fs::copy(other.path("data.kek"), factum.path("other.kek")).unwrap();
    let (vault, kek) = (factum.path("other.vault"), factum.path("other.kek"));
    let (vault, kek) = (vault.display().to_string(), format!("file:{}", kek.display()));
    let theirs = bytes(&[factum.path("other.vault"), factum.path("other.kek")]);
    factum.is_refused(&["--vault", &vault, "--kek", &kek], 2, &["log", "other.vault"]);
    factum.is_refused(&["--vault", &vault], 2, &["log", "other.vault"]);
    assert_eq!(bytes(&[factum.path("other.vault"), factum.path("other.kek")]), theirs);
    factum.is_well();
}

#[test]
fn the_key_store_of_another_tenant() {
    let factum = Factum::with_everything();
    factum.is_refused(&["--tenant", "other"], 2, &["tenant", "other"]);
    factum.is_well();
}

#[test]
fn a_key_store_that_is_gone() {
    let factum = Factum::with_everything();
    std::fs::rename(factum.path("data.vault"), factum.path("away")).unwrap();
    let vault = factum.path("data.vault").display().to_string();
    factum.is_refused(&["--vault", &vault], 5, &["data.vault", "restore"]);
    let before = factum.everything();
    // Where it would be, too. A new one could read nothing, and is not made.
    let made = factum.privacy(&["init"]).fails(5);
    assert!(made.contains("restore") && !made.contains("privacy init"), "{made}");
    for verb in
        [&["show", "customer-7"][..], &["erase", "customer-7", "--reason", "r", "--confirm", "customer-7"]]
    {
        let error = factum.privacy(verb).fails(5);
        assert!(error.contains("restore") && !error.contains("privacy init"), "{error}");
    }
    let data = registered("customer-9", "Charles", &json!({}));
    let error = factum.run(&["append", "customer-9", "Registered", &data]).fails(5);
    assert!(error.contains("data.vault") && !error.contains("Charles"), "{error}");
    assert!(factum.everything() == before, "something was written");
    factum.run(&["append", "order-1", "Placed", "{}"]).ok();
    std::fs::rename(factum.path("away"), factum.path("data.vault")).unwrap();
    factum.is_well();
}

#[test]
fn a_key_store_that_is_empty() {
    let (factum, other) = (Factum::with_everything(), Factum::new());
    copy(&factum.path("data.vault"), &factum.path("away"));
    other.privacy(&["init"]).ok();
    let empty = factum_sqlite::SqliteKeyStore::create(factum.path("empty")).unwrap();
    drop(empty);
    replace(&factum.path("empty"), &factum.path("data.vault"));
    factum.is_refused(&[], 2, &["is empty", "backup"]);
    replace(&factum.path("away"), &factum.path("data.vault"));
    factum.is_well();
}

#[test]
fn a_key_store_that_is_damaged() {
    let factum = Factum::with_everything();
    let path = factum.path("data.vault/keys.sqlite");
    let whole = std::fs::read(&path).unwrap();
    let mut header = whole.clone();
    header[..16].copy_from_slice(b"no database here");
    let mut pages = whole.clone();
    for page in pages.chunks_mut(4096).skip(1) {
        page.fill(0xa5);
    }
    for (damaged, code) in [(header, 1), (pages, 1), (whole[..4096].to_vec(), 1), (b"nonsense".to_vec(), 1)] {
        std::fs::write(&path, &damaged).unwrap();
        factum.is_refused(&[], code, &["data.vault"]);
    }
    std::fs::write(&path, &whole).unwrap();
    factum.is_well();
}

#[test]
fn a_place_of_the_key_that_is_none() {
    let factum = Factum::with_everything();
    for nonsense in ["nonsense", "file:", "openbao:bank", "pkcs11:/no/module", "https://127.0.0.1/key"] {
        factum.is_refused(&["--kek", nonsense], 2, &["--kek", "file:PATH"]);
    }
    factum.is_refused(&["--kek", "file:/no/such/key"], 2, &["/no/such/key"]);
    factum.is_refused(&["--kek", "openbao:http://127.0.0.1:1/bank"], 2, &["FACTUM_KEK_SECRET"]);
    factum.is_refused(&["--kek", "pkcs11:/no/module.so/bank/kek"], 2, &["FACTUM_KEK_SECRET"]);
    factum.is_well();
}

#[test]
fn a_new_vault_with_a_wrong_place_makes_nothing() {
    let factum = Factum::new();
    for args in [
        &["init", "--kek", "nonsense"][..],
        &["init", "--kek", "file:/no/such/directory/kek"],
        &["init", "--kek", "openbao:http://127.0.0.1:1/bank"],
    ] {
        let ran = factum.privacy(args);
        assert!(ran.code != 0 && ran.stderr.starts_with("error: "), "{args:?}: {}", ran.stderr);
        assert!(!factum.path("data.vault").exists(), "{args:?}");
        assert!(!factum.path("data.kek").exists(), "{args:?}");
    }
    assert!(!factum.path("data").exists(), "no store either");
}

/// Whoever copies the store would have the keys too.
#[test]
fn keys_are_not_put_into_the_store() {
    let factum = Factum::with_an_order();
    let inside = factum.path("data/keys").display().to_string();
    let refused = factum.privacy(&["init", "--vault", &inside]).fails(2);
    assert!(refused.contains("apart"), "{refused}");
    let inside = format!("file:{}", factum.path("data/kek").display());
    assert!(factum.privacy(&["init", "--kek", &inside]).fails(2).contains("apart"));
    let together = format!("file:{}", factum.path("data.vault/kek").display());
    assert!(factum.privacy(&["init", "--kek", &together]).fails(2).contains("apart"));
    assert!(!factum.path("data/keys").exists() && !factum.path("data.vault").exists());
}

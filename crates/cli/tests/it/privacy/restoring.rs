//! A store that is put back from a backup brings nobody back: it is told what was erased since, or somebody answers for it.

use std::path::Path;

use serde_json::{Value, json};

use super::{copy, files};
use crate::factum::{Factum, Ran};

/// A store with an erased customer; before that, log and key store were backed up as the documentation says.
struct Backed {
    factum: Factum,
    erasure: String,
}

impl Backed {
    fn up() -> Self {
        let factum = Factum::with_customers();
        let path = |name: &str| factum.path(name).display().to_string();
        let made: Value =
            serde_json::from_str(&factum.run(&["backup", "create", &path("backup")]).ok()).unwrap();
        assert_eq!((&made["ledgerEvents"], &made["ledgerEnd"]), (&json!(1), &json!("0")));
        let made = factum.privacy_line(&["backup", &path("keys.sqlite")]);
        assert_eq!((&made["erasures"], &made["kekEpoch"]), (&json!(0), &json!(1)));
        let erasure = factum.erased("customer-7");
        Self { factum, erasure }
    }

    fn path(&self, name: &str) -> String {
        self.factum.path(name).display().to_string()
    }

    /// What `factum privacy ledger` writes now, in a file.
    fn ledger(&self) -> String {
        let ledger = self.factum.privacy(&["ledger"]).ok();
        assert!(!ledger.contains("Lovelace") && !ledger.contains("customer-7"), "{ledger}");
        self.factum.file("bank.ledger", &ledger)
    }

    fn restore(&self, more: &[&str]) -> Ran {
        self.restored(&[&["backup", "restore", &self.path("backup")], more].concat())
    }

    /// Runs on the restored store, whose key file is the one there is.
    fn restored(&self, args: &[&str]) -> Ran {
        let (data, kek) = (self.path("restored"), format!("file:{}", self.path("data.kek")));
        self.factum.run(&[args, &["--data", &data, "--kek", &kek]].concat())
    }

    /// The key store of the restored store: an older one, or the one that is there.
    fn put_keys_back(&self, older: bool) {
        copy(&self.factum.path("data.vault"), &self.factum.path("restored.vault"));
        if older {
            let keys = self.factum.path("restored.vault/keys.sqlite");
            std::fs::copy(self.factum.path("keys.sqlite"), keys).unwrap();
        }
    }

    #[track_caller]
    fn is_back_without_the_erased(&self) {
        let export = self.restored(&["privacy", "export", "customer-7"]);
        assert!(export.ok().contains(&self.erasure), "{}", export.stdout);
        assert!(!export.stdout.contains("Lovelace") && !export.stdout.contains("goat"), "{}", export.stdout);
        assert!(self.restored(&["privacy", "export", "customer-8"]).ok().contains("Bob Marley"));
        self.restored(&["privacy", "verify", &self.erasure]).ok();
        self.restored(&["privacy", "check"]).ok();
    }
}

#[test]
fn both_restored_from_before_an_erasure_with_the_ledger_bring_nobody_back() {
    let backed = Backed::up();
    let ledger = backed.ledger();
    backed.put_keys_back(true);
    let ran = backed.restore(&["--ledger", &ledger]);
    ran.ok();
    assert!(
        ran.stderr.contains("1 erasures were learned") && ran.stderr.contains("1 were carried out"),
        "{ran:?}"
    );
    backed.is_back_without_the_erased();
}

#[test]
fn the_ledger_may_come_later_and_until_then_no_name_is_shown() {
    for (older, whole) in [(true, true), (true, false), (false, true), (false, false)] {
        let backed = Backed::up();
        let ran = backed.restore(&[]);
        ran.ok();
        assert!(ran.stderr.contains("apply-ledger"), "{}", ran.stderr);
        backed.put_keys_back(older);
        for args in [
            &["privacy", "export", "customer-7"][..],
            &["privacy", "show", "customer-7"],
            &["privacy", "rotate"],
            &["privacy", "erase", "customer-8", "--reason", "r", "--confirm", "customer-8"],
            &["append", "customer-9", "Registered", r#"{"name":{"$personal":{"s":"c","v":"Charles"}}}"#],
        ] {
            let ran = backed.restored(args);
            let error = ran.fails(3);
            assert!(error.contains("apply-ledger") && ran.stdout.is_empty(), "{args:?}: {ran:?}");
        }
        // What is not personal goes on.
        backed.restored(&["read", "customer-7"]).ok();
        backed.restored(&["append", "customer-9", "Moved", "{}"]).ok();
        assert_eq!(backed.restored(&["privacy", "check"]).code, 8);
        // From a file, or from the newer copy of the store itself.
        let place = if whole { backed.path("data") } else { backed.ledger() };
        let applied: Value =
            serde_json::from_str(&backed.restored(&["privacy", "apply-ledger", &place]).ok()).unwrap();
        assert_eq!((&applied["added"], &applied["erasuresLearned"]), (&json!(3), &json!(1)));
        assert_eq!(applied["erasuresCarriedOut"], json!(u8::from(older)));
        backed.is_back_without_the_erased();
    }
}

#[test]
fn a_vault_that_is_not_there_yet_is_told_when_it_is() {
    let backed = Backed::up();
    let ledger = backed.ledger();
    let ran = backed.restore(&["--ledger", &ledger]);
    ran.ok();
    assert!(ran.stderr.contains("1 erasures were learned") && ran.stderr.contains("not there"), "{ran:?}");
    backed.put_keys_back(true);
    backed.restored(&["privacy", "export", "customer-7"]).fails(3);
    backed.restored(&["privacy", "apply-ledger", &ledger]).ok();
    backed.is_back_without_the_erased();
}

#[test]
fn a_ledger_from_before_the_erasure_is_not_enough_where_the_key_store_knows_better() {
    let backed = Backed::up();
    let old = backed.ledger();
    let second = backed.factum.erased("customer-8");
    backed.restore(&[]).ok();
    backed.put_keys_back(false);
    let error = backed.restored(&["privacy", "apply-ledger", &old]).fails(3);
    assert!(error.contains(&second) && error.contains("1 erasures"), "{error}");
    backed.restored(&["privacy", "apply-ledger", &backed.ledger()]).ok();
    assert!(!backed.restored(&["privacy", "export", "customer-8"]).ok().contains("Marley"));
}

#[test]
fn without_a_ledger_somebody_answers_for_it() {
    let backed = Backed::up();
    backed.restore(&[]).ok();
    backed.put_keys_back(false);
    assert_eq!(backed.restored(&["privacy", "apply-ledger"]).code, 2);
    assert_eq!(backed.restored(&["privacy", "apply-ledger", "--accept-resurrection"]).code, 2);
    let accept = ["privacy", "apply-ledger", "--accept-resurrection", "--reason", "disk lost"];
    backed.restored(&[&accept[..], &["--actor", "dpo"]].concat()).ok();
    let told = backed.restored(&["read", "$privacy"]).ok();
    let told: Value = serde_json::from_str(told.lines().next_back().unwrap()).unwrap();
    assert_eq!(told["type"], "$logRestored");
    assert_eq!((&told["data"]["reason"], &told["data"]["actor"]), (&json!("disk lost"), &json!("dpo")));
    assert_eq!(told["data"]["missing"], json!([backed.erasure]));
    // The key store is the one that destroyed the keys.
    let export = backed.restored(&["privacy", "export", "customer-7"]).ok();
    assert!(export.contains(&backed.erasure) && !export.contains("Lovelace"), "{export}");
}

#[test]
fn a_wrong_ledger_is_refused_before_anything_is_restored() {
    let backed = Backed::up();
    let ledger = std::fs::read_to_string(backed.ledger()).unwrap();
    let cut: String = ledger.lines().take(2).collect::<Vec<_>>().join("\n");
    let changed = ledger.replace("request 2026-118", "request 2026-119");
    for (text, code) in [("", 2), ("{}", 2), (cut.as_str(), 2), (changed.as_str(), 8)] {
        let file = backed.factum.file("wrong.ledger", text);
        let ran = backed.restore(&["--ledger", &file]);
        assert!(ran.fails(code).contains("the ledger was not applied"), "{ran:?}");
        assert!(
            !backed.factum.path("restored").exists() || files(&backed.factum.path("restored")).is_empty()
        );
    }
    backed.restore(&["--ledger", "/no/such/file"]).fails(5);
    let other = Factum::with_customers();
    let ran = backed.restore(&["--ledger", &other.path("data").display().to_string()]);
    assert!(ran.fails(2).contains("is of log"), "{ran:?}");
    // A store without a vault has none.
    let plain = Factum::with_an_order();
    plain.privacy(&["ledger"]).fails(5);
}

#[test]
fn a_copy_of_the_key_store_says_how_far_it_knows() {
    let backed = Backed::up();
    let file = backed.path("later.sqlite");
    let made = backed.factum.privacy_line(&["backup", &file]);
    assert_eq!(made["erasures"], 1);
    let manifest = std::fs::read_to_string(Path::new(&(file + ".json"))).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["ledger"], json!({ "erasures": 1, "last": backed.erasure }));
    let log = &backed.factum.lines(&["read", "$privacy"])[0]["data"];
    assert_eq!((&manifest["log"], &manifest["vault"]), (&log["log"], &log["vault"]));
    let backup = std::fs::read_to_string(backed.factum.path("backup/backup.json")).unwrap();
    let backup: Value = serde_json::from_str(&backup).unwrap();
    assert_eq!(backup["ledger"], json!({ "events": 1, "last": 0 }));
}

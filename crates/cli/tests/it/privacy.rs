//! `factum privacy`: what is sealed, shown, exported and forgotten, by the real binary.

mod canary;
mod erasing;
mod faults;
mod holds;
mod keys;
mod killed;
mod lint;
mod providers;
mod read_models;
mod restoring;
mod search;
mod sinks;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::factum::{Factum, Ran};

/// Why somebody is erased in these tests.
const REASON: &str = "request 2026-118";

impl Factum {
    /// A store with a vault and two customers, who have a name each; the first has a note outside the log too.
    fn with_customers() -> Self {
        Self::new().and_customers()
    }

    fn and_customers(self) -> Self {
        self.privacy(&["init"]).ok();
        let note =
            json!({"$personal": {"s": "customer-7", "p": "billing", "x": true, "v": {"owes": ["a goat"]}}});
        self.register("customer-7", "Ada Lovelace", &json!({ "note": note }));
        self.register("customer-8", "Bob Marley", &json!({}));
        self
    }

    /// Appends that a customer registered, with a name that is sealed, and with more.
    fn register(&self, customer: &str, name: &str, more: &Value) {
        self.run(&["append", customer, "Registered", &registered(customer, name, more)]).ok();
    }

    fn privacy(&self, args: &[&str]) -> Ran {
        self.run(&[&["privacy"], args].concat())
    }

    /// The one line that a successful run printed.
    fn privacy_line(&self, args: &[&str]) -> Value {
        let mut lines = self.lines(&[&["privacy"], args].concat());
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    fn erase(&self, subject: &str) -> Ran {
        self.privacy(&["erase", subject, "--reason", REASON, "--confirm", subject])
    }

    /// Erases, and gives the erasure's id.
    fn erased(&self, subject: &str) -> String {
        let receipt: Value = serde_json::from_str(&self.erase(subject).ok()).unwrap();
        receipt["erasure"].as_str().unwrap().to_owned()
    }

    /// The values of a subject, all events together.
    fn exported(&self, subject: &str) -> Vec<Value> {
        let lines = self.lines(&["privacy", "export", subject]);
        lines.iter().flat_map(|event| event["values"].as_object().unwrap().values().cloned()).collect()
    }
}

fn registered(customer: &str, name: &str, more: &Value) -> String {
    let mut data = json!({"customer": customer, "name": {"$personal": {"s": customer, "v": name}}});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    data.to_string()
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Copies a directory, permissions and all.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            {
                std::fs::copy(&path, &target).unwrap();
            }
        }
    }
}

/// Puts a copy in the place of what is there.
fn replace(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    copy(from, to);
}

#[test]
fn a_vault_is_made_once_and_beside_the_store() {
    let factum = Factum::new();
    let made = factum.privacy_line(&["init"]);
    assert!(factum.path("data.vault/keys.sqlite").exists() && factum.path("data.kek").exists());
    let kek = std::fs::read(factum.path("data.kek")).unwrap();
    assert_eq!(factum.privacy_line(&["init"]), made);
    assert_eq!(std::fs::read(factum.path("data.kek")).unwrap(), kek);
    assert_eq!(made["tenant"], "default");
    assert_eq!(factum.lines(&["read", "$privacy"]).len(), 1);
    // A store that is there gets one too.
    let older = Factum::with_an_order();
    older.privacy(&["init"]).ok();
    older.register("customer-7", "Ada", &json!({}));
    assert_eq!(older.exported("customer-7"), ["Ada"]);
}

#[test]
#[cfg(unix)]
fn nobody_else_may_read_what_the_vault_is_made_of() {
    use std::os::unix::fs::PermissionsExt;
    let factum = Factum::with_customers();
    factum.privacy(&["rotate"]).ok();
    let copy = factum.path("copy.sqlite").display().to_string();
    factum.privacy(&["backup", &copy]).ok();
    let mut secret = files(&factum.path("data.vault"));
    secret.extend([factum.path("data.vault"), factum.path("data.kek"), copy.into()]);
    for path in secret {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

#[test]
fn a_value_is_sealed_wherever_it_is_read() {
    let factum = Factum::with_customers();
    factum.run(&["streams", "meta", "customer-7"]).ok();
    let file = factum.path("all.ndjson").display().to_string();
    for args in [
        &["read", "customer-7"][..],
        &["read", "--all", "-o", "table"],
        &["read", "--all", "--format", "{data.name} {data}"],
        &["tail"],
        &["event", "customer-7@0"],
        &["state", "customer-7"],
        &["state", "customer-7", "-o", "json"],
        &["export", "ndjson"],
        &["export", "ndjson", "--to", &file],
        &["privacy", "show", "customer-7"],
        &["privacy", "check"],
        &["privacy", "erase", "customer-7", "--reason", "r", "--dry-run"],
    ] {
        let ran = factum.run(args);
        let (out, err) = (&ran.stdout, &ran.stderr);
        assert!(ran.code == 0 || ran.code == 8, "{args:?}: {err}");
        for value in ["Lovelace", "Marley", "goat"] {
            assert!(!out.contains(value) && !err.contains(value), "{args:?}: {out} {err}");
        }
    }
    assert!(!std::fs::read_to_string(&file).unwrap().contains("Lovelace"));
    let read = &factum.lines(&["read", "customer-7"])[0];
    assert!(read["data"]["name"]["$pii"]["c"].is_string(), "{read}");
    assert!(read["data"]["note"]["$pii"]["x"].is_string(), "kept outside: {read}");
    assert_eq!(read["data"]["customer"], "customer-7", "what is not personal is in clear");
    let tag = read["tags"][0].as_str().unwrap();
    assert!(tag.starts_with("$subject:") && !tag.contains("customer-7"), "{tag}");
}

#[test]
fn without_a_vault_no_personal_value_is_taken() {
    let factum = Factum::with_an_order();
    let error = factum
        .run(&["append", "customer-7", "Registered", &registered("customer-7", "Ada", &json!({}))])
        .fails(2);
    assert!(error.contains("in clear") && error.contains("privacy init"), "{error}");
    assert!(!error.contains("\"Ada"), "{error}");
    factum.run(&["read", "customer-7"]).fails(5);
    for verb in [&["show", "customer-7"][..], &["export", "customer-7"], &["rotate"]] {
        let error = factum.privacy(verb).fails(5);
        assert!(error.contains("privacy init"), "{verb:?}: {error}");
    }
    assert!(!factum.path("data.vault").exists() && !factum.path("data.kek").exists());
}

#[test]
fn a_wrong_marker_is_refused_and_not_repeated() {
    let factum = Factum::with_customers();
    for marker in [
        r#"{"v":"Charles"}"#,
        r#"{"s":"","v":"Charles"}"#,
        r#"{"s":"c#7","v":"Charles"}"#,
        r#"{"s":"customer-9","v":"Charles","z":1}"#,
        r#"{"s":"customer-9","p":"no purpose","v":"Charles"}"#,
        r#"{"u":"vault_down"}"#,
    ] {
        let data = format!(r#"{{"name":{{"$personal":{marker}}}}}"#);
        let error = factum.run(&["append", "customer-9", "Registered", &data]).fails(2);
        assert!(!error.contains("Charles"), "{marker}: {error}");
        assert_eq!(error.lines().count(), 3, "what, why, what to do: {error}");
        let line = format!("{{\"type\":\"Registered\",\"data\":{data}}}\n");
        factum.feed(&["append", "customer-9", "--ndjson"], &line).fails(2);
    }
    factum.run(&["read", "customer-9"]).fails(5);
}

#[test]
fn what_is_shown_has_no_values_and_what_is_exported_is_one_persons() {
    let factum = Factum::with_customers();
    let both = json!({"friend": {"$personal": {"s": "customer-8", "v": "Bob M."}}});
    factum.register("customer-7", "Ada King", &both);
    let shown = factum.lines(&["privacy", "show", "customer-7"]);
    let kinds: Vec<_> = shown.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["key", "key", "stream"]);
    assert!(shown[..2].iter().all(|key| key["state"] == "opens"), "{shown:?}");
    assert_eq!((&shown[2]["name"], &shown[2]["events"]), (&json!("customer-7"), &json!(2)));
    assert_eq!(factum.lines(&["privacy", "show", "customer-7", "--purpose", "billing"])[0]["kind"], "key");
    let table = factum.privacy(&["show", "customer-7", "-o", "table"]).ok();
    assert!(table.contains("#billing"), "{table}");

    assert_eq!(
        factum.exported("customer-7"),
        [json!("Ada Lovelace"), json!({"owes": ["a goat"]}), json!("Ada King")]
    );
    assert_eq!(factum.exported("customer-8"), ["Bob Marley", "Bob M."]);
    let billing = factum.lines(&["privacy", "export", "customer-7", "--purpose", "billing"]);
    assert_eq!(billing[0]["values"], json!({"/note": {"owes": ["a goat"]}}));
    assert!(factum.exported("customer-9").is_empty());
    let subject = factum.privacy(&["show", "customer-7"]).stderr;
    let subject = subject.split(&[' ', ':'][..]).find(|word| word.len() == 32).unwrap();
    assert_eq!(factum.exported(&format!("ref:{subject}")).len(), 3);
    for wrong in ["ref:xyz", "", "c#7"] {
        factum.privacy(&["show", wrong]).fails(2);
    }
}

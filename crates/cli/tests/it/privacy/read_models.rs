//! Declared projections of personal data: they forget in one go, are rebuilt, or are stopped before they keep any.

use serde_json::{Value, json};

use super::REASON;
use crate::factum::Factum;

/// Names in clear, with statements that forget them.
pub(super) const FORGETTING: &str = r#"
name = "customers"
tables = "create table customers (customer text primary key, subject text not null, name text)"

[parameters]
who = ["data", "name", "$subject"]

[on.Registered]
run = """
    insert into customers values (:data.customer, :who, :data.name)
    on conflict (customer) do update set name = excluded.name
"""

[on."$keysDestroyed"]
run = "update customers set name = null where subject = :data.subject"
"#;

/// Names in clear that only a rebuild forgets.
pub(super) const REBUILT: &str = r#"
name = "customers"
personal = "rebuilt"
tables = "create table customers (customer text primary key, name text)"

[on.Registered]
run = "insert into customers values (:data.customer, :data.name) on conflict (customer) do update set name = excluded.name"
"#;

const CARELESS: &str = r#"
name = "customers"
tables = "create table customers (customer text primary key, name text)"

[on.Registered]
run = "insert into customers values (:data.customer, :data.name)"
"#;

impl Factum {
    /// Customers, and their read model as it is declared in `text`.
    fn with_read_model(text: &str) -> Self {
        let factum = Self::with_customers();
        let file = factum.file("customers.toml", text);
        factum.run(&["projections", "create", &file]).ok();
        factum
    }

    fn run_projections(&self) -> crate::factum::Ran {
        self.run(&["projections", "run", "--until-caught-up"])
    }

    fn names(&self) -> Vec<Value> {
        let rows = self.lines(&["sql", "select name from customers order by customer"]);
        rows.iter().map(|row| row["name"].clone()).collect()
    }
}

#[test]
fn a_read_model_that_forgets_is_done_in_one_go() {
    let factum = Factum::with_read_model(FORGETTING);
    factum.run_projections().ok();
    assert_eq!(factum.names(), [json!("Ada Lovelace"), json!("Bob Marley")]);
    let dry = factum.privacy(&["erase", "customer-7", "--reason", REASON, "--dry-run"]);
    assert_eq!(serde_json::from_str::<Value>(&dry.stdout).unwrap()["readModels"], 1);
    assert_eq!(factum.names()[0], "Ada Lovelace");
    let receipt: Value = serde_json::from_str(&factum.erase("customer-7").ok()).unwrap();
    assert_eq!(factum.names(), [Value::Null, json!("Bob Marley")]);
    let reached = receipt["reached"].as_array().unwrap();
    assert!(reached.iter().any(|r| r.as_str().unwrap().contains("read model customers v1")), "{receipt}");
    // Whoever builds it anew gets no name, and no fault.
    factum.run(&["projections", "rebuild", "customers"]).ok();
    factum.run(&["projections", "promote", "customers"]).ok();
    assert_eq!(factum.names(), [Value::Null, json!("Bob Marley")]);
}

#[test]
fn a_read_model_that_has_not_come_to_a_value_forgets_it_on_the_way() {
    let factum = Factum::with_read_model(FORGETTING);
    factum.erase("customer-7").ok();
    assert_eq!(factum.names(), [Value::Null, json!("Bob Marley")]);
}

#[test]
fn a_stopped_read_model_keeps_the_erasure_open_until_it_runs() {
    let factum = Factum::with_read_model(FORGETTING);
    factum.run_projections().ok();
    factum.run(&["projections", "stop", "customers"]).ok();
    let args = ["erase", "customer-7", "--reason", REASON, "--confirm", "customer-7", "--wait", "0s"];
    let error = factum.privacy(&args).fails(7);
    assert!(error.contains("customers v1") && error.contains("--erasure"), "{error}");
    assert!(factum.exported("customer-7")[0].get("erased").is_some(), "the keys are destroyed");
    let listed = factum.privacy_line(&["receipts"]);
    let erasure = listed["erasure"].as_str().unwrap();
    factum.run(&["projections", "start", "customers"]).ok();
    factum.privacy(&["erase", "customer-7", "--erasure", erasure]).ok();
    assert_eq!(factum.names()[0], Value::Null);
    factum.privacy(&["check"]).ok();
}

#[test]
fn a_read_model_that_cannot_forget_stops_before_it_keeps_anything() {
    let factum = Factum::with_read_model(CARELESS);
    let stopped = factum.run_projections();
    assert_eq!(stopped.code, 7, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("$keysDestroyed"), "{}", stopped.stderr);
    assert!(!stopped.stderr.contains("Lovelace") && factum.names().is_empty(), "{}", stopped.stderr);
    let shown = factum.run(&["projections", "show", "customers"]).ok();
    assert!(shown.contains("$keysDestroyed") && !shown.contains("Lovelace"), "{shown}");
    // Nothing is kept there, so nothing keeps the erasure open.
    factum.erase("customer-7").ok();
}

#[test]
fn rows_that_are_rebuilt_keep_an_erasure_open_until_they_are() {
    let factum = Factum::with_read_model(REBUILT);
    factum.run_projections().ok();
    let error = factum.privacy(&["erase", "customer-7", "--reason", REASON, "--confirm", "customer-7"]);
    let error = error.fails(7);
    assert!(error.contains("is incomplete") && error.contains("projections rebuild customers"), "{error}");
    let listed = factum.privacy_line(&["receipts"]);
    let erasure = listed["erasure"].as_str().unwrap();
    assert!(error.contains(&format!("--erasure {erasure}")), "{error}");
    let json = factum.privacy(&["erase", "customer-7", "--erasure", erasure, "-o", "json"]).fails(7);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["slug"], "erasure-incomplete");
    factum.run(&["projections", "rebuild", "customers"]).ok();
    factum.privacy(&["erase", "customer-7", "--erasure", erasure]).fails(7);
    assert_eq!(factum.names()[0], "Ada Lovelace", "the old rows serve until the new ones do");
    factum.run(&["projections", "promote", "customers"]).ok();
    let receipt = factum.privacy_line(&["erase", "customer-7", "--erasure", erasure]);
    assert!(receipt["reached"].to_string().contains("built after"), "{receipt}");
    assert_eq!(factum.names(), [Value::Null, json!("Bob Marley")]);
}

#[test]
fn rows_that_are_rebuilt_are_rebuilt_by_the_erasure_where_it_is_told_to() {
    let factum = Factum::with_read_model(REBUILT);
    factum.run_projections().ok();
    let dry = factum.privacy(&["erase", "customer-7", "--reason", REASON, "--dry-run", "--rebuild"]);
    assert_eq!(serde_json::from_str::<Value>(&dry.stdout).unwrap()["toRebuild"], json!(["customers"]));
    let args = ["erase", "customer-7", "--reason", REASON, "--confirm", "customer-7", "--rebuild"];
    let receipt = factum.privacy_line(&args);
    let reached = receipt["reached"].to_string();
    assert!(reached.contains("read model customers v2: built after"), "{reached}");
    assert!(reached.contains("read model customers v1: discarded"), "{reached}");
    assert_eq!(factum.names(), [Value::Null, json!("Bob Marley")]);
    let versions = factum.lines(&["projections", "ls"]);
    assert_eq!(versions.len(), 1, "{versions:?}");
    // A second one goes the same way; and one that was left open is completed by it.
    let left = factum.privacy(&["erase", "customer-8", "--reason", REASON, "--confirm", "customer-8"]);
    assert!(left.fails(7).contains("--rebuild does it now"), "{}", left.stderr);
    let listed = factum.lines(&["privacy", "receipts"]);
    let erasure = listed[1]["erasure"].as_str().unwrap();
    factum.privacy(&["erase", "customer-8", "--erasure", erasure, "--rebuild"]).ok();
    assert_eq!(factum.names(), [Value::Null, Value::Null]);
}

#[test]
fn asked_for_again_an_erasure_that_is_open_goes_on() {
    let factum = Factum::with_read_model(FORGETTING);
    factum.run_projections().ok();
    factum.run(&["projections", "stop", "customers"]).ok();
    let erase = |reason: &str, wait: &str| {
        let args = ["erase", "customer-7", "--reason", reason, "--confirm", "customer-7", "--wait", wait];
        factum.privacy(&args)
    };
    erase("first", "0s").fails(7);
    let again = erase("second", "0s");
    assert!(again.fails(7).contains("goes on with erasure"), "{}", again.stderr);
    // Another purpose is another erasure.
    factum.run(&["projections", "start", "customers"]).ok();
    let billing = factum.privacy(&[
        "erase",
        "customer-7",
        "--purpose",
        "billing",
        "--reason",
        "third",
        "--confirm",
        "customer-7",
    ]);
    assert!(!billing.stderr.contains("goes on"), "{}", billing.stderr);
    // The projection runs again; how soon it has come there is its own affair.
    erase("fourth", "60s").ok();
    let reasons: Vec<Value> =
        factum.lines(&["privacy", "receipts"]).iter().map(|e| e["reason"].clone()).collect();
    assert_eq!(reasons, ["first", "third"]);
    // What is complete is not gone on with.
    erase("fifth", "60s").ok();
    assert_eq!(factum.lines(&["privacy", "receipts"]).len(), 3);
}

#[test]
fn what_is_not_personal_is_applied_while_the_vault_does_not_open() {
    let factum = Factum::with_read_model(FORGETTING);
    let plain = "name = \"counts\"\ntables = \"create table counts (customer text primary key)\"\n\n\
                 [on.Registered]\nrun = \"insert into counts values (:data.customer)\"\n";
    factum.run(&["projections", "create", &factum.file("counts.toml", plain)]).ok();
    std::fs::rename(factum.path("data.kek"), factum.path("away")).unwrap();
    let ran = factum.run_projections();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no key file"), "{}", ran.stderr);
    assert!(ran.stderr.contains("customers v1: left alone"), "{}", ran.stderr);
    assert_eq!(factum.lines(&["sql", "select customer from counts"]).len(), 2);
    assert!(factum.names().is_empty());
    // Nothing has to be mended afterwards.
    std::fs::rename(factum.path("away"), factum.path("data.kek")).unwrap();
    factum.run_projections().ok();
    assert_eq!(factum.names(), [json!("Ada Lovelace"), json!("Bob Marley")]);
}

#[test]
fn a_read_model_takes_nothing_for_erased_because_the_vault_is_away() {
    let factum = Factum::with_read_model(FORGETTING);
    std::fs::rename(factum.path("data.vault"), factum.path("away")).unwrap();
    let stopped = factum.run_projections();
    assert_eq!(stopped.code, 7, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("without its vault"), "{}", stopped.stderr);
    assert!(factum.names().is_empty());
    std::fs::rename(factum.path("away"), factum.path("data.vault")).unwrap();
    factum.run(&["projections", "retry", "customers"]).ok();
    factum.run_projections().ok();
    assert_eq!(factum.names(), [json!("Ada Lovelace"), json!("Bob Marley")]);
}

//! `factum privacy check`: personal data where none may be, erasures that are open, and values that do not open.

use serde_json::{Value, json};

use super::{REASON, replace};
use crate::factum::{Factum, Ran};

fn findings(ran: &Ran) -> Vec<(String, String)> {
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (text(&line["place"]), text(&line["what"]))).collect()
}

#[test]
fn what_looks_personal_in_names_tags_and_metadata_is_found_and_not_repeated() {
    let factum = Factum::with_customers();
    factum.run(&["append", "customer-ada@example.org", "Seen", "{}"]).ok();
    factum.run(&["append", "customer-9", "Seen", "{}", "--tag", "mail:bob@example.org"]).ok();
    factum.run(&["append", "customer-9", "Seen", "{}", "--meta", "caller=+43 664 1234567"]).ok();
    factum.run(&["append", "customer-9", "Seen", r#"{"ada@example.org":1}"#, "--meta", "by=ada"]).ok();
    let ran = factum.privacy(&["check"]);
    let found = findings(&ran);
    for (place, what) in [
        ("stream name", "an e-mail address"),
        ("tag 1", "an e-mail address"),
        ("metadata/caller", "a telephone number"),
    ] {
        assert!(found.iter().any(|(p, w)| p.contains(place) && w.contains(what)), "{place}: {found:?}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
    for told in ["example.org", "1234567"] {
        assert!(!ran.stdout.contains(told) && !ran.stderr.contains(told), "{}{}", ran.stdout, ran.stderr);
    }
    assert!(ran.stderr.contains("3 things are wrong"), "{}", ran.stderr);
}

#[test]
fn findings_are_counted_also_where_they_are_not_all_shown() {
    let factum = Factum::with_customers();
    let line = "{\"type\":\"Seen\",\"tags\":[\"ada@example.org\"]}\n";
    factum.feed(&["append", "customer-9", "--ndjson"], &line.repeat(60)).ok();
    let some = factum.privacy(&["check"]);
    assert_eq!(findings(&some).len(), 50);
    assert!(some.stderr.contains("60 things") && some.stderr.contains("--all"), "{}", some.stderr);
    assert_eq!(findings(&factum.privacy(&["check", "--all"])).len(), 60);
}

#[test]
fn a_log_without_its_vault_is_looked_at_all_the_same() {
    let factum = Factum::with_customers();
    factum.run(&["append", "customer-9", "Seen", "{}", "--tag", "bob@example.org"]).ok();
    let away = factum.path("away.kek");
    std::fs::rename(factum.path("data.kek"), &away).unwrap();
    let found = findings(&factum.privacy(&["check"]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].0 == "vault" && found[0].1.contains("data.kek"), "{found:?}");
    assert!(found[1].0.contains("tag 1"), "{found:?}");
}

#[test]
fn an_open_erasure_is_reported_until_it_is_complete() {
    let factum = Factum::with_customers();
    let away = factum.path("older.vault");
    super::copy(&factum.path("data.vault"), &away);
    let file = factum.file("customers.toml", super::read_models::REBUILT);
    factum.run(&["projections", "create", &file]).ok();
    factum.run(&["projections", "run", "--until-caught-up"]).ok();
    let args = ["erase", "customer-7", "--reason", REASON, "--confirm", "customer-7"];
    factum.privacy(&args).fails(7);
    let listed = factum.privacy_line(&["receipts"]);
    let erasure = listed["erasure"].as_str().unwrap();
    assert!(listed["state"].as_str().unwrap().starts_with("incomplete"), "{listed}");
    assert!(factum.privacy(&["receipts", erasure]).fails(5).contains("incomplete"));
    factum.privacy(&["verify", erasure]).fails(5);
    factum.privacy(&["allow", erasure, "--reason", "r"]).fails(2);
    let found = findings(&factum.privacy(&["check"]));
    assert!(found.len() == 1 && found[0].1.contains(&format!("--erasure {erasure}")), "{found:?}");
    // A key store from before does not make it open again.
    replace(&away, &factum.path("data.vault"));
    assert_eq!(factum.exported("customer-7")[0], json!({ "erased": erasure }));
}

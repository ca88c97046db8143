//! Who is held is not erased; and when an erasure is out of reach of old copies.

use serde_json::{Value, json};

use super::REASON;
use crate::factum::Factum;

#[test]
fn who_is_held_is_not_erased() {
    let factum = Factum::with_customers();
    let hold = ["hold", "customer-7", "--reason", "case 2026-7", "--actor", "legal"];
    assert_eq!(factum.privacy_line(&hold)["state"], "held");
    assert_eq!(factum.privacy_line(&hold)["state"], "was held");
    let held = factum.lines(&["privacy", "holds"]);
    assert_eq!(
        (held.len(), &held[0]["reason"], &held[0]["actor"]),
        (1, &json!("case 2026-7"), &json!("legal"))
    );
    let error = factum.erase("customer-7").fails(3);
    assert!(error.contains("is held") && error.contains("case 2026-7"), "{error}");
    assert!(!error.contains("destroys"), "nobody is asked to confirm it: {error}");
    factum.privacy(&["erase", "customer-7", "--reason", REASON, "--dry-run"]).fails(3);
    assert_eq!(factum.exported("customer-7").len(), 2);
    factum.erase("customer-8").ok();

    assert!(factum.privacy(&["release", "customer-8", "--reason", "r"]).fails(5).contains("not held"));
    let subject = held[0]["subject"].as_str().unwrap();
    assert_eq!(factum.privacy_line(&["release", subject, "--reason", "closed"])["state"], "released");
    assert!(factum.lines(&["privacy", "holds"]).is_empty());
    factum.erase("customer-7").ok();
    factum.privacy(&["check"]).ok();
}

#[test]
fn who_is_being_erased_is_not_held_any_more() {
    let factum = Factum::with_customers();
    factum.projected();
    factum.run(&["projections", "stop", "customers"]).ok();
    let args = ["erase", "customer-7", "--reason", REASON, "--confirm", "customer-7", "--wait", "0s"];
    factum.privacy(&args).fails(7);
    let error = factum.privacy(&["hold", "customer-7", "--reason", "late"]).fails(2);
    assert!(error.contains("is under way"), "{error}");
    factum.privacy(&["hold", "customer-8", "--reason", "case 2026-8"]).ok();
}

#[test]
fn a_receipt_says_when_old_copies_open_no_more_and_verify_asks() {
    let mut factum = Factum::with_customers();
    let without: Value = serde_json::from_str(&factum.erase("customer-8").ok()).unwrap();
    assert_eq!(without["horizon"], Value::Null);
    factum.set("FACTUM_KEK_ROTATION", "30d");
    let receipt: Value = serde_json::from_str(&factum.erase("customer-7").ok()).unwrap();
    let horizon = receipt["horizon"].as_str().unwrap();
    assert!(receipt["notReached"].to_string().contains(&format!("by {horizon},")), "{receipt}");
    let erasure = receipt["erasure"].as_str().unwrap();
    let asked = || factum.privacy_line(&["verify", erasure])["keyEncryptionKey"].as_str().unwrap().to_owned();
    assert!(asked().contains("epoch 1 is still in"), "{}", asked());
    factum.privacy(&["rotate"]).ok();
    assert!(asked().contains("epoch 1 is gone"), "{}", asked());
}

#[test]
fn a_receipt_whose_horizon_passed_without_a_rotation_is_not_true() {
    let mut factum = Factum::with_customers();
    factum.set("FACTUM_KEK_ROTATION", "0s");
    let erasure = factum.erased("customer-7");
    let error = factum.privacy(&["verify", &erasure]).fails(8);
    assert!(
        error.contains("was to be rotated away by") && error.contains("factum privacy rotate"),
        "{error}"
    );
    factum.privacy(&["rotate"]).ok();
    factum.privacy(&["verify", &erasure]).ok();
}

//! A person is erased: asked for, shown, done, attested, and allowed again.

use serde_json::{Value, json};

use super::{REASON, registered};
use crate::factum::{Factum, bare, finish};

#[test]
fn it_is_shown_and_asked_for_before_it_is_done() {
    let factum = Factum::with_customers();
    let dry = factum.privacy(&["erase", "customer-7", "--reason", REASON, "--dry-run"]);
    assert!(dry.fails(8).contains("destroys 2 keys for ever"), "{}", dry.stderr);
    let would: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_eq!((&would["keys"], &would["events"], &would["streams"]), (&json!(2), &json!(1), &json!(1)));
    for args in [
        &["erase", "customer-7", "--reason", REASON][..],
        &["erase", "customer-7", "--reason", REASON, "--confirm", "customer-8"],
    ] {
        let asked = factum.privacy(args).fails(3);
        assert!(asked.contains("--confirm 'customer-7'"), "{asked}");
    }
    factum.privacy(&["erase", "customer-7", "--confirm", "customer-7"]).fails(2);
    factum.privacy(&["erase", "customer-7", "--reason", " ", "--confirm", "customer-7"]).fails(2);
    assert_eq!(factum.exported("customer-7").len(), 2, "nothing was done");
    assert!(factum.lines(&["privacy", "receipts"]).is_empty());
}

#[test]
fn an_erased_person_stays_erased_and_the_others_stay() {
    let factum = Factum::with_customers();
    let before = factum.lines(&["read", "customer-7"]);
    let erasure = factum.erased("customer-7");
    assert_eq!(factum.lines(&["read", "customer-7"]), before, "the log is as it was");
    let gone = json!({ "erased": erasure });
    assert_eq!(factum.exported("customer-7"), [gone.clone(), gone]);
    assert_eq!(factum.exported("customer-8"), ["Bob Marley"]);
    let shown = factum.lines(&["privacy", "show", "customer-7"]);
    assert!(shown[0]["state"].as_str().unwrap().contains("destroyed"), "{shown:?}");

    let again = registered("customer-7", "Ada", &json!({}));
    let refused = factum.run(&["append", "customer-7", "Registered", &again]).fails(5);
    assert!(refused.contains(&erasure) && refused.contains("privacy allow"), "{refused}");
    assert!(!refused.contains("Ada"), "{refused}");
    factum.run(&["append", "customer-7", "Moved", "{}"]).ok();

    let check = factum.privacy(&["check"]);
    assert!(check.ok().is_empty() && check.stderr.contains("nothing is wrong"), "{}", check.stderr);
    assert_eq!(factum.lines(&["storage", "verify"])[0]["damage"], json!([]));
    // What was kept outside the log is gone too.
    assert!(check.stderr.contains("0 values outside the log"), "{}", check.stderr);
}

#[test]
fn one_purpose_is_erased_for_itself() {
    let factum = Factum::with_customers();
    let args = ["erase", "customer-7", "--purpose", "billing", "--reason", REASON, "--confirm", "customer-7"];
    let receipt = factum.privacy_line(&args);
    assert_eq!((&receipt["purpose"], &receipt["keysDestroyed"]), (&json!("billing"), &json!(1)));
    assert_eq!(factum.exported("customer-7"), [json!("Ada Lovelace"), json!({"erased": receipt["erasure"]})]);
    factum.register("customer-7", "Ada King", &json!({}));
}

#[test]
fn asked_for_again_the_same_erasure_gives_the_same_receipt() {
    let factum = Factum::with_customers();
    let first: Value = serde_json::from_str(&factum.erase("customer-7").ok()).unwrap();
    let erasure = first["erasure"].as_str().unwrap();
    assert_eq!(factum.privacy_line(&["erase", "customer-7", "--erasure", erasure]), first);
    let subject = format!("ref:{}", first["subject"].as_str().unwrap());
    assert_eq!(factum.privacy_line(&["erase", &subject, "--erasure", erasure]), first);
    let other = factum.privacy(&["erase", "customer-8", "--erasure", erasure]).fails(2);
    assert!(other.contains("another subject"), "{other}");
    let unknown = "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90";
    factum.privacy(&["erase", "customer-7", "--erasure", unknown]).fails(5);
    assert_eq!(factum.lines(&["privacy", "receipts"]).len(), 1);
}

#[test]
fn a_receipt_is_listed_printed_and_verified_also_far_from_the_store() {
    let factum = Factum::with_customers();
    let key = factum.privacy_line(&["init"])["receiptKey"].as_str().unwrap().to_owned();
    let erasure = factum.erased("customer-7");
    let listed = factum.privacy_line(&["receipts"]);
    assert_eq!(
        (&listed["erasure"], &listed["state"], &listed["keys"], &listed["reason"]),
        (&json!(erasure), &json!("complete"), &json!(2), &json!(REASON))
    );
    assert!(factum.privacy(&["receipts", "-o", "table"]).ok().contains("complete"));
    let receipt = factum.privacy(&["receipts", &erasure, "-o", "json"]).ok();
    let parsed: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(parsed["receipt"]["keys"].as_array().unwrap().len(), 2);
    assert_eq!(factum.privacy_line(&["receipts", &erasure]), parsed, "as one line too");

    let verified = factum.privacy_line(&["verify", &erasure]);
    assert!(verified["verdict"].as_str().unwrap().starts_with("true"), "{verified}");
    assert_eq!((&verified["valuesTried"], &verified["valuesOpened"]), (&json!(2), &json!(0)));
    let file = format!("@{}", factum.file("receipt.json", &receipt));
    factum.privacy(&["verify", &file]).ok();

    // With nothing but the receipt and the public key: no store, no vault.
    let offline = |file: &str, key: &str| finish(bare(&["privacy", "verify", file, "--key", key]), "");
    assert!(offline(&file, &key).ok().contains("genuine"));
    assert!(offline(&file, &key.to_uppercase()).ok().contains("genuine"));
    assert_eq!(finish(bare(&["privacy", "verify", "-", "--key", &key]), &receipt).code, 0);
    offline(&file, &"00".repeat(32)).fails(8);
    offline(&file, "no key").fails(8);
    for (old, new) in [(REASON, "request 2026-119"), (r#""default""#, r#""defualt""#)] {
        let changed = receipt.replace(old, new);
        assert_ne!(changed, receipt, "{old}");
        let changed = format!("@{}", factum.file("changed.json", &changed));
        assert!(offline(&changed, &key).fails(8).contains("changed"), "{old}");
        factum.privacy(&["verify", &changed]).fails(8);
    }
    let broken = format!("@{}", factum.file("broken.json", "{}"));
    offline(&broken, &key).fails(8);
    offline("@/no/such/file", &key).fails(5);
    factum.privacy(&["verify", "nonsense"]).fails(2);
    factum.privacy(&["receipts", "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90"]).fails(5);
}

#[test]
fn a_receipt_of_another_store_is_not_taken_for_one_of_this() {
    let (factum, other) = (Factum::with_customers(), Factum::with_customers());
    let erasure = other.erased("customer-7");
    let receipt = other.privacy(&["receipts", &erasure]).ok();
    let file = format!("@{}", factum.file("receipt.json", &receipt));
    assert!(factum.privacy(&["verify", &file]).fails(8).contains("not genuine"));
}

#[test]
fn new_keys_are_allowed_for_what_comes_and_not_for_what_was() {
    let factum = Factum::with_customers();
    let erasure = factum.erased("customer-7");
    factum.privacy(&["allow", &erasure]).fails(2);
    factum.privacy(&["allow", "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90", "--reason", "r"]).fails(2);
    let allow = ["allow", &erasure, "--reason", "contract 17"];
    assert_eq!(factum.privacy_line(&allow)["newKeys"], "allowed");
    assert!(factum.privacy(&allow).stderr.contains("nothing was changed"));
    factum.register("customer-7", "Ada King", &json!({}));
    let values = factum.exported("customer-7");
    assert_eq!((values.len(), &values[2]), (3, &json!("Ada King")));
    assert_eq!(values[0], json!({ "erased": erasure }), "what was destroyed stays so");
    factum.privacy(&["verify", &erasure]).ok();
    let state = factum.privacy_line(&["receipts"])["state"].clone();
    assert_eq!(state, "complete, new keys allowed");
    // And she may be erased once more.
    let second = factum.erased("customer-7");
    assert_ne!(second, erasure);
    assert_eq!(factum.exported("customer-7")[2], json!({ "erased": second }));
    factum.privacy(&["check"]).ok();
}

/// Keys are as old as the test: what is due is tested in the vault, with its clock.
#[test]
fn nothing_expires_before_its_time() {
    let factum = Factum::with_customers();
    for keep in ["billing=30d", "marketing=1d"] {
        let due = factum.privacy_line(&["expire", "--keep", keep, "--dry-run"]);
        assert_eq!(due["due"], 0);
        assert_eq!(
            factum.privacy_line(&["expire", "--keep", keep]),
            json!({"expired": 0, "incomplete": 0, "held": 0})
        );
    }
    assert_eq!(factum.exported("customer-7").len(), 2);
    for wrong in ["billing", "=1d", "billing=", "billing=soon"] {
        factum.privacy(&["expire", "--keep", wrong]).fails(2);
    }
    factum.privacy(&["expire"]).fails(2);
}

//! The keys themselves: rotated, copied, put back from an older copy.

use serde_json::json;

use super::{copy, replace};
use crate::factum::Factum;

#[test]
fn a_rotation_keeps_every_value_and_makes_old_copies_useless() {
    let factum = Factum::with_customers();
    let (old_kek, old_keys) = (factum.path("old.kek"), factum.path("old.vault"));
    std::fs::copy(factum.path("data.kek"), &old_kek).unwrap();
    copy(&factum.path("data.vault"), &old_keys);
    let rotated = factum.privacy_line(&["rotate"]);
    assert_eq!(
        (&rotated["epoch"], &rotated["keys"], &rotated["unreadable"]),
        (&json!(2), &json!(3), &json!(0))
    );
    assert_eq!(rotated["completedAnEarlierOne"], false);
    assert_eq!(factum.exported("customer-7").len(), 2);
    factum.register("customer-9", "Charles", &json!({}));

    // The old key file does not open the new key store, and the new one not the old.
    let old = format!("file:{}", old_kek.display());
    let refused = factum.privacy(&["export", "customer-7", "--kek", &old]);
    assert!(!refused.stdout.contains("Ada"), "{}", refused.stdout);
    assert!(refused.code != 0 && refused.stderr.contains("epoch 2"), "{}", refused.stderr);
    let vault = old_keys.display().to_string();
    let refused = factum.privacy(&["export", "customer-7", "--vault", &vault]);
    assert!(refused.code != 0 && refused.stderr.contains("epoch 1"), "{}", refused.stderr);
    assert!(!refused.stdout.contains("Ada"), "{}", refused.stdout);

    let not_yet = factum.privacy(&["rotate", "--if-older-than", "30d"]);
    assert!(not_yet.ok().is_empty() && not_yet.stderr.contains("not that old"), "{}", not_yet.stderr);
    assert_eq!(factum.privacy_line(&["rotate", "--if-older-than", "0s"])["epoch"], 3);
    factum.privacy(&["check"]).ok();
    let told = factum.lines(&["read", "--type", "$kekRotated"]);
    assert_eq!(told.len(), 2);
}

#[test]
fn a_copy_of_the_key_store_is_written_once_and_is_a_key_store() {
    let factum = Factum::with_customers();
    let file = factum.path("copy.sqlite").display().to_string();
    assert_eq!(factum.privacy_line(&["backup", &file])["file"], file);
    let before = std::fs::read(&file).unwrap();
    assert!(factum.privacy(&["backup", &file]).fails(3).contains("never written over"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    factum.privacy(&["backup", "/no/such/directory/copy.sqlite"]).fails(7);
    let restored = factum.path("restored.vault");
    copy(&factum.path("data.vault"), &restored);
    std::fs::copy(&file, restored.join("keys.sqlite")).unwrap();
    let restored = restored.display().to_string();
    assert_eq!(factum.lines(&["privacy", "export", "customer-8", "--vault", &restored]).len(), 1);
}

#[test]
fn an_older_key_store_put_back_brings_nobody_back() {
    for first in
        [&["export", "customer-7"][..], &["show", "customer-7"], &["expire", "--keep", "billing=30d"]]
    {
        let factum = Factum::with_customers();
        let older = factum.path("older.vault");
        copy(&factum.path("data.vault"), &older);
        let (gone, erasure) = (json!("Ada Lovelace"), factum.erased("customer-7"));
        replace(&older, &factum.path("data.vault"));
        let ran = factum.privacy(first);
        ran.ok();
        assert!(ran.stderr.contains("1 erasures were applied"), "{first:?}: {}", ran.stderr);
        assert!(!ran.stdout.contains("Lovelace"), "{first:?}: {}", ran.stdout);
        let values = factum.exported("customer-7");
        assert!(!values.contains(&gone) && values[0] == json!({ "erased": erasure }), "{values:?}");
        assert_eq!(factum.exported("customer-8"), ["Bob Marley"]);
        factum.privacy(&["verify", &erasure]).ok();
        let second = factum.privacy(&["check"]);
        assert!(second.ok().is_empty() && !second.stderr.contains("applied"), "{}", second.stderr);
    }
}

#[test]
fn an_older_key_store_put_back_is_found_out_by_an_append_too() {
    let factum = Factum::with_customers();
    let older = factum.path("older.vault");
    copy(&factum.path("data.vault"), &older);
    factum.erased("customer-7");
    factum.register("customer-9", "Charles", &json!({}));
    replace(&older, &factum.path("data.vault"));
    let data = super::registered("customer-7", "Ada", &json!({}));
    let ran = factum.run(&["append", "customer-7", "Registered", &data]);
    ran.fails(5);
    assert!(ran.stderr.contains("1 erasures were applied"), "{}", ran.stderr);
    // A key that the older key store never had is not taken for an erasure.
    let lost = factum.privacy(&["export", "customer-9"]);
    assert!(lost.fails(7).contains("incomplete"), "{}", lost.stderr);
    assert!(lost.stdout.is_empty());
    let check = factum.privacy(&["check"]);
    assert_eq!(check.code, 8);
    assert!(check.stdout.contains("unknown_key"), "{}", check.stdout);
}

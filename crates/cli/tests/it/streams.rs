//! `factum streams`: listing, metadata, and the three ways out of sight.

use crate::factum::Factum;

#[test]
fn streams_are_listed_found_and_described() {
    let factum = Factum::with_an_order();
    factum.run(&["append", "invoice-9", "Sent"]).ok();
    assert_eq!(factum.run(&["streams", "ls", "-o", "raw"]).ok(), "order-1\ninvoice-9\n");
    assert_eq!(factum.run(&["streams", "ls", "--category", "order", "-o", "raw"]).ok(), "order-1\n");
    assert_eq!(factum.run(&["streams", "find", "voice", "-o", "raw"]).ok(), "invoice-9\n");
    let long = factum.lines(&["streams", "ls", "--long", "-n", "1"]);
    assert_eq!((&long[0]["lastRevision"], &long[0]["lastType"]), (&2.into(), &"Shipped".into()));
    let info = factum.lines(&["streams", "info", "order-1"]);
    assert_eq!((&info[0]["state"], &info[0]["lastRevision"]), (&"live".into(), &2.into()));
    assert_eq!(info[0]["category"], "order");
    factum.run(&["streams", "info", "order-2"]).fails(5);
}

#[test]
fn metadata_is_shown_and_changed() {
    let factum = Factum::with_an_order();
    assert_eq!(factum.run(&["streams", "meta", "order-1"]).ok(), "{}\n");
    factum.run(&["streams", "meta", "order-1", "--max-count", "1", "--set", "owner=\"ada\""]).ok();
    let shown = factum.lines(&["streams", "meta", "order-1"]);
    assert_eq!(shown[0], serde_json::json!({"$maxCount": 1, "owner": "ada"}));
    assert_eq!(factum.lines(&["read", "order-1"]).len(), 1);
    factum.run(&["streams", "meta", "order-1", "--unset", "$maxCount"]).ok();
    assert_eq!(factum.lines(&["read", "order-1"]).len(), 3);
    factum.run(&["streams", "meta", "order-1", "--set", "owner=ada"]).fails(2);
}

#[test]
fn truncation_asks_counts_and_hides() {
    let factum = Factum::with_an_order();
    let args = ["streams", "truncate", "order-1", "--before", "2"];
    assert!(factum.run(&args).fails(3).contains("--yes"));
    let dry = factum.run(&[&args[..], &["--dry-run"]].concat()).fails(8);
    assert!(dry.contains("hides 2 events"), "{dry}");
    assert_eq!(factum.lines(&["read", "order-1"]).len(), 3);
    factum.run(&[&args[..], &["--yes"]].concat()).ok();
    assert_eq!(factum.lines(&["read", "order-1"]).len(), 1);
}

#[test]
fn a_deleted_stream_is_gone_until_it_is_appended_to() {
    let factum = Factum::with_an_order();
    assert!(factum.run(&["streams", "delete", "order-1"]).fails(3).contains("--yes"));
    factum.run(&["streams", "delete", "order-1", "--expect", "7", "--yes"]).fails(6);
    factum.run(&["streams", "delete", "order-1", "--expect", "2", "--yes"]).ok();
    factum.run(&["read", "order-1"]).fails(5);
    assert_eq!(factum.run(&["streams", "ls", "-o", "raw"]).ok(), "");
    assert_eq!(factum.lines(&["read", "order-1", "--recorded"]).len(), 3);
    factum.run(&["append", "order-1", "Reopened"]).ok();
    let events = factum.lines(&["read", "order-1"]);
    assert_eq!((events.len(), &events[0]["revision"]), (1, &3.into()));
}

#[test]
fn a_tombstone_needs_the_name_and_is_for_ever() {
    let factum = Factum::with_an_order();
    factum.run(&["streams", "tombstone", "order-1", "--dry-run"]).fails(8);
    assert!(factum.run(&["streams", "tombstone", "order-1"]).fails(3).contains("--confirm 'order-1'"));
    factum.run(&["streams", "tombstone", "order-1", "--confirm", "order-2"]).fails(3);
    factum.run(&["streams", "tombstone", "order-1", "--confirm", "order-1"]).ok();
    let error = factum.run(&["read", "order-1", "-o", "json"]).fails(5);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&error).unwrap()["slug"], "stream-deleted");
    factum.run(&["append", "order-1", "Reopened"]).fails(5);
}

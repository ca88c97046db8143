//! Who was handed personal data is named by receipts until it has acknowledged.

use serde_json::{Value, json};

use crate::factum::Factum;

#[test]
fn receipts_name_sinks_and_exports_until_they_acknowledge() {
    let factum = Factum::with_customers();
    assert_eq!(factum.privacy_line(&["sinks", "add", "mailing", "--note", "told by mail"])["state"], "added");
    assert_eq!(
        factum.privacy_line(&["sinks", "add", "mailing", "--note", "told by mail"])["state"],
        "was there"
    );
    factum.privacy(&["export", "customer-7"]).ok();
    factum.privacy(&["export", "customer-7"]).ok();
    let names = || -> Vec<(Value, bool)> {
        let sinks = factum.lines(&["privacy", "sinks", "ls"]);
        sinks.iter().map(|sink| (sink["sink"].clone(), sink["subject"].is_string())).collect()
    };
    assert_eq!(names(), [(json!("mailing"), false), (json!("export"), true)]);

    let receipt: Value = serde_json::from_str(&factum.erase("customer-7").ok()).unwrap();
    let erasure = receipt["erasure"].as_str().unwrap();
    let not_reached = receipt["notReached"].to_string();
    for sink in ["mailing", "export"] {
        assert!(not_reached.contains(&format!("sink {sink}: was handed its data")), "{not_reached}");
    }
    let open = || factum.lines(&["privacy", "receipts"])[0]["unacknowledged"].clone();
    assert_eq!(open(), json!(["export", "mailing"]));
    assert_eq!(factum.privacy_line(&["ack", erasure, "mailing"])["state"], "acknowledged");
    assert_eq!(factum.privacy_line(&["ack", erasure, "mailing"])["state"], "had acknowledged");
    assert_eq!(open(), json!(["export"]));
    assert_eq!(factum.privacy_line(&["verify", erasure])["unacknowledged"], json!(["export"]));
    // Nobody gets data of who was erased: nothing new is to be told.
    factum.privacy(&["export", "customer-7"]).ok();
    assert_eq!(names().len(), 2);
    assert_eq!(factum.privacy_line(&["sinks", "rm", "mailing"])["state"], "removed");
    assert_eq!(names().len(), 1);
    // The other was never given to anybody.
    let other: Value = serde_json::from_str(&factum.erase("customer-8").ok()).unwrap();
    assert!(!other["notReached"].to_string().contains("\"sink "), "{other}");

    assert!(factum.privacy(&["ack", erasure, "nobody"]).fails(2).contains("sinks ls"));
    factum.privacy(&["sinks", "rm", "nobody"]).fails(5);
    factum.privacy(&["sinks", "add", "a@b.org"]).fails(2);
}

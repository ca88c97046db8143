//! `factum event redact`, and how every other command shows what was redacted.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::factum::Factum;

const REASON: &str = "a name in the wrong field";

fn redact(factum: &Factum, place: &str, more: &[&str]) -> crate::factum::Ran {
    let args = [&["event", "redact", place, "--reason", REASON, "--actor", "ops"], more].concat();
    factum.run(&args)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn holds(dir: &Path, text: &str) -> bool {
    files(dir)
        .iter()
        .any(|path| std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()))
}

#[test]
fn it_is_asked_for_shown_and_done() {
    let factum = Factum::with_an_order();
    let asked = redact(&factum, "order-1@0", &[]).fails(3);
    assert!(asked.contains("--yes") && asked.contains("takes out 53 bytes of data"), "{asked}");
    let dry = redact(&factum, "order-1@0", &["--dry-run"]);
    assert!(dry.fails(8).contains("1 tags for ever"), "{}", dry.stderr);
    let would: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert!(holds(&factum.path("data"), "Graz"));
    let ran = redact(&factum, "order-1@0", &["--yes"]);
    let done: Value = serde_json::from_str(&ran.ok()).unwrap();
    assert_eq!(
        (&done["position"], &done["type"], &done["leaf"]),
        (&"0".into(), &"Placed".into(), &would["leaf"])
    );
    assert_eq!((&done["reason"], &done["recorded"]), (&REASON.into(), &"3".into()));
    assert_eq!(done["doneBefore"], false);
    assert!(ran.stderr.contains("backups, exports"), "{}", ran.stderr);
    for gone in ["Graz", "customer:7", "\"ada\""] {
        assert!(!holds(&factum.path("data"), gone), "{gone}");
    }
    // The others are as they were.
    assert!(holds(&factum.path("data"), "Linz"));
    let again = redact(&factum, "0", &[]);
    let done: Value = serde_json::from_str(&again.ok()).unwrap();
    assert_eq!((&done["doneBefore"], &done["recorded"]), (&true.into(), &"3".into()));
    assert!(again.stderr.contains("redacted before"), "{}", again.stderr);
    let record = &factum.lines(&["read", "$redactions"])[0];
    assert_eq!(record["type"], "$eventRedacted");
    assert_eq!((&record["data"]["actor"], &record["data"]["reason"]), (&"ops".into(), &REASON.into()));
}

#[test]
fn an_event_is_named_by_position_id_or_revision() {
    let factum = Factum::with_an_order();
    let id = factum.lines(&["event", "order-1@1"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(factum.lines(&["event", "1"])[0]["id"], id.as_str());
    redact(&factum, &id, &["--yes"]).ok();
    redact(&factum, "2", &["--yes"]).ok();
    let redacted: Vec<bool> =
        factum.lines(&["read", "order-1"]).iter().map(|event| event.get("redacted").is_some()).collect();
    assert_eq!(redacted, [false, true, true]);
    factum.run(&["event", "99"]).fails(5);
    factum.run(&["event"]).fails(2);
}

#[test]
fn what_a_stream_hides_can_be_redacted() {
    let factum = Factum::with_an_order();
    factum.run(&["streams", "truncate", "order-1", "--before", "2", "--yes"]).ok();
    factum.run(&["event", "order-1@0"]).fails(5);
    redact(&factum, "order-1@0", &["--yes"]).ok();
    assert!(!holds(&factum.path("data"), "Graz"));
}

#[test]
fn each_refusal_has_its_exit_code() {
    let factum = Factum::with_an_order();
    factum.run(&["streams", "meta", "order-1", "--set", "owner=\"ada\""]).ok();
    let long = "r".repeat(1_025);
    for (args, code, says) in [
        (vec!["99", "--reason", "r", "--yes"], 5, "no event at position 99"),
        (vec!["order-1@7", "--reason", "r", "--yes"], 5, "no event 7"),
        (vec!["order-1", "--reason", "r"], 2, "order-1@3"),
        (vec!["3", "--reason", "r", "--yes"], 2, "store's own events"),
        (vec!["0", "--reason", " ", "--yes"], 2, "needs a reason"),
        (vec!["0", "--reason", &long, "--yes"], 1, "1024"),
        (vec!["0", "--yes"], 2, "--reason"),
        (vec!["0", "--reason", "r", "--yes", "--dry-run"], 2, "--dry-run"),
    ] {
        let args = [vec!["event", "redact"], args].concat();
        let error = factum.run(&args).fails(code);
        assert!(error.contains(says), "{args:?}: {error}");
    }
    assert_eq!(factum.lines(&["read", "--all"]).len(), 4);
    factum.run(&["append", "$redactions", "$eventRedacted", "{}"]).fails(2);
    factum.run(&["streams", "delete", "$redactions", "--yes"]).fails(5);
}

#[test]
fn every_command_shows_it_honestly() {
    let factum = Factum::with_an_order();
    redact(&factum, "order-1@1", &["--yes"]).ok();
    let read = factum.lines(&["read", "order-1"]);
    assert_eq!((&read[1]["type"], &read[1]["revision"]), (&"Paid".into(), &1.into()));
    assert_eq!(
        (read[1].get("data"), read[1].get("metadata"), read[1].get("correlationId")),
        (None, None, None)
    );
    assert_eq!(read[1]["redacted"]["reason"], REASON);
    assert_eq!(read[1]["redacted"]["recorded"], "3");
    for args in [&["tail", "order-1"][..], &["event", "order-1@1"], &["export", "ndjson", "--type", "Paid"]] {
        let shown = factum.lines(args);
        assert!(shown.iter().any(|event| event["redacted"]["reason"] == REASON), "{args:?}: {shown:?}");
    }
    let table = factum.run(&["read", "order-1", "-o", "table"]).ok();
    assert!(table.contains("(redacted: a name in the wrong field)"), "{table}");
    assert_eq!(
        factum.run(&["read", "order-1", "--format", "{redacted.reason}"]).ok(),
        format!("\n{REASON}\n\n")
    );
    let state = factum.run(&["state", "order-1"]);
    assert!(
        state.stderr.contains("passed over revision 1 (Paid): its data was redacted"),
        "{}",
        state.stderr
    );
    assert!(state.ok().contains("shipped"));
    assert_eq!(factum.lines(&["read", "--tag", "customer:7"]).len(), 1);
    let verified = factum.lines(&["storage", "verify"]);
    assert_eq!((&verified[0]["events"], &verified[0]["redacted"]), (&4.into(), &1.into()));
    assert_eq!(verified[0]["damage"], json!([]));
    let info = factum.lines(&["storage", "info"]);
    assert_eq!((&info[0]["format"], info[0].get("redactionFailure")), (&2.into(), None));
}

#[test]
fn an_export_is_imported_with_the_places_and_the_reasons() {
    let factum = Factum::with_an_order();
    redact(&factum, "order-1@1", &["--yes"]).ok();
    let file = factum.path("all.ndjson").display().to_string();
    factum.run(&["export", "ndjson", "--to", &file]).ok();
    assert!(!std::fs::read_to_string(&file).unwrap().contains("bob"));
    let other = Factum::new();
    assert_eq!(other.lines(&["import", "ndjson", &file])[0]["new"], 4);
    assert_eq!(other.lines(&["import", "ndjson", &file])[0]["new"], 0);
    let (ours, theirs) = (factum.lines(&["read", "order-1"]), other.lines(&["read", "order-1"]));
    assert_eq!(theirs[1]["type"], "$redacted");
    assert_eq!(theirs[1]["data"], json!({"type": "Paid", "redacted": ours[1]["redacted"]}));
    for at in 0..3 {
        for same in ["id", "revision", "position"] {
            assert_eq!(ours[at][same], theirs[at][same]);
        }
    }
    assert_eq!(other.lines(&["read", "$redactions-imported"]).len(), 1);
    // Nothing is redacted in the other store by what it was told.
    assert_eq!(other.lines(&["storage", "verify"])[0]["redacted"], 0);
}

#[test]
fn a_backup_made_before_brings_it_back_and_the_restore_says_so() {
    let factum = Factum::with_an_order();
    let backup = factum.path("backup").display().to_string();
    factum.run(&["backup", "create", &backup]).ok();
    redact(&factum, "order-1@0", &["--yes"]).ok();
    let restored = factum.path("restored").display().to_string();
    let ran = factum.run(&["backup", "restore", &backup, "--data", &restored]);
    ran.ok();
    assert!(ran.stderr.contains("position 3") && ran.stderr.contains("redacted"), "{}", ran.stderr);
    assert!(holds(Path::new(&restored), "Graz"));
    let again = ["event", "redact", "0", "--reason", REASON, "--yes", "--data", &restored];
    factum.run(&again).ok();
    assert!(!holds(Path::new(&restored), "Graz"));
}

#[test]
fn a_snapshot_that_may_hold_it_is_named() {
    let factum = Factum::with_an_order();
    factum.run(&["append", "order:snapshot-1", "$snapshot", r#"{"town":"Graz"}"#]).ok();
    let ran = redact(&factum, "order-1@0", &["--yes"]);
    ran.ok();
    assert!(ran.stderr.contains("the snapshot in 'order:snapshot-1' may hold it"), "{}", ran.stderr);
}

//! `factum state`: folds, diffs, blame and history of plain JSON events.

use crate::factum::Factum;

#[test]
fn a_stream_is_folded_at_any_moment() {
    let factum = Factum::with_an_order();
    let state = |args: &[&str]| {
        let mut all = vec!["state", "order-1", "-o", "ndjson"];
        all.extend(args);
        factum.run(&all).ok().trim_end().to_owned()
    };
    let placed = r#"{"total":1.10,"status":"placed","to":{"town":"Graz"}}"#;
    assert_eq!(state(&[]), r#"{"total":1.10,"status":"shipped","to":{"town":"Linz"},"parcel":[1,2]}"#);
    assert_eq!(state(&["--at", "0"]), placed);
    assert_eq!(state(&["--at", "2026-01-01T12:00:00Z"]), placed);
    assert_eq!(state(&["--at", "2026-01-01T12:00:00Z", "--recorded"]), "{}");
    let indented = factum.run(&["state", "order-1", "-o", "json"]).ok();
    assert!(indented.starts_with("{\n  \"total\": 1.10,\n"), "{indented}");
}

#[test]
fn a_diff_shows_what_changed() {
    let factum = Factum::with_an_order();
    let table = factum.run(&["state", "order-1", "--diff", "0..2", "-o", "table"]).ok();
    assert_eq!(
        table,
        "/status  \"placed\" -> \"shipped\"\n/to/town  \"Graz\" -> \"Linz\"\n/parcel  - -> [1,2]\n"
    );
    let changes = factum.lines(&["state", "order-1", "--diff", "1..2026-01-03T10:00:00Z"]);
    assert_eq!(changes[2]["pointer"], "/parcel");
    assert_eq!(changes[2]["change"], "added");
    assert_eq!(factum.run(&["state", "order-1", "--diff", "2..2"]).ok(), "");
}

#[test]
fn blame_names_the_event_behind_each_value() {
    let factum = Factum::with_an_order();
    let blame = factum.lines(&["state", "order-1", "--blame"]);
    let found: Vec<_> = blame
        .iter()
        .map(|leaf| format!("{} r{} {}", leaf["pointer"].as_str().unwrap(), leaf["revision"], leaf["type"]))
        .collect();
    assert_eq!(
        found,
        [
            "/total r0 \"Placed\"",
            "/status r2 \"Shipped\"",
            "/to/town r2 \"Shipped\"",
            "/parcel r2 \"Shipped\""
        ]
    );
    assert_eq!(blame[0]["actor"], "ada");
    let at = factum.lines(&["state", "order-1", "--at", "1", "--blame", "/status"]);
    assert_eq!((&at[0]["type"], &at[0]["actor"]), (&"Paid".into(), &"bob".into()));
    factum.run(&["state", "order-1", "--blame", "/nothing"]).fails(5);
    assert!(factum.run(&["state", "order-1", "--blame", "to.town"]).fails(2).contains("/to/town"));
}

#[test]
fn history_lists_every_value_of_a_field() {
    let factum = Factum::with_an_order();
    let args = ["state", "order-1", "--history", "/status", "--format", "{revision} {before} {after}"];
    assert_eq!(factum.run(&args).ok(), "0  placed\n1 placed paid\n2 paid shipped\n");
}

#[test]
fn events_that_are_not_json_are_passed_over_aloud() {
    let factum = Factum::with_an_order();
    factum.feed(&["append", "order-1", "Photo", "-", "--binary"], "bytes").ok();
    let ran = factum.run(&["state", "order-1", "-o", "ndjson"]);
    assert!(ran.ok().contains("shipped"));
    assert!(ran.stderr.contains("revision 3"), "{}", ran.stderr);
    assert_eq!(factum.run(&["state", "order-1", "--quiet"]).stderr, "");
}

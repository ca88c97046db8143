//! `factum append`, and what is read back of it.

use std::process::Stdio;

use crate::factum::Factum;

#[test]
fn an_event_has_all_that_was_given() {
    let factum = Factum::new();
    let id = "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90";
    let appended = factum.lines(&[
        "append",
        "order-1",
        "Placed",
        r#"{"total": 1.10, "big": 123456789012345678901234567890}"#,
        "--id",
        id,
        "--meta",
        "actor=ada",
        "--meta",
        "$correlationId=c",
        "--tag",
        "customer:7",
        "--occurred-at",
        "2026-01-01T10:00:00+01:00",
        "--schema-version",
        "2",
        "--expect",
        "none",
    ]);
    assert_eq!(appended[0]["lastRevision"], 0);
    let line = factum.run(&["read", "order-1"]).ok();
    assert!(line.contains(r#""data":{"total": 1.10, "big": 123456789012345678901234567890}"#), "{line}");
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    for (field, value) in [
        ("id", id),
        ("stream", "order-1"),
        ("type", "Placed"),
        ("correlationId", "c"),
        ("occurredTime", "2026-01-01T09:00:00Z"),
        ("contentType", "application/json"),
    ] {
        assert_eq!(event[field], value, "{line}");
    }
    assert_eq!(event["metadata"]["actor"], "ada");
    assert_eq!(event["tags"][0], "customer:7");
    assert_eq!(event["schemaVersion"], 2);
    assert!(event["position"].is_string() && event["revision"].is_number());
}

#[test]
fn data_comes_from_stdin_and_files_and_may_be_binary() {
    let factum = Factum::new();
    factum.feed(&["append", "s-1", "A", "-"], "{\"n\":1}").ok();
    let file = factum.file("two.json", "{\"n\":2}\n");
    factum.run(&["append", "s-1", "B", &format!("@{file}")]).ok();
    factum.feed(&["append", "s-1", "C", "-", "--binary"], "not json").ok();
    factum.run(&["append", "s-1", "D"]).ok();
    factum.run(&["append", "s-1", "E", "-5"]).ok();
    let events = factum.lines(&["read", "s-1"]);
    assert_eq!(events[0]["data"]["n"], 1);
    assert_eq!(events[1]["data"]["n"], 2);
    assert_eq!(events[2]["dataBase64"], "bm90IGpzb24=");
    assert_eq!(events[3]["data"], serde_json::json!({}));
    assert_eq!(events[4]["data"], -5);
}

#[test]
fn the_same_id_at_the_same_place_is_appended_once() {
    let factum = Factum::new();
    let args =
        ["append", "s-1", "A", "{}", "--id", "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90", "--expect", "none"];
    factum.run(&args).ok();
    let again = factum.lines(&args);
    assert_eq!(again[0]["deduplicated"], true);
    assert_eq!(factum.lines(&["read", "s-1"]).len(), 1);
}

#[test]
fn reading_and_appending_are_symmetric() {
    let factum = Factum::with_an_order();
    factum.run(&["append", "order-1", "Noted", "{\n  \"a\": \"x\\ny\"\n}"]).ok();
    factum.feed(&["append", "order-1", "Photo", "-", "--binary", "--schema-version", "3"], "\u{1}bytes").ok();
    let written = factum.run(&["read", "order-1", "-o", "ndjson"]).ok();
    factum.feed(&["append", "copy-1", "--ndjson", "--expect", "none"], &written).ok();
    let (mut original, mut copy) = (factum.lines(&["read", "order-1"]), factum.lines(&["read", "copy-1"]));
    assert_eq!(original.len(), 5);
    for event in original.iter_mut().chain(&mut copy) {
        let event = event.as_object_mut().unwrap();
        for given_by_the_log in ["stream", "position", "time"] {
            event.remove(given_by_the_log).unwrap();
        }
    }
    assert_eq!(original, copy);
}

/// Both ends of the pipe open the same directory, which only one process may have open at a time.
#[test]
#[cfg(unix)]
fn a_stream_is_copied_within_one_store() {
    let factum = Factum::new();
    let input = format!("{{\"type\":\"T\",\"data\":\"{}\"}}\n", "x".repeat(1_000)).repeat(1_500);
    factum.feed(&["append", "s-1", "--ndjson"], &input).ok();
    let mut reader = factum.command(&["read", "s-1"]).stdout(Stdio::piped()).spawn().unwrap();
    let output = factum
        .command(&["append", "copy-1", "--ndjson", "--expect", "none"])
        .stdin(reader.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(reader.wait().unwrap().success());
    assert_eq!(factum.lines(&["streams", "info", "copy-1"])[0]["lastRevision"], 1_499);
}

#[test]
fn a_long_input_goes_in_batches_that_follow_each_other() {
    let factum = Factum::new();
    let input = "{\"type\":\"T\"}\n".repeat(2_500);
    let appended = factum.feed(&["append", "s-1", "--ndjson", "--expect", "none", "-o", "json"], &input).ok();
    let appended: serde_json::Value = serde_json::from_str(&appended).unwrap();
    assert_eq!((&appended["firstRevision"], &appended["lastRevision"]), (&0.into(), &2_499.into()));
}

#[test]
fn a_bad_line_names_itself_and_keeps_its_batch_out() {
    let factum = Factum::new();
    let input = "{\"type\":\"A\"}\n{\"type\":\"B\"\n";
    let error = factum.feed(&["append", "s-1", "--ndjson"], input).fails(2);
    assert!(error.contains("line 2"), "{error}");
    factum.run(&["read", "s-1"]).fails(5);
}

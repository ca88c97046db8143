//! What goes wrong has the right exit code, three lines, and a JSON form.

use crate::factum::{Factum, bare, finish};

#[test]
fn each_failure_has_its_exit_code() {
    let factum = Factum::with_an_order();
    let long = "x".repeat(1_025);
    for (args, code) in [
        (vec!["read", "order-2"], 5),
        (vec!["state", "order-2"], 5),
        (vec!["append", "order-1", "X", "{}", "--expect", "none"], 6),
        (vec!["append", "order-1", "X", "{}", "--expect", "7"], 6),
        (vec!["append", "order-9", "X", "{}", "--expect", "exists"], 6),
        (vec!["append", "order-1", "X", "{not json"], 2),
        (vec!["append", "order-1", "X", "@/no/such/file"], 5),
        (vec!["append", "$all", "X"], 2),
        (vec!["append", "", "X"], 2),
        (vec!["append", long.as_str(), "X"], 2),
        (vec!["append", "order-1"], 2),
        (vec!["append", "order-1", "X", "{}", "--ndjson"], 2),
        (vec!["append", "order-1", "X", "{}", "--occurred-at", "noon"], 2),
        (vec!["append", "order-1", "X", "{}", "--schema-version", "0"], 2),
        (vec!["read"], 2),
        (vec!["read", "order-1", "--all"], 2),
        (vec!["read", "--all", "--from", "3"], 2),
        (vec!["read", "--query", "{"], 2),
        (vec!["read", "order-1", "--format", "{"], 2),
        (vec!["frobnicate"], 2),
    ] {
        let ran = factum.run(&args);
        let error = ran.fails(code);
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(error.starts_with("error: "), "{args:?}: {error}");
    }
}

#[test]
#[cfg(unix)]
fn a_name_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let factum = Factum::with_an_order();
    let mut command = factum.command(&["append"]);
    command.arg(std::ffi::OsStr::from_bytes(b"order-\xff")).arg("X");
    finish(command, "").fails(2);
}

#[test]
fn an_event_over_the_limit_is_refused() {
    let factum = Factum::new();
    let data = format!("\"{}\"", "x".repeat(16 * 1024 * 1024));
    let error = factum.feed(&["append", "s-1", "Big", "-"], &data).fails(1);
    assert!(error.contains("the limit is 16777216"), "{error}");
}

#[test]
fn without_a_directory_or_a_store_it_says_so() {
    let error = finish(bare(&["read", "--all"]), "").fails(2);
    assert!(error.contains("--data") && error.contains("FACTUM_DATA"), "{error}");
    let factum = Factum::new();
    for verb in
        [&["read", "--all"][..], &["tail"], &["streams", "ls"], &["schema", "ls"], &["export", "ndjson"]]
    {
        let error = factum.run(verb).fails(5);
        assert!(error.contains("there is no store in"), "{error}");
    }
    assert!(!factum.path("data").exists());
}

#[test]
fn a_wrong_revision_says_what_is_and_what_to_do() {
    let factum = Factum::with_an_order();
    let error = factum.run(&["append", "order-1", "X", "{}", "--expect", "7"]).fails(6);
    assert_eq!(error.lines().count(), 3, "{error}");
    assert!(error.contains("it is at revision 2"), "{error}");
    let json = factum.run(&["append", "order-1", "X", "{}", "--expect", "7", "-o", "json"]).fails(6);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["slug"], "wrong-expected-revision");
    assert_eq!(json["exitCode"], 6);
    assert!(json["detail"].as_str().unwrap().contains("revision 2"));
}

#[test]
fn a_line_that_cannot_be_parsed_fails_in_json_too() {
    let error = finish(bare(&["read", "--frobnicate", "-o", "json"]), "").fails(2);
    let json: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(json["slug"], "invalid-request");
    assert!(json["title"].as_str().unwrap().contains("--frobnicate"), "{error}");
}

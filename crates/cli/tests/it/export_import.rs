//! `factum export` and `factum import`.

use crate::factum::Factum;

#[test]
fn a_store_comes_back_from_its_export() {
    let factum = Factum::with_an_order();
    factum.run(&["append", "invoice-1", "Sent", "{\"n\":1.10}"]).ok();
    factum.run(&["streams", "delete", "invoice-1", "--yes"]).ok();
    let file = factum.path("all.ndjson").display().to_string();
    let done = factum.lines(&["export", "ndjson", "--to", &file]);
    let other = Factum::new();
    let imported = other.lines(&["import", "ndjson", &file]);
    assert_eq!(imported[0]["new"], done[0]["events"]);
    let again = other.lines(&["import", "ndjson", &file]);
    assert_eq!((&again[0]["new"], &again[0]["known"]), (&0.into(), &done[0]["events"]));
    other.run(&["read", "invoice-1"]).fails(5);
    let (mut ours, mut theirs) =
        (factum.lines(&["export", "ndjson"]), other.lines(&["export", "ndjson", "--all"]));
    for event in ours.iter_mut().chain(&mut theirs) {
        event.as_object_mut().unwrap().remove("time").unwrap();
    }
    assert_eq!(ours, theirs);
    assert!(!factum.path("all.ndjson.partial").exists());
}

#[test]
fn a_part_is_exported_and_stdin_imported() {
    let factum = Factum::with_an_order();
    let lines = factum.run(&["export", "ndjson", "--type", "Paid"]).ok();
    assert_eq!(lines.lines().count(), 1);
    let other = Factum::new();
    other.feed(&["import", "ndjson", "-"], "{\"type\":\"A\",\"stream\":\"s-1\"}\n").ok();
    assert_eq!(other.lines(&["read", "s-1"]).len(), 1);
}

const XES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0"><trace>
<string key="concept:name" value="17"/><date key="REG_DATE" value="2011-10-01T00:38:44.546+02:00"/>
<event><string key="concept:name" value="A_SUBMITTED"/>
<date key="time:timestamp" value="2011-10-01T00:38:44.546+02:00"/></event>
</trace></log>"#;

#[test]
fn an_event_log_is_imported_once() {
    let factum = Factum::new();
    let file = factum.file("log.xes", XES);
    let args = ["import", "xes", &file, "--category", "loan"];
    assert_eq!(factum.lines(&args)[0]["new"], 2);
    assert_eq!(factum.lines(&args)[0]["new"], 0);
    let types = factum.run(&["read", "loan-17", "--format", "{type} {occurredTime}"]).ok();
    assert!(types.contains("A_SUBMITTED 2011-09-30T22:38:44.546Z"), "{types}");
}

#[test]
fn input_that_is_not_what_it_should_be_is_refused() {
    let factum = Factum::new();
    let cut = factum.file("cut.xes", &XES[..XES.len() / 2]);
    factum.run(&["import", "xes", &cut, "--category", "loan"]).fails(2);
    let text = factum.file("text.xes", "no xml");
    factum.run(&["import", "xes", &text, "--category", "loan"]).fails(2);
    factum.run(&["import", "ndjson", &text]).fails(2);
    factum.run(&["import", "ndjson", "/no/such/file"]).fails(5);
    factum.run(&["import", "xes", &cut, "--category", "a-b"]).fails(2);
}

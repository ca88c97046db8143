//! `factum read` and `factum event`.

use std::io::Read;
use std::process::Stdio;

use crate::factum::Factum;

fn types(factum: &Factum, args: &[&str]) -> Vec<String> {
    let mut all = vec!["read"];
    all.extend(args);
    all.extend(["--format", "{type}"]);
    factum.run(&all).ok().lines().map(str::to_owned).collect()
}

#[test]
fn every_selector_finds_its_events() {
    let factum = Factum::with_an_order();
    factum.run(&["append", "invoice-1", "Paid", "{}", "--tag", "customer:7"]).ok();
    let all = ["Placed", "Paid", "Shipped"];
    assert_eq!(types(&factum, &["order-1"]), all);
    assert_eq!(types(&factum, &["--category", "order"]), all);
    assert_eq!(types(&factum, &["--all"]), ["Placed", "Paid", "Shipped", "Paid"]);
    assert_eq!(types(&factum, &["--all", "--stream-prefix", "inv"]), ["Paid"]);
    assert_eq!(types(&factum, &["--type", "Paid"]), ["Paid", "Paid"]);
    assert_eq!(types(&factum, &["--tag", "customer:7"]), ["Placed", "Paid"]);
    assert_eq!(types(&factum, &["--tag", "customer:7", "--type", "Paid"]), ["Paid"]);
    assert_eq!(types(&factum, &["--correlation", "c-1"]), ["Paid"]);
    let query = r#"{"items":[{"types":["Shipped"]},{"tags":["customer:7"],"types":["Placed"]}]}"#;
    assert_eq!(types(&factum, &["--query", query]), ["Placed", "Shipped"]);
}

#[test]
fn a_read_starts_ends_and_turns_where_it_is_told() {
    let factum = Factum::with_an_order();
    assert_eq!(types(&factum, &["order-1", "--back", "-n", "2"]), ["Shipped", "Paid"]);
    assert_eq!(types(&factum, &["order-1", "--from", "1"]), ["Paid", "Shipped"]);
    assert_eq!(types(&factum, &["order-1", "--from", "end"]), Vec::<String>::new());
    assert_eq!(types(&factum, &["--all", "--from", "@2"]), ["Shipped"]);
    assert_eq!(types(&factum, &["order-1", "--at", "1"]), ["Placed", "Paid"]);
    assert_eq!(types(&factum, &["order-1", "--at", "2026-01-02"]), ["Placed"]);
    assert_eq!(types(&factum, &["order-1", "--at", "2026-01-02", "--recorded"]), Vec::<String>::new());
    assert_eq!(types(&factum, &["order-1", "--at", "@0"]), ["Placed"]);
}

#[test]
fn each_output_has_its_form() {
    let factum = Factum::with_an_order();
    let json = factum.run(&["read", "order-1", "-o", "json"]).ok();
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&json).unwrap().len(), 3);
    assert_eq!(factum.run(&["read", "order-1", "-n", "0", "-o", "json"]).ok(), "[]\n");
    let raw = factum.run(&["read", "order-1", "-n", "2", "-o", "raw"]).ok();
    assert_eq!(
        raw,
        "{\"total\":1.10,\"status\":\"placed\",\"to\":{\"town\":\"Graz\"}}\n{\"status\":\"paid\"}\n"
    );
    let format = ["read", "order-1", "--format", "{revision} {data.total}|{metadata.actor}", "-n", "1"];
    assert_eq!(factum.run(&format).ok(), "0 1.10|ada\n");
    let mut command = factum.command(&["read", "order-1", "-o", "table"]);
    let table = String::from_utf8(command.env("COLUMNS", "60").output().unwrap().stdout).unwrap();
    assert_eq!(table.lines().count(), 4);
    assert!(table.starts_with("REVISION") && table.contains('\u{2026}'), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
}

#[test]
fn an_event_is_found_by_place_and_by_id() {
    let factum = Factum::with_an_order();
    let by_place = factum.lines(&["event", "order-1@1"]);
    assert_eq!(by_place[0]["type"], "Paid");
    let id = by_place[0]["id"].as_str().unwrap();
    assert_eq!(factum.lines(&["event", id]), by_place);
    factum.run(&["event", "order-1@9"]).fails(5);
    factum.run(&["event", "0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90"]).fails(5);
    factum.run(&["event", "nonsense"]).fails(2);
}

#[test]
fn a_reader_that_goes_away_ends_it_silently() {
    let factum = Factum::new();
    let input = format!("{{\"type\":\"T\",\"data\":\"{}\"}}\n", "x".repeat(1_000)).repeat(2_000);
    factum.feed(&["append", "s-1", "--ndjson"], &input).ok();
    let mut child =
        factum.command(&["read", "s-1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

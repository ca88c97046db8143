//! `factum demo`: it keeps what it is told to keep, and what it prints can be pasted.

use std::process::Command;

use factum_testkit::PostgresDatabase;

use crate::factum::{Factum, bare, finish};

#[test]
fn without_a_directory_it_shows_how_to_keep_one() {
    let shown = finish(bare(&["demo", "--commands", "200"]), "").ok();
    assert!(shown.contains("A bank's month") && shown.contains("factum demo --data"), "{shown}");
    assert!(shown.lines().count() <= 24 && shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
}

#[test]
#[cfg(unix)]
fn what_it_prints_can_be_pasted() {
    let factum = Factum::new();
    let shown = factum.run(&["demo", "--commands", "300"]).ok();
    assert!(shown.lines().count() <= 24 && shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
    let commands: Vec<_> = shown
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("factum ") || line.starts_with("export "))
        .collect();
    assert!(commands.len() >= 6, "{shown}");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_factum"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let script = format!("set -e\n{}\n", commands.join("\n"));
    let output = Command::new("sh").args(["-c", &script]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.stdout.is_empty());
}

#[test]
fn a_store_with_events_is_left_alone() {
    let factum = Factum::with_an_order();
    assert!(factum.run(&["demo"]).fails(3).contains("has events already"));
    assert_eq!(factum.lines(&["read", "--all"]).len(), 3);
}

#[test]
fn its_numbers_are_there_for_programs() {
    let factum = Factum::new();
    let report = factum.lines(&["demo", "--commands", "200", "-o", "ndjson"]);
    assert!(report[0]["events"].as_u64().unwrap() > 50 && report[0]["rejected"].as_u64().unwrap() > 0);
    let types = factum.run(&["read", "--category", "account", "--format", "{type}"]).ok();
    assert_eq!(types.lines().count() as u64, report[0]["events"].as_u64().unwrap());
}

#[test]
fn its_read_models_can_be_asked() {
    let factum = Factum::new();
    let report = factum.lines(&["demo", "--commands", "200", "-o", "ndjson"]);
    assert_eq!(report[0]["row"]["minor"], "121250");
    assert_eq!(report[0]["givenBack"], "the account is frozen");
    assert!(report[0]["waitedMillis"].as_f64().unwrap() >= 0.0);
    let token = report[0]["token"].as_str().unwrap();
    let query = "select minor from balances where account = 'salary'";
    assert_eq!(factum.lines(&["sql", query, "--after", token])[0]["minor"], 121_250);
    let names: Vec<_> = factum
        .lines(&["projections", "ls"])
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["balances", "daily_totals", "statements"]);
    let sagas = factum.lines(&["processes", "ls", "--all"]);
    let stages: Vec<_> = sagas.iter().map(|saga| saga["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["failed", "completed"]);
}

#[test]
fn its_read_models_may_be_in_postgres() {
    let Some(database) = PostgresDatabase::fresh("its_read_models_may_be_in_postgres") else { return };
    let factum = Factum::new();
    let report =
        factum.lines(&["demo", "--commands", "150", "-o", "ndjson", "--read-models", database.url()]);
    assert_eq!(report[0]["row"]["minor"], "121250");
    assert_eq!(database.sql("select minor from balances.balances where account = 'salary'").trim(), "121250");
    let error =
        finish(bare(&["demo", "--read-models", "postgres://ada:secret@127.0.0.1:1/none"]), "").fails(7);
    assert!(!error.contains("secret"), "{error}");
}

//! `factum demo`: it keeps what it is told to keep, and what it prints can be pasted.

use std::path::Path;
use std::process::Command;

use factum_testkit::PostgresDatabase;
use serde_json::Value;

use crate::factum::{Factum, bare, finish};

#[test]
fn without_a_directory_it_shows_how_to_keep_one() {
    let shown = finish(bare(&["demo", "--once", "--commands", "200"]), "").ok();
    assert!(shown.contains("A bank's month") && shown.contains("factum demo --once --data"), "{shown}");
    assert!(shown.lines().count() <= 24 && shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
}

#[test]
#[cfg(unix)]
fn what_it_prints_can_be_pasted() {
    let factum = Factum::new();
    let shown = factum.run(&["demo", "--once", "--commands", "300"]).ok();
    assert!(shown.lines().count() <= 24 && shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
    let commands: Vec<_> = shown
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("factum ") || line.starts_with("export "))
        .collect();
    assert!(commands.len() >= 6, "{shown}");
    let binary = Path::new(env!("CARGO_BIN_EXE_factum"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let script = format!("set -e\n{}\n", commands.join("\n"));
    let output = Command::new("sh").args(["-c", &script]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.stdout.is_empty());
}

#[test]
fn a_store_with_events_is_left_alone() {
    let factum = Factum::with_an_order();
    assert!(factum.run(&["demo", "--once"]).fails(3).contains("has events already"));
    assert_eq!(factum.lines(&["read", "--all"]).len(), 3);
}

#[test]
fn its_numbers_are_there_for_programs() {
    let factum = Factum::new();
    let report = factum.lines(&["demo", "--once", "--commands", "200", "-o", "ndjson"]);
    assert!(report[0]["events"].as_u64().unwrap() > 50 && report[0]["rejected"].as_u64().unwrap() > 0);
    let types = factum.run(&["read", "--category", "account", "--format", "{type}"]).ok();
    assert_eq!(types.lines().count() as u64, report[0]["events"].as_u64().unwrap());
}

#[test]
fn its_read_models_can_be_asked() {
    let factum = Factum::new();
    let report = factum.lines(&["demo", "--once", "--commands", "200", "-o", "ndjson"]);
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
    assert_eq!(names, ["balances", "customers", "daily_totals", "statements"]);
    let sagas = factum.lines(&["processes", "ls", "--all"]);
    let stages: Vec<_> = sagas.iter().map(|saga| saga["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["failed", "completed"]);
}

#[test]
fn its_read_models_may_be_in_postgres() {
    let Some(database) = PostgresDatabase::fresh("its_read_models_may_be_in_postgres") else { return };
    let factum = Factum::new();
    let report = factum.lines(&[
        "demo",
        "--once",
        "--commands",
        "150",
        "-o",
        "ndjson",
        "--read-models",
        database.url(),
    ]);
    assert_eq!(report[0]["row"]["minor"], "121250");
    assert_eq!(database.sql("select minor from balances.balances where account = 'salary'").trim(), "121250");
    let error =
        finish(bare(&["demo", "--once", "--read-models", "postgres://ada:secret@127.0.0.1:1/none"]), "")
            .fails(7);
    assert!(!error.contains("secret"), "{error}");
}

/// Whether a file below `path` holds this text.
fn holds(path: &Path, text: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), text));
    }
    std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_customer_is_forgotten_and_the_accounts_are_not() {
    let factum = Factum::new();
    let report = factum.lines(&["demo", "--once", "--commands", "200", "-o", "ndjson"]);
    let row = &report[0]["forgottenRow"];
    assert_eq!(
        (&row["customer"], &row["name"], &row["phone"]),
        (&"c-2".into(), &"null".into(), &"null".into())
    );
    assert!(!report[0]["forgottenHolds"].as_array().unwrap().is_empty());
    assert!(!holds(&factum.path(""), "Okafor"), "no byte of store, read models, keys");
    // The keys are beside the store; the others' names are in the read model, and nowhere else.
    assert!(factum.path("data.vault/keys.sqlite").exists() && factum.path("data.kek").exists());
    assert!(holds(&factum.path("data/read-models"), "Lindqvist"));
    std::fs::remove_dir_all(factum.path("data/read-models")).unwrap();
    assert!(!holds(&factum.path(""), "Lindqvist"));
    let erasure = report[0]["erasure"].as_str().unwrap();
    let verified = factum.lines(&["privacy", "verify", erasure]);
    assert_eq!((&verified[0]["valuesTried"], &verified[0]["valuesOpened"]), (&4.into(), &0.into()));
}

#[test]
fn more_customers_are_forgotten_by_command_in_every_read_model() {
    let factum = Factum::new();
    factum.run(&["demo", "--once", "--commands", "100"]).ok();
    let people = factum.file(
        "people.toml",
        "name = \"people\"\ntables = \"create table people (id text primary key, subject text, name text)\"\n\
         [parameters]\nwho = [\"data\", \"name\", \"$subject\"]\n\
         [on.CustomerRegistered]\nrun = \"insert into people values (:data.customer, :who, :data.name)\"\n\
         [on.\"$keysDestroyed\"]\nrun = \"update people set name = null where subject = :data.subject\"\n",
    );
    factum.run(&["projections", "create", &people]).ok();
    factum.run(&["projections", "run", "--until-caught-up"]).ok();
    let names = |table: &str| -> Vec<Value> {
        let query = format!("select name from {table} order by 1 limit 3");
        factum.lines(&["sql", &query]).into_iter().map(|mut row| row["name"].take()).collect()
    };
    for table in ["customers", "people"] {
        assert_eq!(names(table), [Value::Null, "Ada Lindqvist".into(), "Barbara Moreau".into()]);
    }
    factum.run(&["privacy", "erase", "c-1", "--reason", "a test", "--confirm", "c-1"]).ok();
    for table in ["customers", "people"] {
        assert_eq!(names(table), [Value::Null, Value::Null, "Barbara Moreau".into()]);
    }
    assert!(!holds(&factum.path(""), "Lindqvist"));
}

#[test]
fn it_takes_a_vault_that_was_made_for_it_and_no_other() {
    let factum = Factum::new();
    factum.run(&["privacy", "init"]).ok();
    factum.run(&["demo", "--once", "--commands", "100"]).ok();
    std::fs::remove_dir_all(factum.path("data")).unwrap();
    let error = factum.run(&["demo", "--once", "--commands", "100"]).code;
    assert_ne!(error, 0);
    let refused = factum.run(&["demo", "--once", "--commands", "100"]).stderr;
    assert!(refused.contains("left over from an earlier demo"), "{refused}");
    // Elsewhere there is room, and a store that will be gone takes no vault that stays.
    let (vault, kek) = (factum.path("other").display().to_string(), factum.path("other.kek"));
    let kek = format!("file:{}", kek.display());
    factum.run(&["demo", "--once", "--commands", "100", "--vault", &vault, "--kek", &kek]).ok();
    let kept = factum.path("kept").display().to_string();
    let mut gone = bare(&["demo", "--once", "--commands", "100", "--vault", &kept]);
    gone.env("FACTUM_KEK", "file:/no/such/place");
    finish(gone, "").ok();
    assert!(!factum.path("kept").exists());
}

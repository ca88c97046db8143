//! `factum schema`: registered schemas are enforced, listed, and checked against what is stored.

use crate::factum::Factum;

const SCHEMA: &str = r#"{"type":"object","required":["total"],"properties":{"total":{"type":"number"}}}"#;

#[test]
fn a_registered_schema_is_enforced_whoever_appends() {
    let factum = Factum::new();
    let file = factum.file("placed.json", SCHEMA);
    let registered = factum.lines(&["schema", "register", &file, "--type", "Placed"]);
    assert_eq!((&registered[0]["registered"], &registered[0]["known"]), (&1.into(), &0.into()));
    let again = factum.lines(&["schema", "register", &file, "--type", "Placed"]);
    assert_eq!((&again[0]["registered"], &again[0]["known"]), (&0.into(), &1.into()));
    factum.run(&["append", "order-1", "Placed", r#"{"total":1}"#]).ok();
    let error = factum.run(&["append", "order-1", "Placed", r#"{"total":"secret"}"#]).fails(1);
    assert!(error.contains("/total") && !error.contains("secret"), "{error}");
    factum.run(&["append", "order-1", "Placed", r#"{"total":1}"#, "--schema-version", "2"]).fails(1);
    let listed = factum.lines(&["schema", "ls"]);
    assert_eq!((&listed[0]["type"], &listed[0]["version"]), (&"Placed".into(), &1.into()));
}

#[test]
fn a_check_names_the_events_that_do_not_fit() {
    let factum = Factum::with_an_order();
    factum.run(&["append", "order-2", "Placed", "{}"]).ok();
    let list = format!(r#"[{{"type":"Placed","version":1,"schema":{SCHEMA}}}]"#);
    let file = factum.file("schemas.json", &list);
    factum.run(&["schema", "register", &file]).ok();
    let ran = factum.run(&["schema", "check"]);
    assert!(ran.fails(8).contains("1 of 2"), "{}", ran.stderr);
    let misfit: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&misfit["stream"], &misfit["revision"]), (&"order-2".into(), &0.into()));
}

#[test]
fn a_file_that_is_no_schema_is_refused() {
    let factum = Factum::new();
    for (text, args) in [("{", None), ("[{}]", None), (r#"{"type":12}"#, Some("Placed"))] {
        let file = factum.file("bad.json", text);
        let mut all = vec!["schema", "register", &file];
        all.extend(args.iter().flat_map(|event_type| ["--type", event_type]));
        factum.run(&all).fails(2);
    }
    factum.run(&["schema", "register", "/no/such/file"]).fails(5);
}

#[test]
fn the_example_is_exported_in_three_languages() {
    let factum = Factum::new();
    let typescript = factum.run(&["schema", "export", "--typescript"]).ok();
    assert!(typescript.contains("FundsDeposited") && typescript.contains("schemaVersion: 2"), "{typescript}");
    assert!(factum.run(&["schema", "export", "--zod"]).ok().contains("from \"zod\""));
    let dir = factum.path("schemas").display().to_string();
    let files = factum.lines(&["schema", "export", "--json-schema", "--to", &dir]);
    assert!(files.iter().any(|file| file["file"].as_str().unwrap().ends_with("FundsDeposited.v2.json")));
    factum.run(&["schema", "export"]).fails(2);
    factum.run(&["schema", "export", "--zod", "--typescript"]).fails(2);
}

#[test]
fn what_is_exported_can_be_registered_and_holds_for_the_bank() {
    let factum = Factum::new();
    let file = factum.file("bank.json", &factum.run(&["schema", "export", "--json-schema"]).ok());
    factum.run(&["demo", "--once", "--commands", "150"]).ok();
    let registered = factum.lines(&["schema", "register", &file]);
    assert!(registered[0]["registered"].as_u64().unwrap() >= 6);
    factum.run(&["schema", "check"]).ok();
    factum.run(&["append", "account-1", "FundsDeposited", "{}", "--schema-version", "2"]).fails(1);
}

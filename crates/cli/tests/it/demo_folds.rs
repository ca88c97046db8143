//! The demonstration's streams as its own types see them, and as a declared projection does.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::factum::bare;
use crate::served::{Served, Web};

fn demo() -> (Served, Web, TempDir) {
    let temporary = TempDir::new().unwrap();
    let mut command =
        bare(&["demo", "--commands", "150", "--listen", "127.0.0.1:0", "--still", "-o", "ndjson"]);
    command.env("TMPDIR", temporary.path());
    let (served, web) = Served::demo(command);
    (served, web, temporary)
}

fn folds(web: &Web, stream: &str) -> Vec<String> {
    let list = web.get(&format!("/v1/folds?stream={stream}"));
    let items = list["items"].as_array().unwrap();
    items.iter().map(|one| one["fold"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_stream_is_folded_by_its_aggregate() {
    let (_served, web, _temporary) = demo();
    assert_eq!(folds(&web, "account-1"), ["aggregate:Account", "merge"]);
    assert_eq!(folds(&web, "transfer-travel-1"), ["aggregate:Transfer", "merge"]);
    assert_eq!(folds(&web, "account-holiday"), ["aggregate:Account", "merge", "projection:lost_cards"]);
    // The balance is that of the read model, which the same events made in another way.
    let museum = web.get("/v1/streams/account-museum/state?fold=default");
    assert_eq!(museum["state"]["balance"], json!({"minor": 194_700, "currency": "EUR"}), "{museum}");
    assert_eq!(museum["failed"], 0);
    let balances = web.until("/v1/projections/balances/tables/balances?limit=1000", |found| {
        found["rows"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row[0] == "museum" && row.to_string().contains("194700"))
    });
    assert_eq!(balances["truncated"], false);
    // Sealed is what is sealed in the log, and stays so for administrators.
    let customer = web.get("/v1/streams/customer-c-1/state?fold=default&personal=open");
    assert!(customer["state"]["name"]["$pii"].is_object() && !customer.to_string().contains("Lindqvist"));
}

#[test]
fn a_declared_projection_is_a_fold_and_its_faults_are_shown() {
    let (_served, web, _temporary) = demo();
    let of = "/v1/streams/account-holiday";
    let history = web.get(&format!("{of}/history?fold=projection:lost_cards"));
    assert_eq!(history["base"]["state"], json!({"lost_cards": {}}));
    let steps = history["steps"].as_array().unwrap();
    let failed: Vec<&Value> = steps.iter().filter(|step| step.get("error").is_some()).collect();
    assert_eq!(failed.len(), 1, "{history}");
    assert!(failed[0]["error"].as_str().unwrap().contains("UNIQUE constraint"), "{history}");
    let now = web.get(&format!("{of}/state?fold=projection:lost_cards"));
    assert_eq!(now["state"]["lost_cards"]["holiday"]["reason"], "card reported lost");
    assert_eq!(now["failed"], 1);
    let first = steps.iter().find(|step| step["patch"] != json!([])).unwrap()["revision"].clone();
    let blame = web.get(&format!("{of}/blame?fold=projection:lost_cards&path=/lost_cards/holiday/reason"));
    assert_eq!(blame["items"][0]["setBy"]["revision"], first);
    // Without the first loss the second one is no fault, and its reason is in the row.
    let without = web.get(&format!("{of}/state?fold=projection:lost_cards&without={first}"));
    assert_eq!(without["state"]["lost_cards"]["holiday"]["reason"], "card reported lost again");
    assert_eq!(without["failed"], 0);
    // What is code, or holds personal data, is not folded here, and is not offered.
    for name in ["balances", "customers"] {
        let (status, problem) = web.ask("GET", &format!("{of}/state?fold=projection:{name}"), "");
        assert_eq!((status, &problem["type"]), (422, &"/problems/refused".into()), "{problem}");
    }
}

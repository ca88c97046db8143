//! `factum serve` of a kept store: its read models and its vault are served, or it says how they would be.

use serde_json::json;

use crate::factum::Factum;
use crate::served::Served;

#[test]
fn a_kept_store_is_served_with_what_follows_it() {
    let factum = Factum::new();
    factum.run(&["demo", "--once", "--commands", "100"]).ok();
    let (served, web) = Served::serve(factum.command(&["serve"]));
    let list = web.until("/v1/projections", |list| {
        list["items"].as_array().unwrap().iter().all(|line| line["status"] == "caught up")
    });
    assert_eq!(list["items"].as_array().unwrap().len(), 4, "{list}");
    assert_eq!(web.get("/v1/privacy/c-2")["erasures"].as_array().unwrap().len(), 1);
    // What another process declares meanwhile is taken up.
    let declaration = factum.file(
        "opened.toml",
        "name = \"opened\"\ntables = \"create table opened (account text primary key)\"\n\
         [on.AccountOpened]\nrun = \"insert into opened values (:data.account)\"\n",
    );
    factum.run(&["projections", "create", &declaration, "--allow-unknown-types"]).ok();
    let found = web.until("/v1/projections", |list| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["name"] == "opened" && line["status"] == "caught up")
    });
    assert_eq!(found["items"].as_array().unwrap().len(), 5);
    factum.run(&["projections", "stop", "opened", "--reason", "a test"]).ok();
    web.until("/v1/projections/opened", |shown| shown["versions"][0]["status"] == "stopped");
    assert_eq!(served.terminate().0, Some(0));
}

#[test]
fn a_server_for_looking_changes_nothing() {
    let factum = Factum::new();
    factum.run(&["demo", "--once", "--commands", "100"]).ok();
    let (_served, web) = Served::serve(factum.command(&["serve", "--console", "read-only"]));
    for (path, body) in [
        ("/v1/projections/balances/stop", json!({"reason": "a test"})),
        ("/v1/processes/transfer_saga/rent-january/retry", json!({"reason": "a test"})),
        ("/v1/privacy/c-1/erase", json!({"reason": "a test", "confirm": "c-1"})),
    ] {
        let (status, problem) = web.post(path, &body);
        assert_eq!((status, &problem["type"]), (423, &"/problems/read-only".into()), "{path}: {problem}");
    }
    assert_ne!(web.get("/v1/projections/balances")["versions"][0]["status"], "stopped");
}

#[test]
fn what_a_server_was_not_given_it_says_how_to_give() {
    let factum = Factum::with_an_order();
    let (_served, web) = Served::serve(factum.command(&["serve"]));
    for (path, how) in [
        ("/v1/projections", "--read-models"),
        ("/v1/projections/balances/compare", "--read-models"),
        ("/v1/privacy/ada", "--vault"),
        ("/v1/privacy/receipts", "--vault"),
    ] {
        let (status, problem) = web.ask("GET", path, "");
        assert_eq!((status, &problem["type"]), (501, &"/problems/unsupported".into()), "{path}: {problem}");
        assert!(problem["next"].as_str().unwrap().contains(how), "{problem}");
    }
    assert_eq!(web.get("/v1/processes")["items"], json!([]), "processes need nothing but the log");
}

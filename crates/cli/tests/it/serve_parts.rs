//! `factum serve` of a kept store: its read models and its vault are served, or it says how they would be.

use serde_json::json;

use crate::factum::Factum;
use crate::served::Served;

#[test]
fn a_kept_store_is_served_with_what_follows_it() {
    let factum = Factum::new();
    factum.run(&["demo", "--once", "--commands", "100"]).ok();
    let (served, web) = Served::serve(factum.command(&["serve", "--insecure"]));
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
    let (_served, web) = Served::serve(factum.command(&["serve", "--insecure", "--console", "read-only"]));
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
    let (_served, web) = Served::serve(factum.command(&["serve", "--insecure"]));
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

#[test]
fn only_administrators_see_who_it_is_about() {
    let mut factum = Factum::new();
    factum.run(&["demo", "--once", "--commands", "100"]).ok();
    factum.set("FACTUM_ADMIN_PASSWORD", "the one of admin");
    factum.set("FACTUM_OPS_PASSWORD", "the one of ops");
    let (_served, web) = Served::serve(factum.command(&["serve"]));
    let (admin, ops) = (web.by("admin", "the one of admin"), web.by("ops", "the one of ops"));
    admin.until("/v1/projections", |list| {
        list["items"].as_array().unwrap().iter().all(|line| line["status"] == "caught up")
    });
    assert_eq!(ops.get("/v1/projections")["items"].as_array().unwrap().len(), 4);
    let why = json!({"reason": "a test"});
    let secrets = [
        "/v1/projections/customers/tables/customers",
        "/v1/privacy/c-1",
        "/v1/privacy/receipts",
        "/v1/streams/customer-c-1/events?personal=open",
        "/v1/streams/customer-c-1/events/0?personal=open",
    ];
    for path in secrets {
        assert_eq!(web.ask("GET", path, "").0, 401, "{path}");
        let (status, problem) = ops.ask("GET", path, "");
        assert_eq!((status, &problem["type"]), (403, &"/problems/not-allowed".into()), "{path}: {problem}");
        assert_eq!(admin.ask("GET", path, "").0, 200, "{path}");
    }
    let sealed = ops.get("/v1/streams/customer-c-1/events").to_string();
    assert!(sealed.contains("$pii") && !sealed.contains("Lindqvist"), "{sealed}");
    assert_eq!(admin.get("/v1/streams/customer-c-1/events").to_string(), sealed, "unless it is asked for");
    let open = admin.get("/v1/streams/customer-c-1/events?personal=open");
    assert_eq!(open["items"][0]["data"]["name"]["$personal"]["v"], "Ada Lindqvist", "{open}");
    let erased = admin.get("/v1/streams/customer-c-2/events/0?personal=open");
    let name = &erased["data"]["name"]["$personal"];
    assert!(name["e"].is_string() && name.get("v").is_none(), "{erased}");
    let (status, _) = admin.ask("GET", "/v1/streams/customer-c-1/events?personal=perhaps", "");
    assert_eq!(status, 400);

    // Who runs the server may stop a projection, and nobody else may; neither may erase.
    assert_eq!(web.post("/v1/projections/balances/stop", &why).0, 401);
    assert_eq!(ops.post("/v1/projections/balances/stop", &why).0, 200);
    let erase = json!({"reason": "a test", "confirm": "c-1"});
    assert_eq!(ops.post("/v1/privacy/c-1/erase", &erase).0, 403);
    let history = admin.get("/v1/projections/balances")["history"].clone();
    assert_eq!(history.as_array().unwrap().last().unwrap()["actor"], "ops");
}

#[test]
fn what_is_appended_through_a_server_is_sealed_by_it() {
    const NAME: &str = "Zenobia-5c1e";
    let factum = Factum::new();
    factum.run(&["privacy", "init"]).ok();
    let (served, web) = Served::serve(factum.command(&["serve", "--insecure"]));
    let event = json!({"type": "Registered", "data": {"name": {"$personal": {"s": "p-1", "v": NAME}}}});
    let (status, appended) = web.post("/v1/streams/person-1/events", &event);
    assert_eq!(status, 201, "{appended}");
    let read = web.get("/v1/streams/person-1/events");
    assert!(read["items"][0]["data"]["name"].get("$pii").is_some(), "{read}");
    let open = web.get("/v1/streams/person-1/events/0?personal=open");
    assert_eq!(open["data"]["name"]["$personal"]["v"], NAME);
    assert_eq!(web.get("/v1/privacy/p-1")["events"], 1);
    assert_eq!(served.terminate().0, Some(0));
    let log = std::fs::read_dir(factum.path("data")).unwrap().map(|entry| entry.unwrap().path());
    for file in log.filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(NAME.len()).any(|window| window == NAME.as_bytes()), "{}", file.display());
    }

    // Without the vault it is not taken, and nothing is said to be erased.
    let other = Factum::with_an_order();
    let (_served, web) = Served::serve(other.command(&["serve", "--insecure"]));
    let (status, problem) = web.post("/v1/streams/person-1/events", &event);
    assert_eq!((status, &problem["type"]), (422, &"/problems/refused".into()), "{problem}");
}

#[test]
fn a_vault_that_does_not_open_is_no_server() {
    let factum = Factum::new();
    factum.run(&["privacy", "init"]).ok();
    std::fs::remove_file(factum.path("data.kek")).unwrap();
    let said = factum.run(&["serve", "--insecure", "--listen", "127.0.0.1:0"]);
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("key-encryption key"), "{}", said.stderr);
}

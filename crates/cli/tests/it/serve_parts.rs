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

#[test]
fn a_store_is_verified_and_backed_up_while_it_is_served() {
    let factum = Factum::with_an_order();
    let backups = factum.path("backups").display().to_string();
    let (served, web) = Served::serve(factum.command(&["serve", "--insecure", "--backup-dir", &backups]));
    let over = |list: &serde_json::Value, runs: &str| list[runs][0]["state"] != "running";
    let (status, begun) = web.post("/v1/system/verify", &json!({"reason": "a test"}));
    assert_eq!(status, 202, "{begun}");
    let verified = web.until("/v1/system/verify", |list| over(list, "items") && !list["last"].is_null());
    let found = &verified["items"][0]["result"];
    assert_eq!((&found["damaged"], &verified["last"]["damaged"]), (&json!(0), &json!(0)), "{verified}");
    let (status, begun) = web.post("/v1/system/backups", &json!({"name": "monday", "reason": "a test"}));
    assert_eq!(status, 202, "{begun}");
    let listed = web.until("/v1/system/backups", |list| over(list, "runs"));
    let made = &listed["items"][0];
    assert_eq!((&made["name"], &made["complete"]), (&json!("monday"), &json!(true)), "{listed}");
    assert_eq!(made["verified"]["root"].as_str().map(str::len), Some(64), "{listed}");
    assert_eq!(web.post("/v1/system/backups", &json!({"name": "monday"})).0, 409);
    // What is left of one that was cut off is no backup, and says so.
    std::fs::create_dir_all(factum.path("backups").join(".tuesday.1.partial/log")).unwrap();
    std::fs::create_dir_all(factum.path("backups").join("lost+found")).unwrap();
    let listed = web.get("/v1/system/backups");
    let items = listed["items"].as_array().unwrap();
    let names: Vec<_> =
        items.iter().map(|item| (item["name"].as_str().unwrap(), item["complete"] == true)).collect();
    assert!(
        names.len() == 2 && names.contains(&("tuesday", false)) && names.contains(&("monday", true)),
        "{names:?}"
    );
    let storage = web.get("/v1/system/storage");
    assert!(storage["diskFreeBytes"].as_u64().is_some_and(|free| free > 0), "{storage}");
    // A bit that flips under the running server is found and named.
    let log = factum.path("data").join("log");
    let segment = std::fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "seg"));
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    web.post("/v1/system/verify", &json!({"reason": "again"}));
    let found = web.until("/v1/system/verify", |list| {
        over(list, "items") && list["last"]["damaged"].as_u64().is_some_and(|places| places > 0)
    });
    let place = found["items"][0]["result"]["damage"][0]["place"].as_str().unwrap();
    assert!(place.starts_with("log/"), "{found}");
    let problems = web.get("/v1/overview")["problems"].to_string();
    assert!(problems.contains("found damage in"), "{problems}");
    let operations = web.get("/v1/system/operations");
    let told: Vec<_> = operations["items"].as_array().unwrap().iter().map(|item| &item["outcome"]).collect();
    assert_eq!(told, ["done", "asked", "done", "asked", "done", "asked"], "{operations}");
    drop(served);
    let restored = factum.path("restored").display().to_string();
    factum.run(&["backup", "restore", &format!("{backups}/monday"), "--data", &restored]).ok();
    factum.run(&["storage", "verify", "--data", &restored]).ok();
}

#[test]
fn a_directory_for_backups_lies_outside_of_the_store() {
    let factum = Factum::with_an_order();
    let inside = factum.path("data").join("backups").display().to_string();
    let refused = factum.run(&["serve", "--insecure", "--backup-dir", &inside]).fails(2);
    assert!(refused.contains("lies in the store's own directory"), "{refused}");
    assert!(factum.run(&["serve", "--memory", "--backup-dir", "b"]).fails(2).contains("--memory"));
}

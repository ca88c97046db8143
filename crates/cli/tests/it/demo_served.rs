//! `factum demo`, served: a bank that goes on, with everything that there is to see, and nothing left at the end.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::factum::{bare, finish};
use crate::served::{Served, Web};

/// A demonstration, and the directory in which it may leave something.
fn demo(more: &[&str]) -> (Served, Web, TempDir) {
    let temporary = TempDir::new().unwrap();
    let mut args = vec!["demo", "--commands", "150", "--listen", "127.0.0.1:0", "-o", "ndjson"];
    args.extend(more);
    let mut command: Command = bare(&args);
    command.env("TMPDIR", temporary.path());
    let (served, web) = Served::demo(command);
    (served, web, temporary)
}

fn line(list: &Value, name: &str) -> Value {
    list["items"].as_array().unwrap().iter().find(|line| line["name"] == name).unwrap().clone()
}

/// A customer, column by column.
fn customer(web: &Web, number: &str) -> Value {
    let found = web.get("/v1/projections/customers/tables/customers");
    assert_eq!(found["personal"], true);
    let columns = found["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let rows = found["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row[0] == number).unwrap().as_array().unwrap();
    columns.zip(row.iter().cloned()).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn it_goes_on_and_shows_what_there_is_and_leaves_nothing() {
    let (served, web, temporary) = demo(&[]);
    let faulted = web.until("/v1/projections", |list| line(list, "lost_cards")["status"] == "faulted");
    assert!(line(&faulted, "lost_cards")["why"].as_str().unwrap().contains("UNIQUE constraint"), "{faulted}");
    let before: u64 = line(&faulted, "balances")["applied"].as_str().unwrap().parse().unwrap();
    // Business goes on, and what does not stand still follows it.
    web.until("/v1/projections", |list| {
        let balances = line(list, "balances");
        balances["applied"].as_str().unwrap().parse::<u64>().unwrap() > before
            && balances["status"] == "caught up"
    });

    let store = web.store();
    let parked = "$persistentsubscription-$ce-transfer::letters-parked";
    let parked = finish(bare(&["read", parked, "--store", &store, "-o", "ndjson"]), "").ok();
    assert!(parked.lines().count() >= 3 && parked.contains("was not printed"), "{parked}");

    let forgotten = customer(&web, "c-2");
    assert_eq!((&forgotten["name"], &forgotten["phone"]), (&Value::Null, &Value::Null));
    assert_eq!(customer(&web, "c-1")["name"], "Ada Lindqvist");
    let receipts = web.get("/v1/privacy/receipts");
    let erasure = receipts["items"][0]["erasure"].as_str().unwrap();
    let verified = web.get(&format!("/v1/privacy/receipts/{erasure}/verify"));
    assert_eq!((&verified["valid"], &verified["valuesOpened"]), (&true.into(), &0.into()), "{verified}");
    assert!(verified["valuesTried"].as_u64().unwrap() > 0);
    // Whoever reads the log reads envelopes.
    let sealed = finish(bare(&["read", "customer-c-1", "--store", &store, "-o", "ndjson"]), "").ok();
    assert!(sealed.contains("$pii") && !sealed.contains("Lindqvist"), "{sealed}");

    assert_eq!(served.terminate(), (Some(0), String::new()));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn what_it_says_fits_on_six_lines() {
    let temporary = TempDir::new().unwrap();
    let mut command = bare(&["demo", "--commands", "100", "--still", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", temporary.path());
    let mut child =
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    while !said.contains("Ctrl-C") {
        assert_ne!(std::io::BufRead::read_line(&mut stdout, &mut said).unwrap(), 0, "{said}");
    }
    assert!(said.lines().count() <= 6 && said.contains("/ui/") && said.contains("kurrentdb://"), "{said}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_projection_is_mended_compared_and_swapped() {
    let (_served, web, _temporary) = demo(&["--still"]);
    let path = "/v1/projections/lost_cards";
    let shown = web.until(path, |shown| shown["versions"][0]["status"] == "faulted");
    let fault = &shown["versions"][0]["faults"][0];
    assert_eq!((&fault["type"], fault["attempts"].as_array().unwrap().len()), (&"AccountFrozen".into(), 1));
    let old = shown["versions"][0]["definition"].as_str().unwrap().to_owned();

    // The cause is still there: it stands still at the same event, and the history says who tried.
    let (status, retried) = web.post(&format!("{path}/retry"), &json!({"reason": "once more"}));
    assert_eq!((status, &retried["retried"]), (200, &true.into()), "{retried}");
    web.until(path, |shown| {
        let attempts = &shown["versions"][0]["faults"][0]["attempts"];
        attempts.as_array().is_some_and(|attempts| attempts.len() >= 2)
    });

    let mended = old.replace("insert into", "insert or replace into");
    let wrong = json!({"reason": "a test", "definition": mended.replace("\"lost_cards\"", "\"others\"")});
    assert_eq!(web.post(&format!("{path}/rebuild"), &wrong).0, 422);
    let (status, made) =
        web.post(&format!("{path}/rebuild"), &json!({"reason": "lost twice", "definition": mended}));
    assert_eq!((status, &made["version"]), (202, &"v2".into()), "{made}");
    let again = web.post(&format!("{path}/rebuild"), &json!({"reason": "again"}));
    assert_eq!(again.0, 409, "{}", again.1);
    let compared = web.until(&format!("{path}/compare"), |found| {
        let table = &found["tables"][0];
        table["onlyNew"].as_u64().unwrap_or(0) + table["changed"].as_u64().unwrap_or(0) > 0
    });
    assert_eq!((&compared["old"], &compared["new"]), (&"v1".into(), &"v2".into()));
    let (status, promoted) = web.post(&format!("{path}/promote"), &json!({"reason": "it is right"}));
    assert_eq!((status, &promoted["version"]), (200, &"v2".into()), "{promoted}");
    let list = web.get("/v1/projections");
    let items = list["items"].as_array().unwrap();
    let mine = |role: &str| items.iter().find(|line| line["name"] == "lost_cards" && line["role"] == role);
    assert_eq!(mine("serving").unwrap()["status"], "caught up", "{list}");
    assert_eq!(mine("previous").unwrap()["version"], "v1");
    let (status, gone) = web.post(&format!("{path}/discard"), &json!({"reason": "tidy"}));
    assert_eq!((status, &gone["version"]), (200, &"v1".into()), "{gone}");

    let history = web.get(path)["history"].clone();
    let done: Vec<_> = history.as_array().unwrap().iter().map(|one| (&one["what"], &one["reason"])).collect();
    let wanted = [
        ("created", "to see one that fails"),
        ("retried", "once more"),
        ("created", "lost twice"),
        ("promoted", "it is right"),
        ("discarded", "tidy"),
    ]
    .map(|(what, reason)| (Value::from(what), Value::from(reason)));
    assert_eq!(done, wanted.iter().map(|(what, reason)| (what, reason)).collect::<Vec<_>>());
}

#[test]
fn a_projection_is_stopped_started_and_passes_an_event_over() {
    let (_served, web, _temporary) = demo(&["--still"]);
    let path = "/v1/projections/lost_cards";
    let shown = web.until(path, |shown| shown["versions"][0]["status"] == "faulted");
    let position = shown["versions"][0]["faults"][0]["position"].as_str().unwrap().to_owned();
    let skip = |reason: &str, position: &str| {
        web.post(&format!("{path}/skip"), &json!({"reason": reason, "position": position}))
    };
    assert_eq!(skip("  ", &position).0, 422);
    assert_eq!(skip("a test", "1").0, 409, "it stands still elsewhere");
    assert_eq!(skip("a test", "one").0, 400);
    let (status, skipped) = skip("reported twice", &position);
    assert_eq!((status, &skipped["skipped"]), (200, &position.as_str().into()), "{skipped}");
    let skips = web.get(path)["versions"][0]["skips"].clone();
    assert_eq!(
        (&skips[0]["position"], &skips[0]["reason"]),
        (&position.as_str().into(), &"reported twice".into())
    );

    let balances = "/v1/projections/balances";
    assert_eq!(web.post(&format!("{balances}/stop"), &json!({"reason": "a pause"})).0, 200);
    assert_eq!(web.get(balances)["versions"][0]["status"], "stopped");
    assert_eq!(web.post(&format!("{balances}/start"), &json!({"reason": "over"})).0, 200);
    web.until(balances, |shown| shown["versions"][0]["status"] == "caught up");
    let history = web.get(balances)["history"].clone();
    let reasons: Vec<_> = history.as_array().unwrap().iter().map(|one| one["reason"].clone()).collect();
    assert!(reasons.contains(&"a pause".into()) && reasons.contains(&"over".into()), "{history}");
}

#[test]
fn what_is_not_there_or_makes_no_sense_has_its_problem() {
    let (_served, web, _temporary) = demo(&["--still"]);
    let why = json!({"reason": "a test"});
    for path in [
        "/v1/projections/none",
        "/v1/projections/Not%20a%20name",
        "/v1/projections/none/compare",
        "/v1/projections/balances/tables/none",
        "/v1/projections/balances/tables/x%22%3B%20drop%20table%20balances",
        "/v1/projections/balances/tables/balances?version=v9",
        "/v1/processes/transfer_saga/none",
        "/v1/privacy/receipts/none",
        "/v1/privacy/receipts/0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90/verify",
    ] {
        let (status, problem) = web.ask("GET", path, "");
        assert_eq!((status, &problem["type"]), (404, &"/problems/not-found".into()), "{path}: {problem}");
    }
    for (path, status) in [
        ("/v1/projections/none/stop", 404),
        ("/v1/projections/balances/promote", 404),
        ("/v1/projections/balances/rollback", 404),
        ("/v1/projections/balances/discard", 404),
        ("/v1/projections/balances/retry", 404),
        ("/v1/processes/transfer_saga/none/retry", 404),
        ("/v1/processes/transfer_saga/deposit-hall/retry", 409),
    ] {
        assert_eq!(web.post(path, &why).0, status, "{path}");
        assert_eq!(web.post(path, &json!({})).0, 400, "{path} wants a reason");
    }
    assert_eq!(web.ask("GET", "/v1/processes?stage=nowhere", "").0, 400);
    // A table that a name would have dropped is there.
    assert!(
        !web.get("/v1/projections/balances/tables/balances?limit=1")["rows"].as_array().unwrap().is_empty()
    );
    // Rows are waited for, and not for longer than they are worth.
    let (status, problem) =
        web.ask("GET", "/v1/projections/lost_cards/tables/lost_cards?after=1&wait=30s", "");
    assert!(status == 200 || problem["type"] == "/problems/stale", "{problem}");
    let end = line(&web.get("/v1/projections"), "balances")["applied"].as_str().unwrap().to_owned();
    let behind = format!(
        "/v1/projections/lost_cards/tables/lost_cards?after={}&wait=30s",
        end.parse::<u64>().unwrap() - 1
    );
    let (status, problem) = web.ask("GET", &behind, "");
    assert_eq!((status, &problem["type"]), (504, &"/problems/stale".into()), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("stands still"), "{problem}");
}

#[test]
fn processes_are_listed_shown_and_asked() {
    let (_served, web, _temporary) = demo(&["--still"]);
    let open = web.get("/v1/processes");
    assert_eq!(open["items"].as_array().unwrap().len(), 1, "{open}");
    let all = web.get("/v1/processes?all=true&limit=2");
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let next = web.get(all["page"]["next"].as_str().unwrap());
    assert!(!next["items"].as_array().unwrap().is_empty() && next["page"]["prev"].is_string());
    let failed = web.get("/v1/processes?stage=failed");
    assert_eq!(failed["items"].as_array().unwrap().len(), 3, "{failed}");

    let path = "/v1/processes/transfer_saga/deposit-hall";
    let shown = web.get(path);
    assert_eq!((&shown["stage"], &shown["step"]), (&"running".into(), &"withdraw".into()));
    let what: Vec<_> =
        shown["timeline"].as_array().unwrap().iter().map(|entry| entry["what"].clone()).collect();
    assert!(what.contains(&"began".into()) && what.contains(&"step 'withdraw'".into()), "{shown}");
    let (status, asked) = web.post(&format!("{path}/cancel"), &json!({"reason": "the customer rang"}));
    assert_eq!((status, &asked["action"]), (200, &"cancel".into()), "{asked}");
    let pending =
        &web.get(&format!("{path}?after={}", asked["position"].as_str().unwrap()))["pendingRequests"];
    assert_eq!(
        (&pending[0]["action"], &pending[0]["reason"]),
        (&"cancel".into(), &"the customer rang".into())
    );
}

#[test]
fn a_person_is_shown_previewed_and_erased_once() {
    let (_served, web, _temporary) = demo(&["--still"]);
    let shown = web.get("/v1/privacy/c-3");
    assert_eq!((&shown["events"], &shown["keys"][0]["state"]), (&1.into(), &"opens".into()), "{shown}");
    assert_eq!(shown["streams"], json!([{"stream": "customer-c-3", "events": 1}]));
    assert_eq!(shown["readModels"][0]["name"], "customers");
    assert!(!shown.to_string().contains("Vermeer"));

    let erase = |body: Value| web.post("/v1/privacy/c-3/erase", &body);
    let (status, counts) = erase(json!({"dryRun": true}));
    assert_eq!(
        (status, &counts["keys"], &counts["events"], &counts["readModels"]),
        (200, &1.into(), &1.into(), &1.into())
    );
    for wrong in [json!({"reason": "request 7"}), json!({"reason": "request 7", "confirm": "c-4"})] {
        let (status, problem) = erase(wrong);
        assert_eq!((status, &problem["type"]), (422, &"/problems/refused".into()), "{problem}");
    }
    assert_eq!(erase(json!({"confirm": "c-3"})).0, 422, "it needs a reason");
    assert_eq!(customer(&web, "c-3")["name"], "Edsger Vermeer", "nothing has happened yet");

    let (status, receipt) = erase(json!({"reason": "request 7", "confirm": "c-3"}));
    assert_eq!(status, 200, "{receipt}");
    assert_eq!(erase(json!({"reason": "request 7", "confirm": "c-3"})), (200, receipt.clone()));
    assert_eq!(customer(&web, "c-3")["name"], Value::Null);
    let receipts = web.get("/v1/privacy/receipts");
    let mine =
        receipts["items"].as_array().unwrap().iter().find(|line| line["reason"] == "request 7").unwrap();
    assert_eq!(mine["actor"], "anonymous", "nobody was asked who they are");
    let erasure = mine["erasure"].as_str().unwrap();
    assert_eq!(web.get(&format!("/v1/privacy/receipts/{erasure}")), receipt);
    assert_eq!(web.get(&format!("/v1/privacy/receipts/{erasure}/verify"))["valid"], true);
    let shown = web.get("/v1/privacy/c-3");
    assert!(shown["keys"][0]["state"].as_str().unwrap().starts_with("destroyed by"), "{shown}");
}

#[test]
fn what_fails_is_told_to_whoever_looks() {
    let (_served, web, _temporary) = demo(&["--still"]);
    let overview = web.until("/v1/overview", |overview| {
        let problems = overview["problems"].to_string();
        problems.contains("'lost_cards' is faulted") && problems.contains("parked messages")
    });
    let mine = overview["problems"].as_array().unwrap().iter();
    let mine: Vec<_> = mine.filter(|problem| problem["url"] == "/ui/projections/lost_cards").collect();
    assert!(mine.len() == 1 && mine[0]["since"].is_string(), "{overview}");
    let heard = web
        .follow("/v1/live", |heard| heard.contains("event: projections") && heard.contains("event: stats"));
    assert!(heard.contains("\"lost_cards\""), "{heard}");
    // Whoever follows gets names sealed, unless an administrator wants them.
    let sealed = web.follow("/v1/streams/customer-c-1/events", |heard| heard.contains("caughtUp"));
    assert!(sealed.contains("$pii") && !sealed.contains("Lindqvist"), "{sealed}");
    let open =
        web.follow("/v1/streams/customer-c-1/events?personal=open", |heard| heard.contains("caughtUp"));
    assert!(open.contains("Lindqvist"), "{open}");
}

#[test]
fn what_is_kept_has_files_that_are_looked_after() {
    let kept = TempDir::new().unwrap();
    let data = kept.path().join("bank");
    let (_served, web, _temporary) = demo(&["--still", "--data", data.to_str().unwrap()]);
    assert!(web.get("/v1/system/storage")["logBytes"].as_u64().unwrap() > 0);
    let (status, job) = web.post("/v1/system/verify", &json!({"reason": "to see"}));
    assert_eq!(status, 202, "{job}");
    web.until("/v1/system/verify", |list| list["last"]["damaged"] == 0);
}

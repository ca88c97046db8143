//! Verifications and backups over HTTP: begun with a reason, watched, stopped, and told of in the log.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum_core::{EventStore, MemoryStore, ReadError, Timestamp};
use factum_server::{
    Backup, BackupCheck, BackupName, Backups, BackupsError, Condition, Disk, Fault, Maintenance, Progress,
    Reclaimed, Server, ServerOptions, StorageFigures, Verification,
};
use http::Method;
use serde_json::{Value, json};

use super::Web;
use crate::house::House;

/// Each step is done when the test says so.
struct Stepped {
    steps: Mutex<Receiver<()>>,
    damage: Vec<Fault>,
    condition: Condition,
}

impl Stepped {
    fn walk(&self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> ControlFlow<()> {
        let steps = self.steps.lock().unwrap();
        for done in 1..=3 {
            steps.recv().unwrap();
            watch(Progress { done, all: 3 })?;
        }
        ControlFlow::Continue(())
    }
}

impl Maintenance for Stepped {
    fn scavenge(&self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Reclaimed, ReadError> {
        let _ = self.walk(watch);
        Ok(Reclaimed { events: 3, bytes: 30 })
    }

    fn verifies(&self) -> bool {
        true
    }

    fn verify(
        &self,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<Verification>, ReadError> {
        if self.walk(watch).is_break() {
            return Ok(None);
        }
        let damaged = self.damage.len() as u64;
        let damage = self.damage.clone();
        Ok(Some(Verification {
            end: 7,
            events: 7,
            root: "ab".to_owned(),
            damaged,
            damage,
            ..Verification::default()
        }))
    }

    fn condition(&self) -> Condition {
        self.condition.clone()
    }

    fn figures(&self) -> StorageFigures {
        StorageFigures { end: 7, segments: 3, ..StorageFigures::default() }
    }
}

/// Backups in memory.
#[derive(Default)]
struct Shelf(Mutex<Vec<Backup>>);

fn backup(name: &str, made: Option<Timestamp>, incomplete: Option<&str>) -> Backup {
    Backup {
        name: name.to_owned(),
        made,
        end: 7,
        bytes: 100,
        segments: 1,
        store: Some(("s".to_owned(), 0)),
        incomplete: incomplete.map(str::to_owned),
        verified: made.map(|at| BackupCheck { at, root: "ab".to_owned(), events: 7 }),
        restore: format!("factum backup restore /b/{name} --data NEW"),
    }
}

impl Backups for Shelf {
    fn directory(&self) -> String {
        "/b".to_owned()
    }

    fn list(&self) -> Result<Vec<Backup>, BackupsError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn make(
        &self,
        name: &BackupName,
        at: Timestamp,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<Backup>, BackupsError> {
        if name.as_str() == "doomed" {
            return Err(BackupsError { why: "no space left on device".to_owned() });
        }
        let _ = watch(Progress { done: 100, all: 100 });
        let made = backup(name.as_str(), Some(at), None);
        self.0.lock().unwrap().push(made.clone());
        Ok(Some(made))
    }
}

struct Workshop {
    _house: House,
    web: Web,
    step: Sender<()>,
    shelf: Arc<Shelf>,
}

async fn workshop(damage: Vec<Fault>, condition: Condition) -> Workshop {
    let (step, steps) = channel();
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let shelf = Arc::new(Shelf::default());
    let server = Server::new(store.clone(), ServerOptions::default())
        .with_maintenance(Arc::new(Stepped { steps: Mutex::new(steps), damage, condition }))
        .with_backups(shelf.clone());
    let house = House::over(store, server).await;
    let web = Web::of(&house.server);
    Workshop { _house: house, web, step, shelf }
}

impl Workshop {
    /// The job, once it is no longer running.
    async fn over(&self, path: &str) -> Value {
        loop {
            let job = self.web.get(path).await.json();
            if job["state"] != "running" {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What the log tells of operations once there are `count` events, the newest first.
    async fn told(&self, count: usize) -> Vec<Value> {
        loop {
            let page = self.web.get("/v1/system/operations").await.json();
            let items = page["items"].as_array().unwrap().clone();
            if items.len() >= count {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn problems(&self) -> Vec<String> {
        let overview = self.web.get("/v1/overview").await.json();
        let problems = overview["problems"].as_array().unwrap().iter();
        problems.map(|problem| problem["what"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_begun_watched_and_told_of() {
    let shop = workshop(vec![], Condition::default()).await;
    assert_eq!(shop.web.get("/v1/system/verify").await.json(), json!({ "items": [], "last": null }));
    let begun = shop.web.post("/v1/system/verify", r#"{"reason":"after the move"}"#).await;
    assert_eq!(begun.status.as_u16(), 202, "{}", begun.text);
    let path = begun.header("location").to_owned();
    assert_eq!(path, format!("/v1/system/verify/{}", begun.json()["id"].as_str().unwrap()));
    let again = shop.web.post("/v1/system/verify", "{}").await;
    assert_eq!((again.problem(), &again.json()["id"]), ("conflict".to_owned(), &begun.json()["id"]));
    let asked = shop.told(1).await;
    assert_eq!((&asked[0]["what"], &asked[0]["reason"]), (&json!("verify"), &json!("after the move")));
    (0..3).for_each(|_| shop.step.send(()).unwrap());
    let job = shop.over(&path).await;
    assert_eq!((&job["state"], &job["done"], &job["total"]), (&json!("completed"), &json!(3), &json!(3)));
    assert_eq!((&job["result"]["damaged"], &job["result"]["root"]), (&json!(0), &json!("ab")));
    let told = shop.told(2).await;
    assert_eq!((&told[0]["outcome"], &told[0]["of"]), (&json!("done"), &told[1]["id"]));
    assert_eq!((&told[0]["details"]["damage"], &told[0]["details"]["end"]), (&json!(0), &json!("7")));
    let list = shop.web.get("/v1/system/verify").await.json();
    assert_eq!((&list["last"]["outcome"], &list["last"]["damaged"]), (&json!("done"), &json!(0)));
    assert_eq!(list["items"][0]["id"], job["id"]);
    let unknown = "/v1/system/verify/b0c4c3ce-8b04-4a4b-a3a1-6cb1f7d2a0ff";
    assert_eq!(shop.web.get(unknown).await.problem(), "not-found");
    assert_eq!(shop.web.send(Method::DELETE, unknown, "").await.problem(), "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_is_stopped_says_nothing_of_the_log() {
    let shop = workshop(vec![], Condition::default()).await;
    let path = shop.web.post("/v1/system/verify", "{}").await.header("location").to_owned();
    assert_eq!(shop.web.send(Method::DELETE, &path, "").await.json()["state"], "running");
    shop.step.send(()).unwrap();
    let job = shop.over(&path).await;
    assert_eq!((&job["state"], &job["result"]), (&json!("stopped"), &json!(null)));
    assert_eq!(shop.told(2).await[0]["outcome"], "stopped");
    assert_eq!(shop.web.get("/v1/system/verify").await.json()["last"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_and_a_bad_condition_are_on_the_overview() {
    let fault = Fault { place: "log/0.seg at byte 7".to_owned(), what: "a bit".to_owned(), mends: false };
    let condition = Condition {
        recovered: Some("a torn frame".to_owned()),
        disk: Some(Disk { size: 1_000, free: 90 }),
        ..Condition::default()
    };
    let shop = workshop(vec![fault], condition).await;
    let path = shop.web.post("/v1/system/verify", "{}").await.header("location").to_owned();
    (0..3).for_each(|_| shop.step.send(()).unwrap());
    let job = shop.over(&path).await;
    assert_eq!(job["result"]["damage"][0]["place"], "log/0.seg at byte 7");
    shop.told(2).await;
    let problems = shop.problems().await;
    for part in ["9 % of it are free", "a torn frame", "damage in 1 places", "there is no backup yet"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
    }
    let storage = shop.web.get("/v1/system/storage").await.json();
    assert_eq!((&storage["diskBytes"], &storage["diskFreeBytes"]), (&json!(1_000), &json!(90)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_under_a_plain_name_and_never_written_over() {
    let shop = workshop(vec![], Condition::default()).await;
    for bad in ["../a", "a/b", ".a", "", "a b"] {
        let body = json!({ "name": bad }).to_string();
        assert_eq!(shop.web.post("/v1/system/backups", &body).await.problem(), "bad-json", "{bad}");
    }
    let begun = shop.web.post("/v1/system/backups", r#"{"name":"monday","reason":"nightly"}"#).await;
    assert_eq!(begun.status.as_u16(), 202, "{}", begun.text);
    let job = shop.over(begun.header("location")).await;
    assert_eq!((&job["state"], &job["result"]["name"]), (&json!("completed"), &json!("monday")));
    let told = shop.told(2).await;
    assert_eq!((&told[0]["target"], &told[0]["outcome"]), (&json!("monday"), &json!("done")));
    assert_eq!(shop.web.post("/v1/system/backups", r#"{"name":"monday"}"#).await.problem(), "conflict");
    let unnamed = shop.web.post("/v1/system/backups", "{}").await;
    let job = shop.over(unnamed.header("location")).await;
    assert!(job["name"].as_str().unwrap().starts_with("backup-20"), "{job}");
    let doomed = shop.web.post("/v1/system/backups", r#"{"name":"doomed"}"#).await;
    let job = shop.over(doomed.header("location")).await;
    assert_eq!((&job["state"], &job["error"]), (&json!("failed"), &json!("no space left on device")));
    assert_eq!(shop.told(6).await[0]["outcome"], "failed");
    shop.shelf.0.lock().unwrap().push(backup("cut-off", None, Some("it was not finished")));
    let list = shop.web.get("/v1/system/backups").await.json();
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &list["directory"]), (3, &json!("/b")));
    let named = |name: &str| items.iter().find(|item| item["name"] == name).unwrap();
    assert_eq!(
        (&named("monday")["complete"], &named("monday")["verified"]["root"]),
        (&json!(true), &json!("ab"))
    );
    assert_eq!(named("monday")["restore"], "factum backup restore /b/monday --data NEW");
    assert_eq!((&named("cut-off")["complete"], &named("cut-off")["verified"]), (&json!(false), &json!(null)));
    assert!(!shop.problems().await.iter().any(|problem| problem.contains("backup")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_day_before_yesterday_is_a_problem() {
    let shop = workshop(vec![], Condition::default()).await;
    let old = Timestamp::parse("2020-01-01T00:00:00Z").unwrap();
    shop.shelf.0.lock().unwrap().push(backup("old", Some(old), None));
    let problems = shop.problems().await;
    assert!(problems.iter().any(|problem| problem == "the last backup is older than a day"), "{problems:?}");
}

#[tokio::test]
async fn a_server_without_a_directory_says_how_it_gets_one() {
    let (_house, web) = super::house().await;
    for answer in [web.get("/v1/system/backups").await, web.post("/v1/system/backups", "{}").await] {
        assert_eq!(answer.problem(), "unsupported");
        assert!(answer.json()["next"].as_str().unwrap().contains("--backup-dir"), "{}", answer.text);
    }
}

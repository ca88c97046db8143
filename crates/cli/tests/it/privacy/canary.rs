//! A value that appears nowhere else goes everywhere, its person is erased, and then it is looked for in every byte.
//!
//! It is found where the receipt says "not reached", and nowhere else.

use std::path::Path;

use factum_testkit::PrivatePostgres;
use serde_json::{Value, json};

use super::read_models::FORGETTING;
use super::search::Mark;
use super::{REASON, copy};
use crate::factum::{Factum, Ran};

/// A store with a marked person and one who stays; what every command said is kept.
struct Canary {
    factum: Factum,
    erased: Mark,
    stays: Mark,
    said: Vec<(String, String)>,
}

impl Canary {
    fn new() -> Self {
        let (factum, erased, stays) = (Factum::new(), Mark::fresh(), Mark::fresh());
        std::fs::create_dir(factum.path("outside")).unwrap();
        Self { factum, erased, stays, said: Vec::new() }
    }

    fn run(&mut self, args: &[&str]) -> Ran {
        self.feed(args, "")
    }

    fn feed(&mut self, args: &[&str], input: &str) -> Ran {
        let ran = self.factum.feed(args, input);
        self.said.push((args.join(" "), format!("{}{}", ran.stdout, ran.stderr)));
        ran
    }

    /// The commands that said it, in whatever form, since this was asked last.
    fn told(&mut self) -> Vec<String> {
        let mark = &self.erased;
        let told = self.said.iter().filter(|(_, text)| !mark.forms_in(text.as_bytes()).is_empty());
        let told = told.map(|(args, _)| args.clone()).collect();
        self.said.clear();
        told
    }

    /// Everything that a person's data can be in: events with text, objects and lists, long and external values, a snapshot.
    fn fill(&mut self) {
        self.run(&["privacy", "init"]).ok();
        for (subject, mark) in
            [("customer-8", self.stays.text.clone()), ("customer-7", self.erased.text.clone())]
        {
            let personal = |value: &Value| json!({"$personal": {"s": subject, "v": value}});
            let long = format!("{}{mark}", "a long text ".repeat(400));
            let note =
                json!({"$personal": {"s": subject, "p": "billing", "x": true, "v": {"note": [mark, long]}}});
            let data = json!({
                "customer": subject,
                "name": personal(&json!(mark)),
                "letter": personal(&json!(long)),
                "address": personal(&json!({"street": mark, "lines": [1, mark]})),
                "orders": [{"to": personal(&json!(mark))}],
                "note": note,
            });
            let line = json!({"type": "Registered", "data": data}).to_string();
            self.run(&["append", subject, "Registered", &data.to_string()]).ok();
            self.feed(&["append", subject, "--ndjson"], &format!("{line}\n")).ok();
            let state = json!({"name": personal(&json!(mark)), "orders": 1}).to_string();
            self.run(&["append", &format!("customer:snapshot-{subject}"), "$snapshot", &state]).ok();
        }
    }

    /// Every way to look, each of which succeeds.
    fn look_everywhere(&mut self, more: &[&str]) {
        let queries = ["select * from customers", "select name from customers where name is not null"];
        for args in [
            &["read", "--all"][..],
            &["read", "customer-7", "-o", "table"],
            &["read", "--all", "--format", "{data.name} {data.orders} {data}"],
            &["read", "customer:snapshot-customer-7"],
            &["read", "$privacy"],
            &["tail"],
            &["event", "customer-7@0"],
            &["state", "customer-7"],
            &["state", "customer-7", "-o", "json"],
            &["streams", "ls"],
            &["streams", "info", "customer-7"],
            &["streams", "find", "customer"],
            &["export", "ndjson"],
            &["privacy", "show", "customer-7"],
            &["privacy", "receipts"],
            &["privacy", "check"],
            &["storage", "info"],
            &["storage", "verify"],
        ] {
            self.run(args).ok();
        }
        for args in [
            &["projections", "ls"][..],
            &["projections", "show", "customers"],
            &["projections", "lag"],
            &["projections", "history", "customers"],
            &["sql", queries[0]],
            &["sql", queries[1], "-o", "table"],
            &["sql", queries[0], "--projection", "customers"],
        ] {
            self.run(&[args, more].concat()).ok();
        }
    }

    fn path(&self, name: &str) -> String {
        self.factum.path(name).display().to_string()
    }

    fn project(&mut self, more: &[&str]) {
        let text =
            FORGETTING.replace("name text)", "name text)\"\"\"").replace("= \"create", "= \"\"\"create");
        let text =
            text.replace("name text)\"\"\"\"", "name text);\ncreate index by_name on customers (name)\"\"\"");
        let file = self.factum.file("customers.toml", &text);
        self.run(&[&["projections", "create", &file], more].concat()).ok();
        self.run(&[&["projections", "run", "--until-caught-up"], more].concat()).ok();
    }

    /// Copies that are made in the ordinary course of things, and the one that its receiver keeps.
    fn copies(&mut self, suffix: &str) {
        let backup = self.path(&format!("backup{suffix}"));
        self.run(&["backup", "create", &backup]).ok();
        let export = self.path(&format!("all{suffix}.ndjson"));
        self.run(&["export", "ndjson", "--to", &export]).ok();
        let keys = self.path(&format!("keys{suffix}.sqlite"));
        self.run(&["privacy", "backup", &keys]).ok();
    }

    fn found(&self) -> Vec<String> {
        self.erased.files_in(&self.factum.path(""))
    }
}

/// The export that a person was given.
const GIVEN: &str = "outside/customer-7.json";

#[test]
fn an_erased_value_is_in_no_byte_of_store_vault_rows_and_backups() {
    let mut canary = Canary::new();
    canary.fill();
    canary.project(&[]);
    canary.copies("-before");
    canary.look_everywhere(&[]);
    let told = canary.told();
    assert_eq!(told.len(), 3, "only those that ask the rows say it: {told:?}");
    assert!(told.iter().all(|args| args.starts_with("sql ")), "{told:?}");
    let given = canary.run(&["privacy", "export", "customer-7", "-o", "json"]).ok();
    assert_eq!(canary.told().len(), 1);
    std::fs::write(canary.factum.path(GIVEN), &given).unwrap();

    // The search finds what is there: rows in clear, and what was given away. Everything else was sealed from the beginning.
    let found = canary.found();
    assert!(found.contains(&GIVEN.to_owned()), "{found:?}");
    let rows: Vec<&String> = found.iter().filter(|file| file.starts_with("data/read-models")).collect();
    assert!(!rows.is_empty() && rows.len() + 1 == found.len(), "{found:?}");

    let erase = ["privacy", "erase", "customer-7", "--reason", REASON, "--confirm", "customer-7"];
    let receipt: Value = serde_json::from_str(&canary.run(&erase).ok()).unwrap();
    assert_eq!(canary.found(), [GIVEN]);
    let not_reached = receipt["notReached"].as_array().unwrap();
    assert!(not_reached.iter().any(|reach| reach.as_str().unwrap().contains("exports")), "{receipt}");
    assert!(not_reached.iter().any(|reach| reach.as_str().unwrap().contains("key store")), "{receipt}");

    canary.run(&["storage", "scavenge"]).ok();
    canary.copies("-after");
    canary.run(&["projections", "rebuild", "customers"]).ok();
    canary.run(&["projections", "promote", "customers"]).ok();
    canary.run(&["privacy", "export", "customer-7"]).ok();
    canary.run(&["privacy", "verify", receipt["erasure"].as_str().unwrap()]).ok();
    canary.run(&["privacy", "receipts", receipt["erasure"].as_str().unwrap()]).ok();
    canary.look_everywhere(&[]);
    assert_eq!(canary.told(), Vec::<String>::new());
    assert_eq!(canary.found(), [GIVEN]);

    // Nobody else was forgotten.
    let stays = canary.run(&["privacy", "export", "customer-8"]).ok();
    assert!(!canary.stays.forms_in(stays.as_bytes()).is_empty());
    assert!(!canary.stays.files_in(&canary.factum.path("data/read-models")).is_empty());
}

/// What the receipt names: an older copy of the key store opens an older copy of the log, until the key is rotated away.
#[test]
fn an_older_copy_of_everything_opens_until_the_key_is_rotated() {
    let mut canary = Canary::new();
    canary.fill();
    canary.copies("");
    copy(&canary.factum.path("data.vault"), &canary.factum.path("restored.vault"));
    let erase = ["privacy", "erase", "customer-7", "--reason", REASON, "--confirm", "customer-7"];
    let receipt = canary.run(&erase).ok();
    assert!(receipt.contains("open with key-encryption key 1 until that is rotated away"), "{receipt}");
    let (restored, backup) = (canary.path("restored"), canary.path("backup"));
    canary.run(&["backup", "restore", &backup, "--data", &restored]).ok();
    std::fs::copy(canary.factum.path("keys.sqlite"), canary.factum.path("restored.vault/keys.sqlite"))
        .unwrap();
    let kek = format!("file:{}", canary.path("data.kek"));
    let export = ["privacy", "export", "customer-7", "--data", &restored, "--kek", &kek];
    canary.told();
    canary.run(&export).fails(3);
    assert_eq!(canary.told(), Vec::<String>::new());
    let accept = ["privacy", "apply-ledger", "--accept-resurrection", "--reason", "a drill"];
    canary.run(&[&accept[..], &["--data", &restored, "--kek", &kek]].concat()).ok();
    canary.run(&export).ok();
    assert_eq!(canary.told().len(), 1, "that is what a backup is");
    // With the log as it is now nobody needs to know of it: the log says what was erased.
    let vault = canary.path("restored.vault");
    let ran = canary.run(&["privacy", "export", "customer-7", "--vault", &vault]);
    ran.ok();
    assert!(ran.stderr.contains("erasures were applied"), "{}", ran.stderr);
    assert_eq!(canary.told(), Vec::<String>::new());

    std::fs::copy(canary.factum.path("keys.sqlite"), canary.factum.path("restored.vault/keys.sqlite"))
        .unwrap();
    std::fs::copy(canary.factum.path("data.kek"), canary.factum.path("old.kek")).unwrap();
    canary.run(&["privacy", "rotate"]).ok();
    let refused = canary.run(&export);
    assert!(refused.code != 0 && refused.stderr.contains("epoch 1"), "{}", refused.stderr);
    assert_eq!(canary.told(), Vec::<String>::new());
    // Whoever has kept the old key too has everything: that is why the two are kept apart.
    let old = format!("file:{}", canary.path("old.kek"));
    canary.run(&["privacy", "export", "customer-7", "--data", &restored, "--kek", &old]).ok();
    assert_eq!(canary.told().len(), 1);
}

#[test]
fn an_erased_value_is_in_no_row_of_postgresql_and_in_no_file_but_its_write_ahead_log() {
    let name =
        "privacy::canary::an_erased_value_is_in_no_row_of_postgresql_and_in_no_file_but_its_write_ahead_log";
    let Some(server) = PrivatePostgres::start(name) else { return };
    let mut canary = Canary::new();
    let url = server.url();
    let place = ["--read-models", url.as_str()];
    canary.factum.set("FACTUM_READ_MODELS", url.as_str());
    canary.fill();
    canary.project(&place);
    canary.look_everywhere(&place);
    assert_eq!(canary.told().len(), 3);
    assert_eq!(canary.found(), Vec::<String>::new());
    let directory = server.sql("show data_directory");
    let directory = Path::new(directory.trim());
    // Statistics hold values too.
    server.sql("analyze");
    assert!(!canary.erased.forms_in(server.sql("select * from pg_stats").as_bytes()).is_empty());
    server.sql("checkpoint");
    let (tables, wal) = split(&canary.erased, directory);
    assert!(!tables.is_empty() && !wal.is_empty(), "the search finds what is there: {tables:?} {wal:?}");
    assert!(!canary.erased.forms_in(dump(&server).as_bytes()).is_empty());

    let erase = ["privacy", "erase", "customer-7", "--reason", REASON, "--confirm", "customer-7"];
    canary.run(&[&erase[..], &place[..]].concat()).ok();
    canary.look_everywhere(&place);
    assert_eq!(canary.told(), Vec::<String>::new());
    assert_eq!(canary.found(), Vec::<String>::new());
    let dump = dump(&server);
    assert!(canary.erased.forms_in(dump.as_bytes()).is_empty());
    assert!(!canary.stays.forms_in(dump.as_bytes()).is_empty(), "nobody else was forgotten");
    server.sql("checkpoint");
    let (mut tables, wal) = split(&canary.erased, directory);
    // No statistic has it any more. A freed byte in the server's own table of them is overwritten by later statistics.
    assert!(canary.erased.forms_in(server.sql("select * from pg_stats").as_bytes()).is_empty());
    let statistics = server.sql("select pg_relation_filepath('pg_statistic')");
    tables.retain(|file| *file != statistics.trim());
    assert_eq!(tables, Vec::<String>::new());
    // The server's own log of changes is beyond a program that only has its tables: `purge` says so.
    assert!(!wal.is_empty(), "this limit is gone: say so where it is documented");
}

/// The files of a server that have it: its tables and the rest, and its write-ahead log.
fn split(mark: &Mark, directory: &Path) -> (Vec<String>, Vec<String>) {
    mark.files_in(directory).into_iter().partition(|file| !file.starts_with("pg_wal/"))
}

/// Every row of every table, as text.
fn dump(server: &PrivatePostgres) -> String {
    let tables = server.sql(
        "select format('%I.%I', schemaname, tablename) from pg_tables \
         where schemaname not in ('pg_catalog', 'information_schema')",
    );
    let statistics = server.sql("select * from pg_stats");
    let rows = tables.lines().map(|table| server.sql(&format!("select t::text from {table} t")));
    rows.chain([statistics]).collect()
}

//! `factum projections`: declarations become read models, are rebuilt beside what serves, and stand still where they must.

use serde_json::{Value, json};

use crate::factum::{Factum, Ran};

pub(crate) const BALANCES: &str = r#"
name = "balances"
tables = "create table balances (account text primary key, cents bigint not null check (cents < 1000))"

[on.FundsDeposited]
run = """
    insert into balances (account, cents) values (:stream_id, :data.amount)
    on conflict (account) do update set cents = balances.cents + excluded.cents
"""
changed = "account:{stream_id}"
"#;

impl Factum {
    /// Deposits, one event each; the token after the last one.
    pub(crate) fn deposit(&self, account: &str, amounts: &[i64]) -> String {
        let mut token = String::new();
        for amount in amounts {
            let data = json!({ "amount": amount }).to_string();
            let args =
                ["append", account, "FundsDeposited", &data, "--meta", "actor=ada", "--format", "{token}"];
            token = self.run(&args).ok().trim().to_owned();
        }
        token
    }

    /// A store with two accounts, and the read model `balances`, caught up.
    pub(crate) fn with_balances() -> Self {
        let factum = Self::new();
        factum.deposit("account-7", &[5, 10]);
        factum.deposit("account-8", &[20]);
        let file = factum.file("balances.toml", BALANCES);
        factum.run(&["projections", "create", &file]).ok();
        factum.run(&["projections", "run", "--until-caught-up"]).ok();
        factum
    }

    pub(crate) fn projections(&self, args: &[&str]) -> Ran {
        self.run(&[&["projections"], args].concat())
    }

    fn rows(&self) -> Vec<Value> {
        self.lines(&["sql", "select account, cents from balances order by account"])
    }

    /// The line of one version in `projections ls`.
    fn version(&self, number: &str) -> Value {
        let versions = self.lines(&["projections", "ls"]);
        versions.into_iter().find(|version| version["version"] == number).unwrap_or_default()
    }

    fn changed(&self, old: &str, new: &str) -> String {
        let text = BALANCES.replace(old, new);
        assert_ne!(text, BALANCES);
        self.file("changed.toml", &text)
    }
}

#[test]
fn a_declaration_becomes_rows_and_running_again_adds_nothing() {
    let factum = Factum::new();
    factum.deposit("account-7", &[5, 10]);
    let file = factum.file("balances.toml", BALANCES);
    let dry = factum.projections(&["create", &file, "--dry-run"]).fails(8);
    assert!(dry.contains("makes the projection 'balances'"), "{dry}");
    assert!(!factum.path("data/read-models").exists(), "a dry run makes nothing");

    let made = factum.lines(&["projections", "create", &file]);
    assert_eq!(made[0], json!({"name": "balances", "version": "v1", "role": "serving", "partitions": 1}));
    assert!(factum.rows().is_empty());
    assert_eq!(factum.version("v1")["lag"], 2);
    factum.projections(&["run", "balances", "--until-caught-up"]).ok();
    assert_eq!(factum.rows(), [json!({"account": "7", "cents": 15})]);
    factum.projections(&["run", "--until-caught-up"]).ok();
    assert_eq!(factum.rows(), [json!({"account": "7", "cents": 15})]);
    let version = factum.version("v1");
    assert_eq!(
        (&version["status"], &version["lag"], &version["events"]),
        (&json!("caught up"), &json!(0), &json!(2))
    );

    let again = factum.projections(&["create", &file]);
    assert!(again.ok().contains("v1") && again.stderr.contains("nothing was done"));
    let show = factum.lines(&["projections", "show", "balances"]).remove(0);
    assert_eq!(show["versions"][0]["tables"], json!([{"table": "balances", "key": ["account"]}]));
    assert_eq!(factum.projections(&["show", "balances", "--declaration"]).ok(), BALANCES);
    let lag = factum.lines(&["projections", "lag"]).remove(0);
    assert_eq!((&lag["lag"], &lag["end"]), (&json!(0), &json!("2")));
    let table = factum.projections(&["show", "balances", "-o", "table"]).ok();
    assert!(table.contains("status") && table.contains("caught up"), "{table}");
}

#[test]
fn a_wrong_declaration_is_refused_before_anything_is_made() {
    let factum = Factum::new();
    factum.deposit("account-7", &[5]);
    let create = |text: &str| {
        let file = factum.file("wrong.toml", text);
        factum.projections(&["create", &file])
    };
    for (old, new, words) in [
        (
            "FundsDeposited]",
            "FundsDeposit]",
            &["'FundsDeposit'", "line 5", "did you mean 'FundsDeposited'?", "--allow-unknown-types"][..],
        ),
        (":data.amount", ":dta.amount", &["line 6", ":dta.amount", "did you mean 'data.amount'?"]),
        ("insert into balances", "insert into blances", &["line 6", "no such table", "blances"]),
        ("(account, cents) values", "(account, sents) values", &["line 6", "sents"]),
        ("create table balances", "create tabel balances", &["the tables cannot be made", "syntax error"]),
        ("run =", "rum =", &["line 6", "did you mean 'run'?"]),
        ("name = \"balances\"", "", &["'name' is missing"]),
        ("name = ", "name = = ", &["line 2", "no TOML"]),
    ] {
        let text = BALANCES.replacen(old, new, 1);
        assert_ne!(text, BALANCES, "{old}");
        let error = create(&text).fails(2);
        assert_eq!(
            error.lines().filter(|line| line.starts_with("  ")).count(),
            2,
            "what, why, what to do: {error}"
        );
        for word in words {
            assert!(error.contains(word), "'{word}' is not in: {error}");
        }
        assert!(!factum.path("data/read-models").exists(), "{old}: nothing was made");
    }
    factum.projections(&["create", "/no/such/file"]).fails(5);
    std::fs::write(factum.path("wrong.toml"), b"\xff").unwrap();
    assert!(
        factum
            .projections(&["create", &factum.path("wrong.toml").display().to_string()])
            .fails(2)
            .contains("UTF-8")
    );
    let yet_to_come = factum.changed("FundsDeposited]", "FundsDeposit]");
    factum.projections(&["create", &yet_to_come, "--allow-unknown-types"]).ok();
}

#[test]
fn a_rebuild_beside_what_serves_is_compared_promoted_and_rolled_back() {
    let factum = Factum::with_balances();
    let file = factum.changed(":data.amount)", ":data.amount * 2)");
    let refused = factum.projections(&["create", &file]).fails(6);
    assert!(refused.contains("projections rebuild balances"), "{refused}");
    let refused = factum.projections(&["edit", &file]).fails(6);
    assert!(refused.contains("rebuild") && refused.contains("--compatible"), "{refused}");

    let built = factum.lines(&["projections", "rebuild", "balances", &file]).remove(0);
    assert_eq!(
        (&built["version"], &built["role"], &built["events"]),
        (&json!("v2"), &json!("building"), &json!(3))
    );
    assert_eq!(factum.rows()[0]["cents"], 15, "what serves is as it was");
    factum.deposit("account-7", &[1]);

    let compare = factum.projections(&["compare", "balances"]);
    assert_eq!(compare.code, 8, "{}", compare.stderr);
    let table: Value = serde_json::from_str(compare.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&table["changed"], &table["same"], &table["onlyOld"]), (&json!(2), &json!(0), &json!(0)));
    assert_eq!(
        table["examples"][0]["old"],
        json!({"account": "7", "cents": 16}),
        "both have come to the end"
    );
    assert_eq!(table["examples"][0]["new"], json!({"account": "7", "cents": 32}));
    let text = factum.projections(&["compare", "balances", "-o", "table", "--examples", "1"]);
    assert!(
        text.stdout.contains("0 only old, 0 only new, 2 changed\n  ~ account=7: cents 16 -> 32\n"),
        "{}",
        text.stdout
    );

    factum.deposit("account-8", &[1]);
    factum.projections(&["promote", "balances", "--reason", "twice is right"]).ok();
    assert_eq!(factum.rows(), [json!({"account": "7", "cents": 32}), json!({"account": "8", "cents": 42})]);
    assert!(factum.projections(&["promote", "balances"]).fails(5).contains("in the making"));
    factum.projections(&["compare", "balances"]).code.eq(&8).then_some(()).unwrap();

    factum.deposit("account-8", &[1]);
    factum.projections(&["rollback", "balances"]).ok();
    assert_eq!(factum.rows(), [json!({"account": "7", "cents": 16}), json!({"account": "8", "cents": 22})]);
    factum.projections(&["discard", "balances"]).ok();
    assert!(factum.projections(&["rollback", "balances"]).fails(5).contains("served before"));
    assert!(factum.projections(&["discard", "balances"]).fails(6).contains("projections delete"));
    assert!(factum.projections(&["compare", "balances"]).fails(5).contains("one version only"));
    let done: Vec<Value> = factum.lines(&["projections", "history", "balances"]);
    let done: Vec<&str> = done.iter().map(|action| action["what"].as_str().unwrap()).collect();
    assert_eq!(done, ["created", "created", "promoted", "rolled back", "discarded"]);

    let same = factum.lines(&["projections", "rebuild", "balances"]).remove(0);
    assert_eq!(same["version"], "v3");
    assert!(factum.projections(&["compare", "balances"]).stderr.contains("the same rows"));
    assert_eq!(factum.projections(&["compare", "balances"]).code, 0);
    let busy = factum.projections(&["rebuild", "balances", &file]).fails(6);
    assert!(busy.contains("promote") && busy.contains("discard"), "{busy}");
}

#[test]
fn a_change_that_makes_the_same_rows_may_be_declared_compatible() {
    let factum = Factum::with_balances();
    let file = factum.changed("name =", "# a remark\nname =");
    factum.projections(&["edit", &file]).fails(6);
    factum.projections(&["edit", &file, "--compatible"]).fails(2);
    factum.projections(&["edit", &file, "--compatible", "--reason", "a remark", "--dry-run"]).fails(8);
    factum.projections(&["edit", &file, "--compatible", "--reason", "a remark", "--actor", "ada"]).ok();
    assert!(factum.projections(&["show", "balances", "--declaration"]).ok().contains("# a remark"));
    factum.deposit("account-7", &[1]);
    factum.projections(&["run", "--until-caught-up"]).ok();
    assert_eq!(factum.rows()[0]["cents"], 16);
    let other_table = factum.changed("cents bigint not null", "cents bigint");
    let refused = factum.projections(&["edit", &other_table, "--compatible", "--reason", "no"]).fails(6);
    assert!(refused.contains("the tables"), "{refused}");
    let other_name = factum.changed("name = \"balances\"", "name = \"sums\"");
    factum.projections(&["edit", &other_name]).fails(5);
    assert!(factum.projections(&["rebuild", "balances", &other_name]).fails(2).contains("'sums'"));
}

#[test]
fn a_poison_event_stops_its_projection_until_it_is_skipped_or_mended() {
    let factum = Factum::with_balances();
    let others = BALANCES.replace("name = \"balances\"", "name = \"others\"").replace("cents < 1000", "true");
    let others = factum.file("others.toml", &others);
    factum.projections(&["create", &others]).ok();
    factum.deposit("account-7", &[5_000]);
    factum.deposit("account-8", &[1]);
    let stopped = factum.projections(&["run", "--until-caught-up"]);
    assert_eq!(stopped.code, 7, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("position 3") && stopped.stderr.contains("CHECK"), "{}", stopped.stderr);
    assert!(stopped.stdout.contains("\"others\""), "the others go on: {}", stopped.stdout);
    let faulted = factum.version("v1");
    assert_eq!((&faulted["status"], &faulted["applied"]), (&json!("faulted"), &json!("3")));
    assert!(faulted["why"].as_str().unwrap().contains("FundsDeposited at position 3"));

    factum.projections(&["retry", "balances"]).fails(7);
    let show = factum.lines(&["projections", "show", "balances"]).remove(0);
    let fault = &show["versions"][0]["faults"][0];
    assert_eq!((&fault["position"], &fault["stream"]), (&json!("3"), &json!("account-7")));
    assert!(fault["attempts"].as_array().unwrap().len() >= 2, "every attempt is kept: {fault}");
    let behind = factum.run(&["sql", "select 1", "--after", &factum.deposit("account-9", &[1])]).fails(7);
    assert!(behind.contains("stands still at the event at position 3"), "{behind}");

    factum.projections(&["skip", "balances", "--position", "3"]).fails(2);
    factum.projections(&["skip", "balances", "--position", "3", "--reason", " "]).fails(2);
    let elsewhere = factum.projections(&["skip", "balances", "--position", "4", "--reason", "x"]).fails(6);
    assert!(elsewhere.contains("position 4"), "{elsewhere}");
    factum.projections(&["skip", "balances", "--position", "3", "--reason", "a test", "--actor", "ada"]).ok();
    factum.projections(&["run", "--until-caught-up"]).ok();
    assert_eq!(factum.lines(&["sql", "select sum(cents) as sum from balances.balances"])[0]["sum"], 37);
    let last = factum.lines(&["projections", "history", "balances"]).pop().unwrap();
    assert_eq!(
        (&last["what"], &last["actor"], &last["reason"]),
        (&json!("skipped"), &json!("ada"), &json!("position 3: a test"))
    );
    let show = factum.lines(&["projections", "show", "balances"]).remove(0);
    assert_eq!(show["versions"][0]["skips"][0]["reason"], "a test");

    let mended = factum.changed("cents < 1000", "cents < 1000000");
    factum.projections(&["rebuild", "balances", &mended]).ok();
    factum.projections(&["promote", "balances"]).ok();
    assert_eq!(factum.lines(&["sql", "select sum(cents) as sum from balances.balances"])[0]["sum"], 5_037);
    let nothing = factum.projections(&["retry", "balances"]);
    assert!(nothing.ok().is_empty() && nothing.stderr.contains("at no event"), "{}", nothing.stderr);
}

#[test]
fn an_event_that_lacks_what_a_statement_takes_is_named() {
    let factum = Factum::with_balances();
    factum.run(&["append", "account-7", "FundsDeposited", "{}"]).ok();
    let error = factum.projections(&["run", "--until-caught-up"]).fails(7);
    assert!(error.contains(":data.amount") && error.contains("optional"), "{error}");
}

#[test]
fn a_stopped_projection_is_left_alone_until_it_is_started() {
    let factum = Factum::with_balances();
    factum.projections(&["stop", "balances", "--reason", "the disk is full"]).ok();
    assert_eq!(factum.version("v1")["status"], "stopped");
    let token = factum.deposit("account-7", &[1]);
    let left = factum.projections(&["run", "--until-caught-up"]);
    assert!(left.ok().is_empty() && left.stderr.contains("an operator stopped it"), "{}", left.stderr);
    let stopped = factum.run(&["sql", "select 1", "--after", &token, "--wait", "1h"]).fails(7);
    assert!(stopped.contains("an operator stopped it") && stopped.contains("projections start"), "{stopped}");
    factum.projections(&["start", "balances"]).ok();
    factum.run(&["sql", "select 1", "--after", &token]).ok();
    let done = factum.lines(&["projections", "history", "balances"]);
    let reasons: Vec<_> =
        done.iter().map(|one| (one["what"].as_str().unwrap(), one["reason"].as_str().unwrap())).collect();
    assert_eq!(reasons, [("created", ""), ("stopped", "the disk is full"), ("started", "")]);
}

#[test]
fn deleting_needs_the_name_again() {
    let factum = Factum::with_balances();
    let asked = factum.projections(&["delete", "balances"]).fails(3);
    assert!(asked.contains("--confirm 'balances'"), "{asked}");
    factum.projections(&["delete", "balances", "--confirm", "sums"]).fails(3);
    assert_eq!(factum.rows().len(), 2);
    factum.projections(&["delete", "balances", "--confirm", "balances"]).ok();
    assert!(factum.lines(&["projections", "ls"]).is_empty());
    for verb in
        ["show", "rebuild", "compare", "promote", "rollback", "discard", "retry", "start", "stop", "delete"]
    {
        let error = factum.projections(&[verb, "balances"]).fails(5);
        assert!(error.contains("there is no projection 'balances'"), "{verb}: {error}");
    }
    factum.projections(&["create", &factum.path("balances.toml").display().to_string()]).ok();
}

#[test]
fn the_partitions_and_the_sql_form_work_through_the_binary() {
    let factum = Factum::new();
    factum.deposit("account-7", &[5, 10]);
    factum.deposit("account-8", &[20]);
    let file = factum.file(
        "daily.sql",
        "-- name: daily\n-- partitions: 4\n-- category: account\n-- tables\n\
         create table daily (account text primary key, n bigint not null);\n\
         -- on FundsDeposited\n\
         insert into daily values (:stream_id, 1) on conflict (account) do update set n = daily.n + 1;\n",
    );
    factum.projections(&["create", &file]).ok();
    factum.projections(&["run", "--until-caught-up"]).ok();
    let rows = factum.lines(&["sql", "select account, n from daily order by 1"]);
    assert_eq!(rows, [json!({"account": "7", "n": 2}), json!({"account": "8", "n": 1})]);
}

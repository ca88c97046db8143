//! The database of read models: asked by other processes, missing, locked, read-only, of another store, ahead of the log.

use std::process::{Child, Stdio};
use std::sync::Arc;

use ::factum::{DeclaredProjection, Projections};
use factum_core::{EventStoreExt, EventType, ExpectedRevision, NewEvent, StreamName};
use factum_engine::{Engine, Options};
use factum_sqlite::SqliteReadModels;
use serde_json::{Value, json};

use crate::factum::{Factum, Ran, finish};
use crate::projections::BALANCES;

#[test]
fn a_query_comes_in_every_format_and_with_parameters() {
    let factum = Factum::with_balances();
    let query = "select account, cents from balances where account = :a";
    let ask = |more: &[&str]| factum.run(&[&["sql", query][..], more].concat()).ok();
    assert_eq!(ask(&["--param", "a=7", "-o", "ndjson"]), "{\"account\":\"7\",\"cents\":15}\n");
    assert_eq!(ask(&["--param", "a=\"7\"", "-o", "raw"]), "7\t15\n");
    assert_eq!(ask(&["--param", "a=7", "-o", "table"]), "ACCOUNT  CENTS\n7        15\n");
    assert_eq!(ask(&["--param", "a=7", "--format", "{cents} cents"]), "15 cents\n");
    let json: Value = serde_json::from_str(&ask(&["--param", "a=7", "-o", "json"])).unwrap();
    assert_eq!(json, json!([{"account": "7", "cents": 15}]));
    assert_eq!(ask(&["--param", "a=9", "-o", "json"]).trim(), "[]");
    assert_eq!(
        factum.feed(&["sql", "-", "-o", "raw"], "select count(*) from balances.balances;").ok(),
        "2\n"
    );
    let missing = factum.run(&["sql", query]).fails(2);
    assert!(missing.contains(":a"), "{missing}");
}

#[test]
fn a_query_can_change_nothing() {
    let factum = Factum::with_balances();
    for query in [
        "delete from balances",
        "drop table balances",
        "update balances set cents = 0",
        "attach '/tmp/x' as x",
    ] {
        factum.run(&["sql", query]).fails(2);
    }
    let wrong = factum.run(&["sql", "select * from blances"]).fails(2);
    assert!(wrong.contains("blances") && wrong.contains("the projections are: balances"), "{wrong}");
    factum.run(&["sql", "select 1; select 2"]).fails(2);
    factum.run(&["sql", "select 1", "--projection", "sums"]).fails(5);
    assert_eq!(factum.lines(&["sql", "select sum(cents) as n from balances"])[0]["n"], 35);
}

#[test]
fn a_token_is_usable_as_it_is_printed_in_every_format() {
    let factum = Factum::with_balances();
    let append = |more: &[&str]| {
        factum.run(&[&["append", "account-7", "FundsDeposited", r#"{"amount":1}"#][..], more].concat()).ok()
    };
    let json =
        |text: &str| serde_json::from_str::<Value>(text).unwrap()["token"].as_str().unwrap().to_owned();
    let table = append(&["-o", "table"]);
    let of_table = table.lines().find_map(|line| line.strip_prefix("token")).unwrap().trim().to_owned();
    let tokens = [
        json(&append(&["-o", "json"])),
        json(&append(&["-o", "ndjson"])),
        append(&["-o", "raw"]).trim().split('\t').next_back().unwrap().to_owned(),
        append(&["--format", "{token}"]).trim().to_owned(),
        of_table,
    ];
    for token in tokens {
        factum.run(&["sql", "select 1", "--after", &token]).ok();
    }
    let token = append(&["--format", "{token}"]);
    let rows =
        factum.lines(&["sql", "select cents from balances where account = '7'", "--after", token.trim()]);
    assert_eq!(rows, [json!({"cents": 21})], "its own write is there");
    factum.run(&["sql", "select 1", "--after", "nonsense"]).fails(2);
    let beyond = token.trim().rsplit_once('.').unwrap().0.to_owned() + ".999";
    let beyond = factum.run(&["sql", "select 1", "--after", &beyond]).fails(6);
    assert!(beyond.contains("ahead of the log"), "{beyond}");
    let other = Factum::with_balances();
    let error = other.run(&["sql", "select 1", "--after", token.trim()]).fails(6);
    assert!(error.contains("another") || error.contains("belongs to store"), "{error}");
}

#[test]
fn a_projection_that_the_query_is_not_about_does_not_keep_it_waiting() {
    let factum = Factum::with_balances();
    let other = BALANCES.replace("balances", "others").replace("amount", "other");
    std::fs::write(factum.path("others.toml"), other).unwrap();
    factum.run(&["projections", "create", factum.path("others.toml").to_str().unwrap()]).ok();
    let append = ["append", "account-7", "FundsDeposited", r#"{"amount":1}"#, "--format", "{token}"];
    let token = factum.run(&append).ok();
    let ask = |query: &str| factum.run(&["sql", query, "--after", token.trim(), "--wait", "20s"]);
    ask("select cents from balances where account = '7'").ok();
    let stuck = ask("select cents from others").fails(7);
    assert!(stuck.contains("'others' stands still"), "{stuck}");
    ask("select 1").fails(7);
}

/// The binary, under way.
fn start(factum: &Factum, args: &[&str]) -> Child {
    let mut command = factum.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn another_process_waits_for_what_the_owner_of_the_log_applies() {
    let factum = Factum::with_balances();
    let engine = Engine::open(factum.path("data"), Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let read_models = Arc::new(SqliteReadModels::open(factum.path("data/read-models")).unwrap());
    let append = || {
        let deposit = NewEvent::json(EventType::new("FundsDeposited").unwrap(), r#"{"amount":1}"#);
        let stream = StreamName::new("account-7").unwrap();
        runtime.block_on(engine.append_to(stream, ExpectedRevision::Any, vec![deposit])).unwrap().token
    };
    let first = append();
    // Nobody applies it yet: the time runs out, and it is said how far the rows are.
    let behind = factum.run(&["sql", "select 1", "--after", &first.to_string(), "--wait", "50ms"]).fails(7);
    assert!(behind.contains("before position 3") && behind.contains("1 positions are missing"), "{behind}");

    let projections = runtime.block_on(Projections::open(Arc::new(engine.clone()), read_models)).unwrap();
    let handle = runtime.block_on(projections.start(DeclaredProjection::parse(BALANCES).unwrap())).unwrap();
    let query = "select cents from balances where account = '7'";
    let rows = factum.lines(&["sql", query, "--after", &first.to_string(), "--wait", "20s"]);
    assert_eq!(rows, [json!({"cents": 16})]);

    // The token of an append that is yet to come: the commit wakes the waiting process.
    let second = first.at(first.next_position().unwrap().next());
    let waiting = start(&factum, &["sql", query, "--after", &second.to_string(), "--wait", "20s"]);
    assert_eq!(append(), second);
    assert_eq!(end(waiting).ok(), "{\"cents\":17}\n");

    // What only looks works meanwhile; what must apply events says who is in the way.
    let version = factum.lines(&["projections", "ls"]).remove(0);
    assert_eq!((&version["status"], &version["lag"]), (&json!("running"), &Value::Null));
    factum.projections(&["show", "balances"]).ok();
    factum.projections(&["history", "balances"]).ok();
    let busy = factum.projections(&["run", "--until-caught-up"]).fails(7);
    assert!(busy.contains("is in use"), "{busy}");
    let others = BALANCES.replace("name = \"balances\"", "name = \"others\"");
    let others = factum.file("others.toml", &others);
    factum.projections(&["create", &others, "--allow-unknown-types"]).ok();

    runtime.block_on(async { handle.stop("ada", "enough") }).unwrap();
    let third = append();
    let stopped = factum.run(&[
        "sql",
        query,
        "--after",
        &third.to_string(),
        "--wait",
        "1h",
        "--projection",
        "balances",
    ]);
    assert!(stopped.fails(7).contains("an operator stopped it"));
}

#[test]
fn a_running_process_takes_up_what_others_make_and_mend() {
    let factum = Factum::with_balances();
    factum.deposit("account-7", &[5_000]);
    let mut running = start(&factum, &["projections", "run"]);
    let eventually = |what: &str, args: &[&str], wanted: &dyn Fn(&Ran) -> bool| {
        for _ in 0..200 {
            let ran = factum.run(args);
            if wanted(&ran) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{what} never came");
    };
    let ls = |word: &'static str| move |ran: &Ran| ran.stdout.contains(word);
    eventually("the fault", &["projections", "ls"], &ls("faulted"));
    factum.projections(&["skip", "balances", "--position", "3", "--reason", "too much"]).ok();
    let others = BALANCES.replace("name = \"balances\"", "name = \"others\"").replace("cents < 1000", "true");
    let others = factum.file("others.toml", &others);
    factum.projections(&["create", &others, "--allow-unknown-types"]).ok();
    eventually("the new one", &["projections", "ls"], &|ran: &Ran| {
        let all = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let applied: Vec<_> = all.map(|one| (one["status"].clone(), one["applied"].clone())).collect();
        applied == vec![(json!("running"), json!("4")); 2]
    });
    let mended = factum.file("mended.toml", &BALANCES.replace("cents < 1000", "true"));
    factum.projections(&["rebuild", "balances", &mended, "--allow-unknown-types"]).ok();
    eventually("the promotion", &["projections", "promote", "balances"], &|ran: &Ran| ran.code == 0);
    let sum = "select sum(cents) as n from balances.balances";
    assert_eq!(factum.lines(&["sql", sum])[0]["n"], 5_035);
    running.kill().unwrap();
    running.wait().unwrap();
    factum.projections(&["run", "--until-caught-up"]).ok();
}

#[test]
fn read_models_that_are_not_there_are_said_to_be_missing() {
    let factum = Factum::with_an_order();
    for args in [
        &["projections", "ls"][..],
        &["projections", "run"],
        &["projections", "show", "balances"],
        &["sql", "select 1"],
        &["explain", "balances", "7"],
    ] {
        let error = factum.run(args).fails(5);
        assert!(error.contains("there are no read models there") && error.contains("create FILE"), "{error}");
    }
    assert!(!factum.path("data/read-models").exists());
    let postgres = ["projections", "ls", "--read-models", "postgres://nobody:secret@127.0.0.1:1/none"];
    let error = factum.run(&postgres).fails(7);
    assert!(error.contains("127.0.0.1") && !error.contains("secret"), "{error}");
}

#[test]
fn read_models_of_another_store_are_refused_before_anything_is_written() {
    let (ours, theirs) = (Factum::with_balances(), Factum::with_balances());
    let place = theirs.path("data/read-models").display().to_string();
    let others = BALANCES.replace("name = \"balances\"", "name = \"others\"");
    let others = ours.file("others.toml", &others);
    for args in [
        &["projections", "run", "--until-caught-up"][..],
        &["projections", "rebuild", "balances"],
        &["projections", "create", &others],
    ] {
        let error = ours.run(&[args, &["--read-models", &place]].concat()).fails(6);
        assert!(error.contains("another history") || error.contains("another store"), "{args:?}: {error}");
    }
    assert_eq!(theirs.lines(&["projections", "ls"]).len(), 1, "nothing was made there");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_log_that_was_put_back_leaves_read_models_ahead_of_it_which_are_refused() {
    let factum = Factum::with_balances();
    copy(&factum.path("data"), &factum.path("copy"));
    factum.deposit("account-7", &[1, 1]);
    factum.projections(&["run", "--until-caught-up"]).ok();
    let (place, old) = (factum.path("data/read-models"), factum.path("copy"));
    let run = |args: &[&str]| {
        let mut command = factum.command(args);
        command.env("FACTUM_DATA", &old).env("FACTUM_READ_MODELS", &place);
        finish(command, "")
    };
    let error = run(&["projections", "run", "--until-caught-up"]).fails(6);
    assert!(error.contains("come to position 5, and the log ends at 3"), "{error}");
    assert!(error.contains("restored from a backup") && error.contains("delete NAME"), "{error}");
    let ls = run(&["projections", "ls"]).ok();
    assert!(ls.contains("ahead of the log"), "{ls}");
    run(&["projections", "rebuild", "balances"]).fails(6);
    assert_eq!(run(&["projections", "ls"]).ok(), ls, "nothing was made");
    // The way out that is named: the same declaration, made anew from the log as it is.
    let declaration = run(&["projections", "show", "balances", "--declaration"]).ok();
    let file = factum.file("again.toml", &declaration);
    run(&["projections", "delete", "balances", "--confirm", "balances"]).ok();
    run(&["projections", "create", &file]).ok();
    run(&["projections", "run", "--until-caught-up"]).ok();
    assert_eq!(run(&["sql", "select sum(cents) from balances", "-o", "raw"]).ok(), "35\n");
}

#[test]
fn a_restored_backup_is_another_history_for_read_models_and_tokens() {
    let factum = Factum::with_balances();
    let (backup, data) = (factum.path("backup").display().to_string(), factum.path("data2"));
    factum.run(&["backup", "create", &backup]).ok();
    let token = factum.deposit("account-7", &[1]);
    factum.projections(&["run", "--until-caught-up"]).ok();
    let run = |args: &[&str]| {
        let mut command = factum.command(args);
        command.env("FACTUM_DATA", &data).env("FACTUM_READ_MODELS", factum.path("data/read-models"));
        finish(command, "")
    };
    run(&["backup", "restore", &backup]).ok();
    let error = run(&["projections", "run", "--until-caught-up"]).fails(6);
    assert!(error.contains("another history") && error.contains("delete all projections"), "{error}");
    assert!(run(&["projections", "ls"]).ok().contains("of another history"));
    let error = run(&["sql", "select 1", "--after", &token]);
    assert!(error.code == 0 || error.code == 6, "the rows are of the token's own history: {}", error.stderr);
    run(&["projections", "delete", "balances", "--confirm", "balances"]).ok();
    run(&["projections", "create", &factum.path("balances.toml").display().to_string()]).ok();
    let error = run(&["sql", "select 1", "--after", &token]).fails(6);
    assert!(error.contains("epoch"), "{error}");
    run(&["projections", "run", "--until-caught-up"]).ok();
    assert_eq!(run(&["sql", "select sum(cents) from balances", "-o", "raw"]).ok(), "35\n");
}

#[test]
fn locked_read_models_are_waited_for_and_then_said_to_be_in_use() {
    let factum = Factum::with_balances();
    let catalog = rusqlite::Connection::open(factum.path("data/read-models/catalog.sqlite")).unwrap();
    catalog.execute_batch("begin exclusive").unwrap();
    let error = factum.projections(&["stop", "balances"]).fails(7);
    assert!(error.contains("in use") || error.contains("locked"), "{error}");
    catalog.execute_batch("rollback").unwrap();
    factum.projections(&["stop", "balances"]).ok();
}

#[test]
#[cfg(unix)]
fn read_only_read_models_can_be_read_and_are_said_to_be_read_only() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let factum = Factum::with_balances();
    let place = factum.path("data/read-models");
    fn set(path: &std::path::Path, writable: bool) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                set(&entry.unwrap().path(), writable);
            }
        }
        let mode = match (path.is_dir(), writable) {
            (true, true) => 0o755,
            (true, false) => 0o555,
            (false, true) => 0o644,
            (false, false) => 0o444,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    set(&place, false);
    std::fs::set_permissions(
        place.parent().unwrap().parent().unwrap(),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    // Nothing is read-only to root: then someone else runs the binary.
    let is_root = std::fs::File::create(place.join("probe")).is_ok();
    let mut command = factum.command(&["projections", "stop", "balances"]);
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    let ran = finish(command, "");
    set(&place, true);
    let error = ran.fails(7);
    assert!(error.contains("read-only"), "{error}");
    assert_eq!(factum.lines(&["projections", "ls"])[0]["status"], "caught up");
}

#[test]
fn a_value_is_explained_by_its_event_command_and_actor() {
    let factum = Factum::with_balances();
    let why = factum.lines(&["explain", "balances", "7", "cents"]).remove(0);
    assert_eq!(why["change"], "cents 5 -> 15");
    assert_eq!(
        (&why["actor"], &why["type"], &why["position"]),
        (&json!("ada"), &json!("FundsDeposited"), &json!("1"))
    );
    assert_eq!(why["after"], json!({"account": "7", "cents": 15}));
    assert_eq!(factum.lines(&["explain", "balances", "[\"7\"]", "--history"]).len(), 2);
    assert_eq!(factum.lines(&["explain", "balances", "7", "account", "--history"]).len(), 1);
    assert!(factum.run(&["explain", "balances", "99"]).fails(5).contains("there is no such row"));
    assert!(factum.run(&["explain", "balances", "7", "sents"]).fails(2).contains("account, cents"));
    assert!(factum.run(&["explain", "balances", "7", "--table", "x"]).fails(2).contains("balances"));
    assert!(factum.run(&["explain", "balances", "[7"]).fails(2).contains("JSON"));
    factum.run(&["explain", "sums", "7"]).fails(5);
}

#[test]
fn the_first_projection_of_a_database_in_postgresql_is_made_by_create() {
    let name = "read_models::the_first_projection_of_a_database_in_postgresql_is_made_by_create";
    let Some(database) = factum_testkit::PostgresDatabase::fresh(name) else { return };
    let mut factum = Factum::new();
    factum.set("FACTUM_READ_MODELS", database.url());
    factum.deposit("account-7", &[5, 10]);
    let file = factum.file("balances.toml", BALANCES);
    factum.run(&["projections", "create", &file, "--dry-run"]).fails(8);
    assert!(factum.lines(&["projections", "ls"]).is_empty());
    factum.run(&["projections", "create", &file]).ok();
    factum.run(&["projections", "run", "--until-caught-up"]).ok();
    assert_eq!(factum.lines(&["sql", "select cents from balances"]), [json!({"cents": 15})]);
}

//! SIGKILL in the middle of an erasure and of a rotation: afterwards it is completed, and nothing is half.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::read_models::FORGETTING;
use super::{REASON, registered};
use crate::factum::Factum;

/// Times that the process is killed.
const ROUNDS: u32 = 20;
/// Subjects whose keys are rotated, three each: more than are wrapped at once.
const SUBJECTS: u32 = 80;

/// Kills the command after this long, if it is not done by then.
fn kill_after(factum: &Factum, args: &[&str], delay: Duration) {
    let mut command = factum.command(args);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How long the command takes when nobody kills it.
fn took(factum: &Factum, args: &[&str]) -> Duration {
    let begun = Instant::now();
    factum.run(args).ok();
    begun.elapsed()
}

fn customers(count: u32) -> Factum {
    let factum = Factum::new();
    factum.privacy(&["init"]).ok();
    let mut lines = String::new();
    for n in 0..count {
        let subject = format!("customer-{n}");
        let more =
            |purpose: &str| json!({"$personal": {"s": subject, "p": purpose, "v": format!("Ada {n}")}});
        let data = registered(
            &subject,
            &format!("Ada {n}"),
            &json!({"billing": more("billing"), "marketing": more("marketing")}),
        );
        lines.push_str(&format!("{{\"type\":\"Registered\",\"data\":{data}}}\n"));
    }
    factum.feed(&["append", "customers", "--ndjson"], &lines).ok();
    factum
}

#[test]
fn an_erasure_that_is_killed_is_completed_and_never_half() {
    let factum = customers(ROUNDS + 1);
    let file = factum.file("customers.toml", FORGETTING);
    factum.run(&["projections", "create", &file]).ok();
    factum.run(&["projections", "run", "--until-caught-up"]).ok();
    let erase = |subject: &str| {
        ["privacy", "erase", subject, "--reason", REASON, "--confirm", subject].map(str::to_owned)
    };
    let whole = took(&factum, &erase(&format!("customer-{ROUNDS}")).each_ref().map(String::as_str));
    let mut ends = [0; 3];
    for round in 0..ROUNDS {
        let subject = format!("customer-{round}");
        let args = erase(&subject);
        kill_after(&factum, &args.each_ref().map(String::as_str), whole * round / (ROUNDS - 1));
        let all = factum.lines(&["privacy", "receipts"]);
        let open: Vec<&Value> = all.iter().filter(|line| line["state"] != "complete").collect();
        let values = factum.exported(&subject);
        let erased = values.iter().filter(|value| value.get("erased").is_some()).count();
        assert_eq!(values.len(), 3);
        if let [one] = open[..] {
            // It was asked for, so nothing of it opens, whatever was done before the kill.
            assert_eq!(erased, 3, "round {round}: {values:?}");
            let reference = format!("ref:{}", one["subject"].as_str().unwrap());
            let erasure = one["erasure"].as_str().unwrap();
            // By its id, or just asked for again.
            if round % 2 == 0 {
                factum.privacy(&["erase", &reference, "--erasure", erasure]).ok();
            } else {
                factum.erase(&subject).ok();
            }
            ends[1] += 1;
        } else if erased == 0 {
            // Nothing was asked for yet: it is whole.
            assert_eq!(values, vec![json!(format!("Ada {round}")); 3], "round {round}");
            factum.erase(&subject).ok();
            ends[0] += 1;
        } else {
            ends[2] += 1;
            assert_eq!(erased, 3, "round {round}: {values:?}");
        }
    }
    factum.privacy(&["check"]).ok();
    println!("killed before it was asked for, in the middle, after it was done: {ends:?}");
    let all = factum.lines(&["privacy", "receipts"]);
    assert_eq!(all.len(), ROUNDS as usize + 1, "each was asked for once");
    for line in &all {
        assert_eq!((&line["state"], &line["keys"]), (&json!("complete"), &json!(3)));
    }
    factum.privacy(&["verify", all[0]["erasure"].as_str().unwrap()]).ok();
    let names = factum.lines(&["sql", "select count(*) as n, count(name) as names from customers"]);
    assert_eq!(names, [json!({"n": ROUNDS + 1, "names": 0})]);
    assert_eq!(factum.lines(&["storage", "verify"])[0]["damage"], json!([]));
}

#[test]
fn a_rotation_that_is_killed_is_completed_and_loses_no_value() {
    let factum = customers(SUBJECTS);
    let rotate = ["privacy", "rotate"];
    let whole = took(&factum, &rotate);
    let mut completed = 0;
    for round in 0..ROUNDS {
        kill_after(&factum, &rotate, whole * round / (ROUNDS - 1));
        let values = factum.exported(&format!("customer-{round}"));
        assert!(values.len() == 3 && values.iter().all(Value::is_string), "round {round}: {values:?}");
        // A rotation that was begun is due, however young the key is.
        let ran = factum.privacy(&["rotate", "--if-older-than", "30d"]);
        if let Ok(done) = serde_json::from_str::<Value>(&ran.ok()) {
            assert_eq!((&done["completedAnEarlierOne"], &done["unreadable"]), (&json!(true), &json!(0)));
            completed += 1;
        }
    }
    assert!(factum.privacy(&["rotate", "--if-older-than", "30d"]).ok().is_empty(), "nothing is open");
    println!("{completed} of {ROUNDS} rotations were completed by the next");
    // What was killed while it made a key file leaves one that nothing was ever wrapped with; the next goes over it.
    factum.privacy(&rotate[1..]).ok();
    let check = factum.privacy(&["check"]);
    let keys = format!("{} keys that open", 3 * SUBJECTS);
    assert!(check.ok().is_empty() && check.stderr.contains(&keys), "{}", check.stderr);
    // One epoch is left: what wrapped before is nowhere any more.
    let kek = std::fs::read_to_string(factum.path("data.kek")).unwrap();
    assert_eq!(kek.lines().count(), 2, "the first line and one key");
    let left: Vec<_> = std::fs::read_dir(factum.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".new")), "{left:?}");
}

#[test]
fn a_process_that_was_killed_with_keys_in_memory_keeps_an_erasure_open_until_nobody_may_use_them() {
    let factum = customers(2);
    let file = factum.file("customers.toml", FORGETTING);
    factum.run(&["projections", "create", &file]).ok();
    let mut command = factum.command(&["projections", "run"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while factum.lines(&["sql", "select count(name) as n from customers"])[0]["n"] != 2 {
        assert!(Instant::now() < deadline, "the projection does not come to the end");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let args =
        ["erase", "customer-0", "--reason", REASON, "--confirm", "customer-0", "--wait", "1s", "-o", "json"];
    let ran = factum.privacy(&args);
    ran.fails(7);
    assert_eq!(ran.stderr.matches("waiting: ").count(), 1, "{}", ran.stderr);
    let error: Value = serde_json::from_str(ran.stderr.lines().next_back().unwrap()).unwrap();
    assert_eq!(error["slug"], "erasure-incomplete");
    assert!(
        error["detail"].as_str().unwrap().contains("may hold a destroyed key in memory until"),
        "{error}"
    );
    assert!(factum.exported("customer-0")[0].get("erased").is_some(), "the keys are destroyed");
    // Another person's erasure waits for it too; nobody else's data does.
    assert_eq!(factum.exported("customer-1").len(), 3);
}

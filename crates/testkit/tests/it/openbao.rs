//! Does a test get a Transit engine of its own, can it seal and stop a server, and does none outlive its owner?

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use factum_testkit::{OpenBaoKind, PrivateOpenBao, TransitMount};
use serde_json::json;

/// Ends a hang, no more.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_fresh_mount_is_empty_and_gone_afterwards() {
    let test = "openbao::a_fresh_mount_is_empty_and_gone_afterwards";
    let Some(first) = TransitMount::fresh(test) else { return };
    let Some(second) = TransitMount::fresh(test) else { return };
    first.post(&format!("{}/keys/k", first.path()), &json!({}));
    let key = first.get(&format!("{}/keys/k", first.path()));
    assert_eq!(key["data"]["latest_version"], 1);
    let name = format!("{}/", first.path());
    assert!(second.get("sys/mounts")["data"].get(&name).is_some());
    drop(first);
    assert!(second.get("sys/mounts")["data"].get(&name).is_none());
}

#[test]
fn a_server_ends_with_its_owner_even_when_that_is_killed() {
    const OWNER: &str = "FACTUM_TEST_OPENBAO_OWNER";
    let test = "openbao::a_server_ends_with_its_owner_even_when_that_is_killed";
    if std::env::var_os(OWNER).is_some() {
        let server = PrivateOpenBao::start(test, OpenBaoKind::Memory);
        println!("\nserver {}", server.as_ref().map_or_else(String::new, PrivateOpenBao::url));
        // Until it is killed, or the other test gives up.
        let _ = std::io::stdin().read_line(&mut String::new());
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(OWNER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.into_iter().find_map(|line| line.strip_prefix("server ").map(str::to_owned)).unwrap();
    let Some(host) = told.strip_prefix("http://") else {
        // It has said why it was skipped.
        owner.kill().unwrap();
        owner.wait().unwrap();
        return;
    };
    assert!(std::net::TcpStream::connect(host).is_ok());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let started = Instant::now();
    while std::net::TcpStream::connect(host).is_ok() {
        assert!(started.elapsed() < DEADLINE, "the server outlives its owner");
        std::thread::sleep(Duration::from_millis(20));
    }
}

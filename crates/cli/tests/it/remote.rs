//! The command line on the store of a server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::factum::{Factum, bare, finish};

/// `factum serve` on a free port, ended with its owner.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start() -> Self {
        let mut command = bare(&["serve", "--memory", "--insecure", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let listening = said.find(|line| line.contains("kurrentdb://")).unwrap();
        // What it says later must not fill the pipe.
        std::thread::spawn(move || said.for_each(drop));
        let (_, url) = listening.rsplit_once(' ').unwrap();
        Self { child, url: url.to_owned() }
    }

    fn ok(&self, args: &[&str]) -> String {
        finish(bare(&[args, &["--store", &self.url]].concat()), "").ok()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_servers_store_is_used_like_one_in_a_directory() {
    let served = Served::start();
    served.ok(&["append", "order-1", "Placed", r#"{"total":1.10}"#, "--tag", "customer:7"]);
    let line = concat!(r#"{"type":"Paid","data":{"paid":true}}"#, "\n");
    finish(bare(&["append", "order-1", "--ndjson", "--store", &served.url]), line).ok();
    assert_eq!(served.ok(&["read", "order-1", "--format", "{revision} {type}"]), "0 Placed\n1 Paid\n");
    assert_eq!(served.ok(&["read", "--tag", "customer:7", "--format", "{type}"]), "Placed\n");
    assert_eq!(served.ok(&["tail", "-n", "1", "--format", "{type}"]), "Paid\n");
    assert_eq!(served.ok(&["state", "order-1", "-o", "raw"]).trim(), r#"{"total":1.10,"paid":true}"#);
    let streams = served.ok(&["streams", "ls", "--format", "{stream}"]);
    let of_users: Vec<&str> = streams.lines().filter(|stream| !stream.starts_with('$')).collect();
    assert_eq!(of_users, ["order-1"]);
    let paid = served.ok(&["tail", "-n", "1", "--format", "{position}"]);
    assert_eq!(served.ok(&["event", paid.trim(), "--format", "{type}"]), "Paid\n");
    let missing = finish(bare(&["read", "order-9", "--store", &served.url]), "");
    missing.fails(5);
    let wrong = ["append", "order-1", "X", "--expect", "none", "--store", &served.url];
    let conflict = finish(bare(&wrong), "").fails(6);
    assert!(conflict.contains("order-1"), "{conflict}");
}

#[test]
fn a_follower_sees_what_comes() {
    let served = Served::start();
    let mut follower = bare(&["tail", "-f", "--format", "{type}", "--store", &served.url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A log that is served begins with events of the server's own.
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = lines.filter(|line| !line.starts_with('$'));
    for name in ["Placed", "Paid"] {
        served.ok(&["append", "order-1", name]);
        assert_eq!(lines.next().unwrap(), name);
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn what_works_on_files_says_that_it_needs_them() {
    let factum = Factum::new();
    let url = "kurrentdb://ada:s3cret@127.0.0.1:1?tls=false";
    for args in
        [&["storage", "info"][..], &["serve", "--insecure"], &["event", "redact", "0", "--reason", "r"]]
    {
        let said = factum.run(&[args, &["--store", url]].concat()).fails(2);
        assert!(said.contains("--data") && !said.contains("s3cret"), "{said}");
    }
    let odd = factum.run(&["read", "a", "--store", "kurrentdb://ada:s3cret@a?colour=red"]).fails(2);
    assert!(odd.contains("'colour'") && !odd.contains("s3cret"), "{odd}");
    let gone = factum.run(&["read", "a", "--store", url]).fails(7);
    assert!(gone.contains("127.0.0.1:1") && !gone.contains("s3cret"), "{gone}");
}

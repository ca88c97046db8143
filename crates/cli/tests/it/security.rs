//! Users on the command line, and a server that is not open by accident.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::factum::Factum;

/// A running `factum serve`; it ends with the test.
struct Serving {
    child: Child,
    /// What it said on stderr up to the line that it listens.
    said: String,
}

impl Serving {
    fn start(factum: &Factum, args: &[&str]) -> Self {
        let mut command = factum.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(args).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("listening on ") {
            let line = lines.next().expect("it listens").unwrap();
            said.push_str(&line);
            said.push('\n');
        }
        Self { child, said }
    }

    fn stop(mut self) -> String {
        self.end();
        std::mem::take(&mut self.said)
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn the_first_passwords_are_shown_once() {
    let factum = Factum::new();
    let first = Serving::start(&factum, &[]).stop();
    let shown: Vec<&str> = first.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(shown.len(), 2, "{first}");
    for (line, login) in shown.iter().zip(["admin", "ops"]) {
        let (name, secret) = line.split_once("  ").unwrap();
        assert_eq!((name, secret.len()), (login, 32), "{line}");
    }
    assert!(first.contains("kurrentdb://USER:PASSWORD@127.0.0.1:"), "{first}");
    let second = Serving::start(&factum, &[]).stop();
    assert!(!second.contains("passwords"), "{second}");
    let users = factum.lines(&["users", "ls"]);
    let of = |index: usize| (users[index]["login"].as_str().unwrap(), users[index]["groups"].to_string());
    assert_eq!([of(0), of(1)], [("admin", r#"["$admins"]"#.to_owned()), ("ops", r#"["$ops"]"#.to_owned())]);
}

#[test]
fn given_passwords_are_not_shown() {
    let mut factum = Factum::new();
    factum.set("FACTUM_ADMIN_PASSWORD", "the given one");
    factum.set("FACTUM_OPS_PASSWORD", "the given one");
    let said = Serving::start(&factum, &[]).stop();
    assert!(!said.contains("the given one") && !said.contains("shown this once"), "{said}");
    let insecure = Serving::start(&factum, &["--insecure"]).stop();
    assert!(insecure.contains("kurrentdb://127.0.0.1:"), "{insecure}");
}

#[test]
fn a_server_is_not_open_by_accident() {
    let factum = Factum::new();
    let open = ["serve", "--memory", "--listen", "0.0.0.0:0"];
    for (more, why) in [
        (&["--insecure"][..], "nobody would be asked who they are"),
        (&[][..], "without a certificate"),
        (&["--insecure-public"][..], "--insecure"),
        (&["--insecure", "--plaintext-public"][..], "--plaintext-public"),
        (&["--tls-certificate", "x"][..], "--tls-key"),
        (&["--tls-certificate", "nowhere.pem", "--tls-key", "nowhere.pem"][..], "nowhere.pem"),
    ] {
        let said = factum.run(&[&open[..], more].concat()).fails(2);
        assert!(said.contains(why), "{more:?}: {said}");
    }
    let tokens = factum.file("tokens", "ada short\n");
    let said = factum.run(&["serve", "--memory", "--token-file", &tokens]).fails(2);
    assert!(said.contains("line 1 "), "{said}");
}

#[test]
fn users_come_and_go() {
    let factum = Factum::new();
    let added = factum.run(&["users", "add", "ada", "--full-name", "Ada L.", "--group", "g", "--quiet"]);
    added.ok();
    assert!(added.stderr.starts_with("the password of 'ada', shown this once: "), "{}", added.stderr);
    let given = factum.feed(&["users", "add", "bob", "--password-stdin"], "of bob\nnot this\n");
    given.ok();
    assert!(!given.stderr.contains("of bob"), "{}", given.stderr);
    factum.run(&["users", "disable", "bob"]).ok();
    factum.feed(&["users", "passwd", "ada", "--password-stdin"], "another").ok();
    let users = factum.lines(&["users", "ls"]);
    let brief: Vec<_> = users.iter().map(|user| (user["login"].clone(), user["disabled"].clone())).collect();
    assert_eq!(brief, [("ada".into(), false.into()), ("bob".into(), true.into())]);
    assert_eq!(users[0]["fullName"], "Ada L.");
    factum.run(&["users", "rm", "bob"]).fails(3);
    factum.run(&["users", "rm", "bob", "--yes"]).ok();
    factum.run(&["users", "rm", "bob", "--yes"]).fails(5);
    factum.run(&["users", "enable", "bob"]).fails(5);
    factum.run(&["users", "add", "ada"]).fails(6);
    factum.run(&["users", "add", "$admins"]).fails(2);
    factum.feed(&["users", "passwd", "ada", "--password-stdin"], "\n").fails(2);
    assert_eq!(factum.run(&["users", "ls", "-o", "raw"]).ok(), "ada\n");

    let token = factum.run(&["users", "token", "ada"]);
    let line = token.ok();
    let secret = token.stderr.trim().rsplit(' ').next().unwrap();
    assert_eq!(line.trim().split(' ').map(str::len).collect::<Vec<_>>(), [3, 64], "{line}");
    assert!(!line.contains(secret), "{line}");
    let file = factum.file("tokens", &line);
    Serving::start(&factum, &["--token-file", &file]).stop();
}

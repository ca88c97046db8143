//! `factum serve`: what it says while it runs, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::factum::Factum;

/// A server that is killed with its test.
struct Serving {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn new(factum: &Factum, more: &[&str]) -> Self {
        let mut args = vec!["serve", "--insecure", "--listen", "127.0.0.1:0"];
        args.extend(more);
        let mut command = factum.command(&args);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn get(address: &str, path: &str) -> String {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    fn terminate(mut self) -> (i32, Vec<String>) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let lines = (&mut self.lines).lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code().unwrap(), lines)
    }
}

#[test]
fn a_log_in_json_is_an_object_per_line_and_a_store_has_figures() {
    let factum = Factum::new();
    let mut serving = Serving::new(&factum, &["--log-format", "json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    assert_eq!((&ready["message"], &ready["level"]), (&"the server is ready".into(), &"INFO".into()));
    let metrics = Serving::get(ready["address"].as_str().unwrap(), "/metrics");
    for name in ["factum_log_position 14", "factum_log_segments 1", "factum_process_resident_bytes "] {
        let there = metrics.lines().any(|line| line.starts_with(name));
        assert!(there || name.contains("process") && cfg!(not(target_os = "linux")), "{name}: {metrics}");
    }
    let (code, lines) = serving.terminate();
    assert_eq!(code, 0);
    let messages: Vec<_> =
        lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone()).collect();
    assert_eq!(messages, ["the server stops", "the server has stopped"]);
}

#[test]
fn a_quiet_log_is_silent_and_a_collector_must_have_an_address() {
    let factum = Factum::new();
    let mut serving = Serving::new(&factum, &["--memory", "--log-level", "off"]);
    assert!(serving.line().starts_with("listening on 127.0.0.1:"));
    assert!(serving.line().starts_with("console: http://127.0.0.1:"));
    assert_eq!(serving.terminate(), (0, Vec::new()));
    let refused = factum.run(&["serve", "--memory", "--otlp-endpoint", "https://collector"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("only http is spoken"), "{}", refused.stderr);
}

#[test]
fn the_system_tells_what_was_chosen_and_where() {
    let factum = Factum::new();
    let mut serving = Serving::new(&factum, &["--memory", "--console", "read-only", "--log-format", "json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    let answer = Serving::get(ready["address"].as_str().unwrap(), "/v1/system");
    let system: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(system["readOnly"], true);
    let of = |name: &str| {
        let found = system["config"].as_array().unwrap().iter().find(|setting| setting["name"] == name);
        let setting = found.unwrap_or_else(|| panic!("{name}: {system}"));
        (setting["value"].clone(), setting["source"].clone())
    };
    assert_eq!(of("--console"), ("read-only".into(), "flag".into()));
    assert_eq!(of("--memory"), (true.into(), "flag".into()));
    assert_eq!(of("--log-level"), ("info".into(), "default".into()));
}

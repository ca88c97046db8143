//! A `factum` that serves, as a process of its own, and what it answers over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is killed with its test.
pub(crate) struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it said first.
    pub(crate) said: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// A demonstration; the first line on stdout says where it is.
    pub(crate) fn demo(mut command: Command) -> (Self, Web) {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut served =
            Self { stdout: BufReader::new(child.stdout.take().unwrap()), child, said: String::new() };
        served.stdout.read_line(&mut served.said).unwrap();
        let said: Value = serde_json::from_str(&served.said).unwrap();
        let web = Web { address: said["address"].as_str().unwrap().to_owned(), who: String::new() };
        (served, web)
    }

    /// `factum serve`; the first line on stderr says where it is.
    pub(crate) fn serve(mut command: Command) -> (Self, Web) {
        command.args(["--listen", "127.0.0.1:0", "--log-level", "off"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
        let address = said.strip_prefix("listening on ").and_then(|rest| rest.split(';').next());
        let web = Web { address: address.unwrap_or_else(|| panic!("{said}")).to_owned(), who: String::new() };
        (Self { stdout: BufReader::new(child.stdout.take().unwrap()), child, said }, web)
    }

    /// Ends it in good order, and gives its exit code and what else it said.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

/// The HTTP API of a server.
pub(crate) struct Web {
    pub(crate) address: String,
    /// Who asks: a header, or nothing.
    who: String,
}

impl Web {
    /// The same, asked by a user.
    pub(crate) fn by(&self, login: &str, password: &str) -> Self {
        use base64::Engine;
        let secret = base64::engine::general_purpose::STANDARD.encode(format!("{login}:{password}"));
        Self { address: self.address.clone(), who: format!("authorization: Basic {secret}\r\n") }
    }

    /// How clients name it.
    pub(crate) fn store(&self) -> String {
        format!("kurrentdb://{}?tls=false", self.address)
    }

    /// What an address answers.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            self.address,
            self.who,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// What is there, as text.
    pub(crate) fn text(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let (address, who) = (&self.address, &self.who);
        write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{who}connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        body.to_owned()
    }

    /// What is there.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// What a stream of server-sent events said until it is enough.
    pub(crate) fn follow(&self, path: &str, enough: impl Fn(&str) -> bool) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (address, who) = (&self.address, &self.who);
        write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{who}accept: text/event-stream\r\n\r\n")
            .unwrap();
        let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let read = socket.read(&mut buffer).unwrap();
            heard.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&heard).into_owned();
            assert_ne!(read, 0, "{text}");
            if enough(&text) {
                return text;
            }
        }
    }

    /// What became of a write.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", path, &body.to_string())
    }

    /// Waits until what is there is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let found = self.get(path);
            if wanted(&found) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{path}: {found}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

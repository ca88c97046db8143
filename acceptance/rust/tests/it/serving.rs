//! How does a test start `factum serve`, find where it listens, and end it?

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kurrentdb::{Client, ClientSettings, operations};
use tempfile::TempDir;

/// Longest time for a server to begin to listen.
const START_LIMIT: Duration = Duration::from_secs(60);

/// One `factum serve`; it ends with this value.
pub(crate) struct Server {
    process: Child,
    directory: Option<TempDir>,
    port: u16,
    pub(crate) address: String,
}

fn binary() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/factum");
    std::env::var_os("FACTUM_BINARY").map_or_else(built, PathBuf::from)
}

fn begin(directory: Option<&Path>, port: u16) -> (Child, String) {
    let mut command = Command::new(binary());
    command.arg("serve");
    match directory {
        Some(directory) => command.arg("--data").arg(directory),
        None => command.arg("--memory"),
    };
    command.args(["--insecure", "--listen", &format!("127.0.0.1:{port}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the binary of factum: build it, or name it in FACTUM_BINARY");
    let (said, lines) = mpsc::channel();
    let outputs: [Box<dyn Read + Send>; 2] =
        [Box::new(process.stdout.take().unwrap()), Box::new(process.stderr.take().unwrap())];
    for output in outputs {
        let said = said.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Who waits for the address is gone once it is known.
                let _ = said.send(line);
            }
        });
    }
    drop(said);
    loop {
        let line = lines.recv_timeout(START_LIMIT).expect("the server says where it listens");
        if let Some((_, rest)) = line.split_once("listening on ") {
            let address = rest.split([';', ',', ' ']).next().unwrap().to_owned();
            return (process, address);
        }
    }
}

impl Server {
    /// Over memory, on a free port.
    pub(crate) fn start() -> Self {
        let (process, address) = begin(None, 0);
        Self { process, directory: None, port: 0, address }
    }

    /// Over a directory, on a port that stays: it can be restarted.
    pub(crate) fn start_kept() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let (process, address) = begin(Some(directory.path()), port);
        Self { process, directory: Some(directory), port, address }
    }

    /// Kills it as a power failure would, and starts it again.
    pub(crate) fn kill_and_start(&mut self) {
        self.end();
        let directory = self.directory.as_ref().map(TempDir::path);
        (self.process, self.address) = begin(directory, self.port);
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) {
        assert!(self.process.wait().unwrap().success());
    }

    fn settings(&self, more: &str) -> ClientSettings {
        format!("kurrentdb://{}?tls=false{more}", self.address).parse().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.settings("")).unwrap()
    }

    pub(crate) fn client_with(&self, more: &str) -> Client {
        Client::new(self.settings(more)).unwrap()
    }

    /// With credentials that an insecure server does not ask for; the client sends them all the same.
    pub(crate) fn operations(&self) -> operations::Client {
        let uri = format!("kurrentdb://admin:changeit@{}?tls=false", self.address);
        operations::Client::new(uri.parse().unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

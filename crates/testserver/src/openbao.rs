//! How does a test get an OpenBao server, seal it, stop it, and start it again?

mod program;
mod request;

pub use program::OpenBaoProgram;
pub use request::ask;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::keeper::{Keeper, RunAs, end_of_log};
use crate::port::free_port;

/// How often a server's readiness is looked at, and how many times before it is given up: a minute.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 3_000;

/// How many ports are tried when another process takes the chosen one first.
const ATTEMPTS: u32 = 5;

/// The first token of a server with TLS. It is no secret: the server listens on loopback and dies with the tests.
const DEVELOPMENT_TOKEN: &str = "for-tests-only";

/// What OpenBao writes once it listens.
const STARTED: &str = "OpenBao server started!";

/// What a test needs the server for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenBaoKind {
    /// Quick to start; its data is gone once it stops.
    Memory,
    /// Keeps its data while it is stopped. It is sealed when it starts again.
    Disk,
    /// In memory, with TLS and certificates that it makes itself.
    Tls,
}

/// An OpenBao server on a free loopback port, unsealed. Dropping it, or the death of the process that holds it, stops the
/// server and removes its files.
#[derive(Debug)]
pub struct OpenBao {
    keeper: Keeper,
    directory: PathBuf,
    kind: OpenBaoKind,
    port: u16,
    root_token: String,
    unseal_key: String,
}

impl OpenBao {
    /// Starts a server and waits until it answers. Half a second; three with a disk.
    ///
    /// # Errors
    /// A sentence: why not, with the end of the server's log.
    pub fn start(program: &OpenBaoProgram, kind: OpenBaoKind) -> Result<Self, String> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::start_once(program, kind) {
                Err(why) if why.contains("address already in use") && attempts < ATTEMPTS => {}
                ended => return ended,
            }
        }
    }

    fn start_once(program: &OpenBaoProgram, kind: OpenBaoKind) -> Result<Self, String> {
        let directory = make_directory()?;
        let (port, cluster_port) = (free_port()?, free_port()?);
        let settings = directory.join("settings.json");
        let mut command = vec![program.path().into(), "server".into()];
        match kind {
            OpenBaoKind::Memory | OpenBaoKind::Disk => {
                command.push(format!("-config={}", settings.display()).into());
            }
            OpenBaoKind::Tls => command.extend([
                "-dev-tls".into(),
                format!("-dev-tls-cert-dir={}", directory.display()).into(),
                "-dev-no-store-token".into(),
                format!("-dev-root-token-id={DEVELOPMENT_TOKEN}").into(),
                format!("-dev-listen-address=127.0.0.1:{port}").into(),
            ]),
        }
        let text = settings_of(kind, &directory, port, cluster_port);
        let made =
            std::fs::write(&settings, text).map_err(|error| format!("{}: {error}", settings.display()));
        let keeper = match made.and_then(|()| Keeper::start(RunAs::Myself, &command, &directory)) {
            Ok(keeper) => keeper,
            Err(why) => {
                // What is left harms nobody; the error of interest is the first.
                let _ = std::fs::remove_dir_all(&directory);
                return Err(why);
            }
        };
        // From here on the keeper removes the directory.
        let mut server = Self {
            keeper,
            directory,
            kind,
            port,
            root_token: DEVELOPMENT_TOKEN.to_owned(),
            unseal_key: String::new(),
        };
        server.wait_until_started(1)?;
        if kind != OpenBaoKind::Tls {
            server.initialize()?;
        }
        Ok(server)
    }

    fn initialize(&mut self) -> Result<(), String> {
        let text = self.done("PUT", "sys/init", r#"{"secret_shares":1,"secret_threshold":1}"#)?;
        let word = |after: &str| {
            let (_, rest) = text.split_once(after)?;
            rest.split('"').next().map(str::to_owned)
        };
        let (Some(token), Some(key)) = (word("\"root_token\":\""), word("\"keys_base64\":[\"")) else {
            return Err("OpenBao's answer to sys/init has no token and no key".to_owned());
        };
        (self.root_token, self.unseal_key) = (token, key);
        self.unseal()
    }

    /// `http://127.0.0.1:port`, or `https`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.kind == OpenBaoKind::Tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The certificates to trust, in PEM, of a server with TLS.
    ///
    /// # Errors
    /// Where it has none.
    pub fn certificates(&self) -> Result<Vec<u8>, String> {
        let path = self.directory.join("vault-ca.pem");
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Asks with the root token. Gives status and body.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        ask(&self.url(), &self.root_token, method, path, body)
    }

    fn done(&self, method: &str, path: &str, body: &str) -> Result<String, String> {
        match self.ask(method, path, body)? {
            (200..300, text) => Ok(text),
            (status, text) => Err(format!("{method} {path}: {status} {text}")),
        }
    }

    /// Seals the server: it runs and refuses.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn seal(&self) -> Result<(), String> {
        self.done("PUT", "sys/seal", "{}").map(drop)
    }

    /// Unseals the server and waits until it serves.
    ///
    /// # Errors
    /// Where it does not within a minute.
    pub fn unseal(&mut self) -> Result<(), String> {
        self.done("PUT", "sys/unseal", &format!(r#"{{"key":"{}"}}"#, self.unseal_key))?;
        for _ in 0..LOOKS {
            // 200 is said by a server that is unsealed and leads.
            if matches!(self.ask("GET", "sys/health", ""), Ok((200, _))) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("OpenBao does not serve a minute after unsealing: {}", end_of_log(&self.directory)))
    }

    /// Stops the server. Back once it has ended.
    ///
    /// # Errors
    /// Where the keeper is gone.
    pub fn stop(&mut self) -> Result<(), String> {
        self.keeper.tell("stop").map(drop)
    }

    /// Starts a stopped server on the same port. One with a disk is sealed then.
    ///
    /// # Errors
    /// A sentence, with the end of the server's log.
    pub fn start_again(&mut self) -> Result<(), String> {
        let before = self.times_started();
        self.keeper.tell("start")?;
        self.wait_until_started(before + 1)
    }

    fn times_started(&self) -> usize {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default().matches(STARTED).count()
    }

    fn wait_until_started(&mut self, times: usize) -> Result<(), String> {
        for _ in 0..LOOKS {
            if self.times_started() >= times {
                return Ok(());
            }
            if !self.keeper.tell("alive")? {
                return Err(format!("OpenBao did not start: {}", end_of_log(&self.directory)));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("OpenBao is not ready after a minute: {}", end_of_log(&self.directory)))
    }
}

fn settings_of(kind: OpenBaoKind, directory: &Path, port: u16, cluster_port: u16) -> String {
    let storage = match kind {
        OpenBaoKind::Disk => format!(
            r#"{{"raft":{{"path":"{}","node_id":"one","performance_multiplier":"1"}}}}"#,
            directory.display()
        ),
        OpenBaoKind::Memory | OpenBaoKind::Tls => r#"{"inmem":{}}"#.to_owned(),
    };
    format!(
        r#"{{"storage":{storage},
"listener":[{{"tcp":{{"address":"127.0.0.1:{port}","cluster_address":"127.0.0.1:{cluster_port}","tls_disable":true}}}}],
"api_addr":"http://127.0.0.1:{port}","cluster_addr":"https://127.0.0.1:{cluster_port}"}}
"#
    )
}

/// A new directory that only its owner may read.
fn make_directory() -> Result<PathBuf, String> {
    use std::os::unix::fs::DirBuilderExt;
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("factum-openbao-{}-{number}", std::process::id()));
    let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
    made.map(|()| directory.clone()).map_err(|error| format!("cannot make {}: {error}", directory.display()))
}

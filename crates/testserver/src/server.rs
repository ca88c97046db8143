//! How does a test get a PostgreSQL server, stop it, and start it again?

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::Binaries;
use crate::keeper::{Keeper, RunAs, end_of_log};
use crate::port::free_port;

/// How often a server's readiness is looked at, and how many times before it is given up: a minute.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 3_000;

/// How many ports are tried when another process takes the chosen one first.
const ATTEMPTS: u32 = 5;

/// User and password of every test server. They are no secret: the server listens on loopback and dies with the tests.
const USER: &str = "factum";
const PASSWORD: &str = "for-tests-only";

/// Speed before safety: a test server's data is thrown away. 300 connections are enough for all tests at once.
const SETTINGS: &str = "\
fsync = off
full_page_writes = off
shared_buffers = 64MB
max_connections = 300
max_wal_size = 1GB
listen_addresses = '127.0.0.1'
";

/// Most bytes of a Unix socket's path, less the name that the server gives it.
const MAX_SOCKET_DIRECTORY: usize = 80;

/// A PostgreSQL server with data of its own, on a free loopback port. Dropping it, or the death of the process that
/// holds it, stops the server and removes the data.
#[derive(Debug)]
pub struct Server {
    keeper: Keeper,
    directory: PathBuf,
    port: u16,
}

impl Server {
    /// Makes a database cluster, starts it and waits until it takes connections. About two seconds.
    ///
    /// # Errors
    /// A sentence: why not, with the end of the server's log.
    pub fn start(binaries: &Binaries) -> Result<Self, String> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::start_once(binaries) {
                Err(why) if why.contains("could not bind") && attempts < ATTEMPTS => {}
                ended => return ended,
            }
        }
    }

    fn start_once(binaries: &Binaries) -> Result<Self, String> {
        let run_as = RunAs::find()?;
        let directory = make_directory(run_as)?;
        let port = free_port()?;
        let made = initdb(run_as, binaries, &directory)
            // What the settings do not say has its default. The file stays the server's own and readable to it.
            .and_then(|()| write(&directory.join("data/postgresql.conf"), &settings(&directory, port)));
        let command = [binaries.program("postgres").into(), "-D".into(), directory.join("data").into()];
        let keeper = match made.and_then(|()| Keeper::start(run_as, &command, &directory)) {
            Ok(keeper) => keeper,
            Err(why) => {
                // What is left harms nobody; the error of interest is the first.
                let _ = std::fs::remove_dir_all(&directory);
                return Err(why);
            }
        };
        // From here on the keeper removes the directory.
        let mut server = Self { keeper, directory, port };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// `postgres://user:password@127.0.0.1:port/postgres`. The user may do everything.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The same through the server's Unix socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        let directory = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}:{PASSWORD}@/postgres?host={directory}&port={}", self.port)
    }

    /// Stops the server: sessions are ended, what they had not committed is lost. Back once it has ended.
    ///
    /// # Errors
    /// Where the keeper is gone.
    pub fn stop(&mut self) -> Result<(), String> {
        self.keeper.tell("stop").map(drop)
    }

    /// Ends the server at once, as a crash does; it recovers from its log when it starts again.
    ///
    /// # Errors
    /// Where the keeper is gone.
    pub fn crash(&mut self) -> Result<(), String> {
        self.keeper.tell("crash").map(drop)
    }

    /// Starts a stopped server on the same port and waits until it takes connections.
    ///
    /// # Errors
    /// A sentence, with the end of the server's log.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.keeper.tell("start")?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let state = self.directory.join("data/postmaster.pid");
        for _ in 0..LOOKS {
            // The eighth line is the server's own word on its state.
            let text = std::fs::read_to_string(&state).unwrap_or_default();
            if text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            if !self.keeper.tell("alive")? {
                return Err(format!("the PostgreSQL server did not start: {}", end_of_log(&self.directory)));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("the PostgreSQL server is not ready after a minute: {}", end_of_log(&self.directory)))
    }
}

fn settings(directory: &Path, port: u16) -> String {
    format!("{SETTINGS}unix_socket_directories = '{}'\nport = {port}\n", directory.display())
}

/// A new directory that belongs to the server's user, where that user may write: the temporary directory, else `/tmp`.
/// Also `/tmp` where the temporary directory's name is too long for a socket.
fn make_directory(run_as: RunAs) -> Result<PathBuf, String> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("factum-postgres-{}-{number}", std::process::id());
    for parent in [std::env::temp_dir(), PathBuf::from("/tmp")] {
        let directory = parent.join(&name);
        if directory.as_os_str().len() > MAX_SOCKET_DIRECTORY {
            continue;
        }
        let made = run_as.command("mkdir").args(["-m", "700"]).arg(&directory).output();
        if made.is_ok_and(|output| output.status.success()) {
            return Ok(directory);
        }
    }
    Err(format!("cannot make a directory {name} in {} or /tmp", std::env::temp_dir().display()))
}

fn initdb(run_as: RunAs, binaries: &Binaries, directory: &Path) -> Result<(), String> {
    let password_file = directory.join("password");
    write(&password_file, PASSWORD)?;
    let output = run_as
        .command(binaries.program("initdb"))
        .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=scram-sha-256"])
        .arg(format!("--username={USER}"))
        .arg(format!("--pwfile={}", password_file.display()))
        .arg(format!("--pgdata={}", directory.join("data").display()))
        .current_dir("/")
        .output()
        .map_err(|error| format!("cannot start initdb: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("initdb: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

//! Which servers do the tests need, and how does a task start them? Today: PostgreSQL.

use std::process::Command;

use factum_testserver::{Binaries, Server};

use crate::step::Step;

/// The environment variable that tests read; `factum_testkit::POSTGRES_VARIABLE` is the same.
pub(crate) const POSTGRES: &str = "FACTUM_TEST_POSTGRES";

/// The services that run while this value lives. They end with it, and with this process however that ends.
pub(crate) struct Services {
    url: Option<String>,
    /// Held, not read: it is what keeps the server running.
    _postgres: Option<Server>,
}

impl Services {
    /// Uses the server that `FACTUM_TEST_POSTGRES` names, none if it says `off`; else starts one, after installing
    /// PostgreSQL where this machine lacks it and this task may. Without any, tests are skipped by their names.
    pub(crate) fn start() -> Self {
        let given = std::env::var(POSTGRES).unwrap_or_default();
        if given == "off" {
            println!("services: PostgreSQL is off ({POSTGRES}=off): its tests will be skipped");
            return Self { url: None, _postgres: None };
        }
        if !given.is_empty() {
            println!("services: PostgreSQL as {POSTGRES} says");
            return Self { url: Some(given), _postgres: None };
        }
        match binaries().and_then(|binaries| Server::start(&binaries)) {
            Ok(server) => {
                println!("services: PostgreSQL runs");
                Self { url: Some(server.url()), _postgres: Some(server) }
            }
            Err(why) => {
                println!("services: no PostgreSQL, its tests will be skipped: {why}");
                Self { url: None, _postgres: None }
            }
        }
    }

    /// `step`, told where the services are.
    pub(crate) fn tell(&self, step: Step) -> Step {
        step.env(POSTGRES, self.url.as_deref().unwrap_or("off"))
    }
}

/// Starts the services, says how to use them and runs until it is interrupted.
pub(crate) fn run(_arguments: &[String]) -> Result<(), String> {
    let services = Services::start();
    let Some(url) = &services.url else { return Err("no service could be started".to_owned()) };
    println!("\n    export {POSTGRES}='{url}'\n\nCtrl-C ends it, and its data.");
    loop {
        std::thread::park();
    }
}

/// Finds PostgreSQL. On a Debian-like machine, and as root, it is installed where it is missing.
fn binaries() -> Result<Binaries, String> {
    let missing = match Binaries::find() {
        Ok(binaries) => return Ok(binaries),
        Err(why) => why,
    };
    if !may_install() {
        return Err(format!("{missing}; install it (Debian: apt-get install postgresql)"));
    }
    println!("services: PostgreSQL is missing: installing it");
    let install = || apt_get(&["install", "-y", "--no-install-recommends", "postgresql"]);
    install().or_else(|_| apt_get(&["update"]).and_then(|()| install()))?;
    Binaries::find()
}

fn may_install() -> bool {
    let says = |program: &str, argument: &str| Command::new(program).arg(argument).output().ok();
    let root = says("id", "-u").is_some_and(|output| output.stdout.trim_ascii() == b"0");
    root && says("apt-get", "--version").is_some_and(|output| output.status.success())
}

fn apt_get(arguments: &[&str]) -> Result<(), String> {
    Step::new("apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive").run()
}

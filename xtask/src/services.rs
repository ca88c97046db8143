//! Which servers do the tests need, and how does a task start them? PostgreSQL, OpenBao and SoftHSM.

mod install;
mod openbao;
mod postgres;
mod softhsm;

use std::any::Any;
use std::path::Path;

use crate::step::Step;

pub(crate) use install::with_apt as install_with_apt;

/// What tests may be told instead of a service: they are skipped by their names.
const OFF: &str = "off";

/// One service as tests are told of it.
struct Service {
    name: &'static str,
    /// Environment variables for the tests.
    variables: Vec<(&'static str, String)>,
    /// Held, not read: it is what keeps the service running.
    _running: Option<Box<dyn Any>>,
}

impl Service {
    /// Uses what the environment variable names, nothing if it says `off`; else what `start` gives.
    fn find(name: &'static str, variable: &'static str, start: fn() -> Result<Self, String>) -> Self {
        let without = |value: String| Self { name, variables: vec![(variable, value)], _running: None };
        let given = std::env::var(variable).unwrap_or_default();
        if given == OFF {
            println!("services: {name} is off ({variable}={OFF}): its tests will be skipped");
            return without(given);
        }
        if !given.is_empty() {
            println!("services: {name} as {variable} says");
            return without(given);
        }
        match start() {
            Ok(service) => {
                println!("services: {name} is there");
                service
            }
            Err(why) => {
                println!("services: no {name}, its tests will be skipped: {why}");
                without(OFF.to_owned())
            }
        }
    }

    fn is_off(&self) -> bool {
        self.variables.iter().any(|(_, value)| value == OFF)
    }
}

/// The services that run while this value lives. They end with it, and with this process however that ends.
pub(crate) struct Services(Vec<Service>);

impl Services {
    /// Each service as its environment variable says; else it is started, after installing it where this machine lacks it and
    /// this task may. Without it, its tests are skipped by their names.
    pub(crate) fn start() -> Self {
        Self(vec![
            Service::find("PostgreSQL", postgres::VARIABLE, postgres::start),
            Service::find("OpenBao", openbao::VARIABLE, openbao::start),
            Service::find("SoftHSM", softhsm::VARIABLE, softhsm::start),
        ])
    }

    /// PostgreSQL alone.
    pub(crate) fn postgres() -> Self {
        Self(vec![Service::find("PostgreSQL", postgres::VARIABLE, postgres::start)])
    }

    /// Where PostgreSQL is, if it is there.
    pub(crate) fn postgres_url(&self) -> Option<String> {
        let variables = self.0.iter().flat_map(|service| &service.variables);
        let (_, url) =
            variables.into_iter().find(|(name, value)| *name == postgres::VARIABLE && value != OFF)?;
        Some(url.clone())
    }

    /// `step`, told where the services are.
    pub(crate) fn tell(&self, mut step: Step) -> Step {
        for (name, value) in self.0.iter().flat_map(|service| &service.variables) {
            step = step.env(name, value);
        }
        step
    }
}

/// The program of a Python package, which is installed below `place` unless it is there.
pub(crate) fn installed_with_pip(
    name: &str,
    package: &str,
    place: &Path,
    program: &str,
) -> Result<String, String> {
    let path = place.join("bin").join(program);
    if !path.exists() {
        install::with_pip(name, package, &place.to_string_lossy(), &format!("{name} is not there"))?;
    }
    Ok(path.to_string_lossy().into_owned())
}

/// Starts the services, says how to use them and runs until it is interrupted.
pub(crate) fn run(_arguments: &[String]) -> Result<(), String> {
    let services = Services::start();
    let there: Vec<&Service> = services.0.iter().filter(|service| !service.is_off()).collect();
    if there.is_empty() {
        return Err("no service could be started".to_owned());
    }
    println!();
    for (name, value) in there.iter().flat_map(|service| &service.variables) {
        println!("    export {name}='{value}'");
    }
    let names: Vec<&str> = there.iter().map(|service| service.name).collect();
    println!("\nCtrl-C ends {}, and what was stored there.", names.join(", "));
    loop {
        std::thread::park();
    }
}

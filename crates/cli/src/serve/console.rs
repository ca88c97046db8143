//! Options about the console, of every command that serves one.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use factum_console::{Assets, Environment, Look, Mode, Options};
use factum_server::{Console, Server};

/// What people may do in a browser, as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ConsoleMode {
    /// Whatever the caller may do
    Full,
    /// Look; whatever would change something is refused
    ReadOnly,
    /// There is no console; the HTTP API is there
    Off,
}

/// Options about the console.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConsoleArgs {
    /// What people may do in a browser, and programs over HTTP
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value = "full",
        env = "FACTUM_CONSOLE",
        hide_env_values = true
    )]
    console: ConsoleMode,
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
    /// Whatever the caller may do, of a store without a name.
    pub(crate) fn full() -> Self {
        Self { console: ConsoleMode::Full, environment: None, production: false, console_dir: None }
    }

    /// What the server is to know of it.
    pub(crate) fn mode(&self) -> Console {
        match self.console {
            ConsoleMode::Full => Console::Full,
            ConsoleMode::ReadOnly => Console::ReadOnly,
            ConsoleMode::Off => Console::Off,
        }
    }

    /// The server with the manual's routes, and with the console's unless there is to be none.
    pub(crate) fn beside(&self, server: Server) -> Server {
        let server = server.with_routes(factum_console::manual::routes());
        let mode = match self.console {
            ConsoleMode::Full => Mode::Full,
            ConsoleMode::ReadOnly => Mode::ReadOnly,
            ConsoleMode::Off => return server,
        };
        let look = if self.production { Look::Production } else { Look::Plain };
        let environment = self.environment.clone().map(|name| Environment { name, look });
        let assets = self.console_dir.clone().map_or(Assets::Embedded, |folder| {
            // The console has checked that the path stays below the folder.
            Assets::Folder(Arc::new(move |path| std::fs::read(folder.join(path)).ok()))
        });
        server.with_routes(factum_console::routes(Options { assets, mode, environment }))
    }
}

//! How is the console offered by a command that serves?

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use factum_console::{Assets, Environment, Look, Mode, Options};
use factum_server::{Console, Server};

/// How the console looks, and where its files are.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConsoleArgs {
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
    /// The server with a console, if there is to be one.
    pub(crate) fn offer(&self, server: Server, console: Console) -> Server {
        let mode = match console {
            Console::Full => Mode::Full,
            Console::ReadOnly => Mode::ReadOnly,
            Console::Off => return server,
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

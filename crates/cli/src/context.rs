//! What every command is given: where the store is, how to speak, how to ask.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use factum_core::Checkpoint;
use factum_engine::Engine;

use crate::failure::{Exit, Failure};
use crate::log::OpenLog;
use crate::output::{Format, Out, Template};
use crate::store::{self, Access};
use crate::vault::VaultArgs;

const GLOBAL: &str = "Options of every command";

/// The options that every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Directory of the store
    #[arg(long, value_name = "DIR", env = "FACTUM_DATA", hide_env_values = true, global = true, help_heading = GLOBAL)]
    pub(crate) data: Option<PathBuf>,
    /// The store of a server, instead of the one in --data: kurrentdb://HOST:2113?tls=false
    #[arg(long, value_name = "URL", env = "FACTUM_STORE", hide_env_values = true, global = true, help_heading = GLOBAL)]
    pub(crate) store: Option<RemoteUrl>,
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
    /// What results look like: table, json, ndjson, raw [default: table on a terminal, ndjson in a pipe]
    #[arg(short, long, value_name = "FORMAT", hide_possible_values = true, global = true, help_heading = GLOBAL)]
    pub(crate) output: Option<Format>,
    /// A line per result: '{revision} {type} {data.total}', with the fields of -o json
    #[arg(long, value_name = "TEMPLATE", global = true, help_heading = GLOBAL, conflicts_with = "output")]
    pub(crate) format: Option<String>,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(crate) quiet: bool,
    /// Show no progress bars
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) no_progress: bool,
}

/// The URL of a store. It may have a password in it, so it is never shown.
#[derive(Clone)]
pub(crate) struct RemoteUrl(String);

impl std::str::FromStr for RemoteUrl {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RemoteUrl(...)")
    }
}

/// What a command is given.
pub(crate) struct Context {
    /// Where results go.
    pub(crate) out: Out,
    global: Global,
}

impl Context {
    /// The context for these options.
    pub(crate) fn new(global: Global) -> Result<Self, Failure> {
        let template = global.format.as_deref().map(Template::parse).transpose().map_err(|why| {
            Failure::usage("the --format cannot be read", format!("it {why}"), "see `factum read --help`")
        })?;
        Ok(Self { out: Out::new(global.output, template), global })
    }

    /// The data directory.
    pub(crate) fn data(&self) -> Result<&Path, Failure> {
        store::data_dir(self.global.data.as_ref())
    }

    /// The data directory, if one was named.
    pub(crate) fn data_if_given(&self) -> Option<&Path> {
        self.global.data.as_deref()
    }

    /// Where the vault is.
    pub(crate) fn vault(&self) -> &VaultArgs {
        &self.global.vault
    }

    /// Whether the caller asked for results in a form of its own, so that no prose is wanted.
    pub(crate) fn wants_data(&self) -> bool {
        self.global.format.is_some() || self.global.output.is_some_and(|format| format != Format::Table)
    }

    /// Whether a log was named.
    pub(crate) fn names_log(&self) -> bool {
        self.global.store.is_some() || self.global.data.is_some()
    }

    /// The log of a server, if one was named.
    fn remote(&self) -> Result<Option<OpenLog>, Failure> {
        self.global.store.as_ref().map(|RemoteUrl(url)| OpenLog::connect(url)).transpose()
    }

    /// The log: the server's, or the one in the data directory.
    pub(crate) fn open(&self, access: Access) -> Result<OpenLog, Failure> {
        match self.remote()? {
            Some(log) => Ok(log),
            None => Ok(self.opened(store::open(self.data()?, access)?)?.into()),
        }
    }

    /// The log; `None` where another process has its directory open.
    pub(crate) fn open_unless_locked(&self, access: Access) -> Result<Option<OpenLog>, Failure> {
        if let Some(log) = self.remote()? {
            return Ok(Some(log));
        }
        let engine = store::open_unless_locked(self.data()?, access)?;
        Ok(engine.map(|engine| self.opened(engine)).transpose()?.map(OpenLog::from))
    }

    /// The log, once another process that has its directory open is done.
    pub(crate) async fn open_waiting(&self, access: Access) -> Result<OpenLog, Failure> {
        match self.remote()? {
            Some(log) => Ok(log),
            None => Ok(self.opened(store::open_waiting(self.data()?, access).await?)?.into()),
        }
    }

    /// The store in the data directory, for what no other store can do.
    pub(crate) fn engine(&self, access: Access) -> Result<Engine, Failure> {
        self.needs_data()?;
        self.opened(store::open(self.data()?, access)?)
    }

    /// Refuses a server's store: what is asked for works on the files of a directory.
    pub(crate) fn needs_data(&self) -> Result<(), Failure> {
        if self.global.store.is_none() {
            return Ok(());
        }
        Err(Failure::usage(
            "a server's store cannot be used here",
            "this command works on the files of a store, and --store (or FACTUM_STORE) names one of a server",
            "run it where the files are, with --data DIR and without --store",
        ))
    }

    /// The beginning of the log, also where another process has its directory open.
    pub(crate) fn origin(&self) -> Result<Checkpoint, Failure> {
        match self.remote()? {
            Some(log) => log.origin(),
            None => store::origin(self.data()?),
        }
    }

    fn opened(&self, engine: Engine) -> Result<Engine, Failure> {
        if let Some(what) = engine.recovered() {
            self.say(&format!("recovered: {what}"));
        }
        Ok(engine)
    }

    /// Says something on stderr that is no result.
    pub(crate) fn say(&self, text: &str) {
        if !self.global.quiet {
            // Nobody is left to be told that stderr is gone.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Whether progress may be drawn: stderr is a terminal and nobody minds.
    pub(crate) fn shows_progress(&self) -> bool {
        std::io::stderr().is_terminal() && !self.global.quiet && !self.global.no_progress
    }

    /// Goes on only if a person on a terminal, or `--yes`, agrees to `what`.
    pub(crate) fn confirm(&self, what: &str, yes: bool) -> Result<(), Failure> {
        self.say(what);
        if yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                (Exit::Refused, "confirmation-needed"),
                "nothing was done",
                "this needs a confirmation, and there is no terminal to ask on",
                "give --yes, or --dry-run to see what would happen",
            ));
        }
        let _ = write!(std::io::stderr(), "Go on? [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|e| Failure::io("reading the answer failed", &e))?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(Failure::new((Exit::Refused, "refused"), "nothing was done", "it was not confirmed", ""))
    }

    /// Goes on only if a person on a terminal types `name`, or `--yes` agrees: for what cannot be brought back.
    pub(crate) fn confirm_typed(&self, what: &str, name: &str, yes: bool) -> Result<(), Failure> {
        if yes || !std::io::stdin().is_terminal() {
            return self.confirm(what, yes);
        }
        self.say(what);
        let _ = write!(std::io::stderr(), "This cannot be undone. Type {name} to go on: ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|e| Failure::io("reading the answer failed", &e))?;
        if answer.trim() == name {
            return Ok(());
        }
        Err(Failure::new(
            (Exit::Refused, "refused"),
            "nothing was done",
            format!("'{name}' was not typed"),
            "",
        ))
    }

    /// Goes on only if the subject is typed, or `given` repeats it.
    pub(crate) fn confirm_subject(
        &self,
        what: &str,
        subject: &str,
        given: Option<&str>,
    ) -> Result<(), Failure> {
        if given.is_none() && std::io::stdin().is_terminal() {
            return self.confirm_typed(what, subject, false);
        }
        self.confirm_name(what, subject, given)
    }

    /// Goes on only if `given` repeats the name of what cannot be brought back.
    pub(crate) fn confirm_name(&self, what: &str, name: &str, given: Option<&str>) -> Result<(), Failure> {
        self.say(what);
        match given {
            Some(given) if given == name => Ok(()),
            Some(given) => Err(Failure::new(
                (Exit::Refused, "confirmation-needed"),
                "nothing was done",
                format!("--confirm says '{given}', the name is '{name}'"),
                format!("if you are sure, give --confirm '{name}'"),
            )),
            None => Err(Failure::new(
                (Exit::Refused, "confirmation-needed"),
                "nothing was done",
                "this cannot be undone",
                format!("if you are sure, give --confirm '{name}'"),
            )),
        }
    }

    /// The end of a dry run that found something to do.
    pub(crate) fn dry_run(&self, what: &str) -> Failure {
        self.say(&format!("dry run: {what}"));
        Failure::silent(Exit::Check)
    }
}

/// The text that an argument means: itself, stdin for `-`, a file for `@FILE`.
pub(crate) fn argument_text(what: &str, argument: &str) -> Result<String, Failure> {
    if argument == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|e| Failure::io(format!("reading {what} from stdin failed"), &e))?;
        return Ok(text);
    }
    match argument.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|e| Failure::io(format!("'{file}' cannot be read"), &e))
        }
        None => Ok(argument.to_owned()),
    }
}

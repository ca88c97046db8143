//! `factum serve`: answers KurrentDB's clients, over the store in a directory or one in memory.

mod backups;
mod console;
mod logs;
mod protection;
mod settings;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use factum_core::read_model::ReadModels;
use factum_core::{EventStore, MemoryStore};
use factum_engine::Engine;
use factum_server::{
    Collector, Console, Endpoint, RunningServer, Security, ServeError, Server, ServerOptions, Setting,
    Telemetry,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::read_models::ReadModelsArgs;
use crate::serving::{Files, KnownHere, Parts};
use crate::store::Access;
use crate::vault::Want;
pub(crate) use console::ConsoleArgs;
use protection::ProtectionArgs;
pub(crate) use upkeep::Upkeep;

const EXAMPLES: &str = r#"EXAMPLES:
  Serve a store to users, with TLS; the first start shows the passwords of admin and ops:
    factum serve --data ./data --listen 0.0.0.0:2113 --tls-certificate chain.pem --tls-key key.pem
  Serve it to clients on this machine, without asking who they are:
    factum serve --data ./data --insecure
  A store that is gone when the server ends, for tests:
    factum serve --memory --insecure --listen 127.0.0.1:0"#;

/// Serve the store to KurrentDB's clients
///
/// Listens on one port for gRPC and HTTP. Callers sign in as users of the store, unless --insecure lets everybody in. The
/// first start creates admin, who may do everything, and ops, who runs the server; their passwords are taken from
/// FACTUM_ADMIN_PASSWORD and FACTUM_OPS_PASSWORD, or generated and shown once. Runs until Ctrl-C or SIGTERM; calls that are
/// under way may end.
///
/// Read models of the store are applied meanwhile. Where the store has a vault, personal values are sealed as they are
/// appended; readers get them sealed, and only administrators may ask the HTTP API to open them.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Keep everything in memory, and nothing when it ends
    #[arg(long)]
    memory: bool,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:2113",
        env = "FACTUM_LISTEN",
        hide_env_values = true
    )]
    listen: String,
    /// What clients are told to dial [default: what each of them dialled]
    #[arg(long, value_name = "HOST:PORT", value_parser = endpoint)]
    advertise: Option<Endpoint>,
    /// Send traces and metrics to a collector of OpenTelemetry: OTLP over HTTP, http://127.0.0.1:4318 [default: nowhere]
    #[arg(long, value_name = "URL", env = "FACTUM_OTLP_ENDPOINT", hide_env_values = true)]
    otlp_endpoint: Option<Collector>,
    /// Write figures about the server into its log, in `$stats-HOST:PORT`, every so many seconds [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..))]
    stats_every: Option<u64>,
    #[command(flatten)]
    backups: backups::BackupDirArgs,
    #[command(flatten)]
    read_models: ReadModelsArgs,
    #[command(flatten)]
    console: ConsoleArgs,
    #[command(flatten)]
    logs: logs::LogArgs,
    #[command(flatten)]
    protection: ProtectionArgs,
    /// Every option, with where it comes from.
    #[arg(skip)]
    chosen: Vec<Setting>,
}

impl ServeArgs {
    /// With what is to be told of the options: where they come from is known to the parser only.
    pub(crate) fn told_of(mut self, command: &clap::Command, matches: &clap::ArgMatches) -> Self {
        self.chosen = settings::settings(command, matches);
        self
    }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let (host, port) = text.rsplit_once(':').ok_or("a host and a port: db.example:2113")?;
    let port = port.parse().map_err(|_| format!("'{port}' is no port"))?;
    if host.is_empty() {
        Err("the host is missing".to_owned())
    } else {
        Ok(Endpoint { host: host.to_owned(), port })
    }
}

/// Runs the command.
pub(crate) async fn run(args: ServeArgs, context: &Context) -> Result<(), Failure> {
    args.logs.begin();
    let mut options = ServerOptions {
        advertise: args.advertise,
        process: Some(upkeep::process),
        stats_every: args.stats_every.map(Duration::from_secs),
        telemetry: args.otlp_endpoint.map(Telemetry::to),
        console: args.console.mode(),
        config: args.chosen,
        ..ServerOptions::default()
    };
    let generated = args.protection.apply(&mut options)?;
    // Before anybody is told that the server listens: who reads that may end it at once.
    let mut signals = Signals::listen().map_err(|error| Failure::io("the server did not start", &error))?;
    let clients = clients(&options);
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let server = if args.memory {
        Server::new(Arc::new(MemoryStore::new()), options)
    } else {
        let engine = context.engine(Access::Create)?;
        let read_models = args.read_models.open_if_there(context)?;
        let parts = parts(engine.clone(), read_models, context).await?;
        let backups = args.backups.open(&engine, context)?;
        let files = Files { engine, dir: context.data()?.to_owned() };
        let server = parts.with_files(Some(files)).server(options);
        match backups {
            Some(backups) => server.with_backups(Arc::new(backups)),
            None => server,
        }
    };
    let server = args.console.beside(server).listen(&args.listen).await.map_err(failure)?;
    generated.announce(&server);
    if args.logs.are_for_people() {
        announce(&server, &clients, context)?;
        if args.console.mode() != Console::Off {
            context.say(&format!("console: {scheme}://{}/ui/", server.address()));
        }
    }
    tokio::select! {
        () = signals.ended() => {}
        () = server.wait() => {}
    }
    server.stop().await;
    Ok(())
}

/// The log, what follows it, and its vault where it has one.
async fn parts(
    engine: Engine,
    read_models: Option<Arc<dyn ReadModels>>,
    context: &Context,
) -> Result<Parts, Failure> {
    let log: Arc<dyn EventStore> = Arc::new(engine);
    let vault = match context.has_vault() {
        true => Some(context.open_vault(&log, Want::Existing).await?),
        false => None,
    };
    Parts::assemble(log, vault, read_models, Arc::new(KnownHere)).await
}

/// How clients connect, with the address left out: what comes before it, and after it.
fn clients(options: &ServerOptions) -> [&'static str; 2] {
    let user = if matches!(options.security, Security::Insecure) { "" } else { "USER:PASSWORD@" };
    [user, if options.tls.is_some() { "" } else { "?tls=false" }]
}

fn announce(server: &RunningServer, [user, tls]: &[&str; 2], context: &Context) -> Result<(), Failure> {
    let address = server.address();
    context.say(&format!("listening on {address}; clients: kurrentdb://{user}{address}{tls}"));
    context.out.flush()
}

/// What it means for a person that a server does not start.
pub(crate) fn failure(error: ServeError) -> Failure {
    let why = error.to_string();
    match error {
        ServeError::Bind { source, .. } => {
            Failure::io("the server did not start", &source).because(why).advise("choose another --listen")
        }
        ServeError::Limit(_) => {
            Failure::new((Exit::Usage, "limit"), "the server did not start", why, "lower it")
        }
        other => protection::failure(&other),
    }
}

/// Ctrl-C and SIGTERM, which end the server in good order from the moment they are listened to.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn ended(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

//! `factum serve`: answers KurrentDB's clients, over the store in a directory or one in memory.

mod logs;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use factum_core::{EventStore, MemoryStore};
use factum_server::{Collector, Endpoint, RunningServer, ServeError, Server, ServerOptions, Telemetry};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::store::Access;

const EXAMPLES: &str = r#"EXAMPLES:
  Serve a store to clients on this machine, without asking who they are:
    factum serve --data ./data --insecure
  A store that is gone when the server ends, for tests:
    factum serve --memory --insecure --listen 127.0.0.1:0"#;

/// Serve the store to KurrentDB's clients
///
/// Listens on one port for gRPC and HTTP: kurrentdb://127.0.0.1:2113?tls=false. Runs until Ctrl-C or SIGTERM; calls that
/// are under way may end.
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
    /// Ask nobody who they are, and let everybody do everything: for development
    #[arg(long)]
    insecure: bool,
    /// Send traces and metrics to a collector of OpenTelemetry: OTLP over HTTP, http://127.0.0.1:4318 [default: nowhere]
    #[arg(long, value_name = "URL", env = "FACTUM_OTLP_ENDPOINT", hide_env_values = true)]
    otlp_endpoint: Option<Collector>,
    /// Write figures about the server into its log, in `$stats-HOST:PORT`, every so many seconds [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..))]
    stats_every: Option<u64>,
    #[command(flatten)]
    logs: logs::LogArgs,
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
    let options = ServerOptions {
        advertise: args.advertise,
        process: Some(upkeep::process),
        stats_every: args.stats_every.map(Duration::from_secs),
        telemetry: args.otlp_endpoint.map(Telemetry::to),
        ..ServerOptions::default()
    };
    let server = if args.memory {
        Server::new(Arc::new(MemoryStore::new()), options)
    } else {
        let engine = context.open(Access::Create)?;
        let store: Arc<dyn EventStore> = Arc::new(engine.clone());
        Server::new(store, options).with_maintenance(Arc::new(upkeep::Upkeep(engine)))
    };
    let server = server.listen(&args.listen).await.map_err(failure)?;
    if args.logs.are_for_people() {
        announce(&server, context)?;
    }
    tokio::select! {
        () = ended() => {}
        () = server.wait() => {}
    }
    server.stop().await;
    Ok(())
}

fn announce(server: &RunningServer, context: &Context) -> Result<(), Failure> {
    let address = server.address();
    context.say(&format!("listening on {address}; clients: kurrentdb://{address}?tls=false"));
    context.out.flush()
}

fn failure(error: ServeError) -> Failure {
    let why = error.to_string();
    match error {
        ServeError::Bind { source, .. } => {
            Failure::io("the server did not start", &source).because(why).advise("choose another --listen")
        }
        ServeError::Limit(_) => {
            Failure::new((Exit::Usage, "limit"), "the server did not start", why, "lower it")
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}

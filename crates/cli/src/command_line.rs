//! The commands that there are, and how one of them is run from arguments to exit code.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind as ClapErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::sync::Notify;

use crate::context::{Context, Global};
use crate::failure::{EXIT_CODES, Exit, Failure};
use crate::output::Out;
use crate::{
    append, backup, bench, completions, demo, event, explain, export_verb, import_verb, privacy, processes,
    projections, read, schema, serve, sql, state, storage, streams, tail, users, version,
};

/// Event sourcing on the command line
///
/// Appends, reads and follows events, folds streams into states at any moment, and looks after a store.
/// Results go to stdout, everything else to stderr: a table on a terminal, one JSON object per line in a pipe.
#[derive(Parser, Debug)]
#[command(
    name = "factum",
    version,
    max_term_width = 100,
    after_help = EXIT_CODES,
    after_long_help = EXIT_CODES,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Append(append::AppendArgs),
    Read(read::ReadArgs),
    Tail(tail::TailArgs),
    Event(event::EventArgs),
    Streams(streams::StreamsArgs),
    State(state::StateArgs),
    Projections(projections::ProjectionsArgs),
    Sql(sql::SqlArgs),
    Explain(explain::ExplainArgs),
    Processes(processes::ProcessesArgs),
    Privacy(privacy::PrivacyArgs),
    Schema(schema::SchemaArgs),
    Import(import_verb::ImportArgs),
    Export(export_verb::ExportArgs),
    Storage(storage::StorageArgs),
    Backup(backup::BackupArgs),
    Serve(serve::ServeArgs),
    Users(users::UsersArgs),
    Demo(demo::DemoArgs),
    Bench(bench::BenchArgs),
    Completions(completions::CompletionsArgs),
    Version(version::VersionArgs),
}

/// Runs one command line, the program's name included, and says how the process should end.
///
/// Results are written to stdout, everything else to stderr. Ctrl-C ends the process with 130.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let as_json = wants_json(&args);
    let exit = match parse(&args) {
        Ok(line) => match run_line(line) {
            Ok(()) => Exit::Ok,
            Err(failure) => {
                report(&failure, as_json);
                failure.exit
            }
        },
        Err(error) => report_usage(&error, as_json),
    };
    ExitCode::from(exit as u8)
}

fn parse(args: &[OsString]) -> Result<CommandLine, clap::Error> {
    let mut command = CommandLine::command();
    let matches = command.try_get_matches_from_mut(args)?;
    let mut line = CommandLine::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    if let Verb::Serve(serve) = line.verb {
        line.verb = Verb::Serve(match (command.find_subcommand("serve"), matches.subcommand()) {
            (Some(command), Some((_, matches))) => serve.told_of(command, matches),
            _ => serve,
        });
    }
    Ok(line)
}

fn run_line(line: CommandLine) -> Result<(), Failure> {
    let context = Context::new(line.global)?;
    let serves = match &line.verb {
        Verb::Serve(_) => true,
        Verb::Demo(args) => args.serves(),
        _ => false,
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if !serves {
        runtime.worker_threads(1);
    }
    let runtime = runtime.enable_all().build().map_err(|e| Failure::io("the runtime did not start", &e))?;
    runtime.block_on(async {
        let interrupted = Arc::new(Notify::new());
        // A server has calls to end, and does so itself.
        if !serves {
            tokio::spawn(end_on_interrupt(Arc::clone(&interrupted), context.out.clone()));
        }
        tokio::select! {
            done = run_verb(line.verb, &context) => done,
            // What the command holds is let go of: its store, its temporary files.
            () = interrupted.notified() => {
                context.out.try_flush();
                Err(Failure::silent(Exit::Interrupted))
            }
        }
    })
}

async fn run_verb(verb: Verb, context: &Context) -> Result<(), Failure> {
    match verb {
        Verb::Append(args) => append::run(args, context).await,
        Verb::Read(args) => read::run(args, context).await,
        Verb::Tail(args) => tail::run(args, context).await,
        Verb::Event(args) => event::run(args, context).await,
        Verb::Streams(args) => streams::run(args, context).await,
        Verb::State(args) => state::run(args, context).await,
        Verb::Projections(args) => projections::run(args, context).await,
        Verb::Sql(args) => sql::run(&args, context).await,
        Verb::Explain(args) => explain::run(&args, context).await,
        Verb::Processes(args) => processes::run(args, context).await,
        Verb::Privacy(args) => privacy::run(args, context).await,
        Verb::Schema(args) => schema::run(args, context).await,
        Verb::Import(args) => import_verb::run(args, context).await,
        Verb::Export(args) => export_verb::run(args, context).await,
        Verb::Storage(args) => storage::run(args, context),
        Verb::Backup(args) => backup::run(args, context).await,
        Verb::Serve(args) => serve::run(args, context).await,
        Verb::Users(args) => users::run(args, context).await,
        Verb::Demo(args) => demo::run(&args, context).await,
        Verb::Bench(args) => tokio::task::block_in_place(|| bench::run(&args, context)),
        Verb::Completions(args) => completions::run(&args, context),
        Verb::Version(_) => version::run(context),
    }
}

/// How long a command that waits for something may take to let go after Ctrl-C; one that computes is cut off.
const INTERRUPT_GRACE: Duration = Duration::from_millis(300);

/// A store survives a process that ends at any point, so nothing must be waited for but the line under way.
async fn end_on_interrupt(interrupted: Arc<Notify>, out: Out) {
    if tokio::signal::ctrl_c().await.is_ok() {
        interrupted.notify_one();
        tokio::time::sleep(INTERRUPT_GRACE).await;
        out.try_flush();
        std::process::exit(i32::from(Exit::Interrupted as u8));
    }
}

/// Whether errors are to be JSON. Looked up by hand, since it must hold for a line that cannot be parsed too.
fn wants_json(args: &[OsString]) -> bool {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    words.iter().any(|word| matches!(word.as_ref(), "-ojson" | "-o=json" | "--output=json"))
        || words.windows(2).any(|pair| matches!(pair[0].as_ref(), "-o" | "--output") && pair[1] == "json")
}

fn report(failure: &Failure, as_json: bool) {
    if !failure.speaks() {
        return;
    }
    if as_json { eprintln!("{}", failure.to_json()) } else { eprintln!("{failure}") }
}

fn report_usage(error: &clap::Error, as_json: bool) -> Exit {
    let is_help = matches!(error.kind(), ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion);
    if is_help || !as_json {
        // Help goes to stdout, where its reader may have gone away.
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        let (what, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let next = rest.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        report(&Failure::usage(what.trim_start_matches("error: "), "", next), true);
    }
    if is_help { Exit::Ok } else { Exit::Usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_shows_two_examples() {
        fn check(command: &clap::Command) {
            for verb in command.get_subcommands() {
                let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                let examples = help.lines().filter(|line| line.trim_start().contains("factum ")).count();
                assert!(help.starts_with("EXAMPLES:") && examples >= 2, "factum .. {}", verb.get_name());
                check(verb);
            }
        }
        check(&CommandLine::command());
    }
}

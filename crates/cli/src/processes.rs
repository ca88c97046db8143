//! `factum processes`: where process managers stand, what happened to them, and what an operator may ask.

mod ask;
mod list;
mod show;
mod timeline;

use std::str::FromStr;

use clap::{Args, Subcommand};
use factum::{ProcessError, RequestError};
use factum_core::ErrorKind;

use crate::context::Context;
use crate::failure::{Exit, Failure};

const EXAMPLES: &str = "EXAMPLES:
  factum processes ls --stage quarantined
  factum processes timeline transfer-17
  factum processes retry transfer-17 --reason 'the bank is back'";

/// List, inspect, retry, cancel and answer for instances of process managers (sagas)
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProcessesArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Ls(list::ListArgs),
    Show(show::ShowArgs),
    Timeline(timeline::TimelineArgs),
    Retry(ask::RetryArgs),
    Cancel(ask::CancelArgs),
    Answer(ask::AnswerArgs),
}

/// Runs the command.
pub(crate) async fn run(args: ProcessesArgs, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Ls(args) => list::run(args, context).await,
        Verb::Show(args) => show::run(args, context).await,
        Verb::Timeline(args) => timeline::run(args, context).await,
        Verb::Retry(args) => ask::retry(args, context).await,
        Verb::Cancel(args) => ask::cancel(args, context).await,
        Verb::Answer(args) => ask::answer(args, context).await,
    }
}

/// An instance as people write it: the name of its stream, `transfer-17`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InstanceName {
    process: String,
    instance: String,
}

impl FromStr for InstanceName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('-') {
            Some((process, instance)) if !process.is_empty() && !instance.is_empty() => {
                Ok(Self { process: process.to_owned(), instance: instance.to_owned() })
            }
            _ => Err("an instance is a process, '-' and an id, such as transfer-17".to_owned()),
        }
    }
}

impl InstanceName {
    /// There is no such instance.
    fn unknown(&self) -> Failure {
        let Self { process, instance } = self;
        Failure::not_found(
            format!("there is no instance '{process}-{instance}'"),
            format!("no runner ever recorded one of process '{process}' under this id"),
            "`factum processes ls --all` lists them",
        )
    }
}

fn of_process(error: &ProcessError) -> Failure {
    Failure::of_store(error.kind(), "the instance cannot be read", error.to_string())
}

fn of_request(error: &RequestError, name: &InstanceName) -> Failure {
    match error {
        RequestError::NotFound { .. } => name.unknown(),
        RequestError::Refused { why } => Failure::new(
            (Exit::Precondition, "process-stage"),
            "nothing was asked",
            why.clone(),
            format!("`factum processes show {}-{}` shows where it stands", name.process, name.instance),
        ),
        RequestError::Missing { .. } | RequestError::Name(_) => {
            Failure::of_store(ErrorKind::Invalid, "nothing was asked", error.to_string())
        }
        RequestError::Process(error) => of_process(error),
        RequestError::Append(_) => Failure::of_store(error.kind(), "nothing was asked", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_by_its_stream() {
        let name: InstanceName = "transfer-a-17".parse().unwrap();
        assert_eq!((name.process.as_str(), name.instance.as_str()), ("transfer", "a-17"));
        for wrong in ["transfer", "-17", "transfer-", ""] {
            assert!(wrong.parse::<InstanceName>().is_err(), "{wrong}");
        }
    }
}

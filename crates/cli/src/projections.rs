//! `factum projections`: read models, and what can be done with them.

mod applying;
mod compare;
mod create;
mod known;
mod list;
mod operate;
mod rebuild;
mod roles;
mod run;
mod show;
mod standing;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::Failure;
use crate::read_models::ReadModelsArgs;

pub(crate) use applying::{Applying, not_ready};
pub(crate) use create::make;
pub(crate) use known::{Known, known};

const EXAMPLES: &str = "EXAMPLES:
  Make a read model, fill it, and ask it:
    factum projections create balances.toml
    factum projections run --until-caught-up
    factum sql 'select * from balances'
  Build it anew from a changed file while the old one serves, look at the difference, and swap:
    factum projections rebuild balances balances.toml
    factum projections compare balances
    factum projections promote balances";

/// Read models: rows that are made from the log, with how far they have come
///
/// A projection is made from a file that says which statements run on which events. Its rows and its progress are
/// committed together: each event takes effect once, whatever is killed.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProjectionsArgs {
    #[command(flatten)]
    read_models: ReadModelsArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Ls(list::ListArgs),
    Show(show::ShowArgs),
    Lag(list::LagArgs),
    Create(create::CreateArgs),
    Edit(create::EditArgs),
    Run(run::RunArgs),
    Rebuild(rebuild::RebuildArgs),
    Compare(compare::CompareArgs),
    Promote(roles::PromoteArgs),
    Rollback(roles::RollbackArgs),
    Discard(roles::DiscardArgs),
    Retry(operate::RetryArgs),
    Skip(operate::SkipArgs),
    Start(operate::StartArgs),
    Stop(operate::StopArgs),
    History(list::HistoryArgs),
    Delete(roles::DeleteArgs),
}

/// Who does it, and why: both are kept in the history.
#[derive(Args, Clone, Debug)]
pub(crate) struct By {
    /// Who does it, for the history
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    pub(crate) actor: String,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

/// Runs the command.
pub(crate) async fn run(args: ProjectionsArgs, context: &Context) -> Result<(), Failure> {
    let place = args.read_models;
    match args.verb {
        Verb::Ls(args) => list::ls(&args, &place, context).await,
        Verb::Show(args) => show::run(&args, &place, context).await,
        Verb::Lag(args) => list::lag(&args, &place, context).await,
        Verb::Create(args) => create::create(&args, &place, context).await,
        Verb::Edit(args) => create::edit(&args, &place, context).await,
        Verb::Run(args) => run::run(&args, &place, context).await,
        Verb::Rebuild(args) => rebuild::run(&args, &place, context).await,
        Verb::Compare(args) => compare::run(&args, &place, context).await,
        Verb::Promote(args) => roles::promote(&args, &place, context).await,
        Verb::Rollback(args) => roles::rollback(&args, &place, context).await,
        Verb::Discard(args) => roles::discard(&args, &place, context),
        Verb::Retry(args) => operate::retry(&args, &place, context).await,
        Verb::Skip(args) => operate::skip(&args, &place, context),
        Verb::Start(args) => operate::start(&args, &place, context),
        Verb::Stop(args) => operate::stop(&args, &place, context),
        Verb::History(args) => list::history(&args, &place, context),
        Verb::Delete(args) => roles::delete(&args, &place, context),
    }
}

//! `factum streams`: what streams there are, what is known of them, and how they end.

mod delete;
mod info;
mod list;
mod meta;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::Failure;

const EXAMPLES: &str = "EXAMPLES:
  factum streams ls --category order --long
  factum streams info order-1
  factum streams truncate order-1 --before 100 --dry-run";

/// List, inspect, truncate and delete streams
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StreamsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Ls(list::ListArgs),
    Find(list::FindArgs),
    Info(info::InfoArgs),
    Meta(meta::MetaArgs),
    Truncate(delete::TruncateArgs),
    Delete(delete::DeleteArgs),
    Tombstone(delete::TombstoneArgs),
}

/// Runs the command.
pub(crate) async fn run(args: StreamsArgs, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Ls(args) => list::ls(args, context).await,
        Verb::Find(args) => list::find(args, context).await,
        Verb::Info(args) => info::run(args, context).await,
        Verb::Meta(args) => meta::run(args, context).await,
        Verb::Truncate(args) => delete::truncate(args, context).await,
        Verb::Delete(args) => delete::delete(args, context).await,
        Verb::Tombstone(args) => delete::tombstone(args, context).await,
    }
}

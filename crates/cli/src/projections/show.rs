//! `factum projections show`: one projection with all that is known of it.

use clap::Args;
use factum_core::read_model::{ProjectionName, ReadModels};
use factum_server::version_details;
use serde_json::Value;

use super::standing::{Log, Standing};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Format, Record, record};
use crate::read_models::{ReadModelsArgs, Want, versions_of};

const EXAMPLES: &str = "EXAMPLES:
  factum projections show balances
  factum projections show balances --declaration > balances.toml";

/// Show a projection: its versions, tables, faults with every attempt, and skipped events
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    /// The projection
    name: ProjectionName,
    /// Only the declaration of the version that serves, as it was given
    #[arg(long)]
    declaration: bool,
}

/// Runs the command.
pub(super) async fn run(args: &ShowArgs, place: &ReadModelsArgs, context: &Context) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let versions = versions_of(&*read_models, &args.name)?;
    if args.declaration {
        context.out.write(crate::read_models::serving(&versions)?.definition.as_bytes())?;
        return context.out.flush();
    }
    let log = Log::look(context).await?;
    let mut shown = Vec::new();
    for version in versions {
        let standing = Standing::of(&*read_models, version, &log)?;
        shown.push(of_version(&*read_models, &standing)?);
    }
    if context.out.format() == Format::Table && !context.wants_data() {
        for (index, fields) in shown.iter().enumerate() {
            if index > 0 {
                context.out.line("")?;
            }
            context.out.one(fields)?;
        }
    } else {
        let versions: Vec<Value> = shown.into_iter().map(Value::from).collect();
        context.out.one(&record([("name", args.name.as_str().into()), ("versions", versions.into())]))?;
    }
    context.out.flush()
}

fn of_version(read_models: &dyn ReadModels, standing: &Standing) -> Result<Record, Failure> {
    let mut fields = standing.line();
    fields.extend(version_details(read_models, &standing.version, &standing.progress)?);
    Ok(fields)
}

//! `factum processes retry`, `cancel` and `answer`: what an operator asks of an instance. The next runner obeys.

use std::sync::Arc;

use clap::Args;
use factum::{OperatorAction, request_process};
use factum_core::EventStore;

use super::InstanceName;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;

const RETRY_EXAMPLES: &str = "EXAMPLES:
  factum processes retry transfer-17 --reason 'the bank is back'
  factum processes retry transfer-17 --reason 'build 42 knows the step' --actor ada";

const CANCEL_EXAMPLES: &str = "EXAMPLES:
  factum processes cancel transfer-17 --reason 'the customer rang' --yes
  factum processes cancel transfer-17 --reason 'entered twice' --actor ada --yes";

const ANSWER_EXAMPLES: &str = "EXAMPLES:
  factum processes answer transfer-17 --done --reason 'paid back in cash'
  factum processes answer transfer-17 --rejected --reason 'the account is closed' --actor ada";

/// Ask that a stopped instance goes on: what is out is tried again, what is held is taken
#[derive(Args, Debug)]
#[command(after_help = RETRY_EXAMPLES)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    asked: Asked,
}

/// Ask that an instance gives up: what it did is undone, the last step first
#[derive(Args, Debug)]
#[command(after_help = CANCEL_EXAMPLES)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    asked: Asked,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Answer for a target that never will: the command that was given up on was done by hand, or will never be
#[derive(Args, Debug)]
#[command(after_help = ANSWER_EXAMPLES)]
pub(super) struct AnswerArgs {
    #[command(flatten)]
    asked: Asked,
    /// It took effect, or was made good by hand
    #[arg(long, conflicts_with = "rejected", required_unless_present = "rejected")]
    done: bool,
    /// It had no effect and will have none (not for an undo)
    #[arg(long)]
    rejected: bool,
}

#[derive(Args, Debug)]
struct Asked {
    /// The instance, by the name of its stream
    instance: InstanceName,
    /// Why; kept with the instance
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who asks; kept with the instance
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    actor: String,
}

/// Runs `processes retry`.
pub(super) async fn retry(args: RetryArgs, context: &Context) -> Result<(), Failure> {
    ask(OperatorAction::Retry, &args.asked, context).await
}

/// Runs `processes cancel`.
pub(super) async fn cancel(args: CancelArgs, context: &Context) -> Result<(), Failure> {
    let InstanceName { process, instance } = &args.asked.instance;
    context.confirm(&format!("'{process}-{instance}' will undo what it did."), args.yes)?;
    ask(OperatorAction::Cancel, &args.asked, context).await
}

/// Runs `processes answer`.
pub(super) async fn answer(args: AnswerArgs, context: &Context) -> Result<(), Failure> {
    let action = if args.done { OperatorAction::Done } else { OperatorAction::Rejected };
    ask(action, &args.asked, context).await
}

async fn ask(action: OperatorAction, asked: &Asked, context: &Context) -> Result<(), Failure> {
    let store: Arc<dyn EventStore> = context.open(Access::Existing)?.shared();
    let name = &asked.instance;
    let done =
        request_process(&store, &name.process, &name.instance, action, &asked.actor, &asked.reason).await;
    let position = done.map_err(|error| super::of_request(&error, name))?;
    context.say(&format!("asked: the runner of '{}' obeys when it runs next", name.process));
    context.out.one(&record([
        ("instance", format!("{}-{}", name.process, name.instance).into()),
        ("action", action.as_str().into()),
        ("actor", asked.actor.as_str().into()),
        ("reason", asked.reason.as_str().into()),
        ("position", position.to_string().into()),
    ]))?;
    context.out.flush()
}

//! `factum privacy rotate`: another key-encryption key takes over.

use std::time::Duration;

use clap::Args;
use factum_core::{Clock, SystemClock};
use factum_vault::Rotated;

use super::open;
use crate::context::Context;
use crate::failure::Failure;
use crate::moment::duration;
use crate::output::record;
use crate::progress::Progress;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy rotate
  Once a day, by a timer:
    factum privacy rotate --if-older-than 30d";

/// Wrap every key anew and destroy the key that wrapped them before
///
/// What ends the life of old backups: a copy of the key store made before needs the old key, and once no copy of the old
/// key file is left it is useless. Interrupted, it is completed by the next call; nothing becomes unreadable by that.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RotateArgs {
    /// Only if the key was made longer ago, or a rotation was interrupted: 30d, 12h
    #[arg(long, value_name = "AGE", value_parser = duration)]
    if_older_than: Option<Duration>,
}

/// Runs the command.
pub(super) async fn run(args: &RotateArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let holdings = opened.vault.holdings().await?;
    let all = holdings.live + holdings.fenced;
    let bar = Progress::count(context, all);
    bar.says("wrapping keys");
    let progress = move |done: u64| bar.of(done, all);
    let rotated = match args.if_older_than {
        None => Some(opened.vault.rotate(&*opened.log, progress).await?),
        Some(age) => {
            let before = SystemClock.now().saturating_sub(age);
            opened.vault.rotate_if_older(&*opened.log, before, progress).await?
        }
    };
    let Some(Rotated { epoch, started, keys, unreadable }) = rotated else {
        context.say("the key is not that old: nothing was done");
        return Ok(());
    };
    if unreadable > 0 {
        context.say(&format!(
            "{unreadable} keys could not be unwrapped, before this and now: `factum privacy check`"
        ));
    }
    context.out.one(&record([
        ("epoch", epoch.0.into()),
        ("keys", keys.into()),
        ("unreadable", unreadable.into()),
        ("completedAnEarlierOne", (!started).into()),
    ]))?;
    context.out.flush()
}

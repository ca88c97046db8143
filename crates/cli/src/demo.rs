//! `factum demo`: a month of a bank's business in an embedded store, and what to look at next.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bank::demo::Summary;
use clap::Args;
use factum_core::EventStoreExt;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;
use crate::store::{self, Access};

const EXAMPLES: &str = "EXAMPLES:
  factum demo
  factum demo --data /tmp/bank
  factum demo --commands 20000 --data /tmp/bank";

/// Run a bank for a month in an embedded store, and see what to look at next
///
/// Without --data the store is made in a temporary directory and removed at the end. With it, it is kept; the directory
/// must hold no events yet, so that nobody fills a real store with a bank.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// How many commands, at least 100
    #[arg(long, value_name = "N", default_value_t = 2_500)]
    commands: u64,
}

/// Runs the command.
pub(crate) async fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    let Some(data) = context.data_if_given() else {
        let failed = |e| Failure::io("a temporary directory could not be made", &e);
        let dir = tempfile::Builder::new().prefix("factum-demo-").tempdir().map_err(failed)?;
        return business(args, context, dir.path(), None).await;
    };
    business(args, context, data, Some(data)).await
}

async fn business(
    args: &DemoArgs,
    context: &Context,
    data: &Path,
    kept: Option<&Path>,
) -> Result<(), Failure> {
    let engine = store::open(data, Access::Create)?;
    if engine.head().await?.is_some() {
        return Err(Failure::new(
            (Exit::Refused, "not-empty"),
            "nothing was done",
            format!("the store in {} has events already", data.display()),
            "name a directory that is empty or not there yet",
        ));
    }
    let began = Instant::now();
    let summary = bank::demo::run(Arc::new(engine.clone()), args.commands).await;
    let summary = summary
        .map_err(|e| Failure::new((Exit::Error, "demo-failed"), "the demo stopped", e.to_string(), ""))?;
    let seconds = began.elapsed().as_secs_f64();
    if context.wants_data() {
        return report(context, &summary, seconds);
    }
    context.out.write(screen(&summary, seconds, kept).as_bytes())?;
    context.out.flush()
}

fn report(context: &Context, summary: &Summary, seconds: f64) -> Result<(), Failure> {
    context.out.one(&record([
        ("commands", summary.commands.into()),
        ("accepted", summary.accepted.into()),
        ("nothingToDo", summary.nothing_to_do.into()),
        ("repeated", summary.repeated.into()),
        ("rejected", summary.rejected.into()),
        ("decidedAgain", summary.decided_again.into()),
        ("events", summary.events.into()),
        ("snapshots", summary.snapshots.into()),
        ("accounts", summary.accounts.into()),
        ("stream", summary.example.stream.as_str().into()),
        ("seconds", seconds.into()),
    ]))?;
    context.out.flush()
}

/// How many of the rules that refused commands are named.
const REASONS_SHOWN: usize = 3;

/// At most a screenful: what happened, and commands that can be pasted.
fn screen(summary: &Summary, seconds: f64, kept: Option<&Path>) -> String {
    let example = &summary.example;
    let money =
        |money: Option<bank::Money>| money.map_or_else(|| "nothing".to_owned(), |money| money.to_string());
    let mut reasons: Vec<_> = summary.rejections.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let refused: Vec<String> =
        reasons.iter().take(REASONS_SHOWN).map(|(reason, count)| format!("{reason} {count}")).collect();
    let total: Vec<String> = summary.total.values().map(ToString::to_string).collect();
    let mut text = format!(
        "A bank's month: {} commands for {} accounts in {seconds:.1} s, each append synced to disk.\n\
         \n  accepted       {}  ({} events, {} snapshots)\n  refused        {}  (mostly: {})\n  \
         nothing to do  {}\n  sent twice     {}  (each had one effect)\n  decided again  {}  (somebody else wrote in between)\n  \
         in all accounts  {}\n",
        summary.commands,
        summary.accounts,
        summary.accepted,
        summary.events,
        summary.snapshots,
        summary.rejected,
        refused.join(", "),
        summary.nothing_to_do,
        summary.repeated,
        summary.decided_again,
        total.join(", "),
    );
    text.push_str(&format!(
        "\nThe busiest account is {}: it holds {}; on {} it held {}.\n",
        example.stream,
        money(example.balance),
        example.travel_to,
        money(example.balance_then),
    ));
    let Some(data) = kept else {
        text.push_str(
            "\nThis store is gone now. To keep one and look into it:\n\n  factum demo --data /tmp/bank\n",
        );
        return text;
    };
    text.push_str("\nLook at it:\n\n");
    text.push_str(&format!("  export FACTUM_DATA={}\n", quoted(data)));
    let last = example.revision.map_or(0, |revision| revision.0);
    for command in [
        format!("factum read {} --back -n 5", example.stream),
        format!("factum state {} --at {}", example.stream, example.travel_to),
        format!("factum state {} --diff {}..{last}", example.stream, last.saturating_sub(1)),
        format!("factum state {} --blame", example.stream),
        "factum read --type AccountFrozen -n 5".to_owned(),
        "factum streams ls --long -n 10".to_owned(),
        "factum storage verify".to_owned(),
        "factum schema export --typescript".to_owned(),
    ] {
        text.push_str(&format!("  {command}\n"));
    }
    text
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    if path.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c)) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_be_pasted() {
        assert_eq!(quoted(Path::new("/tmp/bank")), "/tmp/bank");
        assert_eq!(quoted(Path::new("/tmp/ada's bank")), r"'/tmp/ada'\''s bank'");
    }
}

//! `factum demo`: a month of a bank's business in an embedded store, and what to look at next.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bank::demo::{ReadSide, ReadSideError, Summary};
use clap::Args;
use factum_core::EventStoreExt;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::record;
use crate::read_models::ReadModelsArgs;
use crate::store::{self, Access};

const EXAMPLES: &str = "EXAMPLES:
  factum demo
  factum demo --data /tmp/bank
  factum demo --commands 20000 --data /tmp/bank
  factum demo --data /tmp/bank --read-models postgres://me:secret@localhost/bank";

/// Run a bank for a month in an embedded store, and see what to look at next
///
/// Three read models follow it (balances, statements, daily_totals): in SQLite files beside the store, or in PostgreSQL.
///
/// Without --data the store is made in a temporary directory and removed at the end. With it, it is kept; the directory
/// must hold no events yet, so that nobody fills a real store with a bank.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// How many commands, at least 100
    #[arg(long, value_name = "N", default_value_t = 2_500)]
    commands: u64,
    #[command(flatten)]
    read_models: ReadModelsArgs,
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
    let store = Arc::new(engine);
    let failed = |why: String| Failure::new((Exit::Error, "demo-failed"), "the demo stopped", why, "");
    let read_models = args.read_models.open_for(data)?;
    let following = bank::demo::follow(store.clone(), read_models).await.map_err(|e| match e {
        ReadSideError::Projection(error) => error.into(),
        error => failed(error.to_string()),
    })?;
    let began = Instant::now();
    let summary = bank::demo::run(store.clone(), args.commands).await.map_err(|e| failed(e.to_string()))?;
    let seconds = began.elapsed().as_secs_f64();
    let read_side = bank::demo::show(store, &following).await.map_err(|e| failed(e.to_string()))?;
    if context.wants_data() {
        return report(context, &summary, &read_side, seconds);
    }
    context.out.write(screen(&summary, &read_side, seconds, kept).as_bytes())?;
    context.out.flush()
}

fn report(context: &Context, summary: &Summary, read_side: &ReadSide, seconds: f64) -> Result<(), Failure> {
    context.out.one(&record([
        ("commands", summary.commands.into()),
        ("accepted", summary.accepted.into()),
        ("nothingToDo", summary.nothing_to_do.into()),
        ("repeated", summary.repeated.into()),
        ("rejected", summary.rejected.into()),
        ("decidedAgain", summary.decided_again.into()),
        ("events", (summary.events + read_side.account_events).into()),
        ("snapshots", summary.snapshots.into()),
        ("accounts", summary.accounts.into()),
        ("stream", summary.example.stream.as_str().into()),
        ("readModels", read_side.database.as_str().into()),
        ("token", read_side.token.to_string().into()),
        ("waitedMillis", (read_side.waited.as_secs_f64() * 1_000.0).into()),
        ("row", read_side.row.iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect()),
        ("givenBack", read_side.given_back.1.failure.clone().into()),
        ("seconds", seconds.into()),
    ]))?;
    context.out.flush()
}

/// How many of the rules that refused commands are named.
const REASONS_SHOWN: usize = 3;

/// At most a screenful: what happened, and commands that can be pasted.
fn screen(summary: &Summary, read_side: &ReadSide, seconds: f64, kept: Option<&Path>) -> String {
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
    text.push_str(&read_side_lines(read_side));
    let Some(data) = kept else {
        text.push_str(
            "\nThis store is gone now. To keep one and look into it:\n\n  factum demo --data /tmp/bank\n",
        );
        return text;
    };
    text.push_str("\nLook at it:\n\n");
    text.push_str(&format!("  export FACTUM_DATA={}\n", quoted(data)));
    for command in [
        format!("factum read {} --back -n 5", example.stream),
        format!("factum state {} --at {}", example.stream, example.travel_to),
        format!("factum state {} --blame", example.stream),
        format!("factum processes show transfer_saga-{}", read_side.given_back.0),
        "factum sql 'select * from balances order by minor desc limit 5'".to_owned(),
        "factum explain balances salary minor".to_owned(),
    ] {
        text.push_str(&format!("  {command}\n"));
    }
    text
}

/// What the saga gave back, and the query that waited for its own write.
fn read_side_lines(shown: &ReadSide) -> String {
    let why = shown.given_back.1.failure.as_deref().unwrap_or_default();
    let row: Vec<&str> = shown.row.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "\nA transfer of {} found that {why}, and gave the money back; asked for again, it arrived.\n\
         A deposit gave the token {}; after {:.1?},\n'balances' had it: {}\n",
        shown.amount,
        shown.token,
        shown.waited,
        row.join(" | "),
    )
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

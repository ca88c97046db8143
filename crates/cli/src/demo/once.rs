//! What `factum demo --once` says at the end: what happened, and commands that can be pasted.

use std::collections::BTreeMap;
use std::path::Path;

use bank::demo::{Forgotten, ReadSide};

use super::Shown;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;

/// Shows what happened.
pub(super) fn show(context: &Context, shown: &Shown, kept: Option<&Path>) -> Result<(), Failure> {
    if context.wants_data() {
        return report(context, shown);
    }
    context.out.write(screen(shown, kept).as_bytes())?;
    context.out.flush()
}

fn report(context: &Context, shown: &Shown) -> Result<(), Failure> {
    let Shown { summary, seconds, read_side, forgotten } = shown;
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
        ("forgotten", forgotten.customer.to_string().into()),
        ("forgottenRow", forgotten.row.iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect()),
        ("forgottenHolds", forgotten.money.values().map(ToString::to_string).collect::<Vec<_>>().into()),
        ("erasure", forgotten.receipt.receipt.erasure.to_string().into()),
        ("seconds", (*seconds).into()),
    ]))?;
    context.out.flush()
}

/// How many of the rules that refused commands are named.
const REASONS_SHOWN: usize = 3;

/// At most a screenful: what happened, and commands that can be pasted.
fn screen(shown: &Shown, kept: Option<&Path>) -> String {
    let Shown { summary, seconds, read_side, forgotten } = shown;
    let example = &summary.example;
    let money =
        |money: Option<bank::Money>| money.map_or_else(|| "nothing".to_owned(), |money| money.to_string());
    let mut reasons: Vec<_> = summary.rejections.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let refused: Vec<String> =
        reasons.iter().take(REASONS_SHOWN).map(|(reason, count)| format!("{reason} {count}")).collect();
    let mut text = format!(
        "A bank's month: {} commands for {} accounts in {seconds:.1} s, each append synced to disk.\n\
         \n  accepted       {}  ({} events, {} snapshots)\n  refused        {}  (mostly: {})\n  \
         nothing to do  {}, sent twice {} (each had one effect), decided again {} (somebody else wrote first)\n  \
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
        sums(&summary.total),
    );
    text.push_str(&format!(
        "\nThe busiest account is {}: it holds {}; on {} it held {}.\n",
        example.stream,
        money(example.balance),
        example.travel_to,
        money(example.balance_then),
    ));
    text.push_str(&read_side_lines(read_side));
    text.push_str(&forgotten_lines(forgotten));
    let Some(data) = kept else {
        text.push_str(
            "\nThis store and its keys are gone now. To keep them and look into the store:\n\n  factum demo --once --data /tmp/bank\n",
        );
        return text;
    };
    text.push_str(&format!("\nLook at it:\n  export FACTUM_DATA={}\n", quoted(data)));
    for command in [
        format!("factum state {} --at {}", example.stream, example.travel_to),
        format!("factum processes show transfer_saga-{}", read_side.given_back.0),
        "factum sql 'select * from balances order by minor desc limit 5'".to_owned(),
        "factum explain balances salary minor".to_owned(),
        format!("factum privacy show {}", forgotten.customer),
        format!("factum privacy verify {}", forgotten.receipt.receipt.erasure),
    ] {
        text.push_str(&format!("  {command}\n"));
    }
    text
}

fn sums(money: &BTreeMap<bank::Currency, bank::Money>) -> String {
    money.values().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the saga gave back, and the query that waited for its own write.
fn read_side_lines(shown: &ReadSide) -> String {
    let why = shown.given_back.1.failure.as_deref().unwrap_or_default();
    let row: Vec<&str> = shown.row.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "A transfer of {} found that {why}, and gave the money back; asked for again, it arrived.\n\
         A deposit gave the token {}; after {:.1?},\n'balances' had it: {}\n",
        shown.amount,
        shown.token,
        shown.waited,
        row.join(" | "),
    )
}

/// Who was forgotten, and what stayed.
fn forgotten_lines(forgotten: &Forgotten) -> String {
    let row: Vec<&str> = forgotten.row.iter().skip(2).map(|(_, value)| value.as_str()).collect();
    format!(
        "\nCustomer {}, {}, was forgotten. Letters now begin with '{}', and 'customers' has\n{}. \
         The {} accounts hold {}, as before.\nThe receipt is signed and true: {} keys are gone, and with them \
         what they sealed, in every copy of the log.\n",
        forgotten.customer,
        forgotten.was,
        forgotten.is,
        row.join(" | "),
        forgotten.accounts,
        sums(&forgotten.money),
        forgotten.receipt.receipt.keys.len(),
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

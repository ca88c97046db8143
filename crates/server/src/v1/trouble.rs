//! What of the machine should somebody look at? For the overview.

use factum_core::Timestamp;
use serde_json::Value;

use super::ask::Ask;
use super::live::Wrong;
use crate::backups::{self, Age};
use crate::operations::{self, What};

/// A disk with less than this free is told of, in percent.
const FREE_PERCENT: u64 = 15;
/// A last backup older than this is told of, in milliseconds: a day.
const BACKUP_MILLIS: i64 = 24 * 60 * 60 * 1_000;
const URL: &str = "/ui/system";

fn wrong(what: impl Into<String>, since: Option<Timestamp>) -> Wrong {
    Wrong { what: what.into(), url: URL.to_owned(), since: since.map(|at| at.to_string()) }
}

/// What is wrong with the store, its disk, its backups, and what the last verification found.
pub(super) async fn of_machine(ask: &Ask) -> Vec<Wrong> {
    let mut found = of_store(ask);
    found.extend(of_verification(ask).await);
    found.extend(of_backups(ask).await);
    found
}

fn of_store(ask: &Ask) -> Vec<Wrong> {
    let Some(maintenance) = &ask.shared.ops.maintenance else { return Vec::new() };
    let condition = maintenance.condition();
    let mut found = Vec::new();
    if let Some(why) = condition.stopped {
        found.push(wrong(format!("nothing is written any more: {why}"), None));
    }
    if let Some(disk) = condition.disk
        && disk.free.saturating_mul(100) < disk.size.saturating_mul(FREE_PERCENT)
    {
        let percent = disk.free.saturating_mul(100) / disk.size.max(1);
        found.push(wrong(format!("the log's disk is nearly full: {percent} % of it are free"), None));
    }
    if let Some(why) = condition.recovered {
        let what = format!("the last start found the log cut off, as after a crash: {why}");
        found.push(wrong(what, Some(ask.shared.started)));
    }
    if let Some(why) = condition.background {
        found.push(wrong(format!("the store's upkeep fails: {why}"), None));
    }
    found
}

async fn of_verification(ask: &Ask) -> Option<Wrong> {
    // A log that cannot be read says so everywhere else.
    let event = operations::last_ended(&ask.shared, What::Verify).await.ok()??;
    let data: Value = serde_json::from_slice(event.data_slice()).unwrap_or_default();
    let at = Some(event.recorded_at());
    match data["damage"].as_u64() {
        Some(0) => None,
        Some(places) => Some(wrong(format!("the last verification found damage in {places} places"), at)),
        None => Some(wrong("the last verification could not be carried out", at)),
    }
}

async fn of_backups(ask: &Ask) -> Option<Wrong> {
    let backups = match backups::list(&ask.shared, Age::Recent).await? {
        Ok(backups) => backups,
        Err(error) => return Some(wrong(format!("the backups cannot be listed: {}", error.why), None)),
    };
    let whole = backups.iter().filter(|backup| backup.incomplete.is_none());
    let Some(last) = whole.filter_map(|backup| backup.made).max() else {
        return Some(wrong("there is no backup yet", Some(ask.shared.started)));
    };
    let age = ask.shared.options.clock.now().unix_millis().saturating_sub(last.unix_millis());
    (age > BACKUP_MILLIS).then(|| wrong("the last backup is older than a day", Some(last)))
}

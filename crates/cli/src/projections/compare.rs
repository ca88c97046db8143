//! `factum projections compare`: the rows that differ between two versions.

use std::sync::Arc;

use clap::Args;
use factum_core::read_model::{
    CompareOptions, ProjectionName, ReadModels, Role, Row, RowDifference, TableDifference, Version,
};
use factum_server::table_difference_fields;

use super::applying::Applying;
use super::known::known;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Format, clean};
use crate::read_models::{ReadModelsArgs, Want, in_role, least, next, serving, versions_of};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum projections compare balances
  factum projections compare balances --examples 20 -o json";

/// Compare the version in the making with the one that serves; exits with 8 if their rows differ
///
/// Where none is in the making, the version that served before is the old one. Rows are matched by primary key. Both
/// are brought to the end of the log first, unless another process has it open.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompareArgs {
    /// The projection
    name: ProjectionName,
    /// Rows of each kind that are shown for each table
    #[arg(long, value_name = "N", default_value_t = 5)]
    examples: usize,
}

/// Runs the command.
pub(super) async fn run(
    args: &CompareArgs,
    place: &ReadModelsArgs,
    context: &Context,
) -> Result<(), Failure> {
    let read_models = place.open(context, Want::Existing)?;
    let versions = versions_of(&*read_models, &args.name)?;
    let now = serving(&versions)?;
    let (old, new) = match (in_role(&versions, Role::Building), in_role(&versions, Role::Previous)) {
        (Some(building), _) => (now, building),
        (None, Some(previous)) => (previous, now),
        (None, None) => {
            return Err(Failure::not_found(
                format!("'{}' has one version only", args.name),
                "there is nothing to compare it with",
                format!("`factum projections rebuild {} FILE` builds another", args.name),
            ));
        }
    };
    bring_up(context, &read_models, [old, new]).await?;
    let at = |version: &Version| {
        let progress = read_models.progress(&version.name, version.number)?;
        Ok::<_, Failure>(least(&progress).map(next).unwrap_or_default())
    };
    let (old_at, new_at) = (at(old)?, at(new)?);
    if old_at != new_at {
        context.say(&format!(
            "{} stands at position {old_at}, {} at {new_at}: part of the difference may be that",
            old.number, new.number
        ));
    }
    let options = CompareOptions { examples: args.examples };
    let tables = read_models.compare(&args.name, (old.number, new.number), options)?;
    let mut sink = context.out.many(&["table", "same", "onlyOld", "onlyNew", "changed"]);
    let as_text = context.out.format() == Format::Table && !context.wants_data();
    for table in &tables {
        if as_text {
            context.out.write(text(table).as_bytes())?;
        } else {
            sink.push(&table_difference_fields(table))?;
        }
    }
    if as_text {
        context.out.flush()?;
    } else {
        sink.finish()?;
    }
    let differing = tables.iter().filter(|table| table.differs()).count();
    if differing == 0 {
        context.say(&format!("{} and {} have the same rows", old.number, new.number));
        return Ok(());
    }
    Err(Failure::new(
        (Exit::Check, "rows-differ"),
        format!("{differing} of {} tables differ between {} and {}", tables.len(), old.number, new.number),
        "the declarations make other rows of the same events",
        format!("if that is meant, `factum projections promote {}`", args.name),
    ))
}

/// Applies to both what the log has, where this process can.
async fn bring_up(
    context: &Context,
    read_models: &Arc<dyn ReadModels>,
    versions: [&Version; 2],
) -> Result<(), Failure> {
    if !context.names_log() {
        return Ok(());
    }
    let Some(engine) = context.open_unless_locked(Access::Existing)? else { return Ok(()) };
    let applying = Applying::over(context.with_vault(engine).await?, Arc::clone(read_models)).await?;
    for version in versions {
        // A previous version is stopped, and rows of another program are compared as they are.
        if version.role == Role::Previous || version.stopped || known(version)?.is_none() {
            continue;
        }
        let handle = applying.start(version).await?;
        applying.reach_end(context, &handle, version).await?;
    }
    Ok(())
}

fn text(table: &TableDifference) -> String {
    let mut text = format!(
        "{}: {} same, {} only old, {} only new, {} changed\n",
        table.table, table.same, table.only_old, table.only_new, table.changed
    );
    if let Some(why) = &table.other_columns {
        text.push_str(&format!("  other columns: {why}\n"));
    }
    let shown = |row: &Row, keep: &dyn Fn(usize) -> bool| {
        let cells = table.columns.iter().zip(row).enumerate().filter(|(index, _)| keep(*index));
        let cells = cells.map(|(_, (column, value))| format!("{column}={}", clean(&value.to_string())));
        cells.collect::<Vec<_>>().join(" ")
    };
    let is_key = |index: usize| table.key.contains(&table.columns[index]);
    for example in &table.examples {
        text.push_str(&match example {
            RowDifference::OnlyOld(row) => format!("  - {}\n", shown(row, &|_| true)),
            RowDifference::OnlyNew(row) => format!("  + {}\n", shown(row, &|_| true)),
            RowDifference::Changed { old, new } => {
                let differs = |index: usize| old.get(index) != new.get(index);
                let changes = (0..table.columns.len()).filter(|index| differs(*index)).map(|index| {
                    let value = |row: &Row| row.get(index).map(|value| clean(&value.to_string()));
                    let (old, new) = (value(old).unwrap_or_default(), value(new).unwrap_or_default());
                    format!("{} {old} -> {new}", table.columns[index])
                });
                let changes = changes.collect::<Vec<_>>().join(", ");
                format!("  ~ {}: {changes}\n", shown(old, &is_key))
            }
        });
    }
    text
}

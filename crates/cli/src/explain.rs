//! `factum explain`: the event, command and actor behind a value in a read model.

use std::sync::Arc;

use clap::Args;
use factum::{ExplainError, RowChange, RowHistory, RowQuestion, explain};
use factum_core::read_model::{ProjectionName, ReadModels, Row, VersionNumber};
use factum_server::value_of_row;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Record, record};
use crate::projections::known;
use crate::read_models::{ReadModelsArgs, Want, serving, versions_of};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum explain balances 7
  factum explain balances 7 cents --history
  A key of several columns, and one of several tables:
    factum explain statements 7,12 balance --table statements";

/// Say which event, command and actor made a row, or a value in it, what it is
///
/// The log is applied once more to an empty copy of the tables, up to where the rows stand, and the row is watched. It
/// takes as long as a rebuild.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The projection
    projection: ProjectionName,
    /// The row's primary key; the values of a key of several columns are separated by ',' or given as a JSON list
    #[arg(value_name = "ROWKEY", allow_hyphen_values = true)]
    key: String,
    /// Only this column
    column: Option<String>,
    /// The table, where there are several
    #[arg(long)]
    table: Option<String>,
    /// Every change, the oldest first [default: the last one]
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    read_models: ReadModelsArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &ExplainArgs, context: &Context) -> Result<(), Failure> {
    let read_models = args.read_models.open(context, Want::Existing)?;
    let versions = versions_of(&*read_models, &args.projection)?;
    let version = serving(&versions)?;
    let projection = known(version)?.ok_or_else(|| {
        Failure::new(
            (Exit::Error, "unsupported"),
            format!("'{}' cannot be explained here", args.projection),
            "it is written in Rust and compiled into another program, and that code must be run once more",
            "call factum::explain in that program",
        )
    })?;
    let question = RowQuestion {
        table: args.table.clone(),
        key: key(args, &read_models, version.number)?,
        column: args.column.clone(),
    };
    let store = context.with_vault(context.open_waiting(Access::Existing).await?).await?;
    let history = explain(&*store, &read_models, &projection, version.number, &question).await?;
    if args.history {
        let mut sink =
            context.out.many(&["position", "type", "change", "actor", "happenedAt", "stream", "revision"]);
        for change in &history.changes {
            sink.push(&of_change(args, &history, change))?;
        }
        return sink.finish();
    }
    if let Some(last) = history.changes.last() {
        context.out.one(&of_change(args, &history, last))?;
    }
    context.out.flush()
}

/// The values of the key: as many as the table's key has columns.
fn key(
    args: &ExplainArgs,
    read_models: &Arc<dyn ReadModels>,
    version: VersionNumber,
) -> Result<Vec<String>, Failure> {
    if args.key.starts_with('[') {
        let values: Vec<Value> = serde_json::from_str(&args.key)
            .map_err(|e| Failure::usage("the key cannot be read", format!("it is no JSON list: {e}"), ""))?;
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return Ok(values.into_iter().map(text).collect());
    }
    let tables = read_models.tables(&args.projection, version)?;
    let mut keyed = tables.iter().filter(|(_, key)| !key.is_empty());
    let table = match &args.table {
        Some(asked) => keyed.find(|(table, _)| table == asked),
        None => keyed.next(),
    };
    Ok(match table {
        Some((_, columns)) if columns.len() > 1 => args.key.split(',').map(str::to_owned).collect(),
        _ => vec![args.key.clone()],
    })
}

fn of_change(args: &ExplainArgs, history: &RowHistory, change: &RowChange) -> Record {
    let optional = |text: Option<String>| text.map_or(Value::Null, Value::from);
    record([
        ("projection", args.projection.as_str().into()),
        ("table", history.table.as_str().into()),
        ("key", args.key.as_str().into()),
        ("change", words(args, history, change).into()),
        ("position", change.position.to_string().into()),
        ("stream", change.stream.as_str().into()),
        ("revision", change.revision.0.into()),
        ("type", change.event_type.as_str().into()),
        ("event", change.event.to_string().into()),
        ("actor", optional(change.actor.clone())),
        ("command", optional(change.command.as_ref().map(|command| command.as_str().to_owned()))),
        ("correlation", optional(change.correlation.clone())),
        ("happenedAt", change.happened_at.to_string().into()),
        ("recordedAt", change.recorded_at.to_string().into()),
        ("before", of_row(history, change.before.as_ref())),
        ("after", of_row(history, change.after.as_ref())),
    ])
}

fn of_row(history: &RowHistory, row: Option<&Row>) -> Value {
    let Some(row) = row else { return Value::Null };
    let fields: Map<String, Value> = history
        .columns
        .iter()
        .zip(row)
        .map(|(column, value)| (column.clone(), value_of_row(value)))
        .collect();
    fields.into()
}

/// What changed, for people: `cents 5 -> 7`.
fn words(args: &ExplainArgs, history: &RowHistory, change: &RowChange) -> String {
    let asked = |column: &String| args.column.as_ref().is_none_or(|asked| asked == column);
    let value = |row: Option<&Row>, index: usize| {
        row.and_then(|row| row.get(index)).map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    let changes = history.columns.iter().enumerate().filter(|(_, column)| asked(column)).filter_map(
        |(index, column)| {
            let (before, after) = (value(change.before.as_ref(), index), value(change.after.as_ref(), index));
            (before != after).then(|| format!("{column} {before} -> {after}"))
        },
    );
    changes.collect::<Vec<_>>().join(", ")
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        let why = error.to_string();
        let what = "the row cannot be explained";
        match error {
            ExplainError::ReadModel(error) => error.into(),
            ExplainError::Log(error) => error.into(),
            ExplainError::Table { .. } => Failure::usage(what, why, "name one of them with --table"),
            ExplainError::Key { .. } => {
                Failure::usage(what, why, "separate them by ',', or give them as a JSON list")
            }
            ExplainError::Column { .. } => Failure::usage(what, why, "name one of these"),
            ExplainError::NoRow { .. } => {
                Failure::not_found("there is no such row", why, "`factum sql` shows the rows that there are")
            }
            ExplainError::Apply { .. } => Failure::new((Exit::Error, "apply-failed"), what, why, ""),
        }
    }
}

//! A version of a projection, what it stands still at, its rows, and how they differ from those of another.

use factum_core::Position;
use factum_core::read_model::{
    Fault, Progress, ReadModelError, ReadModels, Row, RowDifference, TableDifference, Value as RowValue,
    Version,
};
use serde_json::{Map, Value, json};

use super::fields;

/// How a version is, for one line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingFields<'a> {
    /// In a word.
    pub status: &'a str,
    /// The next position that it takes.
    pub applied: Position,
    /// Positions that are missing, where that is known.
    pub lag: Option<u64>,
    /// Events applied.
    pub events: u64,
    /// Why it is so, where there is more to say.
    pub why: Option<&'a str>,
}

/// A version in one line.
pub fn version_fields(version: &Version, standing: &StandingFields<'_>) -> Map<String, Value> {
    fields([
        ("name", version.name.as_str().into()),
        ("version", version.number.to_string().into()),
        ("role", version.role.as_str().into()),
        ("status", standing.status.into()),
        ("applied", standing.applied.to_string().into()),
        ("lag", standing.lag.into()),
        ("events", standing.events.into()),
        ("why", standing.why.into()),
    ])
}

/// What else is known of a version.
///
/// # Errors
/// What the database says.
pub fn version_details(
    read_models: &dyn ReadModels,
    version: &Version,
    progress: &[Progress],
) -> Result<Map<String, Value>, ReadModelError> {
    let tables = read_models.tables(&version.name, version.number)?.into_iter();
    let tables: Vec<Value> = tables.map(|(table, key)| json!({"table": table, "key": key})).collect();
    let faults = progress.iter().filter_map(|progress| progress.fault.as_ref());
    let faults: Vec<Value> = faults.map(fault_fields).collect();
    let skips = read_models.skips(&version.name, version.number)?.into_iter();
    let skips: Vec<Value> = skips
        .map(|skip| {
            json!({"position": skip.position.to_string(), "actor": skip.actor, "reason": skip.reason,
                "at": skip.at.to_string()})
        })
        .collect();
    Ok(fields([
        ("partitions", version.partitions.into()),
        ("created", version.created_at.to_string().into()),
        ("declared", (!version.definition.is_empty()).into()),
        ("fingerprint", version.fingerprint.as_str().into()),
        ("tables", tables.into()),
        ("faults", faults.into()),
        ("skips", skips.into()),
    ]))
}

/// What a version stands still at, with every attempt.
pub fn fault_fields(fault: &Fault) -> Value {
    let attempts = fault.attempts.iter();
    json!({
        "position": fault.position.to_string(),
        "event": fault.event.to_string(),
        "stream": fault.stream,
        "type": fault.event_type,
        "attempts": attempts.map(|one| json!({"at": one.at.to_string(), "error": one.error})).collect::<Vec<_>>(),
    })
}

/// A value of a row.
pub fn value_of_row(value: &RowValue<'_>) -> Value {
    match value {
        RowValue::Null => Value::Null,
        RowValue::Bool(value) => (*value).into(),
        RowValue::Integer(value) => (*value).into(),
        // What is no number in JSON stands as text.
        RowValue::Real(value) if !value.is_finite() => value.to_string().into(),
        RowValue::Real(value) => (*value).into(),
        RowValue::Text(_) | RowValue::Bytes(_) | RowValue::Time(_) => value.to_string().into(),
    }
}

/// How the rows of two versions differ in one table.
pub fn table_difference_fields(table: &TableDifference) -> Map<String, Value> {
    let row = |row: &Row| -> Value {
        let cells = table.columns.iter().zip(row);
        cells.map(|(column, value)| (column.clone(), value_of_row(value))).collect::<Map<_, _>>().into()
    };
    let examples = table.examples.iter().map(|example| match example {
        RowDifference::OnlyOld(old) => json!({"kind": "onlyOld", "old": row(old)}),
        RowDifference::OnlyNew(new) => json!({"kind": "onlyNew", "new": row(new)}),
        RowDifference::Changed { old, new } => json!({"kind": "changed", "old": row(old), "new": row(new)}),
    });
    let mut all = fields([
        ("table", table.table.as_str().into()),
        ("same", table.same.into()),
        ("onlyOld", table.only_old.into()),
        ("onlyNew", table.only_new.into()),
        ("changed", table.changed.into()),
        ("key", table.key.clone().into()),
        ("examples", examples.collect::<Vec<_>>().into()),
    ]);
    if let Some(why) = &table.other_columns {
        all.insert("otherColumns".to_owned(), why.as_str().into());
    }
    all
}

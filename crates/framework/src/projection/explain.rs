//! Why does a row have the value that it has?

use std::sync::Arc;

use factum_core::read_model::{
    NewVersion, ProjectionName, ReadModelError, ReadModelWriter, ReadModels, Row, Skip, Value, VersionNumber,
};
use factum_core::{
    EventFilter, EventId, EventStore, Position, Read, ReadError, RecordedEvent, Revision, SystemEvents,
    Timestamp,
};

use super::{ApplyError, ChangedTags, Model, Projection};
use crate::{CommandId, CommandMetadata};

/// Events of one transaction in the copy: it is never kept, so this only bounds its size.
const EVENTS_PER_TRANSACTION: usize = 1_000;

/// A row, and perhaps one of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowQuestion {
    /// The table; `None` where the read model has only one with a primary key.
    pub table: Option<String>,
    /// The values of its primary key as text, in the key's order.
    pub key: Vec<String>,
    /// The column that is asked about; `None`: the whole row.
    pub column: Option<String>,
}

/// An event that changed the row, and the row before and after it.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The event's place.
    pub position: Position,
    /// Its id.
    pub event: EventId,
    /// Its stream.
    pub stream: String,
    /// Its number there.
    pub revision: Revision,
    /// Its type.
    pub event_type: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When it happened.
    pub happened_at: Timestamp,
    /// Who asked for the command that led to it, if that was said.
    pub actor: Option<String>,
    /// That command, if it was said.
    pub command: Option<CommandId>,
    /// The whole that it is part of, if that was said.
    pub correlation: Option<String>,
    /// The row before it; `None` where there was none.
    pub before: Option<Row>,
    /// The row after it; `None` where there is none any more.
    pub after: Option<Row>,
}

/// How a row came to be what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct RowHistory {
    /// The table.
    pub table: String,
    /// The columns of `before` and `after`.
    pub columns: Vec<String>,
    /// The changes of the row, or of the column asked for, the oldest first. The last one set the value.
    pub changes: Vec<RowChange>,
    /// How far the rows are that were asked about: later events were not looked at.
    pub applied: Position,
}

/// Why a row cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such table, or one must be named.
    #[error("'{name}' {}", which(asked.as_ref(), tables))]
    Table {
        /// The projection.
        name: ProjectionName,
        /// The table asked for.
        asked: Option<String>,
        /// Those with a primary key.
        tables: Vec<String>,
    },
    /// The key has other columns.
    #[error("the primary key of '{table}' is ({}): give {} values, not {given}", columns.join(", "), columns.len())]
    Key {
        /// The table.
        table: String,
        /// Its key.
        columns: Vec<String>,
        /// How many values were given.
        given: usize,
    },
    /// There is no such column.
    #[error("'{table}' has no column '{column}': it has {}", columns.join(", "))]
    Column {
        /// The table.
        table: String,
        /// The column asked for.
        column: String,
        /// Those that it has.
        columns: Vec<String>,
    },
    /// No event has ever made such a row.
    #[error("no event up to position {applied} made a row ({}) in '{table}'", key.join(", "))]
    NoRow {
        /// The table.
        table: String,
        /// The key.
        key: Vec<String>,
        /// How far was looked.
        applied: Position,
    },
    /// Applying the events once more failed: the code is another one than the rows were made with.
    #[error("applying the event at position {position} once more failed: {source}")]
    Apply {
        /// The event.
        position: Position,
        /// Why.
        source: ApplyError,
    },
    /// The read-model database refused.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
}

fn which(asked: Option<&String>, tables: &[String]) -> String {
    let tables = if tables.is_empty() { "none".to_owned() } else { tables.join(", ") };
    match asked {
        Some(asked) => format!("has no table '{asked}' with a primary key: it has {tables}"),
        None => format!("has several tables, name one: {tables}"),
    }
}

/// Finds the events that made a row what it is: the projection is applied once more, from the beginning, to a copy of its
/// empty tables, and the row is looked at after each event. The log is the answer; no history of rows is kept anywhere.
///
/// It takes as long as a rebuild on one thread, and stops where the rows stand that were asked about.
///
/// # Errors
/// Where the question does not fit the tables, where no such row ever was, or where log or database fail.
pub async fn explain<P: Projection>(
    store: &dyn EventStore,
    read_models: &Arc<dyn ReadModels>,
    projection: &P,
    version: VersionNumber,
    question: &RowQuestion,
) -> Result<RowHistory, ExplainError> {
    let name = projection.definition().name();
    let (table, key) = table_of(read_models.tables(name, version)?, name, question)?;
    let progress = read_models.progress(name, version)?;
    let applied = progress.iter().filter_map(|progress| progress.applied.next_position()).min();
    let applied = applied.unwrap_or_default();
    let start = progress
        .first()
        .ok_or_else(|| ReadModelError::UnknownVersion { name: name.clone(), wanted: version.to_string() })?;
    let definition = projection.definition();
    let new = definition.new_version(&start.applied, Timestamp::default());
    let copy = read_models.scratch(&NewVersion { partitions: 1, ..new })?;
    let typed = typed_key(read_models, name, version, (&table, &key), &question.key)?;
    let mut replay = Replay::new(projection, copy, read_models.skips(name, version)?, (table, key, typed));
    replay.begin(question)?;
    let filter = EventFilter { system_events: SystemEvents::Exclude, ..EventFilter::default() };
    let mut reader = store.read(Read::forwards(definition.selector().clone()).filter(filter)).await?;
    'pages: while let Some(page) = reader.next_page().await? {
        for event in &page.events {
            if event.position() >= applied {
                break 'pages;
            }
            replay.apply(event)?;
        }
    }
    replay.finish(question, applied)
}

type Key = (String, Vec<String>);

fn table_of(tables: Vec<Key>, name: &ProjectionName, question: &RowQuestion) -> Result<Key, ExplainError> {
    let mut keyed: Vec<Key> = tables.into_iter().filter(|(_, key)| !key.is_empty()).collect();
    let found = match &question.table {
        Some(asked) => keyed.iter().position(|(table, _)| table == asked),
        None => (keyed.len() == 1).then_some(0),
    };
    let Some(found) = found else {
        let tables = keyed.into_iter().map(|(table, _)| table).collect();
        return Err(ExplainError::Table { name: name.clone(), asked: question.table.clone(), tables });
    };
    let (table, columns) = keyed.swap_remove(found);
    if columns.len() != question.key.len() {
        return Err(ExplainError::Key { table, columns, given: question.key.len() });
    }
    Ok((table, columns))
}

/// The key with the types of its columns, from the row itself; as text where there is no such row now.
fn typed_key(
    read_models: &Arc<dyn ReadModels>,
    name: &ProjectionName,
    version: VersionNumber,
    (table, columns): (&str, &[String]),
    key: &[String],
) -> Result<Row, ExplainError> {
    let conditions =
        columns.iter().enumerate().map(|(n, column)| format!("cast(\"{column}\" as text) = :k{n}"));
    let listed: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let statement = format!(
        "select {} from \"{table}\" where {}",
        listed.join(", "),
        conditions.collect::<Vec<_>>().join(" and ")
    );
    let names: Vec<String> = (0..columns.len()).map(|n| format!("k{n}")).collect();
    let parameters: Vec<(&str, Value<'_>)> =
        names.iter().zip(key).map(|(name, text)| (name.as_str(), Value::from(text))).collect();
    let (rows, _) = read_models.reader(&[(name.clone(), version)])?.query(&statement, &parameters)?;
    let as_text = || key.iter().map(|text| Value::from(text.clone())).collect();
    Ok(rows.rows.into_iter().next().unwrap_or_else(as_text))
}

struct Replay<'a, P> {
    projection: &'a P,
    copy: Box<dyn ReadModelWriter>,
    skips: Vec<Skip>,
    table: String,
    statement: String,
    names: Vec<String>,
    key: Row,
    columns: Vec<String>,
    /// The column that is asked about, by index.
    column: Option<usize>,
    row: Option<Row>,
    changes: Vec<RowChange>,
    in_transaction: usize,
    ignored: ChangedTags,
}

impl<'a, P: Projection> Replay<'a, P> {
    fn new(
        projection: &'a P,
        copy: Box<dyn ReadModelWriter>,
        skips: Vec<Skip>,
        (table, columns, key): (String, Vec<String>, Row),
    ) -> Self {
        let conditions = columns.iter().enumerate().map(|(n, column)| format!("\"{column}\" = :k{n}"));
        let statement =
            format!("select * from \"{table}\" where {}", conditions.collect::<Vec<_>>().join(" and "));
        Self {
            projection,
            copy,
            skips,
            table,
            statement,
            names: (0..columns.len()).map(|n| format!("k{n}")).collect(),
            key,
            columns: Vec::new(),
            column: None,
            row: None,
            changes: Vec::new(),
            in_transaction: 0,
            ignored: ChangedTags::default(),
        }
    }

    fn begin(&mut self, question: &RowQuestion) -> Result<(), ExplainError> {
        self.copy.begin()?;
        self.row = self.look()?;
        if let Some(column) = &question.column {
            let found = self.columns.iter().position(|known| known == column);
            self.column = Some(found.ok_or_else(|| ExplainError::Column {
                table: self.table.clone(),
                column: column.clone(),
                columns: self.columns.clone(),
            })?);
        }
        Ok(())
    }

    fn look(&mut self) -> Result<Option<Row>, ReadModelError> {
        let names = self.names.iter().map(String::as_str);
        let parameters: Vec<(&str, Value<'_>)> = names.zip(self.key.iter().cloned()).collect();
        let mut rows = self.copy.query(&self.statement, &parameters)?;
        if self.columns.is_empty() {
            self.columns = std::mem::take(&mut rows.columns);
        }
        Ok(rows.rows.pop())
    }

    fn apply(&mut self, event: &RecordedEvent) -> Result<(), ExplainError> {
        let position = event.position();
        if self.skips.iter().any(|skip| skip.position == position) {
            return Ok(());
        }
        let failed = |source| ExplainError::Apply { position, source };
        let Some(decoded) = self.projection.decode(event).map_err(failed)? else { return Ok(()) };
        let mut model = Model::new(&mut *self.copy, &mut self.ignored);
        self.projection.apply(&decoded, event, &mut model).map_err(failed)?;
        let row = self.look()?;
        if row != self.row {
            let before = std::mem::replace(&mut self.row, row.clone());
            if self.concerns(before.as_ref(), row.as_ref()) {
                self.changes.push(change(event, before, row));
            }
        }
        self.in_transaction += 1;
        if self.in_transaction >= EVENTS_PER_TRANSACTION {
            let progress = self.copy.progress().clone();
            self.copy.commit(&progress)?;
            self.copy.begin()?;
            self.in_transaction = 0;
            self.ignored = ChangedTags::default();
        }
        Ok(())
    }

    fn concerns(&self, before: Option<&Row>, after: Option<&Row>) -> bool {
        match self.column {
            Some(column) => before.map(|row| &row[column]) != after.map(|row| &row[column]),
            None => true,
        }
    }

    fn finish(mut self, question: &RowQuestion, applied: Position) -> Result<RowHistory, ExplainError> {
        self.copy.rollback()?;
        if self.changes.is_empty() {
            return Err(ExplainError::NoRow { table: self.table, key: question.key.clone(), applied });
        }
        Ok(RowHistory { table: self.table, columns: self.columns, changes: self.changes, applied })
    }
}

fn change(event: &RecordedEvent, before: Option<Row>, after: Option<Row>) -> RowChange {
    let asked = CommandMetadata::of(event);
    RowChange {
        position: event.position(),
        event: event.id(),
        stream: event.stream().to_owned(),
        revision: event.revision(),
        event_type: event.event_type().to_owned(),
        recorded_at: event.recorded_at(),
        happened_at: event.happened_at(),
        actor: asked.actor,
        command: asked.command_id,
        correlation: asked.correlation,
        before,
        after,
    }
}

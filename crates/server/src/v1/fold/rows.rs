//! A fold into rows: what a declared projection makes of one stream's events alone, in tables that go with the question.

use std::sync::Arc;

use factum::{ApplyError, ChangedTags, DeclaredProjection, Model, Projection};
use factum_core::read_model::{
    NewVersion, PersonalData, ProjectionName, ReadModelError, ReadModelWriter, Role, Version,
};
use factum_core::{EventStore, EventStoreExt, Read, RecordedEvent, Selector, StreamName, Timestamp};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::read_side::{ReadSide, ReadSideError, on_a_thread};
use crate::shared::Shared;
use crate::shown::value_of_row;
use crate::v1::problem::{Problem, Slug};

/// Events of a stream that are folded into rows, at most: each question begins at the first one.
const MAX_EVENTS: u64 = 10_000;
/// Rows that such a fold may come to, in all tables.
const MAX_ROWS: usize = 1_000;
/// Bytes of those rows as JSON.
const MAX_BYTES: usize = 1024 * 1024;
/// Such folds at one time.
const MAX_AT_ONCE: usize = 4;
/// Events at either end of a stream by which it is told whether a projection is about it.
const LOOKED_AT: u64 = 100;

/// How many there may be at one time.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_AT_ONCE)))
    }
}

/// A declared projection, as it serves now.
pub(crate) struct RowsOf {
    projection: DeclaredProjection,
    version: Version,
    side: Arc<ReadSide>,
}

impl RowsOf {
    /// The projection of this name; `None` where there is none, or none that is declared.
    ///
    /// # Errors
    /// `refused` where its rows hold personal data, and what the database says.
    pub(super) async fn find(side: &Arc<ReadSide>, name: &ProjectionName) -> Result<Option<Self>, Problem> {
        let versions = side.versions().await?;
        let found =
            versions.into_iter().find(|version| version.name == *name && version.role == Role::Serving);
        let Some(version) = found else { return Ok(None) };
        if version.definition.is_empty() {
            let detail =
                format!("'{name}' is code: only a declaration is kept with its rows, and can be folded here");
            return Err(Problem::new(Slug::Refused, detail));
        }
        if version.personal != PersonalData::None {
            let detail = format!("the rows of '{name}' hold personal data, which is not opened for this");
            return Err(Problem::new(Slug::Refused, detail));
        }
        let projection = DeclaredProjection::parse(&version.definition)
            .map_err(|error| Problem::new(Slug::Refused, format!("the declaration of '{name}': {error}")))?;
        Ok(Some(Self { projection, version, side: Arc::clone(side) }))
    }
}

/// The declared projections that a stream's first and last events are for.
pub(super) async fn names_of(
    shared: &Shared,
    stream: Option<&StreamName>,
) -> Result<Vec<ProjectionName>, Problem> {
    let Some(side) = &shared.ops.read_side else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    let mut types: Option<Vec<String>> = None;
    for version in side.versions().await? {
        let can = version.role == Role::Serving
            && !version.definition.is_empty()
            && version.personal == PersonalData::None;
        let Ok(projection) = DeclaredProjection::parse(&version.definition) else { continue };
        if !can {
            continue;
        }
        let Some(stream) = stream else {
            names.push(version.name);
            continue;
        };
        if types.is_none() {
            types = Some(types_of(shared, stream).await?);
        }
        let is_about =
            |types: &Vec<String>| projection.event_types().any(|of| types.iter().any(|seen| seen == of));
        if projection.concerns(stream.as_str()) && types.as_ref().is_some_and(is_about) {
            names.push(version.name);
        }
    }
    Ok(names)
}

async fn types_of(shared: &Shared, stream: &StreamName) -> Result<Vec<String>, Problem> {
    let store: &dyn EventStore = shared.store.as_ref();
    let selector = || Selector::Stream(stream.clone());
    let mut types: Vec<String> = Vec::new();
    for read in [Read::forwards(selector()), Read::backwards(selector())] {
        for event in store.read_all(read.limit(LOOKED_AT)).await? {
            if !types.iter().any(|seen| seen == event.event_type()) {
                types.push(event.event_type().to_owned());
            }
        }
    }
    Ok(types)
}

/// Tables that are filled by one stream's events.
pub(super) struct Rows {
    of: Arc<RowsOf>,
    tables: Arc<Vec<(String, Vec<String>)>>,
    /// With a thread while it works; gone after the database failed.
    writer: Option<Box<dyn ReadModelWriter>>,
    events: u64,
    /// The rows as they were shown last, while nothing changed them.
    json: Option<Box<RawValue>>,
    _room: OwnedSemaphorePermit,
}

/// A writer that comes back from its thread, and what it did there.
type Done<T> = (Box<dyn ReadModelWriter>, Result<T, ApplyError>);

impl Rows {
    /// Makes empty tables.
    pub(super) async fn begin(shared: &Shared, of: &Arc<RowsOf>) -> Result<Self, Problem> {
        let room = Arc::clone(&shared.v1.folds.rows.0).try_acquire_owned();
        let room = room.map_err(|_| {
            let detail =
                format!("{MAX_AT_ONCE} folds into rows are under way, and there may be no more at a time");
            Problem::new(Slug::Busy, detail)
        })?;
        let make = Arc::clone(of);
        let (tables, writer) =
            of.side
                .blocking(move |read_models| {
                    let (name, number) = (&make.version.name, make.version.number);
                    let tables = read_models.tables(name, number)?;
                    let progress = read_models.progress(name, number)?;
                    let start = progress.into_iter().next().ok_or_else(|| {
                        ReadModelError::UnknownVersion { name: name.clone(), wanted: number.to_string() }
                    })?;
                    let definition = make.projection.definition();
                    let new = definition.new_version(&start.applied, Timestamp::default());
                    let writer = read_models.scratch(&NewVersion { partitions: 1, ..new })?;
                    Ok::<_, ReadModelError>((tables, writer))
                })
                .await
                .map_err(ReadSideError::from)?;
        Ok(Self {
            of: Arc::clone(of),
            tables: Arc::new(tables),
            writer: Some(writer),
            events: 0,
            json: None,
            _room: room,
        })
    }

    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn ReadModelWriter) -> Result<T, ApplyError> + Send + 'static,
    ) -> Result<Result<T, ApplyError>, Problem> {
        let Some(mut writer) = self.writer.take() else {
            return Err(Problem::new(Slug::Unavailable, "the tables of this fold are gone"));
        };
        let (writer, done): Done<T> = on_a_thread(move || {
            let done = work(&mut *writer);
            (writer, done)
        })
        .await;
        self.writer = Some(writer);
        Ok(done)
    }

    /// What the projection makes of the event, or why it makes nothing of it.
    pub(super) async fn apply(&mut self, event: &RecordedEvent) -> Result<Result<(), String>, Problem> {
        self.events += 1;
        if self.events > MAX_EVENTS {
            let detail = format!(
                "the stream has more than {MAX_EVENTS} events, which is the most that are folded into rows"
            );
            return Err(Problem::new(Slug::Refused, detail).with("limit", MAX_EVENTS));
        }
        let decoded = match self.of.projection.decode(event) {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(decoded)) => decoded,
            Err(error) => return Ok(Err(error.to_string())),
        };
        self.json = None;
        let (of, event) = (Arc::clone(&self.of), event.clone());
        let done = self.with(move |writer| one(&of.projection, &decoded, &event, writer)).await?;
        match done {
            Ok(()) => Ok(Ok(())),
            Err(ApplyError::ReadModel(error))
                if !ApplyError::ReadModel(error.clone()).is_about_the_event() =>
            {
                Err(ReadSideError::from(error).into())
            }
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// The rows, as `{table: {key: row}}`; of a table without a key as a list.
    pub(super) async fn json(&mut self) -> Result<Box<RawValue>, Problem> {
        if let Some(json) = &self.json {
            return Ok(json.clone());
        }
        let tables = Arc::clone(&self.tables);
        let read = self.with(move |writer| read(&tables, writer)).await?;
        let all = read.map_err(|error| Problem::new(Slug::Unavailable, error.to_string()))?;
        let Some(all) = all else {
            let detail =
                format!("it comes to more than {MAX_ROWS} rows, which is the most that are shown so");
            return Err(Problem::new(Slug::Refused, detail).with("limit", MAX_ROWS));
        };
        let json = to_raw_value(&all).unwrap_or_default();
        if json.get().len() > MAX_BYTES {
            let detail =
                format!("its rows have more than {MAX_BYTES} bytes, which is the most that are shown so");
            return Err(Problem::new(Slug::Refused, detail).with("limit", MAX_BYTES));
        }
        self.json = Some(json.clone());
        Ok(json)
    }
}

/// A transaction for each event: one that fails leaves nothing behind, and the next one goes on.
fn one(
    projection: &DeclaredProjection,
    decoded: &factum::DeclaredEvent,
    event: &RecordedEvent,
    writer: &mut dyn ReadModelWriter,
) -> Result<(), ApplyError> {
    writer.begin()?;
    let mut ignored = ChangedTags::default();
    let applied = projection.apply(decoded, event, &mut Model::new(&mut *writer, &mut ignored));
    let progress = writer.progress().clone();
    let done = applied.and_then(|()| writer.commit(&progress).map_err(ApplyError::from));
    if done.is_err() {
        writer.rollback()?;
    }
    done
}

/// Every row; `None` where there are too many.
fn read(
    tables: &[(String, Vec<String>)],
    writer: &mut dyn ReadModelWriter,
) -> Result<Option<Map<String, Value>>, ApplyError> {
    writer.begin()?;
    let mut all = Map::new();
    let mut count = 0;
    for (table, key) in tables {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let order: Vec<String> = key.iter().map(|column| quoted(column)).collect();
        let order = if order.is_empty() { String::new() } else { format!(" order by {}", order.join(", ")) };
        let rows =
            writer.query(&format!("select * from {}{order} limit {}", quoted(table), MAX_ROWS + 1), &[])?;
        count += rows.rows.len();
        if count > MAX_ROWS {
            writer.rollback()?;
            return Ok(None);
        }
        let (mut keyed, mut listed) = (Map::new(), Vec::new());
        for row in &rows.rows {
            let fields: Map<String, Value> =
                rows.columns.iter().cloned().zip(row.iter().map(value_of_row)).collect();
            let parts: Vec<String> = key.iter().map(|column| plain(fields.get(column))).collect();
            match parts.as_slice() {
                [] => listed.push(Value::Object(fields)),
                [part] => drop(keyed.insert(part.clone(), fields.into())),
                several => drop(keyed.insert(json!(several).to_string(), fields.into())),
            }
        }
        all.insert(table.clone(), if key.is_empty() { listed.into() } else { keyed.into() });
    }
    writer.rollback()?;
    Ok(Some(all))
}

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

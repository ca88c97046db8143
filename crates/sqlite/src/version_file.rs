//! What does the file of a version hold beside the projection's rows? Owners, progress, faults and skips.

use factum_core::read_model::{Attempt, Fault, NewVersion, Progress, ReadModelError, Skip};
use factum_core::{Checkpoint, EventId, Position, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::guard::{Guard, Whose};
use crate::{connection, error};

/// Our tables. Times are in ticks of 100 ns since 1970, as in the log.
const TABLES: &str = "
    CREATE TABLE _factum_partitions (
        partition INTEGER PRIMARY KEY, -- from 0
        owner INTEGER NOT NULL,        -- goes up with each owner: an older one is fenced
        applied TEXT NOT NULL,         -- a checkpoint
        recorded_at INTEGER,
        events INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE _factum_faults (
        partition INTEGER PRIMARY KEY REFERENCES _factum_partitions,
        position INTEGER NOT NULL,
        event TEXT NOT NULL,
        stream TEXT NOT NULL,
        event_type TEXT NOT NULL
    ) STRICT;
    CREATE TABLE _factum_attempts (
        partition INTEGER NOT NULL REFERENCES _factum_faults ON DELETE CASCADE,
        attempt INTEGER NOT NULL,      -- from 0, the oldest first
        at INTEGER NOT NULL,
        error TEXT NOT NULL,
        PRIMARY KEY (partition, attempt)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE _factum_skips (
        partition INTEGER NOT NULL REFERENCES _factum_partitions,
        position INTEGER NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (partition, position)
    ) STRICT, WITHOUT ROWID;
";

/// Fills a fresh database with our tables and the projection's own, in one transaction.
pub(crate) fn fill(
    database: &str,
    connection: &Connection,
    guard: &Guard,
    new: &NewVersion,
) -> Result<(), ReadModelError> {
    let ours = |failure| error::of_database(database, &failure);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(ours)?;
    let filled = (|| {
        connection::mark(connection).map_err(ours)?;
        connection.execute_batch(TABLES).map_err(ours)?;
        for partition in 0..new.partitions.max(1) {
            let insert =
                "INSERT INTO _factum_partitions (partition, owner, applied, events) VALUES (?1, 0, ?2, 0)";
            connection.execute(insert, params![partition, new.start.to_string()]).map_err(ours)?;
        }
        let made = guard.during(Whose::Tables, || connection.execute_batch(&new.tables));
        made.map_err(|failure| {
            error::of_statement(database, &new.tables, Whose::Tables.allowed(), &failure)
        })?;
        connection.execute_batch("COMMIT").map_err(ours)
    })();
    if filled.is_err() {
        // What failed is told; the file goes, or the memory.
        let _ = connection.execute_batch("ROLLBACK");
    }
    filled
}

/// Becomes the owner of a partition; gives the owner's number. `None` where there is no such partition.
pub(crate) fn own(connection: &Connection, partition: u16) -> rusqlite::Result<Option<i64>> {
    let sql = "UPDATE _factum_partitions SET owner = owner + 1 WHERE partition = ?1 RETURNING owner";
    connection.query_row(sql, [partition], |row| row.get(0)).optional()
}

/// Fences the owners of all partitions.
pub(crate) fn fence(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute("UPDATE _factum_partitions SET owner = owner + 1", [])
}

/// Whether this owner still owns the partition.
pub(crate) fn owns(connection: &Connection, partition: u16, owner: i64) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare_cached("SELECT owner FROM _factum_partitions WHERE partition = ?1")?;
    let now: Option<i64> = statement.query_row([partition], |row| row.get(0)).optional()?;
    Ok(now == Some(owner))
}

/// How far each partition has come, by index. `schema` is the schema that the file is attached as.
pub(crate) fn progress(
    database: &str,
    connection: &Connection,
    schema: &str,
) -> Result<Vec<Progress>, ReadModelError> {
    let read = || -> rusqlite::Result<Vec<(u16, String, Progress)>> {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT p.partition, applied, recorded_at, events, position, event, stream, event_type \
             FROM \"{schema}\"._factum_partitions p LEFT JOIN \"{schema}\"._factum_faults f USING (partition) \
             ORDER BY p.partition"
        ))?;
        let placeholder = Checkpoint::before(factum_core::StoreId(Uuid::nil()), 0, Position(0));
        let rows = statement.query_map([], |row| {
            let events: i64 = row.get(3)?;
            let progress = Progress {
                applied: placeholder.clone(),
                recorded_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
                events: events.cast_unsigned(),
                fault: fault(row)?,
            };
            Ok((row.get(0)?, row.get(1)?, progress))
        })?;
        let mut all: Vec<(u16, String, Progress)> = rows.collect::<rusqlite::Result<_>>()?;
        for (partition, _, progress) in &mut all {
            if let Some(fault) = &mut progress.fault {
                fault.attempts = attempts(connection, schema, *partition)?;
            }
        }
        Ok(all)
    };
    let rows = read().map_err(|failure| error::of_database(database, &failure))?;
    let damaged = |why: String| ReadModelError::Damaged { database: database.to_owned(), why };
    if rows.is_empty() {
        return Err(damaged("it holds no partition".to_owned()));
    }
    let with_place = rows.into_iter().map(|(_, applied, progress)| {
        let applied: Checkpoint =
            applied.parse().map_err(|failure: factum_core::CheckpointError| damaged(failure.to_string()))?;
        Ok(Progress { applied, ..progress })
    });
    with_place.collect()
}

fn fault(row: &Row<'_>) -> rusqlite::Result<Option<Fault>> {
    let Some(position) = row.get::<_, Option<i64>>(4)? else { return Ok(None) };
    let event: String = row.get(5)?;
    Ok(Some(Fault {
        position: Position(position.cast_unsigned()),
        event: EventId(Uuid::parse_str(&event).unwrap_or_default()),
        stream: row.get(6)?,
        event_type: row.get(7)?,
        attempts: Vec::new(),
    }))
}

fn attempts(connection: &Connection, schema: &str, partition: u16) -> rusqlite::Result<Vec<Attempt>> {
    let sql =
        format!("SELECT at, error FROM \"{schema}\"._factum_attempts WHERE partition = ?1 ORDER BY attempt");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement
        .query_map([partition], |row| Ok(Attempt { at: Timestamp(row.get(0)?), error: row.get(1)? }))?;
    rows.collect()
}

/// Writes how far a partition has come, if it is still this owner's; else nothing is written and the answer is no.
pub(crate) fn save(
    connection: &Connection,
    partition: u16,
    owner: i64,
    progress: &Progress,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE _factum_partitions SET applied = ?3, recorded_at = ?4, events = ?5 WHERE partition = ?1 AND owner = ?2",
    )?;
    let (applied, recorded_at) = (progress.applied.to_string(), progress.recorded_at.map(|at| at.0));
    let changed =
        statement.execute(params![partition, owner, applied, recorded_at, progress.events.cast_signed()])?;
    Ok(changed == 1)
}

/// Keeps or clears what a partition stands still at.
pub(crate) fn save_fault(
    connection: &Connection,
    partition: u16,
    fault: Option<&Fault>,
) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM _factum_attempts WHERE partition = ?1", [partition])?;
    connection.execute("DELETE FROM _factum_faults WHERE partition = ?1", [partition])?;
    let Some(fault) = fault else { return Ok(()) };
    connection.execute(
        "INSERT INTO _factum_faults (partition, position, event, stream, event_type) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            partition,
            fault.position.0.cast_signed(),
            fault.event.0.to_string(),
            fault.stream,
            fault.event_type
        ],
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO _factum_attempts (partition, attempt, at, error) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (attempt, made) in (0_i64..).zip(&fault.attempts) {
        insert.execute(params![partition, attempt, made.at.0, made.error])?;
    }
    Ok(())
}

/// Keeps that an event is to be passed over. Said again, it counts as said last.
pub(crate) fn save_skip(connection: &Connection, partition: u16, skip: &Skip) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO _factum_skips (partition, position, actor, reason, at) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.execute(
        sql,
        params![partition, skip.position.0.cast_signed(), skip.actor, skip.reason, skip.at.0],
    )?;
    Ok(())
}

/// The events that are to be passed over, in order.
pub(crate) fn skips(connection: &Connection, schema: &str) -> rusqlite::Result<Vec<Skip>> {
    let sql = format!("SELECT position, actor, reason, at FROM \"{schema}\"._factum_skips ORDER BY position");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| {
        let position: i64 = row.get(0)?;
        Ok(Skip {
            position: Position(position.cast_unsigned()),
            actor: row.get(1)?,
            reason: row.get(2)?,
            at: Timestamp(row.get(3)?),
        })
    })?;
    rows.collect()
}

/// The least of the partitions' progress, with the events of all. A partition at fault is told before one that is not.
pub(crate) fn least(partitions: Vec<Progress>) -> Progress {
    let place = |progress: &Progress| progress.applied.next_position();
    let events = partitions.iter().map(|progress| progress.events).sum();
    let fault = partitions.iter().find_map(|progress| progress.fault.clone());
    let Some(least) = partitions.into_iter().min_by_key(place) else { unreachable!("there is a partition") };
    Progress { events, fault, ..least }
}

//! What does Factum keep in its own schema: versions, how far each partition is, who owns it, what was done?

use std::collections::{BTreeMap, BTreeSet};

use factum_core::read_model::{
    Action, Attempt, Fault, Parameters, PersonalData, Progress, ProjectionName, ReadModelError, Role, Row,
    Rows, Skip, Value, Version, VersionNumber,
};
use factum_core::{Checkpoint, Position, Timestamp};
use serde_json::{Value as Json, json};

use crate::error::Whose;
use crate::link::Link;

/// Factum's own schema. No projection may have this name.
pub(crate) const SCHEMA: &str = "factum";

/// The layout of the tables below. A later build that changes them gives another number.
pub(crate) const LAYOUT: u32 = 1;

/// Held while the schema is made: two processes that start at once do not make it twice.
const MAKING: i64 = 0x0066_6163_7475_6d01;

/// Times are ticks of 100 ns since 1970. Of a projection that was deleted, `projections` and `history` stay: a number is
/// never used again.
const TABLES: &str = "
    CREATE SCHEMA factum;
    COMMENT ON SCHEMA factum IS 'Factum: which read models are here, and how far they have come';
    CREATE TABLE factum.layout (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), number int NOT NULL);
    INSERT INTO factum.layout (number) VALUES (1);
    CREATE TABLE factum.projections (name text PRIMARY KEY, last_version int NOT NULL);
    CREATE TABLE factum.versions (
        name text NOT NULL REFERENCES factum.projections,
        number int NOT NULL,
        role text NOT NULL CHECK (role IN ('serving', 'building', 'previous')),
        fingerprint text NOT NULL,
        definition text NOT NULL,
        partitions int NOT NULL,
        personal text NOT NULL,
        stopped boolean NOT NULL DEFAULT false,
        one_at_a_time boolean NOT NULL DEFAULT false,
        created_at bigint NOT NULL,
        PRIMARY KEY (name, number),
        CONSTRAINT one_version_per_role UNIQUE (name, role) DEFERRABLE INITIALLY DEFERRED
    );
    CREATE TABLE factum.partitions (
        name text NOT NULL,
        version int NOT NULL,
        index int NOT NULL,
        applied text NOT NULL,
        recorded_at bigint,
        events bigint NOT NULL DEFAULT 0,
        fault text,
        owner bigint NOT NULL DEFAULT 0,
        owner_pid int,
        owner_since timestamptz,
        PRIMARY KEY (name, version, index)
    ) WITH (fillfactor = 50);
    CREATE TABLE factum.skips (
        name text NOT NULL,
        version int NOT NULL,
        index int NOT NULL,
        position bigint NOT NULL,
        actor text NOT NULL,
        reason text NOT NULL,
        at bigint NOT NULL,
        PRIMARY KEY (name, version, position)
    );
    CREATE TABLE factum.history (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        version int NOT NULL,
        what text NOT NULL,
        actor text NOT NULL,
        reason text NOT NULL,
        at bigint NOT NULL
    );
    CREATE INDEX history_of_a_projection ON factum.history (name, id);
";

/// The schema that holds a version's tables.
pub(crate) fn schema_of(name: &ProjectionName, number: VersionNumber) -> String {
    format!("{name}__{number}")
}

/// Makes the schema where it is not there, and checks that this build knows it.
pub(crate) fn ensure(link: &mut Link) -> Result<(), ReadModelError> {
    if !is_there(link)? {
        link.transaction(|link| {
            ours(link, "SELECT pg_advisory_xact_lock(:lock)", &[("lock", MAKING.into())])?;
            // Another process may have been first.
            if is_there(link)? { Ok(()) } else { link.batch(Whose::Ours, TABLES) }
        })?;
    }
    check(link)
}

/// Whether the catalog has been made.
pub(crate) fn is_there(link: &mut Link) -> Result<bool, ReadModelError> {
    let found = ours(link, "SELECT to_regclass('factum.layout') IS NOT NULL", &[])?;
    Ok(found.first_value() == Some(&Value::Bool(true)))
}

/// Checks that this build knows the layout.
pub(crate) fn check(link: &mut Link) -> Result<(), ReadModelError> {
    let found = ours(link, "SELECT number FROM factum.layout", &[])?;
    let found = found.first_value().and_then(Value::as_integer).unwrap_or_default();
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > LAYOUT {
        let database = link.database().to_owned();
        return Err(ReadModelError::NewerLayout { database, found, known: LAYOUT });
    }
    Ok(())
}

/// A statement of ours that reads.
pub(crate) fn ours(link: &mut Link, text: &str, parameters: &Parameters<'_>) -> Result<Rows, ReadModelError> {
    link.query(Whose::Ours, text, parameters)
}

/// The parameters that name a version.
pub(crate) fn of_version(name: &ProjectionName, number: VersionNumber) -> [(&'static str, Value<'_>); 2] {
    [("name", name.as_str().into()), ("version", number.0.into())]
}

/// The error for a version that is not there.
pub(crate) fn unknown(name: &ProjectionName, number: VersionNumber) -> ReadModelError {
    ReadModelError::UnknownVersion { name: name.clone(), wanted: number.to_string() }
}

const VERSION: &str = "SELECT name, number, role, fingerprint, definition, partitions, personal, stopped, \
                       created_at FROM factum.versions";

pub(crate) fn versions(link: &mut Link) -> Result<Vec<Version>, ReadModelError> {
    let rows = ours(link, &format!("{VERSION} ORDER BY name, number"), &[])?;
    rows.rows.iter().map(|row| version(link.database(), row)).collect()
}

/// The versions of one projection, by number.
pub(crate) fn versions_of(link: &mut Link, name: &ProjectionName) -> Result<Vec<Version>, ReadModelError> {
    let text = format!("{VERSION} WHERE name = :name ORDER BY number");
    let rows = ours(link, &text, &[("name", name.as_str().into())])?;
    rows.rows.iter().map(|row| version(link.database(), row)).collect()
}

/// Refuses a version that is not there.
pub(crate) fn must_be_there(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
) -> Result<(), ReadModelError> {
    let text = "SELECT 1 FROM factum.versions WHERE name = :name AND number = :version";
    let found = ours(link, text, &of_version(name, number))?;
    if found.rows.is_empty() { Err(unknown(name, number)) } else { Ok(()) }
}

fn version(database: &str, row: &Row) -> Result<Version, ReadModelError> {
    let cells = Cells { database, row };
    Ok(Version {
        name: ProjectionName::new(cells.text(0)?).map_err(|error| cells.damaged(&error.to_string()))?,
        number: VersionNumber(cells.number(1)?),
        role: Role::parse(cells.text(2)?).ok_or_else(|| cells.damaged("an unknown role"))?,
        fingerprint: cells.text(3)?.to_owned(),
        definition: cells.text(4)?.to_owned(),
        partitions: cells.number(5)?,
        personal: PersonalData::parse(cells.text(6)?)
            .ok_or_else(|| cells.damaged("unknown personal data"))?,
        stopped: row.get(7) == Some(&Value::Bool(true)),
        created_at: Timestamp(cells.number(8)?),
    })
}

/// How far a version's partitions are, by index.
pub(crate) fn progress(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
) -> Result<Vec<Progress>, ReadModelError> {
    let text = "SELECT applied, recorded_at, events, fault FROM factum.partitions \
                WHERE name = :name AND version = :version ORDER BY index";
    let rows = ours(link, text, &of_version(name, number))?;
    rows.rows.iter().map(|row| progress_of(link.database(), row)).collect()
}

/// From `applied, recorded_at, events, fault`.
pub(crate) fn progress_of(database: &str, row: &Row) -> Result<Progress, ReadModelError> {
    let cells = Cells { database, row };
    let fault = match row.get(3) {
        Some(Value::Text(text)) => {
            Some(fault_from(text).ok_or_else(|| cells.damaged("a fault that is none"))?)
        }
        _ => None,
    };
    Ok(Progress {
        applied: cells.text(0)?.parse::<Checkpoint>().map_err(|error| cells.damaged(&error.to_string()))?,
        recorded_at: row.get(1).and_then(Value::as_integer).map(Timestamp),
        events: cells.number(2)?,
        fault,
    })
}

/// The progress of the version as a whole: of the partition that is furthest behind; the events of all; any fault.
pub(crate) fn least(partitions: Vec<Progress>) -> Option<Progress> {
    let events = partitions.iter().map(|progress| progress.events).sum();
    let fault = partitions.iter().find_map(|progress| progress.fault.clone());
    let behind = partitions.into_iter().min_by_key(|progress| progress.applied.next_position())?;
    Some(Progress { events, fault: behind.fault.clone().or(fault), ..behind })
}

pub(crate) fn skips(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
) -> Result<Vec<Skip>, ReadModelError> {
    let text = "SELECT position, actor, reason, at FROM factum.skips \
                WHERE name = :name AND version = :version ORDER BY position";
    let rows = ours(link, text, &of_version(name, number))?;
    let skip = |row: &Row| {
        let cells = Cells { database: link.database(), row };
        Ok(Skip {
            position: Position(cells.number(0)?),
            actor: cells.text(1)?.to_owned(),
            reason: cells.text(2)?.to_owned(),
            at: Timestamp(cells.number(3)?),
        })
    };
    rows.rows.iter().map(skip).collect()
}

pub(crate) fn record(link: &mut Link, action: &Action) -> Result<(), ReadModelError> {
    let text = "INSERT INTO factum.history (name, version, what, actor, reason, at) \
                VALUES (:name, :version, :what, :actor, :reason, :at)";
    let parameters = [
        ("name", action.name.as_str().into()),
        ("version", action.version.0.into()),
        ("what", (&action.what).into()),
        ("actor", (&action.actor).into()),
        ("reason", (&action.reason).into()),
        ("at", action.at.0.into()),
    ];
    link.execute(Whose::Ours, text, &parameters)?;
    link.flush()
}

pub(crate) fn history(link: &mut Link, name: &ProjectionName) -> Result<Vec<Action>, ReadModelError> {
    let text = "SELECT version, what, actor, reason, at FROM factum.history WHERE name = :name ORDER BY id";
    let rows = ours(link, text, &[("name", name.as_str().into())])?;
    let action = |row: &Row| {
        let cells = Cells { database: link.database(), row };
        Ok(Action {
            name: name.clone(),
            version: VersionNumber(cells.number(0)?),
            what: cells.text(1)?.to_owned(),
            actor: cells.text(2)?.to_owned(),
            reason: cells.text(3)?.to_owned(),
            at: Timestamp(cells.number(4)?),
        })
    };
    rows.rows.iter().map(action).collect()
}

/// A version's tables, each with the columns of its primary key in their order.
pub(crate) fn tables(link: &mut Link, schema: &str) -> Result<BTreeMap<String, Vec<String>>, ReadModelError> {
    let text = "SELECT c.relname::text, a.attname::text \
                FROM pg_catalog.pg_class c \
                LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary \
                LEFT JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) ON true \
                LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
                WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind IN ('r', 'p') \
                AND NOT c.relispartition ORDER BY c.relname, k.place";
    let quoted = crate::words::quote(schema);
    let rows = ours(link, text, &[("schema", quoted.into())])?;
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows.rows {
        let cells = Cells { database: link.database(), row };
        let key = tables.entry(cells.text(0)?.to_owned()).or_default();
        key.extend(row.get(1).and_then(Value::as_text).map(str::to_owned));
    }
    Ok(tables)
}

/// Every name that a reader may put after the projection's: tables and views.
pub(crate) fn relations(link: &mut Link, schema: &str) -> Result<BTreeSet<String>, ReadModelError> {
    let text = "SELECT relname::text FROM pg_catalog.pg_class \
                WHERE relnamespace = to_regnamespace(:schema) AND relkind IN ('r', 'p', 'v', 'm', 'f')";
    let quoted = crate::words::quote(schema);
    let rows = ours(link, text, &[("schema", quoted.into())])?;
    Ok(rows.rows.iter().filter_map(|row| row[0].as_text().map(str::to_owned)).collect())
}

/// The cells of a row of the catalog.
pub(crate) struct Cells<'a> {
    pub(crate) database: &'a str,
    pub(crate) row: &'a Row,
}

impl Cells<'_> {
    pub(crate) fn text(&self, index: usize) -> Result<&str, ReadModelError> {
        self.row.get(index).and_then(Value::as_text).ok_or_else(|| self.damaged("a text is missing"))
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, index: usize) -> Result<T, ReadModelError> {
        let number = self.row.get(index).and_then(Value::as_integer);
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.damaged("a number is missing or out of range"))
    }

    pub(crate) fn damaged(&self, why: &str) -> ReadModelError {
        ReadModelError::Damaged {
            database: self.database.to_owned(),
            why: format!("in Factum's own schema: {why}"),
        }
    }
}

/// A fault as it is kept.
pub(crate) fn fault_text(fault: &Fault) -> String {
    let attempts: Vec<Json> =
        fault.attempts.iter().map(|attempt| json!({ "at": attempt.at.0, "error": attempt.error })).collect();
    json!({
        "position": fault.position.0,
        "event": fault.event.to_string(),
        "stream": fault.stream,
        "event_type": fault.event_type,
        "attempts": attempts,
    })
    .to_string()
}

fn fault_from(text: &str) -> Option<Fault> {
    let json: Json = serde_json::from_str(text).ok()?;
    let attempt = |json: &Json| {
        Some(Attempt { at: Timestamp(json["at"].as_i64()?), error: json["error"].as_str()?.to_owned() })
    };
    Some(Fault {
        position: Position(json["position"].as_u64()?),
        event: json["event"].as_str()?.parse().ok()?,
        stream: json["stream"].as_str()?.to_owned(),
        event_type: json["event_type"].as_str()?.to_owned(),
        attempts: json["attempts"].as_array()?.iter().map(attempt).collect::<Option<_>>()?,
    })
}

/// A count or position as the server keeps it; it has no unsigned numbers. Larger ones do not occur.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use factum_core::read_model::{Attempt, Fault};
    use factum_core::{EventId, Position, Timestamp};

    use super::{fault_from, fault_text};

    #[test]
    fn a_fault_is_kept_whole() {
        let fault = Fault {
            position: Position(7),
            event: EventId::generate(),
            stream: "account-\"1\"".to_owned(),
            event_type: "FundsDeposited".to_owned(),
            attempts: vec![Attempt { at: Timestamp(-3), error: "no\nrow".to_owned() }],
        };
        assert_eq!(fault_from(&fault_text(&fault)), Some(fault));
        assert_eq!(fault_from("{}"), None);
    }
}

//! How are versions made, promoted and dropped, each in one transaction?
//!
//! Order of locks, so that no two transactions wait for each other: the catalog's `versions` first (a lock that those who
//! change versions share with nobody), then a version's tables, then its rows of `partitions`. A writer takes the last two
//! in the same order.

use factum_core::read_model::{
    NewVersion, ProjectionName, ReadModelError, Role, Value, Version, VersionNumber,
};

use crate::catalog::{self, of_version, ours, schema_of, unknown};
use crate::error::{Whose, refused, translate_schema};
use crate::guard;
use crate::link::Link;
use crate::watch;
use crate::words::quote;

/// Makes a version.
pub(crate) fn create(link: &mut Link, new: &NewVersion) -> Result<Version, ReadModelError> {
    let statements = guard::check_tables(&new.tables)?;
    link.transaction(|link| {
        lock(link)?;
        check_history(link, new)?;
        let there = catalog::versions_of(link, &new.name)?;
        if let Some(building) = there.iter().find(|version| version.role == Role::Building) {
            let (name, building) = (new.name.clone(), building.number);
            return Err(ReadModelError::AlreadyBuilding { name, building });
        }
        let serves = there.iter().any(|version| version.role == Role::Serving);
        let version = Version {
            name: new.name.clone(),
            number: next_number(link, &new.name)?,
            role: if serves { Role::Building } else { Role::Serving },
            fingerprint: new.fingerprint.clone(),
            definition: new.definition.clone(),
            partitions: new.partitions.max(1),
            personal: new.personal,
            stopped: false,
            created_at: new.at,
        };
        make_tables(link, &schema_of(&version.name, version.number), &statements)?;
        add(link, &version, new)?;
        if version.role == Role::Serving {
            show(link, &version.name, version.number)?;
        }
        Ok(version)
    })
}

/// Makes the schema and the tables in it, on which unqualified names then stand in this transaction.
pub(crate) fn make_tables(link: &mut Link, schema: &str, statements: &[&str]) -> Result<(), ReadModelError> {
    let quoted = quote(schema);
    link.batch(Whose::Ours, &format!("CREATE SCHEMA {quoted}; SET LOCAL search_path = {quoted}"))
        .map_err(|error| translate_schema(schema, error))?;
    for statement in statements {
        link.batch(Whose::Tables, statement)?;
    }
    link.batch(Whose::Ours, "SET LOCAL search_path = DEFAULT")
}

fn lock(link: &mut Link) -> Result<(), ReadModelError> {
    link.batch(Whose::Ours, "LOCK TABLE factum.versions IN SHARE ROW EXCLUSIVE MODE")
}

/// Rows of different histories do not go together: a query over two projections would mix them.
fn check_history(link: &mut Link, new: &NewVersion) -> Result<(), ReadModelError> {
    let text = "SELECT applied, recorded_at, events, fault FROM factum.partitions LIMIT 1";
    let found = ours(link, text, &[])?;
    let Some(row) = found.rows.first() else { return Ok(()) };
    let there = catalog::progress_of(link.database(), row)?.applied;
    new.start.check(there.store(), there.epoch()).map_err(|source| {
        let database = link.database().to_owned();
        ReadModelError::OtherHistory { database, source }
    })
}

fn next_number(link: &mut Link, name: &ProjectionName) -> Result<VersionNumber, ReadModelError> {
    let text = "INSERT INTO factum.projections AS p (name, last_version) VALUES (:name, 1) \
                ON CONFLICT (name) DO UPDATE SET last_version = p.last_version + 1 RETURNING last_version";
    let given = ours(link, text, &[("name", name.as_str().into())])?;
    let number = given.first_value().and_then(Value::as_integer).and_then(|n| u32::try_from(n).ok());
    Ok(VersionNumber(number.unwrap_or(1)))
}

fn add(link: &mut Link, version: &Version, new: &NewVersion) -> Result<(), ReadModelError> {
    let text = "INSERT INTO factum.versions \
                (name, number, role, fingerprint, definition, partitions, personal, created_at) \
                VALUES (:name, :number, :role, :fingerprint, :definition, :partitions, :personal, :created_at)";
    let parameters = [
        ("name", version.name.as_str().into()),
        ("number", version.number.0.into()),
        ("role", version.role.as_str().into()),
        ("fingerprint", (&version.fingerprint).into()),
        ("definition", (&version.definition).into()),
        ("partitions", u32::from(version.partitions).into()),
        ("personal", version.personal.as_str().into()),
        ("created_at", version.created_at.0.into()),
    ];
    link.execute(Whose::Ours, text, &parameters)?;
    for index in 0..version.partitions {
        let text = "INSERT INTO factum.partitions (name, version, index, applied) \
                    VALUES (:name, :version, :index, :applied)";
        let parameters = [
            ("name", version.name.as_str().into()),
            ("version", version.number.0.into()),
            ("index", u32::from(index).into()),
            ("applied", new.start.to_string().into()),
        ];
        link.execute(Whose::Ours, text, &parameters)?;
    }
    link.flush()
}

/// Lets a version serve.
pub(crate) fn promote(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
) -> Result<(), ReadModelError> {
    link.transaction(|link| {
        lock(link)?;
        let there = catalog::versions_of(link, name)?;
        let target = there.iter().find(|version| version.number == number);
        let target = target.ok_or_else(|| unknown(name, number))?;
        if target.role == Role::Serving {
            return Ok(());
        }
        for version in &there {
            match version.role {
                Role::Serving => {
                    check_caught_up(link, name, number, version.number)?;
                    set_role(link, name, version.number, Role::Previous)?;
                }
                Role::Previous if version.number != number => drop_version(link, name, version.number)?,
                Role::Previous | Role::Building => {}
            }
        }
        set_role(link, name, number, Role::Serving)?;
        show(link, name, number)?;
        for version in &there {
            watch::notify(link, name, version.number)?;
        }
        Ok(())
    })
}

/// The serving version may not commit between this look and the swap: its partitions are locked.
fn check_caught_up(
    link: &mut Link,
    name: &ProjectionName,
    version: VersionNumber,
    serving: VersionNumber,
) -> Result<(), ReadModelError> {
    let text = "SELECT 1 FROM factum.partitions WHERE name = :name AND version = :version \
                ORDER BY index FOR SHARE";
    ours(link, text, &of_version(name, serving))?;
    // Readers have seen the rows of the partition that is ahead.
    let least = catalog::least(catalog::progress(link, name, version)?);
    let furthest =
        catalog::progress(link, name, serving)?.into_iter().max_by_key(|p| p.applied.next_position());
    let (Some(least), Some(furthest)) = (least, furthest) else { return Err(unknown(name, version)) };
    let (applied, serving) = (Box::new(least.applied), Box::new(furthest.applied));
    match applied.reaches(&serving) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ReadModelError::NotCaughtUp { name: name.clone(), version, applied, serving }),
        Err(source) => {
            let database = link.database().to_owned();
            Err(ReadModelError::OtherHistory { database, source })
        }
    }
}

fn set_role(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
    role: Role,
) -> Result<(), ReadModelError> {
    let text = "UPDATE factum.versions SET role = :role WHERE name = :name AND number = :version";
    let [name, number] = of_version(name, number);
    link.execute(Whose::Ours, text, &[name, number, ("role", role.as_str().into())])?;
    link.flush()
}

/// Shows a version's tables as views in the schema of the projection's name, for those who read without Factum. A view
/// with the same columns stays, and so do the rights that were granted on it.
fn show(link: &mut Link, name: &ProjectionName, number: VersionNumber) -> Result<(), ReadModelError> {
    let (stable, schema) = (quote(name.as_str()), schema_of(name, number));
    let marked = format!("Factum: the projection {name} as it is served");
    let known = ours(
        link,
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace WHERE nspname = :name",
        &[("name", name.as_str().into())],
    )?;
    match known.first_value() {
        None => {
            let text = format!("CREATE SCHEMA {stable}; COMMENT ON SCHEMA {stable} IS '{marked}'");
            link.batch(Whose::Ours, &text)?;
        }
        Some(Value::Text(comment)) if *comment == marked => {}
        Some(_) => {
            let why = "the database has a schema of this name that is not Factum's: give the projection another name";
            return Err(refused(&format!("CREATE SCHEMA {name}"), why));
        }
    }
    let tables = catalog::tables(link, &schema)?;
    let shown = ours(
        link,
        "SELECT viewname::text FROM pg_catalog.pg_views WHERE schemaname = :name",
        &[("name", name.as_str().into())],
    )?;
    let shown: Vec<String> =
        shown.rows.iter().filter_map(|row| row[0].as_text().map(str::to_owned)).collect();
    for view in shown.iter().filter(|view| !tables.contains_key(*view)) {
        link.batch(Whose::Tables, &format!("DROP VIEW {stable}.{}", quote(view)))?;
    }
    for table in tables.keys() {
        show_table(link, &stable, &schema, table)?;
    }
    Ok(())
}

fn show_table(link: &mut Link, stable: &str, schema: &str, table: &str) -> Result<(), ReadModelError> {
    let table = quote(table);
    let create =
        format!("CREATE OR REPLACE VIEW {stable}.{table} AS SELECT * FROM {}.{table}", quote(schema));
    link.batch(Whose::Ours, "SAVEPOINT before_view")?;
    if link.batch(Whose::Tables, &create).is_ok() {
        return link.batch(Whose::Ours, "RELEASE before_view");
    }
    // Other columns: the view cannot be replaced. Where something else depends on it, the server says what.
    link.batch(Whose::Ours, "ROLLBACK TO before_view")?;
    link.batch(Whose::Tables, &format!("DROP VIEW {stable}.{table}"))?;
    link.batch(Whose::Tables, &create)
}

/// Drops a version that does not serve.
pub(crate) fn discard(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
) -> Result<(), ReadModelError> {
    link.transaction(|link| {
        lock(link)?;
        let there = catalog::versions_of(link, name)?;
        let version = there.iter().find(|version| version.number == number);
        match version.ok_or_else(|| unknown(name, number))?.role {
            Role::Serving => Err(ReadModelError::Serves { name: name.clone(), version: number }),
            Role::Building | Role::Previous => drop_version(link, name, number),
        }
    })
}

/// Drops a projection.
pub(crate) fn delete(link: &mut Link, name: &ProjectionName) -> Result<(), ReadModelError> {
    link.transaction(|link| {
        lock(link)?;
        let there = catalog::versions_of(link, name)?;
        if there.is_empty() {
            return Err(ReadModelError::UnknownProjection { name: name.clone() });
        }
        link.batch(Whose::Ours, &format!("DROP SCHEMA IF EXISTS {} CASCADE", quote(name.as_str())))?;
        there.iter().try_for_each(|version| drop_version(link, name, version.number))
    })
}

/// The tables go first: that waits for a writer within its transaction, which still needs its row of `partitions`.
fn drop_version(link: &mut Link, name: &ProjectionName, number: VersionNumber) -> Result<(), ReadModelError> {
    link.batch(Whose::Ours, &format!("DROP SCHEMA {} CASCADE", quote(&schema_of(name, number))))?;
    for table in ["skips", "partitions"] {
        let text = format!("DELETE FROM factum.{table} WHERE name = :name AND version = :version");
        link.execute(Whose::Ours, &text, &of_version(name, number))?;
    }
    let text = "DELETE FROM factum.versions WHERE name = :name AND number = :version";
    link.execute(Whose::Ours, text, &of_version(name, number))?;
    watch::notify(link, name, number)
}

/// Changes columns of one version; `UnknownVersion` where it is not there.
pub(crate) fn change(
    link: &mut Link,
    name: &ProjectionName,
    number: VersionNumber,
    set: &str,
    more: &[(&'static str, Value<'_>)],
) -> Result<(), ReadModelError> {
    let text =
        format!("UPDATE factum.versions SET {set} WHERE name = :name AND number = :version RETURNING number");
    let mut parameters = of_version(name, number).to_vec();
    parameters.extend_from_slice(more);
    let changed = ours(link, &text, &parameters)?;
    if changed.rows.is_empty() {
        return Err(unknown(name, number));
    }
    watch::notify(link, name, number)?;
    link.flush()
}

//! How do the rows of two versions differ? SQLite compares them; the rows do not pass through our memory.

use std::collections::BTreeSet;

use factum_core::read_model::{CompareOptions, Row, RowDifference, TableDifference};
use rusqlite::Connection;

use crate::guard::OURS;
use crate::value::from_sqlite;

/// A table of a projection.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// The columns of its primary key, in the key's order.
    pub(crate) key: Vec<String>,
}

/// The projection's tables in a schema, by name.
pub(crate) fn tables_of(connection: &Connection, schema: &str) -> rusqlite::Result<Vec<Table>> {
    let mut names = connection.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = ?1 AND type IN ('table', 'virtual') ORDER BY name",
    )?;
    let names: Vec<String> = names.query_map([schema], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let theirs = names.into_iter().filter(|name| !name.starts_with("sqlite_") && !name.starts_with(OURS));
    theirs.map(|name| table(connection, schema, name)).collect()
}

fn table(connection: &Connection, schema: &str, name: String) -> rusqlite::Result<Table> {
    let mut info = connection.prepare("SELECT name, pk FROM pragma_table_info(?1, ?2) ORDER BY cid")?;
    let columns = info.query_map([&name, schema], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let columns: Vec<(String, u32)> = columns.collect::<rusqlite::Result<_>>()?;
    let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
    key.sort_by_key(|(_, place)| *place);
    let key = key.into_iter().map(|(column, _)| column.clone()).collect();
    Ok(Table { name, columns: columns.into_iter().map(|(column, _)| column).collect(), key })
}

/// Compares the schemas `old` and `new` in one state of each.
pub(crate) fn tables(
    connection: &Connection,
    options: CompareOptions,
) -> rusqlite::Result<Vec<TableDifference>> {
    connection.execute_batch("BEGIN")?;
    let compared = within(connection, options);
    connection.execute_batch("COMMIT")?;
    compared
}

fn within(connection: &Connection, options: CompareOptions) -> rusqlite::Result<Vec<TableDifference>> {
    let (old, new) = (tables_of(connection, "old")?, tables_of(connection, "new")?);
    let names: BTreeSet<&str> = old.iter().chain(&new).map(|table| table.name.as_str()).collect();
    let mut differences = Vec::new();
    for name in names {
        let find = |tables: &'_ [Table]| tables.iter().position(|table| table.name == name);
        let difference = match (find(&old).map(|at| &old[at]), find(&new).map(|at| &new[at])) {
            (Some(old), Some(new)) => two(connection, old, new, options)?,
            (Some(old), None) => incomparable(old, "only the old version has this table".to_owned()),
            (None, Some(new)) => incomparable(new, "only the new version has this table".to_owned()),
            (None, None) => continue,
        };
        differences.push(difference);
    }
    Ok(differences)
}

fn incomparable(table: &Table, why: String) -> TableDifference {
    TableDifference {
        table: table.name.clone(),
        columns: table.columns.clone(),
        key: table.key.clone(),
        other_columns: Some(why),
        ..TableDifference::default()
    }
}

fn two(
    connection: &Connection,
    old: &Table,
    new: &Table,
    options: CompareOptions,
) -> rusqlite::Result<TableDifference> {
    let set = |columns: &[String]| columns.iter().cloned().collect::<BTreeSet<_>>();
    if set(&old.columns) != set(&new.columns) {
        let (before, after) = (old.columns.join(", "), new.columns.join(", "));
        return Ok(incomparable(old, format!("the old columns are {before}; the new ones {after}")));
    }
    if old.key != new.key {
        let (before, after) = (old.key.join(", "), new.key.join(", "));
        return Ok(incomparable(old, format!("the old primary key is ({before}), the new one ({after})")));
    }
    let comparison = Comparison { connection, table: old, examples: options.examples };
    let by_key = !old.key.is_empty() && !comparison.has_null_in_key()?;
    let mut difference = if by_key { comparison.by_key()? } else { comparison.by_rows()? };
    difference.table.clone_from(&old.name);
    difference.columns.clone_from(&old.columns);
    difference.key.clone_from(&old.key);
    Ok(difference)
}

struct Comparison<'a> {
    connection: &'a Connection,
    table: &'a Table,
    examples: usize,
}

impl Comparison<'_> {
    /// SQLite lets a key hold NULL, several times even: then it tells no row from another.
    fn has_null_in_key(&self) -> rusqlite::Result<bool> {
        let name = quoted(&self.table.name);
        let null = joined(&self.table.key, " OR ", |column| format!("{column} IS NULL"));
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM old.{name} WHERE {null}) OR EXISTS (SELECT 1 FROM new.{name} WHERE {null})"
        );
        self.connection.query_row(&sql, [], |row| row.get(0))
    }

    /// Rows belong together that have the same key.
    fn by_key(&self) -> rusqlite::Result<TableDifference> {
        let name = quoted(&self.table.name);
        let same_key = joined(&self.table.key, " AND ", |column| format!("o.{column} = n.{column}"));
        let differs = joined(&self.table.columns, " OR ", |column| {
            format!("o.{column} IS NOT n.{column} COLLATE BINARY")
        });
        let order = |row: &str| joined(&self.table.key, ", ", |column| format!("{row}.{column}"));
        let columns = |row: &str| joined(&self.table.columns, ", ", |column| format!("{row}.{column}"));
        let both = format!("old.{name} o CROSS JOIN new.{name} n ON {same_key}");
        let (together, changed): (u64, u64) = self.connection.query_row(
            &format!("SELECT count(*), coalesce(sum({differs}), 0) FROM {both}"),
            [],
            |row| Ok((count(row, 0)?, count(row, 1)?)),
        )?;
        let rows = |schema: &str| {
            let sql = format!("SELECT count(*) FROM {schema}.{name}");
            self.connection.query_row(&sql, [], |row| count(row, 0))
        };
        let alone = |mine: &str, row: &str, other: &str, other_row: &str| {
            self.rows(&format!(
                "SELECT {} FROM {mine}.{name} {row} WHERE NOT EXISTS \
                 (SELECT 1 FROM {other}.{name} {other_row} WHERE {same_key}) ORDER BY {}",
                columns(row),
                order(row)
            ))
        };
        let mut examples = Vec::new();
        examples.extend(alone("old", "o", "new", "n")?.into_iter().map(RowDifference::OnlyOld));
        examples.extend(alone("new", "n", "old", "o")?.into_iter().map(RowDifference::OnlyNew));
        let (o, n, by) = (columns("o"), columns("n"), order("o"));
        for mut old in self.rows(&format!("SELECT {o}, {n} FROM {both} WHERE {differs} ORDER BY {by}"))? {
            let new = old.split_off(self.table.columns.len());
            examples.push(RowDifference::Changed { old, new });
        }
        Ok(TableDifference {
            same: together - changed,
            only_old: rows("old")?.saturating_sub(together),
            only_new: rows("new")?.saturating_sub(together),
            changed,
            examples,
            ..TableDifference::default()
        })
    }

    /// A row is the same as another if all its columns are; it may be there several times.
    fn by_rows(&self) -> rusqlite::Result<TableDifference> {
        let name = quoted(&self.table.name);
        let columns = joined(&self.table.columns, ", ", str::to_owned);
        let grouped = format!(
            "SELECT {columns}, sum(o) AS \"in old\", sum(n) AS \"in new\" FROM \
             (SELECT {columns}, 1 AS o, 0 AS n FROM old.{name} \
              UNION ALL SELECT {columns}, 0, 1 FROM new.{name}) GROUP BY {columns}"
        );
        let mut difference = self.connection.query_row(
            &format!(
                "SELECT coalesce(sum(min(\"in old\", \"in new\")), 0), \
                 coalesce(sum(max(\"in old\" - \"in new\", 0)), 0), \
                 coalesce(sum(max(\"in new\" - \"in old\", 0)), 0) FROM ({grouped})"
            ),
            [],
            |row| {
                Ok(TableDifference {
                    same: count(row, 0)?,
                    only_old: count(row, 1)?,
                    only_new: count(row, 2)?,
                    ..TableDifference::default()
                })
            },
        )?;
        let alone = |which: &str| {
            self.rows(&format!("SELECT {columns} FROM ({grouped}) WHERE {which} ORDER BY {columns}"))
        };
        let old = alone("\"in old\" > \"in new\"")?;
        let new = alone("\"in new\" > \"in old\"")?;
        difference.examples = old.into_iter().map(RowDifference::OnlyOld).collect();
        difference.examples.extend(new.into_iter().map(RowDifference::OnlyNew));
        Ok(difference)
    }

    /// The first rows of a query, as many as examples are wanted.
    fn rows(&self, query: &str) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare(&format!("{query} LIMIT {}", self.examples))?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns).map(|column| row.get_ref(column).map(from_sqlite)).collect::<rusqlite::Result<Row>>()
        })?;
        rows.collect()
    }
}

fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// Each name quoted and written as `write` says, joined.
fn joined(names: &[String], by: &str, write: impl Fn(&str) -> String) -> String {
    names.iter().map(|name| write(&quoted(name))).collect::<Vec<_>>().join(by)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

//! In which rows do two versions differ? The server compares them; only counts and examples come here.

use std::collections::BTreeMap;

use factum_core::read_model::{
    CompareOptions, ProjectionName, ReadModelError, Row, RowDifference, TableDifference, VersionNumber,
};

use crate::catalog::{self, Cells, ours, schema_of};
use crate::error::Whose;
use crate::link::Link;
use crate::words::quote;

/// Compares all tables of two versions in one state of the database.
pub(crate) fn compare(
    link: &mut Link,
    name: &ProjectionName,
    (old, new): (VersionNumber, VersionNumber),
    options: CompareOptions,
) -> Result<Vec<TableDifference>, ReadModelError> {
    link.transaction(|link| {
        link.batch(Whose::Ours, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        catalog::must_be_there(link, name, old)?;
        catalog::must_be_there(link, name, new)?;
        let (old_schema, new_schema) = (schema_of(name, old), schema_of(name, new));
        let (old_tables, new_tables) =
            (catalog::tables(link, &old_schema)?, catalog::tables(link, &new_schema)?);
        let mut names: Vec<&String> = old_tables.keys().chain(new_tables.keys()).collect();
        names.sort();
        names.dedup();
        let (old_columns, new_columns) = (columns(link, &old_schema)?, columns(link, &new_schema)?);
        let mut differences = Vec::new();
        for table in names {
            let there = (old_tables.get(table), new_tables.get(table));
            let shape = match there {
                (Some(old_key), Some(new_key)) => {
                    shape_difference((old_key, &old_columns[table]), (new_key, &new_columns[table]))
                }
                (Some(_), None) => Some(format!("only {old} has the table")),
                (None, _) => Some(format!("only {new} has the table")),
            };
            let key = there.0.or(there.1).cloned().unwrap_or_default();
            let listed = old_columns.get(table).or_else(|| new_columns.get(table));
            let mut difference = TableDifference {
                table: table.clone(),
                columns: listed.into_iter().flatten().map(|column| column.name.clone()).collect(),
                key: key.clone(),
                other_columns: shape,
                ..TableDifference::default()
            };
            if difference.other_columns.is_none() {
                let sides = Sides::new(&old_schema, &new_schema, table, &old_columns[table], &key);
                sides.fill(link, &mut difference, options)?;
            }
            differences.push(difference);
        }
        Ok(differences)
    })
}

/// A column with its type, as the server writes it.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: String,
}

impl Column {
    /// The column in a form that can be compared: some types have no equality.
    fn comparable(&self, side: &str) -> String {
        let name = format!("{side}.{}", quote(&self.name));
        let without = ["json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"];
        if without.contains(&self.kind.as_str()) { format!("{name}::text") } else { name }
    }
}

fn columns(link: &mut Link, schema: &str) -> Result<BTreeMap<String, Vec<Column>>, ReadModelError> {
    let text = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) \
                FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
                WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind IN ('r', 'p') \
                AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum";
    let rows = ours(link, text, &[("schema", quote(schema).into())])?;
    let mut columns: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    // A table without columns has no row here.
    for table in catalog::tables(link, schema)?.into_keys() {
        columns.insert(table, Vec::new());
    }
    for row in &rows.rows {
        let cells = Cells { database: link.database(), row };
        let column = Column { name: cells.text(1)?.to_owned(), kind: cells.text(2)?.to_owned() };
        columns.entry(cells.text(0)?.to_owned()).or_default().push(column);
    }
    Ok(columns)
}

fn shape_difference(
    (old_key, old): (&[String], &[Column]),
    (new_key, new): (&[String], &[Column]),
) -> Option<String> {
    let list = |columns: &[Column]| {
        let listed: Vec<String> =
            columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
        listed.join(", ")
    };
    if old != new {
        return Some(format!("the columns were ({}) and are ({})", list(old), list(new)));
    }
    (old_key != new_key)
        .then(|| format!("the primary key was ({}) and is ({})", old_key.join(", "), new_key.join(", ")))
}

/// How a row differs.
#[derive(Clone, Copy)]
enum Kind {
    OnlyOld,
    OnlyNew,
    Changed,
}

/// The pieces of the statements that compare one table.
struct Sides<'a> {
    columns: &'a [Column],
    key: &'a [String],
    old: String,
    new: String,
}

impl<'a> Sides<'a> {
    fn new(old: &str, new: &str, table: &str, columns: &'a [Column], key: &'a [String]) -> Self {
        let of = |schema: &str| format!("{}.{}", quote(schema), quote(table));
        Self { columns, key, old: of(old), new: of(new) }
    }

    fn listed(&self, side: &str) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("{side}.{}", quote(&column.name))).collect();
        columns.join(", ")
    }

    fn comparable(&self, side: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| column.comparable(side)).collect();
        columns.join(", ")
    }

    fn fill(
        &self,
        link: &mut Link,
        difference: &mut TableDifference,
        options: CompareOptions,
    ) -> Result<(), ReadModelError> {
        let counts = if self.key.is_empty() { self.count_whole() } else { self.count_by_key() };
        let counted = ours(link, &counts, &[])?;
        let Some(row) = counted.rows.first() else { return Ok(()) };
        let cells = Cells { database: link.database(), row };
        difference.only_old = cells.number(0)?;
        difference.only_new = cells.number(1)?;
        difference.changed = cells.number(2)?;
        difference.same = cells.number(3)?;
        if !difference.differs() || options.examples == 0 {
            return Ok(());
        }
        let examples = i64::try_from(options.examples).unwrap_or(i64::MAX);
        difference.examples = if self.key.is_empty() {
            self.examples_whole(link, examples)?
        } else {
            self.examples_by_key(link, examples)?
        };
        Ok(())
    }

    /// Both tables beside each other, row by row. `tableoid` is missing on the side that has no such row.
    fn joined(&self) -> String {
        let on: Vec<String> = self.key.iter().map(|column| format!("o.{0} = n.{0}", quote(column))).collect();
        format!("{} o FULL JOIN {} n ON {}", self.old, self.new, on.join(" AND "))
    }

    fn differ(&self) -> String {
        format!("ROW({}) IS DISTINCT FROM ROW({})", self.comparable("o"), self.comparable("n"))
    }

    fn count_by_key(&self) -> String {
        let (joined, differ) = (self.joined(), self.differ());
        format!(
            "SELECT count(*) FILTER (WHERE n.tableoid IS NULL), count(*) FILTER (WHERE o.tableoid IS NULL), \
             count(*) FILTER (WHERE o.tableoid IS NOT NULL AND n.tableoid IS NOT NULL AND {differ}), \
             count(*) FILTER (WHERE o.tableoid IS NOT NULL AND n.tableoid IS NOT NULL AND NOT ({differ})) \
             FROM {joined}"
        )
    }

    /// Without a key, rows are counted as whole ones, each as often as it is there.
    fn count_whole(&self) -> String {
        let (old, new) = (self.whole(&self.old), self.whole(&self.new));
        format!(
            "SELECT a.c, b.c, 0::bigint, t.c - a.c FROM \
             (SELECT count(*) AS c FROM ({old} EXCEPT ALL {new}) x) a, \
             (SELECT count(*) AS c FROM ({new} EXCEPT ALL {old}) x) b, \
             (SELECT count(*) AS c FROM {}) t",
            self.old
        )
    }

    fn whole(&self, table: &str) -> String {
        format!("SELECT {} FROM {table} t", self.comparable("t"))
    }

    fn examples_by_key(&self, link: &mut Link, limit: i64) -> Result<Vec<RowDifference>, ReadModelError> {
        let (joined, width) = (self.joined(), self.columns.len());
        let order: Vec<String> =
            self.key.iter().map(|column| format!("coalesce(o.{0}, n.{0})", quote(column))).collect();
        let mut examples = Vec::new();
        for (kind, differs) in [
            (Kind::OnlyOld, "n.tableoid IS NULL".to_owned()),
            (Kind::OnlyNew, "o.tableoid IS NULL".to_owned()),
            (
                Kind::Changed,
                format!("o.tableoid IS NOT NULL AND n.tableoid IS NOT NULL AND {}", self.differ()),
            ),
        ] {
            let text = format!(
                "SELECT {}, {} FROM {joined} WHERE {differs} ORDER BY {} LIMIT {limit}",
                self.listed("o"),
                self.listed("n"),
                order.join(", ")
            );
            for mut old in ours(link, &text, &[])?.rows {
                let new: Row = old.split_off(width);
                examples.push(match kind {
                    Kind::OnlyOld => RowDifference::OnlyOld(old),
                    Kind::OnlyNew => RowDifference::OnlyNew(new),
                    Kind::Changed => RowDifference::Changed { old, new },
                });
            }
        }
        Ok(examples)
    }

    fn examples_whole(&self, link: &mut Link, limit: i64) -> Result<Vec<RowDifference>, ReadModelError> {
        let (old, new) = (self.whole(&self.old), self.whole(&self.new));
        let mut examples = Vec::new();
        for (from, to, side) in [
            (&old, &new, RowDifference::OnlyOld as fn(Row) -> RowDifference),
            (&new, &old, RowDifference::OnlyNew as fn(Row) -> RowDifference),
        ] {
            let text = format!("{from} EXCEPT ALL {to} ORDER BY 1 LIMIT {limit}");
            examples.extend(ours(link, &text, &[])?.rows.into_iter().map(side));
        }
        Ok(examples)
    }
}

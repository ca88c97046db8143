//! How does a reader name the tables of a projection, whichever version it reads?
//!
//! A version's tables lie in a schema of its own (`balances__v2`). A reader's statement writes `balances.accounts`, and
//! that is put where it belongs before the server gets it: what a reader reads is fixed when it is made, also while
//! another version is promoted. Only names of tables are replaced: `balances.amount` may be a column.

use std::collections::BTreeSet;

use crate::words::{Script, quote};

/// The schemas that a reader sees.
#[derive(Debug, Default)]
pub(crate) struct Qualify {
    schemas: Vec<(String, String, BTreeSet<String>)>,
}

impl Qualify {
    /// `name` stands for `schema` before each of these tables.
    pub(crate) fn add(&mut self, name: &str, schema: String, tables: BTreeSet<String>) {
        self.schemas.push((name.to_owned(), schema, tables));
    }

    /// The statement with its tables put where they are.
    pub(crate) fn apply(&self, statement: &str) -> String {
        let words = Script::parse(statement).words;
        let mut text = String::with_capacity(statement.len());
        let mut from = 0;
        for pair in words.windows(2) {
            let [schema, table] = pair else { continue };
            if schema.after_dot || !schema.before_dot || !table.after_dot {
                continue;
            }
            let known = self.schemas.iter().find(|(name, _, _)| *name == schema.name);
            if let Some((_, there, tables)) = known
                && tables.contains(&table.name)
            {
                text.push_str(&statement[from..schema.at.start]);
                text.push_str(&quote(there));
                from = schema.at.end;
            }
        }
        text.push_str(&statement[from..]);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Qualify;

    #[test]
    fn tables_are_put_where_they_are_and_columns_left_alone() {
        let mut qualify = Qualify::default();
        let tables = BTreeSet::from(["balances".to_owned(), "odd".to_owned()]);
        qualify.add("balances", "balances__v2".to_owned(), tables);
        for (given, expected) in [
            ("SELECT * FROM balances.odd", "SELECT * FROM \"balances__v2\".odd"),
            (
                "SELECT Balances . balances.amount FROM \"balances\".balances",
                "SELECT \"balances__v2\" . balances.amount FROM \"balances__v2\".balances",
            ),
            ("SELECT balances.amount FROM balances", "SELECT balances.amount FROM balances"),
            ("SELECT 'balances.odd' FROM x.balances", "SELECT 'balances.odd' FROM x.balances"),
        ] {
            assert_eq!(qualify.apply(given), expected);
        }
    }
}

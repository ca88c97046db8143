//! What may a statement do that is not ours?

use factum_core::read_model::ReadModelError;

use crate::catalog::SCHEMA;
use crate::error::refused;
use crate::words::Script;

/// What a statement on rows may begin with.
const ROWS: &[&str] =
    &["insert", "update", "delete", "merge", "select", "with", "values", "table", "explain"];

/// What a reader's statement may begin with. That it changes nothing is the transaction's business, which only reads.
const READS: &[&str] = &["select", "with", "values", "table", "explain"];

/// What may not stand in the statements that make tables: what ends the transaction or leaves the version's schema.
const NOT_FOR_TABLES: &[&str] = &[
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "prepare",
    "set",
    "reset",
    "discard",
    "vacuum",
    "listen",
    "notify",
    "unlisten",
    "copy",
    "call",
    "lock",
    "grant",
    "revoke",
    "reassign",
];

/// A projection's statement may read and change the rows of its own tables.
pub(crate) fn check_rows(text: &str) -> Result<(), ReadModelError> {
    let script = only_statement(text)?;
    let first = script.first_word(&script.statements[0]);
    if !ROWS.contains(&first) {
        return Err(refused(text, "a projection's statement may read and change rows, and nothing else"));
    }
    check_schema(text, &script)
}

/// A reader's statement may read.
pub(crate) fn check_reader(text: &str) -> Result<(), ReadModelError> {
    let script = only_statement(text)?;
    let first = script.first_word(&script.statements[0]);
    if !READS.contains(&first) {
        return Err(refused(text, "a reader may only read the tables of the projections"));
    }
    check_schema(text, &script)
}

/// The statements of a script that makes tables.
pub(crate) fn check_tables(text: &str) -> Result<Vec<&str>, ReadModelError> {
    let script = Script::parse(text);
    check_schema(text, &script)?;
    let mut statements = Vec::new();
    for range in &script.statements {
        let statement = text[range.clone()].trim();
        if NOT_FOR_TABLES.contains(&script.first_word(range)) {
            return Err(refused(
                statement,
                "the statements that make tables may make and fill tables, indexes, views, types, functions and \
                 triggers, and nothing else",
            ));
        }
        statements.push(statement);
    }
    Ok(statements)
}

fn only_statement(text: &str) -> Result<Script, ReadModelError> {
    let script = Script::parse(text);
    match script.statements.len() {
        1 => Ok(script),
        0 => Err(refused(text, "there is no statement in it")),
        more => Err(refused(text, format!("there are {more} statements in it: give one at a time"))),
    }
}

fn check_schema(text: &str, script: &Script) -> Result<(), ReadModelError> {
    if script.names_schema(SCHEMA) {
        return Err(refused(text, format!("the schema '{SCHEMA}' is Factum's own")));
    }
    // No projection's name has two underscores: such a schema is one of a version.
    if let Some(word) = script.words.iter().find(|word| word.before_dot && is_of_a_version(&word.name)) {
        return Err(refused(
            text,
            format!("name tables by themselves or after their projection, and not in '{}'", word.name),
        ));
    }
    Ok(())
}

fn is_of_a_version(name: &str) -> bool {
    let number = name.rsplit_once("__v").map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{check_reader, check_rows, check_tables};

    #[test]
    fn rows_are_all_that_a_projection_changes() {
        for good in ["INSERT INTO t VALUES (1)", "-- x\nwith a as (select 1) delete from t", "SELECT 1;"] {
            assert!(check_rows(good).is_ok(), "{good}");
        }
        for bad in [
            "COMMIT",
            "drop table t",
            "set search_path = x",
            "",
            "-- nothing",
            "select 1; select 2",
            "update Factum.partitions set events = 0",
            "delete from \"factum\" . skips",
            "delete from balances__v1.accounts",
        ] {
            assert!(check_rows(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn readers_read() {
        assert!(check_reader("select 1").is_ok() && check_reader("EXPLAIN SELECT 1").is_ok());
        for bad in
            ["insert into t values (1)", "SET TRANSACTION READ WRITE", "commit", "select * from factum.x"]
        {
            assert!(check_reader(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tables_are_made_within_the_transaction() {
        let text = "CREATE TABLE a (b int);\nCREATE INDEX ON a (b);";
        assert_eq!(check_tables(text).unwrap(), ["CREATE TABLE a (b int)", "CREATE INDEX ON a (b)"]);
        assert_eq!(check_tables("").unwrap(), [""; 0]);
        assert!(check_tables("CREATE TABLE a (b int); COMMIT").is_err());
        assert!(check_tables("CREATE TABLE factum.a (b int)").is_err());
    }
}

//! Can a projection's or a reader's statement reach what is not its own?

use factum_core::Timestamp;
use factum_core::read_model::{ReadModelError, ReadModels, Value};

use crate::fixture::{Fixture, TABLES, V1, add, name, new_version, progress};

const FOREIGN: [&str; 22] = [
    "SELECT * FROM _factum_partitions",
    "SELECT owner FROM main._FACTUM_partitions",
    "SELECT * FROM accounts WHERE amount IN (SELECT owner FROM _factum_partitions)",
    "WITH p AS (SELECT * FROM _factum_partitions) SELECT * FROM p",
    "SELECT * FROM hidden",
    "UPDATE _factum_partitions SET owner = 0",
    "UPDATE accounts SET amount = (SELECT max(owner) FROM _factum_partitions)",
    "DELETE FROM _factum_skips",
    "INSERT INTO _factum_skips VALUES (0, 0, '', '', 0)",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "PRAGMA user_version = 7",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = 1",
    "SELECT * FROM pragma_database_list",
    "DELETE FROM sqlite_schema",
    "SELECT load_extension('x')",
    "VACUUM INTO 'elsewhere'",
    "REINDEX",
    "ANALYZE",
    "CREATE TEMP TABLE t AS SELECT 1",
    "EXPLAIN DELETE FROM _factum_skips",
];

/// A table, and what would lead from it to ours.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let tables = format!(
        "{TABLES}; CREATE VIEW hidden AS SELECT * FROM _factum_partitions; CREATE TABLE led (a);
         CREATE TRIGGER lead AFTER INSERT ON led BEGIN UPDATE _factum_partitions SET owner = 0; END"
    );
    fixture.models.create(&new_version("balances", &tables)).unwrap();
    fixture.add(V1, 1);
    fixture
}

#[test]
fn a_projection_reaches_nothing_but_its_tables() {
    let fixture = fixture();
    let mut writer = fixture.writer(V1);
    for statement in FOREIGN.into_iter().chain(["INSERT INTO led VALUES (1)"]) {
        for query in [false, true] {
            writer.begin().unwrap();
            let refused =
                if query { writer.query(statement, &[]).map(drop) } else { writer.execute(statement, &[]) };
            assert!(matches!(refused, Err(ReadModelError::Statement { .. })), "{statement}: {refused:?}");
            assert!(writer.commit(&progress(9)).is_err(), "{statement}");
            writer.rollback().unwrap();
        }
    }
    add(&mut *writer, 2).unwrap();
    assert_eq!(fixture.amount(V1).unwrap(), Value::Integer(2));
}

#[test]
fn a_reader_reaches_nothing_but_the_tables() {
    let fixture = fixture();
    let mut reader = fixture.models.reader(&[(name("balances"), V1)]).unwrap();
    let more = ["SELECT * FROM balances._factum_partitions", "DETACH balances", "PRAGMA query_only = 0"];
    for statement in FOREIGN.into_iter().chain(more) {
        let refused = reader.query(statement, &[]);
        assert!(matches!(refused, Err(ReadModelError::Statement { .. })), "{statement}: {refused:?}");
    }
    assert_eq!(reader.query("SELECT amount FROM accounts", &[]).unwrap().1, [progress(1)]);
}

#[test]
fn tables_are_not_made_over_ours() {
    let fixture = Fixture::new();
    for tables in [
        "CREATE TABLE _factum_more (a)",
        "CREATE TABLE _Factum_more (a)",
        "DROP TABLE _factum_skips",
        "ALTER TABLE _factum_partitions ADD COLUMN a",
        "CREATE INDEX fast ON _factum_partitions (owner)",
        "CREATE TABLE t (a); CREATE TRIGGER _factum_t AFTER INSERT ON t BEGIN SELECT 1; END",
        "UPDATE _factum_partitions SET owner = 7",
        "ATTACH ':memory:' AS other; CREATE TABLE other.t (a)",
        "PRAGMA user_version = 7",
        "COMMIT",
        "ROLLBACK; CREATE TABLE t (a)",
    ] {
        let refused = fixture.models.create(&new_version("balances", tables));
        assert!(matches!(refused, Err(ReadModelError::Statement { .. })), "{tables}: {refused:?}");
        assert!(fixture.models.scratch(&new_version("balances", tables)).is_err(), "{tables}");
    }
    assert!(fixture.models.versions().unwrap().is_empty());
}

#[test]
fn indexes_views_triggers_and_text_search_can_be_used() {
    let fixture = Fixture::new();
    let tables = "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT, double AS (note || note));
        CREATE INDEX by_note ON notes (lower(note));
        CREATE VIRTUAL TABLE words USING fts5 (note);
        CREATE TABLE counted (n INTEGER NOT NULL);
        INSERT INTO counted VALUES (0);
        CREATE TRIGGER count AFTER INSERT ON notes BEGIN UPDATE counted SET n = n + 1; END;
        CREATE VIEW latest AS SELECT * FROM notes ORDER BY id DESC LIMIT 1;";
    fixture.models.create(&new_version("balances", tables)).unwrap();
    let mut writer = fixture.writer(V1);
    for (n, note) in [(1_u32, "the quick fox"), (2, "a lazy dog")] {
        writer.begin().unwrap();
        writer.execute("INSERT INTO notes (note) VALUES (:note)", &[("note", note.into())]).unwrap();
        writer.execute("INSERT INTO words (note) VALUES (:note)", &[("note", note.into())]).unwrap();
        writer.commit(&progress(n.into())).unwrap();
    }
    let mut reader = fixture.models.reader(&[(name("balances"), V1)]).unwrap();
    for (statement, wanted) in [
        ("SELECT note FROM words WHERE words MATCH 'lazy'", Value::from("a lazy dog")),
        ("SELECT note FROM latest", Value::from("a lazy dog")),
        ("SELECT n FROM counted", Value::from(2)),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT sum(i) FROM n",
            45.into(),
        ),
    ] {
        assert_eq!(reader.query(statement, &[]).unwrap().0.first_value(), Some(&wanted), "{statement}");
    }
    let tables = fixture.models.tables(&name("balances"), V1).unwrap();
    let names: Vec<_> = tables.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(names, ["counted", "notes", "words"]);
}

/// SQLite rolls such a transaction back by itself: what follows must not be written outside of any.
#[test]
fn a_statement_that_ends_the_transaction_ends_it_for_good() {
    let fixture = Fixture::with_balances();
    let mut writer = fixture.writer(V1);
    writer.begin().unwrap();
    writer.execute("UPDATE accounts SET amount = 100", &[]).unwrap();
    writer.execute("INSERT OR ROLLBACK INTO accounts VALUES ('a', 7)", &[]).unwrap_err();
    writer.execute("INSERT INTO accounts VALUES ('b', 7)", &[]).unwrap_err();
    writer.commit(&progress(2)).unwrap_err();
    writer.rollback().unwrap();
    assert_eq!(fixture.amount(V1).unwrap(), Value::Integer(1));
    add(&mut *writer, 2).unwrap();
}

#[test]
fn parameters_have_one_form() {
    let fixture = Fixture::with_balances();
    let mut writer = fixture.writer(V1);
    for statement in ["SELECT ?", "SELECT ?1", "SELECT @a", "SELECT $a", "SELECT :a, ?7"] {
        writer.begin().unwrap();
        let refused = writer.query(statement, &[("a", 1.into())]).unwrap_err().to_string();
        assert!(refused.contains("parameters are written as"), "{refused}");
        writer.rollback().unwrap();
    }
}

#[test]
fn a_time_is_text_that_sorts() {
    let fixture = Fixture::new();
    fixture.models.create(&new_version("balances", "CREATE TABLE times (at TEXT)")).unwrap();
    let mut writer = fixture.writer(V1);
    writer.begin().unwrap();
    for ticks in [17_634_852_001_000_000, 17_634_852_000_000_019, -1] {
        let at = Value::Time(Timestamp(ticks));
        writer.execute("INSERT INTO times VALUES (:at)", &[("at", at)]).unwrap();
    }
    let read = writer.query("SELECT at FROM times ORDER BY at", &[]).unwrap();
    let times: Vec<_> = read.rows.iter().map(|row| row[0].to_string()).collect();
    assert_eq!(
        times,
        ["1969-12-31T23:59:59.999999Z", "2025-11-18T17:00:00.000001Z", "2025-11-18T17:00:00.100000Z"]
    );
}

//! Are the differences between two versions told, and no others?

use factum_core::read_model::{CompareOptions, RowDifference, TableDifference, Value};

use super::case::{Models, V1, V2, done, name, only, text};

/// The differences between two versions with these tables and rows.
fn compared(
    models: &Models,
    old: (&str, &[&str]),
    new: (&str, &[&str]),
    examples: usize,
) -> Vec<TableDifference> {
    for (tables, statements) in [old, new] {
        let version = models.create("balances", tables);
        models.apply("balances", version, statements, 1);
    }
    done(models.models.compare(&name("balances"), (V1, V2), CompareOptions { examples }))
}

fn counts(difference: &TableDifference) -> [u64; 4] {
    [difference.same, difference.only_old, difference.only_new, difference.changed]
}

const TABLE: &str = "CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT, c BIGINT)";

pub fn the_same_rows_do_not_differ(models: &Models) {
    let rows: &[&str] = &["INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2), (3, NULL, NULL)"];
    let difference = only(compared(models, (TABLE, rows), (TABLE, rows), 10));
    assert_eq!((counts(&difference), difference.differs()), ([3, 0, 0, 0], false));
    assert_eq!((&difference.table[..], &difference.key), ("t", &vec!["a".to_owned()]));
    assert_eq!(difference.columns, ["a", "b", "c"]);
    assert!(difference.examples.is_empty() && difference.other_columns.is_none());
}

pub fn rows_are_told_apart_by_key(models: &Models) {
    let old: &[&str] = &["INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)"];
    let new: &[&str] = &["INSERT INTO t VALUES (4, 'n', 4), (1, 'x', 1), (3, 'Z', 3)"];
    let difference = only(compared(models, (TABLE, old), (TABLE, new), 10));
    assert_eq!((counts(&difference), difference.differs()), ([1, 1, 1, 1], true));
    assert_eq!(difference.examples.len(), 3);
    for example in [
        RowDifference::OnlyOld(vec![2.into(), text("y"), 2.into()]),
        RowDifference::OnlyNew(vec![4.into(), text("n"), 4.into()]),
        RowDifference::Changed {
            old: vec![3.into(), text("z"), 3.into()],
            new: vec![3.into(), text("Z"), 3.into()],
        },
    ] {
        assert!(difference.examples.contains(&example), "{example:?} in {:?}", difference.examples);
    }
}

/// Of each kind at most so many, in the order of the key; the counts are of all.
pub fn examples_are_as_many_as_asked_for(models: &Models) {
    let values = |range: std::ops::Range<u32>, b: &str| {
        let rows: Vec<String> = range.map(|a| format!("({a}, '{b}', 0)")).collect();
        format!("INSERT INTO t VALUES {}", rows.join(", "))
    };
    let old = [values(0..20, "same"), values(20..45, "old"), values(50..60, "old")];
    let new = [values(0..20, "same"), values(20..45, "new"), values(60..75, "new")];
    let [old, new] = [&old, &new].map(|rows| rows.iter().map(String::as_str).collect::<Vec<_>>());
    let difference = only(compared(models, (TABLE, &old), (TABLE, &new), 3));
    assert_eq!(counts(&difference), [20, 10, 15, 25]);
    let keys = |wanted: fn(&RowDifference) -> Option<&Value<'static>>| -> Vec<i64> {
        difference.examples.iter().filter_map(wanted).filter_map(Value::as_integer).collect()
    };
    assert_eq!(difference.examples.len(), 9);
    assert_eq!(
        keys(|one| if let RowDifference::OnlyOld(row) = one { row.first() } else { None }),
        [50, 51, 52]
    );
    assert_eq!(
        keys(|one| if let RowDifference::OnlyNew(row) = one { row.first() } else { None }),
        [60, 61, 62]
    );
    assert_eq!(
        keys(|one| if let RowDifference::Changed { old, .. } = one { old.first() } else { None }),
        [20, 21, 22]
    );
    let none = CompareOptions { examples: 0 };
    let difference = only(done(models.models.compare(&name("balances"), (V1, V2), none)));
    assert_eq!((counts(&difference), difference.examples.len()), ([20, 10, 15, 25], 0));
}

pub fn a_null_is_a_value(models: &Models) {
    let old: &[&str] = &["INSERT INTO t VALUES (1, NULL, NULL), (2, NULL, 2), (3, 'x', NULL), (4, '', 4)"];
    let new: &[&str] = &["INSERT INTO t VALUES (1, NULL, NULL), (2, 'x', 2), (3, NULL, NULL), (4, NULL, 4)"];
    assert_eq!(counts(&only(compared(models, (TABLE, old), (TABLE, new), 10))), [1, 0, 0, 3]);
}

pub fn a_key_of_several_columns(models: &Models) {
    let table = "CREATE TABLE t (day TEXT NOT NULL, amount BIGINT, account TEXT NOT NULL, PRIMARY KEY (account, day))";
    let old: &[&str] = &["INSERT INTO t VALUES ('mo', 1, 'a'), ('tu', 1, 'a'), ('mo', 1, 'b')"];
    let new: &[&str] = &["INSERT INTO t VALUES ('mo', 1, 'a'), ('tu', 2, 'a'), ('tu', 1, 'b')"];
    let difference = only(compared(models, (table, old), (table, new), 10));
    assert_eq!(counts(&difference), [1, 1, 1, 1]);
    assert_eq!(difference.key, ["account", "day"]);
    assert_eq!(difference.columns, ["day", "amount", "account"]);
}

/// Where nothing tells rows from each other, the same row may be there several times.
pub fn a_table_without_a_key_is_compared_by_whole_rows(models: &Models) {
    let table = "CREATE TABLE t (a BIGINT, b TEXT)";
    let old: &[&str] = &["INSERT INTO t VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, NULL), (3, 'y')"];
    let new: &[&str] = &["INSERT INTO t VALUES (1, 'x'), (2, NULL), (2, NULL), (4, 'y')"];
    let difference = only(compared(models, (table, old), (table, new), 10));
    assert_eq!(counts(&difference), [2, 3, 2, 0]);
    assert!(difference.key.is_empty());
    for example in [
        RowDifference::OnlyOld(vec![1.into(), text("x")]),
        RowDifference::OnlyOld(vec![3.into(), text("y")]),
        RowDifference::OnlyNew(vec![2.into(), Value::Null]),
        RowDifference::OnlyNew(vec![4.into(), text("y")]),
    ] {
        assert!(difference.examples.contains(&example), "{example:?} in {:?}", difference.examples);
    }
}

pub fn other_columns_are_told(models: &Models) {
    let rows: &[&str] = &["INSERT INTO t (a, b) VALUES (1, 'x')"];
    let more = "CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT, d BIGINT)";
    let difference = only(compared(models, (TABLE, rows), (more, rows), 10));
    let why = difference.other_columns.as_deref().unwrap_or_default();
    assert!(difference.differs() && why.contains('c') && why.contains('d'), "{why}");
    assert_eq!((counts(&difference), difference.examples.len()), ([0; 4], 0));
}

pub fn another_key_is_told(models: &Models) {
    let rows: &[&str] = &["INSERT INTO t VALUES (1, 'x', 1)"];
    let other = "CREATE TABLE t (a BIGINT, b TEXT PRIMARY KEY, c BIGINT)";
    let difference = only(compared(models, (TABLE, rows), (other, rows), 10));
    assert!(difference.other_columns.is_some() && difference.differs());
}

pub fn a_table_that_only_one_version_has_is_told(models: &Models) {
    let rows: &[&str] = &["INSERT INTO t VALUES (1, 'x', 1)"];
    let old = format!("{TABLE}; CREATE TABLE before (a BIGINT PRIMARY KEY)");
    let new = format!("CREATE TABLE after_all (a BIGINT PRIMARY KEY); {TABLE}");
    let differences = compared(models, (&old, rows), (&new, rows), 10);
    let told: Vec<_> =
        differences.iter().map(|one| (one.table.as_str(), one.other_columns.is_some())).collect();
    assert_eq!(told, [("after_all", true), ("before", true), ("t", false)]);
    assert_eq!(counts(&differences[2]), [1, 0, 0, 0]);
}

pub fn an_odd_name_is_only_a_name(models: &Models) {
    let table = "CREATE TABLE \"order\" (\"select\" BIGINT PRIMARY KEY, \"a \"\"b\"\"\" TEXT, \"it's\" TEXT)";
    let rows: &[&str] = &["INSERT INTO \"order\" VALUES (1, 'x', 'y')"];
    let difference = only(compared(models, (table, rows), (table, &[]), 10));
    assert_eq!((difference.table.as_str(), counts(&difference)), ("order", [0, 1, 0, 0]));
    assert_eq!(difference.columns, ["select", "a \"b\"", "it's"]);
}

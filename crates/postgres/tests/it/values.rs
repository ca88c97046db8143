//! Does a value reach a column of any type, and come back?

use factum_core::Timestamp;
use factum_core::read_model::{ReadModelError, Value};

use crate::fixture::{Fixture, V1, progress};

const TIME: i64 = 17_000_000_001_234_560;

/// Writes `value` into a column of type `kind` and reads it back.
fn through(f: &Fixture, kind: &str, value: &Value<'_>) -> Result<Value<'static>, ReadModelError> {
    let mut writer = f.writer("values", V1);
    writer.begin()?;
    let done = (|| {
        let table = kind.replace(|c: char| !c.is_alphanumeric(), "_");
        writer.execute(&format!("INSERT INTO t_{table} (a) VALUES (:a)"), &[("a", value.clone())])?;
        let rows = writer.query(&format!("SELECT a FROM t_{table}"), &[])?;
        Ok(rows.first_value().cloned().unwrap())
    })();
    writer.rollback()?;
    done
}

const KINDS: &[&str] = &[
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "numeric(10,2)",
    "real",
    "double precision",
    "text",
    "varchar(20)",
    "char(3)",
    "json",
    "jsonb",
    "uuid",
    "boolean",
    "bytea",
    "timestamptz",
    "timestamp",
    "date",
    "interval",
    "mood",
    "positive",
    "int[]",
];

fn fixture(test: &str) -> Option<Fixture> {
    let f = Fixture::new(test)?;
    let mut tables =
        "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN positive AS int CHECK (value > 0);"
            .to_owned();
    for kind in KINDS {
        let table = kind.replace(|c: char| !c.is_alphanumeric(), "_");
        tables.push_str(&format!("CREATE TABLE t_{table} (a {kind});"));
    }
    f.create("values", &tables);
    Some(f)
}

#[test]
fn a_value_becomes_what_the_column_wants() {
    let Some(f) = fixture("a_value_becomes_what_the_column_wants") else { return };
    let time = Value::Time(Timestamp(TIME));
    let uuid = "2f0c6a1e-58ac-4d3c-9a43-0d4c2f1e9a11";
    let cases: &[(&str, Value<'_>, Value<'_>)] = &[
        ("smallint", (-3).into(), (-3).into()),
        ("integer", 70_000.into(), 70_000.into()),
        ("integer", true.into(), 1.into()),
        ("integer", "12".into(), 12.into()),
        ("bigint", i64::MIN.into(), i64::MIN.into()),
        ("numeric", i64::MAX.into(), i64::MAX.into()),
        ("numeric", "12345678901234567890.125".into(), "12345678901234567890.125".into()),
        ("numeric(10,2)", 12.5.into(), "12.50".into()),
        ("numeric(10,2)", "-0.05".into(), "-0.05".into()),
        ("real", 0.5.into(), 0.5.into()),
        ("double precision", 0.1.into(), 0.1.into()),
        ("double precision", 3.into(), 3.0.into()),
        ("text", "it's ü :x".into(), "it's ü :x".into()),
        ("text", 5.into(), "5".into()),
        ("text", true.into(), "true".into()),
        ("text", time.clone(), "2023-11-14T22:13:20.123456Z".into()),
        ("varchar(20)", "abc".into(), "abc".into()),
        ("char(3)", "a".into(), "a  ".into()),
        ("json", r#"{"a": [1,2]}"#.into(), r#"{"a": [1,2]}"#.into()),
        ("jsonb", r#"{"b":1,"a":"x"}"#.into(), r#"{"a": "x", "b": 1}"#.into()),
        ("jsonb", 5.into(), "5".into()),
        ("uuid", uuid.into(), uuid.into()),
        ("boolean", false.into(), false.into()),
        ("boolean", 1.into(), true.into()),
        ("boolean", "true".into(), true.into()),
        ("bytea", Value::from(&[0_u8, 255][..]), Value::from(&[0_u8, 255][..])),
        ("timestamptz", time.clone(), time.clone()),
        ("timestamptz", "2023-11-14T23:13:20.123456+01:00".into(), time.clone()),
        ("timestamptz", "infinity".into(), "infinity".into()),
        ("timestamp", time.clone(), time.clone()),
        ("date", time, "2023-11-14".into()),
        ("date", "1901-02-28".into(), "1901-02-28".into()),
        ("mood", "happy".into(), "happy".into()),
        ("positive", 3.into(), 3.into()),
        ("interval", "90 minutes".into(), "01:30:00".into()),
        ("int[]", "{1,2}".into(), "{1,2}".into()),
    ];
    for (kind, given, expected) in cases {
        let came = through(&f, kind, given).unwrap_or_else(|error| panic!("{kind} {given:?}: {error}"));
        assert_eq!(came, *expected, "{kind} {given:?}");
    }
    for kind in KINDS {
        assert_eq!(through(&f, kind, &Value::Null).unwrap(), Value::Null, "{kind}");
    }
}

#[test]
fn what_does_not_fit_is_a_clear_error_without_the_value() {
    let Some(f) = fixture("what_does_not_fit_is_a_clear_error_without_the_value") else { return };
    let cases: &[(&str, Value<'_>, &str)] = &[
        ("smallint", 987_654.into(), "does not fit into a int2"),
        ("integer", "x987654".into(), "invalid input syntax for type integer"),
        ("integer", 0.5.into(), "a number with a fraction cannot be a int4"),
        ("uuid", "x987654".into(), "invalid input syntax for type uuid"),
        ("uuid", 987_654.into(), "a whole number cannot be a uuid"),
        ("boolean", 987_654.into(), "cannot be a bool"),
        ("bytea", "x987654".into(), "a text cannot be a bytea"),
        ("bigint", Value::Time(Timestamp(TIME)), "a time cannot be a int8"),
        ("jsonb", "{987654".into(), "invalid input syntax for type json"),
        ("mood", "x987654".into(), "invalid input value for enum"),
        ("positive", 0.into(), "positive_check"),
        ("varchar(20)", "x987654x987654x987654".into(), "value too long"),
        ("timestamptz", "x987654".into(), "invalid input syntax for type timestamp"),
        ("text", Value::from(&[7_u8; 6][..]), "bytes cannot be a text"),
    ];
    for (kind, given, said) in cases {
        let Err(error @ ReadModelError::Statement { .. }) = through(&f, kind, given) else {
            panic!("{kind} {given:?} was taken")
        };
        let text = error.to_string();
        assert!(text.contains(said) && !text.contains("987654"), "{kind} {given:?}: {text}");
    }
}

#[test]
fn what_has_no_value_of_ours_comes_as_text_beside_what_has_one() {
    let Some(f) = Fixture::new("what_has_no_value_of_ours_comes_as_text_beside_what_has_one") else { return };
    f.create("values", "CREATE TABLE t (a int, b text[], \"b c\" inet)");
    let mut writer = f.writer("values", V1);
    writer.begin().unwrap();
    writer.execute("INSERT INTO t VALUES (1, '{x,y}', '127.0.0.1'), (2, NULL, NULL)", &[]).unwrap();
    let rows = writer
        .query("SELECT *, 'z' AS b FROM t WHERE a > :a ORDER BY a; -- all", &[("a", 0.into())])
        .unwrap();
    assert_eq!(rows.columns, ["a", "b", "b c", "b"]);
    assert_eq!(rows.rows[0], [1.into(), "{x,y}".into(), "127.0.0.1/32".into(), "z".into()]);
    assert_eq!(rows.rows[1], [2.into(), Value::Null, Value::Null, "z".into()]);
}

#[test]
fn named_parameters_may_stand_anywhere() {
    let Some(f) = Fixture::new("named_parameters_may_stand_anywhere") else { return };
    f.create("values", "CREATE TABLE t (id uuid PRIMARY KEY, data jsonb, at timestamptz, day date)");
    let mut writer = f.writer("values", V1);
    writer.begin().unwrap();
    let id = "2f0c6a1e-58ac-4d3c-9a43-0d4c2f1e9a11";
    let statement = "INSERT INTO t /* :none */ VALUES (:id::uuid, jsonb_build_object('a:b', :data.amount::bigint), \
                     :occurred_at, CAST(:occurred_at::text AS timestamptz)::date) -- :none";
    let parameters =
        [("id", id.into()), ("data.amount", 5.into()), ("occurred_at", Value::Time(Timestamp(TIME)))];
    // One parameter of two types cannot be: the server says so.
    let refused = writer.execute(statement, &parameters).and_then(|()| writer.commit(&progress(1)));
    assert!(matches!(refused, Err(ReadModelError::Statement { .. })), "{refused:?}");
    writer.rollback().unwrap();
    writer.begin().unwrap();
    let statement = statement.replace("CAST(:occurred_at::text AS timestamptz)", ":occurred_at::timestamptz");
    writer.execute(&statement, &parameters).unwrap();
    writer.commit(&progress(1)).unwrap();
    assert_eq!(
        f.database.sql("SELECT * FROM values.t"),
        format!("{id}|{{\"a:b\": 5}}|2023-11-14 22:13:20.123456+00|2023-11-14")
    );
    let mut writer = f.writer("values", V1);
    writer.begin().unwrap();
    let missing = writer.query("SELECT :a::int, :b::int", &[("a", 1.into())]);
    let Err(ReadModelError::MissingParameter { parameter, .. }) = missing else { panic!("{missing:?}") };
    assert_eq!(parameter, "b");
}

//! Is everything that cannot work refused clearly, before anything is written, and without the password?

use factum_core::read_model::{NewVersion, ReadModelError, ReadModels, Value};
use factum_core::{Checkpoint, Position, StoreId};
use factum_postgres::PostgresReadModels;
use factum_testkit::PostgresDatabase;
use uuid::Uuid;

use crate::fixture::{ADD, Fixture, TABLES, V1, V2, name, new_version, progress};

fn refused(url: &str) -> ReadModelError {
    PostgresReadModels::open(url).unwrap_err()
}

#[test]
fn what_cannot_be_reached_is_named_without_its_password() {
    let Some(database) = PostgresDatabase::fresh("what_cannot_be_reached_is_named_without_its_password")
    else {
        return;
    };
    let url = database.url();
    let (_, password) = url.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap();
    let wrong_password = refused(&url.replace(password, "hush"));
    assert!(matches!(wrong_password, ReadModelError::Failed { .. }), "{wrong_password:?}");
    let missing = refused(&format!("{url}_not"));
    assert!(matches!(missing, ReadModelError::Missing { .. }), "{missing:?}");
    let nobody_there = refused("postgres://me:hush@127.0.0.1:1/db");
    assert!(matches!(nobody_there, ReadModelError::Unavailable { .. }), "{nobody_there:?}");
    assert!(nobody_there.is_transient());
    let no_url = refused("me:hush");
    assert!(matches!(no_url, ReadModelError::Missing { .. }), "{no_url:?}");
    let empty = PostgresReadModels::open_existing(url).unwrap_err();
    assert!(matches!(empty, ReadModelError::Missing { .. }), "{empty:?}");
    let opened = PostgresReadModels::open(url).unwrap();
    for said in [
        format!("{wrong_password} {wrong_password:?}"),
        format!("{missing} {missing:?} {nobody_there} {nobody_there:?} {no_url} {no_url:?}"),
        format!("{} {opened:?}", opened.describe()),
    ] {
        assert!(!said.contains("hush") && !said.contains(password), "{said}");
    }
}

#[test]
fn a_database_that_may_only_be_read_can_be_read() {
    let Some(f) = Fixture::new("a_database_that_may_only_be_read_can_be_read") else { return };
    f.create("balances", TABLES);
    f.add(V1, "a", 1, 1);
    let name_of = f.database.sql("SELECT current_database()");
    f.database.sql(&format!("ALTER DATABASE {name_of} SET default_transaction_read_only = on"));
    let read_only = PostgresReadModels::open(f.database.url()).unwrap();
    assert_eq!(read_only.versions().unwrap().len(), 1);
    let refused = read_only.create(&new_version("more", TABLES));
    assert!(matches!(refused, Err(ReadModelError::ReadOnly { .. })), "{refused:?}");
    let refused = read_only.writer(&crate::fixture::partition("balances", V1, 0)).err();
    assert!(matches!(refused, Some(ReadModelError::ReadOnly { .. })), "{refused:?}");
    let mut reader = read_only.reader(&[(name("balances"), V1)]).unwrap();
    assert_eq!(reader.query("SELECT * FROM accounts", &[]).unwrap().0.rows.len(), 1);
}

#[test]
fn read_models_of_another_store_are_refused() {
    let Some(f) = Fixture::new("read_models_of_another_store_are_refused") else { return };
    f.create("balances", TABLES);
    for start in [
        Checkpoint::before(StoreId(Uuid::from_u128(8)), 1, Position(0)),
        Checkpoint::before(StoreId(Uuid::from_u128(7)), 2, Position(0)),
    ] {
        let other = f.read_models.create(&NewVersion { start, ..new_version("more", TABLES) });
        assert!(matches!(other, Err(ReadModelError::OtherHistory { .. })), "{other:?}");
    }
    assert_eq!(f.database.sql("SELECT to_regnamespace('more__v1') IS NULL"), "t");
}

#[test]
fn a_layout_of_a_newer_build_is_refused() {
    let Some(f) = Fixture::new("a_layout_of_a_newer_build_is_refused") else { return };
    f.database.sql("UPDATE factum.layout SET number = 2");
    let newer = refused(f.database.url());
    assert!(matches!(newer, ReadModelError::NewerLayout { found: 2, known: 1, .. }), "{newer:?}");
}

#[test]
fn tables_that_cannot_be_made_leave_nothing() {
    let Some(f) = Fixture::new("tables_that_cannot_be_made_leave_nothing") else { return };
    for (tables, statement, said) in [
        ("CREATE TABLE a (b int); CREATE TABLE c (d nonsense)", "CREATE TABLE c (d nonsense)", "nonsense"),
        ("CREATE TABLE a (b int); CREATE TABBLE c", "CREATE TABBLE c", "syntax error"),
        ("CREATE TABLE a (b int); COMMIT", "COMMIT", "and nothing else"),
    ] {
        let error = f.read_models.create(&new_version("balances", tables)).unwrap_err();
        let ReadModelError::Statement { statement: shown, why } = &error else { panic!("{error:?}") };
        assert!(shown == statement && why.contains(said), "{error}");
        assert_eq!(f.read_models.versions().unwrap(), []);
        assert_eq!(f.database.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'balances%'"), "0");
    }
    f.database.sql("CREATE SCHEMA balances");
    let taken = f.read_models.create(&new_version("balances", TABLES)).unwrap_err();
    assert!(taken.to_string().contains("give the projection another name"), "{taken}");
    assert_eq!(f.read_models.versions().unwrap(), []);
}

#[test]
fn a_bad_statement_is_told_with_the_servers_words() {
    let Some(f) = Fixture::new("a_bad_statement_is_told_with_the_servers_words") else { return };
    f.create("balances", TABLES);
    let mut writer = f.writer("balances", V1);
    for (statement, said) in [
        ("INSERT INTO nowhere VALUES (1)", "relation \"nowhere\" does not exist"),
        ("INSERT INTO accounts VALUES (1", "syntax error"),
        ("SELECT amount, count(*) FROM accounts", "GROUP BY"),
        ("DROP TABLE accounts", "and nothing else"),
        ("COMMIT", "and nothing else"),
        ("SELECT 1; SELECT 2", "one at a time"),
        ("UPDATE factum.partitions SET owner = 0", "Factum's own"),
        ("SELECT $1::int", "':' and a name"),
    ] {
        writer.begin().unwrap();
        let error = writer.execute(statement, &[]).and_then(|()| writer.commit(&progress(1))).unwrap_err();
        let ReadModelError::Statement { statement: shown, why } = &error else { panic!("{error:?}") };
        assert!(shown == statement && why.contains(said), "{error}");
        let also = writer.query("SELECT 1", &[]);
        assert!(
            matches!(also, Err(ReadModelError::Failed { .. })),
            "the transaction can only be rolled back"
        );
        writer.rollback().unwrap();
    }
    assert!(matches!(writer.commit(&progress(1)), Err(ReadModelError::Failed { .. })));
    assert!(writer.execute(ADD, &[]).is_err());
}

#[test]
fn a_reader_changes_nothing() {
    let Some(f) = Fixture::new("a_reader_changes_nothing") else { return };
    f.create("balances", TABLES);
    f.create("other", "CREATE TABLE accounts (a int); CREATE TABLE others (b int)");
    let mut reader = f.read_models.reader(&[(name("balances"), V1), (name("other"), V1)]).unwrap();
    for statement in [
        "INSERT INTO accounts VALUES ('a', 1)",
        "WITH x AS (INSERT INTO accounts VALUES ('a', 1) RETURNING *) SELECT * FROM x",
        "SET TRANSACTION READ WRITE",
        "SELECT * FROM nowhere",
        "SELECT * FROM factum.partitions",
        "",
    ] {
        let error = reader.query(statement, &[]).unwrap_err();
        assert!(matches!(error, ReadModelError::Statement { .. }), "{statement}: {error:?}");
    }
    let joined = "SELECT count(*) FROM accounts JOIN other.accounts o ON true JOIN others ON true";
    let (rows, applied) = reader.query(joined, &[]).unwrap();
    assert_eq!((rows.first_value().and_then(Value::as_integer), applied.len()), (Some(0), 2));
    assert!(matches!(
        f.read_models.reader(&[(name("balances"), V2)]).err(),
        Some(ReadModelError::UnknownVersion { .. })
    ));
}

//! Does a test get a PostgreSQL database of its own, and can it stop and start a server?

use factum_testkit::{PostgresDatabase, PrivatePostgres};

#[test]
fn a_fresh_database_is_empty_and_gone_afterwards() {
    let Some(first) = PostgresDatabase::fresh("a_fresh_database_is_empty_and_gone_afterwards") else {
        return;
    };
    let Some(second) = PostgresDatabase::fresh("a_fresh_database_is_empty_and_gone_afterwards") else {
        return;
    };
    first.sql("CREATE TABLE t (a int)");
    assert_eq!(second.sql("SELECT count(*) FROM pg_tables WHERE tablename = 't'"), "0");
    let name = first.sql("SELECT current_database()");
    drop(first);
    assert_eq!(second.sql(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")), "0");
}

#[test]
fn a_private_server_keeps_its_data_over_a_stop_and_a_crash() {
    let Some(mut server) = PrivatePostgres::start("a_private_server_keeps_its_data_over_a_stop_and_a_crash")
    else {
        return;
    };
    let url = server.url();
    server.sql("CREATE TABLE t (a int)");
    server.sql("INSERT INTO t VALUES (1)");
    server.stop();
    server.start_again();
    server.sql("INSERT INTO t VALUES (2)");
    server.crash();
    server.start_again();
    assert_eq!((server.sql("SELECT sum(a) FROM t"), server.url()), ("3".to_owned(), url));
}

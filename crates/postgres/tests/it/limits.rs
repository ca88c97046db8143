//! Do the limits hold: of sessions, of statements on their way, of prepared statements?

use std::sync::Barrier;

use factum_core::read_model::{ReadModels, Value};
use factum_postgres::PostgresReadModels;
use factum_testkit::PrivatePostgres;

use crate::fixture::{ADD, Fixture, TABLES, V1, name, new_version, progress};

#[test]
fn many_callers_share_few_sessions() {
    let Some(f) = Fixture::new("many_callers_share_few_sessions") else { return };
    f.create("balances", TABLES);
    const CALLERS: usize = 32;
    let together = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                together.wait();
                for _ in 0..5 {
                    f.read_models.progress(&name("balances"), V1).unwrap();
                    f.read_models.versions().unwrap();
                    let unknown = f.read_models.progress(&name("nothing"), V1);
                    assert!(unknown.is_err(), "an error gives the session back too");
                }
            });
        }
    });
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND application_name = 'factum'";
    let sessions: u32 = f.database.sql(sessions).parse().unwrap();
    assert!((1..=4).contains(&sessions), "{sessions} sessions");
}

/// More statements in one transaction than are sent ahead, and more different ones than stay prepared.
#[test]
fn a_transaction_may_be_larger_than_what_is_sent_ahead_or_kept_prepared() {
    let test = "a_transaction_may_be_larger_than_what_is_sent_ahead_or_kept_prepared";
    let Some(f) = Fixture::new(test) else { return };
    f.create("balances", TABLES);
    let mut writer = f.writer("balances", V1);
    writer.begin().unwrap();
    for n in 0..1_100 {
        let add = format!("{ADD} -- {n}");
        writer.execute(&add, &[("account", "a".into()), ("amount", 1.into())]).unwrap();
    }
    let prepared = writer.query("SELECT count(*) FROM pg_prepared_statements", &[]).unwrap();
    let prepared = prepared.first_value().and_then(Value::as_integer).unwrap();
    assert!(prepared <= 760, "{prepared} statements are kept, beside those on their way");
    writer.commit(&progress(1_100)).unwrap();
    assert_eq!(f.read(V1, "SELECT amount FROM accounts"), [[Value::Integer(1_100)]]);
}

#[test]
fn a_unix_socket_is_as_good() {
    let Some(server) = PrivatePostgres::start("a_unix_socket_is_as_good") else { return };
    let read_models = PostgresReadModels::open(&server.socket_url()).unwrap();
    read_models.create(&new_version("balances", TABLES)).unwrap();
    assert!(read_models.describe().contains("'postgres' at /"), "{}", read_models.describe());
    let mut watch = read_models.watch(&name("balances"), V1).unwrap();
    read_models.set_stopped(&name("balances"), V1, true).unwrap();
    assert!(watch.wait(std::time::Duration::from_secs(60)).is_ok());
}

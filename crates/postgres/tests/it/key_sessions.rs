//! Does the key store hold whatever the server's settings are, through restarts, and beside sessions that stand in its way?

use factum_postgres::PostgresKeyStore;
use factum_testkit::PrivatePostgres;
use factum_vault::{
    ErasureId, Found, KekEpoch, KeyStore, KeyStoreError, Latest, MAX_KEY_BATCH, OutsideValue, Rewrapped,
    StoredKey, Wrapped,
};
use uuid::Uuid;

use crate::key_fixture::{Fixture, SCHEMA, fence, make, owner};

#[test]
fn a_server_that_restarts_is_waited_for() {
    let Some(mut server) = PrivatePostgres::start("a_server_that_restarts_is_waited_for") else { return };
    let mut store = PostgresKeyStore::create(&server.url(), SCHEMA).unwrap();
    let key = make(&mut store, 1, &owner(1));
    for crash in [false, true] {
        if crash {
            server.crash();
        } else {
            server.stop();
        }
        for away in [
            store.latest(&owner(1)).unwrap_err(),
            store.find(&[key.id]).unwrap_err(),
            store.fence(&fence(1, &owner(1))).unwrap_err(),
            PostgresKeyStore::open(&server.url(), SCHEMA).unwrap_err(),
        ] {
            // Never an answer, and never taken for an erasure.
            assert!(matches!(away, KeyStoreError::Unavailable { .. }), "{away:?}");
        }
        server.start_again();
        assert_eq!(store.latest(&owner(1)).unwrap(), Latest::Live(key.clone()));
    }
    store.fence(&fence(1, &owner(1))).unwrap();
    assert_eq!(store.destroy(ErasureId(Uuid::from_u128(1))).unwrap(), [key.id]);
}

/// A session that the server ends at any moment costs that call at most, and leaves nothing half done.
#[test]
fn a_session_that_is_ended_is_opened_anew() {
    let Some(mut f) = Fixture::new("a_session_that_is_ended_is_opened_anew") else { return };
    let key = make(&mut f.store, 1, &owner(1));
    for _ in 0..3 {
        let end = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = 'factum'";
        assert_eq!(f.database.sql(end), "t");
        assert_eq!(f.store.latest(&owner(1)).unwrap(), Latest::Live(key.clone()));
    }
}

/// What the user or the database is set to must not weaken what a call promises.
#[test]
fn the_servers_defaults_do_not_matter() {
    let Some(f) = Fixture::new("the_servers_defaults_do_not_matter") else { return };
    let database = f.database.sql("SELECT current_database()");
    for setting in [
        "default_transaction_isolation = serializable",
        "synchronous_commit = off",
        "search_path = nowhere",
        "bytea_output = escape",
    ] {
        f.database.sql(&format!("ALTER DATABASE {database} SET {setting}"));
    }
    let watched = "CREATE TABLE keys.seen (isolation text, durability text); \
        CREATE FUNCTION keys.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        INSERT INTO keys.seen VALUES (current_setting('transaction_isolation'), current_setting('synchronous_commit')); \
        RETURN NEW; END $$; \
        CREATE TRIGGER see BEFORE INSERT OR UPDATE ON keys.keys FOR EACH ROW EXECUTE FUNCTION keys.see()";
    f.database.sql(watched);
    let mut store = f.again();
    let key = make(&mut store, 1, &owner(1));
    store.fence(&fence(1, &owner(1))).unwrap();
    store.destroy(ErasureId(Uuid::from_u128(1))).unwrap();
    assert!(matches!(store.find(&[key.id]).unwrap()[..], [Found::Erased { .. }]));
    let seen = f.database.sql("SELECT DISTINCT isolation, durability FROM keys.seen");
    assert_eq!(seen, "read committed|on");
}

/// A lock that somebody holds for ever makes a call fail, and does not hang it.
#[test]
fn a_lock_is_waited_for_and_then_told() {
    let Some(mut f) = Fixture::new("a_lock_is_waited_for_and_then_told") else { return };
    make(&mut f.store, 1, &owner(1));
    // Another program that locks the table, for longer than the key store waits.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(f.database.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("BEGIN; LOCK TABLE keys.keys").await.unwrap();
        client
    });
    let busy = f.store.latest(&owner(1)).unwrap_err();
    assert!(matches!(busy, KeyStoreError::Unavailable { .. }), "{busy:?}");
    runtime.block_on(client.batch_execute("ROLLBACK")).unwrap();
    assert!(matches!(f.store.latest(&owner(1)).unwrap(), Latest::Live(_)));
}

#[tokio::test]
async fn it_may_be_called_within_a_runtime() {
    let Some(mut f) = Fixture::new("it_may_be_called_within_a_runtime") else { return };
    let key = make(&mut f.store, 1, &owner(1));
    assert_eq!(f.again().latest(&owner(1)).unwrap(), Latest::Live(key));
}

#[test]
fn no_row_holds_what_was_destroyed() {
    let Some(mut f) = Fixture::new("no_row_holds_what_was_destroyed") else { return };
    let key = make(&mut f.store, 1, &owner(1));
    let kept = make(&mut f.store, 2, &owner(2));
    let value = |number: u128, key: &StoredKey| OutsideValue {
        id: Uuid::from_u128(number),
        key: key.id,
        sealed: format!("the value under key {}", key.id).into_bytes(),
    };
    f.store.keep_values(&[value(1, &key), value(2, &kept)]).unwrap();
    let everything = |f: &Fixture| {
        f.database.sql(
            "SELECT convert_from(wrapped, 'UTF8') FROM keys.keys UNION ALL \
             SELECT convert_from(sealed, 'UTF8') FROM keys.outside_values",
        )
    };
    let (of_key, of_value) = ("number 1,".to_owned(), format!("under key {}", key.id));
    assert!(everything(&f).contains(&of_key) && everything(&f).contains(&of_value));
    f.store.fence(&fence(1, &owner(1))).unwrap();
    f.store.destroy(ErasureId(Uuid::from_u128(1))).unwrap();
    let left = everything(&f);
    assert!(!left.contains(&of_key) && !left.contains(&of_value), "{left}");
    assert!(left.contains("number 2,") && left.contains(&format!("under key {}", kept.id)), "{left}");
    // The space of the dead rows is given back, as the statistics say a little later.
    let vacuumed = "SELECT count(*) = 2 FROM pg_stat_user_tables \
                    WHERE relname IN ('keys', 'outside_values') AND last_vacuum IS NOT NULL";
    for _ in 0..3_000 {
        if f.database.sql(vacuumed) == "t" {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the tables were never vacuumed");
}

#[test]
fn a_hundred_thousand_keys_are_erased_and_rotated() {
    let Some(mut f) = Fixture::new("a_hundred_thousand_keys_are_erased_and_rotated") else { return };
    f.database.sql(
        "INSERT INTO keys.keys (id, subject, purpose, generation, created, epoch, wrapped) \
         SELECT decode(md5(n::text), 'hex'), decode(lpad(to_hex(n % 10000), 32, '0'), 'hex'), '', 1 + n / 10000, n, 1, \
         decode(md5('k' || n), 'hex') FROM generate_series(0, 99999) AS n; ANALYZE keys.keys",
    );
    assert_eq!(f.store.holdings().unwrap().subjects, 10_000);
    assert_eq!(f.store.fence(&fence(1, &owner(77))).unwrap().keys.len(), 10);
    assert_eq!(f.store.destroy(ErasureId(Uuid::from_u128(1))).unwrap().len(), 10);
    let anew = |key: &StoredKey| Rewrapped {
        id: key.id,
        from: key.epoch,
        to: KekEpoch(2),
        wrapped: Wrapped([b"anew", &key.wrapped.0[..]].concat()),
    };
    let (mut after, mut changed) = (None, 0);
    loop {
        // More than allowed is asked for: it gets as much as allowed.
        let part = f.store.wrapped_otherwise(KekEpoch(2), after, usize::MAX).unwrap();
        assert!(part.len() <= MAX_KEY_BATCH);
        let Some(last) = part.last() else { break };
        after = Some(last.id);
        changed += f.store.rewrap(&part.iter().map(anew).collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(changed, 99_990);
    assert_eq!(
        f.database.sql("SELECT count(*) FROM keys.keys WHERE substr(wrapped, 1, 4) = 'anew'"),
        "99990"
    );
}

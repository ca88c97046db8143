//! Does a reader see whole states, with how far they are, and change nothing?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factum_core::read_model::{NewVersion, Progress, ReadModelError, Value};

use super::case::{
    ACCOUNTS, Models, V1, V2, add, add_until, assert_refused, at, done, name, new_version, partition,
    progress, text,
};

/// Each commit sets both accounts to its number, and so does its progress. No reader sees two numbers.
pub fn a_reader_sees_a_commit_whole_or_not_at_all(models: &Models) {
    const COMMITS: u64 = 150;
    models.create("balances", ACCOUNTS);
    models.apply("balances", V1, &["INSERT INTO accounts VALUES ('a', 0, NULL), ('b', 0, NULL)"], 0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (other, over) = (Arc::clone(&models.models), &over);
        scope.spawn(move || {
            let mut writer = done(other.writer(&partition("balances", V1, 0)));
            for n in 1..=COMMITS {
                done(writer.begin());
                for account in ["a", "b"] {
                    let set = "UPDATE accounts SET amount = :n WHERE account = :account";
                    let n = Value::Integer(i64::try_from(n).expect("a small number"));
                    done(writer.execute(set, &[("n", n), ("account", account.into())]));
                }
                done(writer.commit(&progress(n)));
            }
            over.store(true, Ordering::SeqCst);
        });
        let mut reader = models.reader(&[("balances", V1)]);
        let mut last = 0;
        loop {
            let was_over = over.load(Ordering::SeqCst);
            let (rows, applied) = done(reader.query("SELECT amount FROM accounts ORDER BY account", &[]));
            let seen: Vec<_> = rows.rows.iter().filter_map(|row| row[0].as_integer()).collect();
            let events = i64::try_from(applied[0].events).expect("a small number");
            assert_eq!(seen, [events, events]);
            assert!(events >= last, "no state goes back");
            last = events;
            if was_over {
                break;
            }
        }
        assert_eq!(last, 150);
    });
}

pub fn a_reader_can_change_nothing(models: &Models) {
    models.create("balances", ACCOUNTS);
    models.apply("balances", V1, &["INSERT INTO accounts VALUES ('a', 1, NULL)"], 1);
    let mut reader = models.reader(&[("balances", V1)]);
    for statement in [
        "INSERT INTO accounts (account, amount) VALUES ('b', 1)",
        "INSERT INTO balances.accounts (account, amount) VALUES ('b', 1) RETURNING account",
        "UPDATE accounts SET amount = 2",
        "DELETE FROM accounts",
        "DROP TABLE accounts",
        "CREATE TABLE others (a BIGINT)",
        "CREATE TEMPORARY TABLE others (a BIGINT)",
        "ALTER TABLE accounts ADD COLUMN more TEXT",
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "SELECT 1; DELETE FROM accounts",
        "",
    ] {
        let refused = reader.query(statement, &[]);
        assert_refused!(refused, ReadModelError::Statement { .. });
    }
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
    // And it still reads.
    let (rows, _) = done(reader.query("SELECT amount FROM balances.accounts", &[]));
    assert_eq!(rows.first_value(), Some(&Value::Integer(1)));
}

pub fn several_projections_in_one_query(models: &Models) {
    models.create("balances", ACCOUNTS);
    models.create("limits", "CREATE TABLE limits (account TEXT PRIMARY KEY, most BIGINT NOT NULL)");
    models.apply("balances", V1, &["INSERT INTO accounts VALUES ('a', 5, NULL), ('b', 50, NULL)"], 7);
    models.apply("limits", V1, &["INSERT INTO limits VALUES ('a', 10), ('b', 20)"], 3);
    let mut reader = models.reader(&[("limits", V1), ("balances", V1)]);
    for over in [
        "SELECT a.account FROM balances.accounts a JOIN limits.limits l ON l.account = a.account WHERE amount > most",
        "SELECT a.account FROM accounts a JOIN limits l ON l.account = a.account WHERE amount > :percent * most / 100",
    ] {
        let (rows, applied) = done(reader.query(over, &[("percent", 100.into())]));
        assert_eq!(rows.rows, [[text("b")]]);
        assert_eq!(applied, [progress(3), progress(7)], "in the order that the versions were named in");
    }
    let unknown = models.models.reader(&[(name("balances"), V1), (name("nothing"), V1)]);
    assert_refused!(unknown, ReadModelError::UnknownVersion { .. });
}

pub fn the_least_progress_of_the_partitions_is_told(models: &Models) {
    done(models.models.create(&NewVersion { partitions: 2, ..new_version("balances", ACCOUNTS) }));
    let mut reader = models.reader(&[("balances", V1)]);
    let mut told = || done(reader.query("SELECT 1", &[])).1[0].applied.clone();
    done(add_until(&mut *models.writer_of("balances", V1, 1), "b", 1, 10));
    assert_eq!(told(), at(0));
    done(add_until(&mut *models.writer_of("balances", V1, 0), "a", 1, 4));
    assert_eq!(told(), at(4));
}

pub fn a_reader_stays_with_its_versions(models: &Models) {
    models.serving_and_building();
    models.apply("balances", V2, &["INSERT INTO accounts VALUES ('new', 1, NULL)"], 1);
    let mut reader = models.reader(&[("balances", V1)]);
    done(models.promote("balances", V2));
    assert_eq!(done(reader.query("SELECT * FROM accounts", &[])).0.rows.len(), 0);
    assert_eq!(models.accounts("balances", V2), ["new=1"]);
}

pub fn a_failed_query_does_not_spoil_the_next(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let mut reader = models.reader(&[("balances", V1)]);
    done(writer.begin());
    add(&mut *writer, "a", 1);
    done(writer.commit(&progress(1)));
    assert_refused!(reader.query("SELECT missing FROM accounts", &[]), ReadModelError::Statement { .. });
    assert_refused!(reader.query("SELECT :a", &[]), ReadModelError::MissingParameter { .. });
    done(add_until(&mut *writer, "a", 1, 2));
    let (rows, applied) = done(reader.query("SELECT amount FROM accounts", &[]));
    assert_eq!((rows.first_value(), &applied[0]), (Some(&Value::Integer(2)), &progress(2)));
}

pub fn columns_are_named_in_the_statements_order(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut reader = models.reader(&[("balances", V1)]);
    let (rows, _) = done(reader.query("SELECT note, account, amount AS \"in cents\" FROM accounts", &[]));
    assert_eq!(
        (rows.columns, rows.rows.len()),
        (vec!["note".into(), "account".into(), "in cents".into()], 0)
    );
}

pub fn a_reader_of_nothing_can_compute(models: &Models) {
    let mut reader = models.reader(&[]);
    let (rows, applied): (_, Vec<Progress>) = done(reader.query("SELECT 1 + 1", &[]));
    assert_eq!((rows.first_value().and_then(Value::as_integer), applied.len()), (Some(2), 0));
}

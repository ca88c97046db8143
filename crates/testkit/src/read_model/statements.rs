//! Do statements get their parameters, and do no more than they may?

use std::borrow::Cow;

use factum_core::Timestamp;
use factum_core::read_model::{ReadModelError, Value};

use super::case::{ACCOUNTS, Models, V1, add, assert_refused, done, progress, text};

/// Type names that PostgreSQL knows and SQLite takes.
const KINDS: &str = "CREATE TABLE kinds (id BIGINT PRIMARY KEY, flag BOOLEAN, whole BIGINT, \
                     fraction DOUBLE PRECISION, words TEXT, bytes BYTEA, moment TIMESTAMPTZ)";
const INSERT: &str = "INSERT INTO kinds (id, flag, whole, fraction, words, bytes, moment) \
                      VALUES (:id, :flag, :whole, :fraction, :words, :bytes, :moment)";

fn row(models: &Models, id: i64) -> Vec<Value<'static>> {
    let read = format!("SELECT flag, whole, fraction, words, bytes, moment FROM kinds WHERE id = {id}");
    models.read("kinds", V1, &read).pop().expect("the row is there")
}

/// A database without a type for truth or for time gives 1 and 0, and RFC 3339 with six digits.
fn assert_same(read: &Value<'_>, written: &Value<'_>) {
    let same = match (written, read) {
        (Value::Bool(written), Value::Integer(read)) => i64::from(*written) == *read,
        (Value::Time(written), Value::Time(read)) => written.0.div_euclid(10) == read.0.div_euclid(10),
        (Value::Time(written), Value::Text(read)) => {
            let micros = Timestamp::parse(read).map(|read| read.0.div_euclid(10));
            micros == Ok(written.0.div_euclid(10)) && read.len() == 27
        }
        (written, read) => written == read,
    };
    assert!(same, "{written:?} was written, {read:?} was read");
}

#[track_caller]
fn check(models: &Models, id: i64, values: &[(&str, Value<'_>); 6]) {
    let mut writer = models.writer("kinds", V1);
    done(writer.begin());
    let mut parameters = values.to_vec();
    parameters.push(("id", id.into()));
    done(writer.execute(INSERT, &parameters));
    done(writer.commit(&progress(1)));
    for (read, (_, written)) in row(models, id).iter().zip(values) {
        assert_same(read, written);
    }
}

pub fn every_kind_of_value_comes_back(models: &Models) {
    models.create("kinds", KINDS);
    let values = [
        ("flag", Value::Bool(true)),
        ("whole", Value::Integer(-7)),
        ("fraction", Value::Real(0.5)),
        ("words", Value::from("it's \"ü\" \u{1f600} :a $1 ?1 \\ %")),
        ("bytes", Value::Bytes(Cow::Borrowed(&[0, 1, 254, 255]))),
        ("moment", Value::Time(Timestamp(17_672_256_001_234_560))),
    ];
    check(models, 1, &values);
    check(models, 2, &values.map(|(name, _)| (name, Value::Null)));
    // What was written can be looked for.
    let mut reader = models.reader(&[("kinds", V1)]);
    for (condition, value) in [
        ("flag = :value", Value::Bool(true)),
        ("whole = :value", Value::Integer(-7)),
        ("fraction = :value", Value::Real(0.5)),
        ("words = :value", Value::from("it's \"ü\" \u{1f600} :a $1 ?1 \\ %")),
        ("bytes = :value", Value::Bytes(Cow::Borrowed(&[0, 1, 254, 255]))),
        ("moment = :value", Value::Time(Timestamp(17_672_256_001_234_560))),
        ("moment < :value", Value::Time(Timestamp(17_672_256_001_234_570))),
    ] {
        let (rows, _) =
            done(reader.query(&format!("SELECT id FROM kinds WHERE {condition}"), &[("value", value)]));
        assert_eq!(rows.rows, [[Value::Integer(1)]], "{condition}");
    }
}

pub fn extreme_values_come_back(models: &Models) {
    models.create("kinds", KINDS);
    let long = "ä".repeat(100_000);
    let bytes = vec![7; 1_000_000];
    check(
        models,
        i64::MAX,
        &[
            ("flag", Value::Bool(false)),
            ("whole", Value::Integer(i64::MIN)),
            ("fraction", Value::Real(f64::MAX)),
            ("words", Value::from(&long)),
            ("bytes", Value::from(&bytes[..])),
            ("moment", Value::Time(Timestamp(0))),
        ],
    );
    check(
        models,
        i64::MIN,
        &[
            ("flag", Value::Bool(false)),
            ("whole", Value::Integer(i64::MAX)),
            ("fraction", Value::Real(-f64::MIN_POSITIVE)),
            ("words", Value::from("")),
            ("bytes", Value::Bytes(Cow::Borrowed(&[]))),
            ("moment", Value::Time(Timestamp(-17_672_256_001_234_560))),
        ],
    );
}

pub fn a_missing_parameter_is_named(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let statement = "INSERT INTO accounts (account, amount) VALUES (:data.account, :amount)";
    done(writer.begin());
    match writer.execute(statement, &[("amount", 1.into()), ("data", "a".into())]) {
        Err(ReadModelError::MissingParameter { statement: named, parameter }) => {
            assert_eq!((named.as_str(), parameter.as_str()), (statement, "data.account"));
        }
        other => panic!("a parameter is missing: {other:?}"),
    }
    done(writer.rollback());
    assert!(models.accounts("balances", V1).is_empty());
}

pub fn parameters_may_come_twice_and_more_may_be_given(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let insert = "INSERT INTO accounts (note, account, amount) VALUES (:data.account, :data.account, :n)";
    done(writer.begin());
    done(writer.execute(insert, &[("n", 1.into()), ("other", 2.into()), ("data.account", "a".into())]));
    // The same statement with its parameters in another order.
    done(writer.execute(insert, &[("data.account", "b".into()), ("n", 2.into())]));
    done(writer.commit(&progress(2)));
    let read = models.read("balances", V1, "SELECT account, note, amount FROM accounts ORDER BY account");
    assert_eq!(read, [[text("a"), text("a"), 1.into()], [text("b"), text("b"), 2.into()]]);
}

pub fn what_looks_like_a_parameter_in_quotes_is_text(models: &Models) {
    models.create("balances", "CREATE TABLE \"odd:name\" (a TEXT PRIMARY KEY, \":b\" TEXT)");
    let mut writer = models.writer("balances", V1);
    done(writer.begin());
    let insert = "INSERT INTO \"odd:name\" (a, \":b\") -- :not this\n VALUES (':a''s' /* :nor this */, :b)";
    done(writer.execute(insert, &[("b", "x".into())]));
    done(writer.commit(&progress(1)));
    assert_eq!(
        models.read("balances", V1, "SELECT a, \":b\" FROM \"odd:name\""),
        [[text(":a's"), text("x")]]
    );
}

pub fn a_wrong_statement_is_refused_with_its_text(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    for wrong in [
        "INSERT INTO nowhere VALUES (1)",
        "INSRT INTO accounts VALUES (1)",
        "UPDATE accounts SET missing = 1",
        "SELECT * FROM accounts WHERE",
        "",
        "-- nothing",
    ] {
        done(writer.begin());
        let refused = writer.execute(wrong, &[]).and_then(|()| writer.commit(&progress(1)));
        assert_refused!(refused, ReadModelError::Statement { statement, .. } if statement == wrong);
        done(writer.rollback());
        done(writer.begin());
        let refused = writer.query(wrong, &[]);
        assert_refused!(refused, ReadModelError::Statement { statement, .. } if statement == wrong);
        done(writer.rollback());
    }
}

pub fn a_values_text_is_never_in_an_error(models: &Models) {
    models.create(
        "balances",
        "CREATE TABLE accounts (account TEXT PRIMARY KEY, amount BIGINT NOT NULL CHECK (amount >= 0), note TEXT)",
    );
    let mut writer = models.writer("balances", V1);
    for (account, amount) in [("secret-7", Some(1)), ("secret-8", Some(-1)), ("secret-9", None)] {
        done(writer.begin());
        add(&mut *writer, "secret-7", 1);
        let insert = "INSERT INTO accounts (account, amount) VALUES (:account, :amount)";
        let refused = writer.execute(insert, &[("account", account.into()), ("amount", amount.into())]);
        match refused.and_then(|()| writer.commit(&progress(1))) {
            Err(error) => assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}"),
            Ok(()) => panic!("a constraint stands against it"),
        }
        done(writer.rollback());
    }
}

pub fn two_statements_in_one_are_refused(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let one = "INSERT INTO accounts (account, amount) VALUES ('a', 1)";
    for two in [format!("{one}; DELETE FROM accounts"), format!("{one}; COMMIT")] {
        done(writer.begin());
        assert_refused!(writer.execute(&two, &[]), ReadModelError::Statement { .. });
        done(writer.rollback());
    }
    // One with its end marked is one.
    done(writer.begin());
    done(writer.execute(&format!("{one} ; -- done"), &[]));
    done(writer.commit(&progress(1)));
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
}

pub fn a_statement_changes_rows_and_nothing_else(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    for refused in [
        "CREATE TABLE others (a BIGINT)",
        "DROP TABLE accounts",
        "ALTER TABLE accounts ADD COLUMN more TEXT",
        "CREATE INDEX by_amount ON accounts (amount)",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT here",
        "VACUUM",
    ] {
        done(writer.begin());
        add(&mut *writer, "a", 1);
        let refused = writer.execute(refused, &[]).and_then(|()| writer.commit(&progress(1)));
        assert_refused!(refused, ReadModelError::Statement { .. });
        done(writer.rollback());
    }
    assert!(models.accounts("balances", V1).is_empty());
}

/// As a projection does that handles events of several types.
pub fn statements_may_be_executed_in_turn(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let mut amount = 0;
    for n in 0..20 {
        done(writer.begin());
        for step in 0..10 {
            add(&mut *writer, "a", step);
            let double = "UPDATE accounts SET amount = amount + :more WHERE account = :account";
            done(writer.execute(double, &[("account", "a".into()), ("more", 1.into())]));
            let read = "SELECT amount FROM accounts WHERE account = :account";
            let seen = done(writer.query(read, &[("account", "a".into())]));
            amount += step + 1;
            assert_eq!(seen.first_value(), Some(&Value::Integer(amount)));
        }
        done(writer.commit(&progress(n + 1)));
    }
    assert_eq!(models.accounts("balances", V1), [format!("a={amount}")]);
}

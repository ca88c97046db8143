//! Are rows and progress kept together, or neither?

use std::sync::Arc;

use factum_core::read_model::{Progress, ReadModelError, Value};

use super::case::{
    ACCOUNTS, ADD, Models, V1, add, add_until, assert_refused, at, done, name, new_version, partition,
    progress,
};

pub fn rows_and_progress_are_committed_together(models: &Models) {
    assert_eq!(models.create("balances", ACCOUNTS), V1);
    let mut writer = models.writer("balances", V1);
    assert_eq!(*writer.progress(), Progress::start(at(0)));
    done(writer.begin());
    for n in 0..100 {
        add(&mut *writer, &format!("a{}", n % 2), n);
    }
    done(writer.commit(&progress(100)));
    assert_eq!(*writer.progress(), progress(100));
    assert_eq!(models.progress("balances", V1), [progress(100)]);
    assert_eq!(models.accounts("balances", V1), ["a0=2450", "a1=2500"]);
    drop(writer);
    assert_eq!(*models.writer("balances", V1).progress(), progress(100));
}

pub fn rows_and_progress_are_rolled_back_together(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    done(add_until(&mut *writer, "a", 1, 1));
    done(writer.begin());
    add(&mut *writer, "a", 1);
    add(&mut *writer, "b", 1);
    done(writer.rollback());
    assert_eq!((writer.progress(), models.progress("balances", V1)), (&progress(1), vec![progress(1)]));
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
    // The writer goes on, and giving up twice is no matter.
    done(writer.rollback());
    done(add_until(&mut *writer, "a", 1, 2));
    assert_eq!(models.accounts("balances", V1), ["a=2"]);
}

pub fn a_writer_dropped_within_a_transaction_leaves_nothing(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    done(writer.begin());
    add(&mut *writer, "a", 1);
    drop(writer);
    let mut next = models.writer("balances", V1);
    assert_eq!(*next.progress(), Progress::start(at(0)));
    assert!(models.accounts("balances", V1).is_empty());
    done(add_until(&mut *next, "b", 1, 1));
    assert_eq!(models.accounts("balances", V1), ["b=1"]);
}

pub fn a_transaction_sees_its_own_changes_and_nobody_else_does(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    done(writer.begin());
    add(&mut *writer, "a", 1);
    add(&mut *writer, "a", 2);
    let seen = done(writer.query("SELECT amount FROM accounts WHERE account = :a", &[("a", "a".into())]));
    assert_eq!(
        (seen.first_value(), &seen.columns[..]),
        (Some(&Value::Integer(3)), &["amount".to_owned()][..])
    );
    assert!(models.accounts("balances", V1).is_empty(), "it is not committed");
    assert_eq!(models.progress("balances", V1), [Progress::start(at(0))]);
    done(writer.commit(&progress(2)));
    assert_eq!(models.accounts("balances", V1), ["a=3"]);
}

/// Events that do not concern the projection move it all the same.
pub fn an_empty_transaction_moves_the_progress(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    for position in [7, 8, 1_000_000_000_000] {
        done(writer.begin());
        done(writer.commit(&progress(position)));
        assert_eq!(models.progress("balances", V1), [progress(position)]);
    }
}

pub fn all_of_the_progress_comes_back(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let odd = Progress {
        applied: at(u64::MAX / 2),
        recorded_at: Some(factum_core::Timestamp(-17_672_256_000_000_001)),
        events: u64::MAX / 2,
        fault: None,
    };
    for wanted in [odd, Progress { recorded_at: None, ..progress(3) }] {
        done(writer.begin());
        done(writer.commit(&wanted));
        assert_eq!(models.progress("balances", V1), [wanted]);
    }
}

pub fn each_partition_has_progress_of_its_own(models: &Models) {
    let new = factum_core::read_model::NewVersion { partitions: 3, ..new_version("balances", ACCOUNTS) };
    assert_eq!(done(models.models.create(&new)).partitions, 3);
    for (index, position) in [(0, 4), (2, 9)] {
        let mut writer = models.writer_of("balances", V1, index);
        done(add_until(&mut *writer, &format!("p{index}"), 1, position));
    }
    assert_eq!(models.progress("balances", V1), [progress(4), Progress::start(at(0)), progress(9)]);
    assert_refused!(
        models.models.writer(&partition("balances", V1, 3)),
        ReadModelError::UnknownVersion { .. }
    );
}

pub fn partitions_are_written_at_the_same_time(models: &Models) {
    const PARTITIONS: u16 = 4;
    const EACH: u64 = 25;
    let new =
        factum_core::read_model::NewVersion { partitions: PARTITIONS, ..new_version("balances", ACCOUNTS) };
    done(models.models.create(&new));
    std::thread::scope(|scope| {
        for index in 0..PARTITIONS {
            let models = Arc::clone(&models.models);
            scope.spawn(move || {
                let mut writer = done(models.writer(&partition("balances", V1, index)));
                for position in 1..=EACH {
                    // A busy database says so, and the partition is taken up again.
                    while let Err(busy) = add_until(&mut *writer, &format!("p{index}"), 1, position) {
                        assert!(busy.is_transient(), "{busy}");
                        done(writer.rollback());
                    }
                }
            });
        }
    });
    assert_eq!(models.accounts("balances", V1), ["p0=25", "p1=25", "p2=25", "p3=25"]);
    assert_eq!(models.progress("balances", V1), vec![progress(EACH); PARTITIONS.into()]);
}

/// The database may say only at the commit that a statement failed; then nothing of the transaction is kept.
pub fn a_commit_refused_keeps_nothing(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    let insert = "INSERT INTO accounts (account, amount) VALUES (:account, :amount)";
    done(writer.begin());
    add(&mut *writer, "a", 1);
    let refused = writer.execute(insert, &[("account", "a".into()), ("amount", 2.into())]);
    let refused = refused.and_then(|()| writer.commit(&progress(2)));
    assert_refused!(refused, ReadModelError::Statement { statement, .. } if statement == insert);
    done(writer.rollback());
    assert_eq!(models.progress("balances", V1), [Progress::start(at(0))]);
    assert!(models.accounts("balances", V1).is_empty());
    done(add_until(&mut *writer, "b", 1, 1));
    assert_eq!(models.accounts("balances", V1), ["b=1"]);
}

pub fn calls_out_of_order_are_refused(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut writer = models.writer("balances", V1);
    assert!(writer.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]).is_err());
    assert!(writer.query("SELECT 1", &[]).is_err());
    assert!(writer.commit(&progress(1)).is_err());
    done(writer.begin());
    assert!(writer.begin().is_err());
    add(&mut *writer, "a", 1);
    // After a statement that failed only the rollback is left, whatever the next one would do.
    let failed = writer.query("SELECT nothing FROM accounts", &[]);
    assert_refused!(failed, ReadModelError::Statement { .. });
    assert!(writer.query("SELECT 1", &[]).is_err());
    assert!(writer.commit(&progress(1)).is_err());
    done(writer.rollback());
    assert!(models.accounts("balances", V1).is_empty());
    assert_eq!(models.progress("balances", V1), done(models.again().progress(&name("balances"), V1)));
    done(add_until(&mut *writer, "a", 5, 1));
    assert_eq!(models.accounts("balances", V1), ["a=5"]);
}

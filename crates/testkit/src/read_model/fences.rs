//! Is there never more than one owner who writes?

use factum_core::Position;
use factum_core::Timestamp;
use factum_core::read_model::{NewVersion, ReadModelError, Skip};

use super::case::{
    ACCOUNTS, ADD, Models, V1, V2, add, add_until, assert_refused, done, name, new_version, partition,
    progress,
};

pub fn a_new_owner_fences_the_old_one(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut old = models.writer("balances", V1);
    done(add_until(&mut *old, "a", 1, 1));
    let mut new = done(models.again().writer(&partition("balances", V1, 0)));
    let wanted = partition("balances", V1, 0);
    assert_refused!(old.begin(), ReadModelError::Fenced { partition } if partition == wanted);
    assert_refused!(old.begin(), ReadModelError::Fenced { .. });
    done(add_until(&mut *new, "a", 1, 2));
    assert_eq!(models.accounts("balances", V1), ["a=2"]);
}

/// Some databases let nobody take over while a transaction is open. Then the old owner is still the owner.
pub fn an_owner_that_loses_the_partition_within_a_transaction_commits_nothing(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut old = models.writer("balances", V1);
    done(old.begin());
    add(&mut *old, "a", 1);
    match models.models.writer(&partition("balances", V1, 0)) {
        Ok(mut new) => {
            let refused = old.execute(ADD, &[("account", "a".into()), ("amount", 1.into())]);
            let refused = refused.and_then(|()| old.commit(&progress(2)));
            assert_refused!(refused, ReadModelError::Fenced { .. });
            // The session may be gone with the ownership: giving up need not succeed.
            let _ = old.rollback();
            assert_refused!(old.begin(), ReadModelError::Fenced { .. });
            done(add_until(&mut *new, "b", 1, 1));
            assert_eq!(models.accounts("balances", V1), ["b=1"]);
        }
        Err(busy) => {
            assert!(busy.is_transient(), "{busy}");
            done(old.commit(&progress(1)));
            assert_eq!(models.accounts("balances", V1), ["a=1"]);
        }
    }
}

pub fn a_fenced_owner_keeps_neither_fault_nor_skip(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut old = models.writer("balances", V1);
    let _new = models.writer("balances", V1);
    let skip =
        Skip { position: Position(1), actor: "ada".to_owned(), reason: "late".to_owned(), at: Timestamp(1) };
    assert_refused!(old.set_fault(None), ReadModelError::Fenced { .. });
    assert_refused!(old.skip(&skip), ReadModelError::Fenced { .. });
    assert!(done(models.models.skips(&name("balances"), V1)).is_empty());
}

pub fn a_new_owner_begins_where_the_old_one_committed(models: &Models) {
    models.create("balances", ACCOUNTS);
    let mut sum = 0;
    for n in 1..=10 {
        let mut writer = models.writer("balances", V1);
        assert_eq!(writer.progress().events, sum);
        sum += n;
        done(add_until(&mut *writer, "a", 1, sum));
    }
    assert_eq!(models.accounts("balances", V1), ["a=10"]);
}

pub fn other_partitions_are_not_fenced(models: &Models) {
    done(models.models.create(&NewVersion { partitions: 2, ..new_version("balances", ACCOUNTS) }));
    models.create("totals", ACCOUNTS);
    let mut first = models.writer_of("balances", V1, 0);
    let mut total = models.writer("totals", V1);
    let mut second = models.writer_of("balances", V1, 1);
    done(add_until(&mut *first, "a", 1, 1));
    done(add_until(&mut *second, "b", 1, 1));
    done(add_until(&mut *total, "c", 1, 1));
}

pub fn a_discarded_versions_owner_is_told(models: &Models) {
    models.serving_and_building();
    let mut building = models.writer("balances", V2);
    done(add_until(&mut *building, "a", 1, 1));
    done(models.models.discard(&name("balances"), V2));
    let refused = add_until(&mut *building, "a", 1, 2);
    assert_refused!(refused, ReadModelError::Fenced { .. } | ReadModelError::UnknownVersion { .. });
    let mut serving = models.writer("balances", V1);
    done(models.models.delete(&name("balances")));
    let refused = add_until(&mut *serving, "a", 1, 2);
    assert_refused!(refused, ReadModelError::Fenced { .. } | ReadModelError::UnknownVersion { .. });
}

pub fn many_who_take_over_leave_one_owner(models: &Models) {
    const OWNERS: usize = 8;
    models.create("balances", ACCOUNTS);
    let mut owners = Vec::new();
    std::thread::scope(|scope| {
        let taken: Vec<_> = (0..OWNERS)
            .map(|_| {
                let models = std::sync::Arc::clone(&models.models);
                scope.spawn(move || done(models.writer(&partition("balances", V1, 0))))
            })
            .collect();
        owners.extend(taken.into_iter().map(|thread| thread.join().expect("it takes over")));
    });
    let done_by: Vec<bool> =
        owners.iter_mut().map(|owner| add_until(&mut **owner, "a", 1, 1).is_ok()).collect();
    assert_eq!(done_by.iter().filter(|done| **done).count(), 1);
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
}

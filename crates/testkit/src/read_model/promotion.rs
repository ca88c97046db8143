//! Does a version begin to serve in one step, and never with older rows?

use std::sync::Arc;

use factum_core::read_model::{NewVersion, ReadModelError, Role};

use super::case::{
    ACCOUNTS, Models, V1, V2, add_until, assert_refused, at, done, name, new_version, progress,
};
use factum_core::read_model::VersionNumber;

const V3: VersionNumber = VersionNumber(3);

pub fn a_version_that_is_behind_may_not_serve(models: &Models) {
    models.serving_and_building();
    done(add_until(&mut *models.writer("balances", V1), "a", 1, 10));
    done(add_until(&mut *models.writer("balances", V2), "a", 1, 9));
    match models.promote("balances", V2) {
        Err(ReadModelError::NotCaughtUp { name: refused, version, applied, serving }) => {
            assert_eq!((refused, version), (name("balances"), V2));
            assert_eq!((*applied, *serving), (at(9), at(10)));
        }
        other => panic!("it is behind: {other:?}"),
    }
    assert_eq!(models.roles("balances"), [(V1, Role::Serving), (V2, Role::Building)]);
    // A refused promotion fences nobody.
    let mut serving = models.writer("balances", V1);
    assert!(models.promote("balances", V2).is_err());
    done(add_until(&mut *serving, "a", 1, 11));
}

pub fn a_version_that_has_caught_up_serves_and_the_old_one_is_kept(models: &Models) {
    models.serving_and_building();
    done(add_until(&mut *models.writer("balances", V1), "a", 1, 10));
    let mut building = models.writer("balances", V2);
    done(add_until(&mut *building, "a", 2, 10));
    done(models.promote("balances", V2));
    assert_eq!(models.roles("balances"), [(V1, Role::Previous), (V2, Role::Serving)]);
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
    assert_eq!(models.accounts("balances", V2), ["a=2"]);
    // Whoever applied the new one goes on.
    done(add_until(&mut *building, "a", 2, 11));
    assert_eq!(models.accounts("balances", V2), ["a=4"]);
}

/// Partitions run ahead of each other, and readers have seen the rows of the one that is ahead.
pub fn it_must_have_come_as_far_as_the_furthest_partition(models: &Models) {
    done(models.models.create(&NewVersion { partitions: 2, ..new_version("balances", ACCOUNTS) }));
    models.create("balances", ACCOUNTS);
    done(add_until(&mut *models.writer_of("balances", V1, 0), "a", 1, 5));
    done(add_until(&mut *models.writer_of("balances", V1, 1), "b", 1, 10));
    let mut building = models.writer("balances", V2);
    for behind in [3, 7] {
        done(add_until(&mut *building, "a", 1, behind));
        match models.promote("balances", V2) {
            Err(ReadModelError::NotCaughtUp { serving, .. }) => assert_eq!(*serving, at(10)),
            other => panic!("it is behind: {other:?}"),
        }
    }
    done(add_until(&mut *building, "b", 1, 10));
    done(models.promote("balances", V2));
}

pub fn the_version_before_the_last_is_discarded(models: &Models) {
    models.serving_and_building();
    done(models.promote("balances", V2));
    assert_eq!(models.create("balances", ACCOUNTS), V3);
    done(models.promote("balances", V3));
    assert_eq!(models.roles("balances"), [(V2, Role::Previous), (V3, Role::Serving)]);
    assert_refused!(models.models.progress(&name("balances"), V1), ReadModelError::UnknownVersion { .. });
}

pub fn the_previous_version_serves_again_once_it_has_caught_up(models: &Models) {
    models.serving_and_building();
    done(models.promote("balances", V2));
    done(add_until(&mut *models.writer("balances", V2), "a", 1, 4));
    assert_refused!(models.promote("balances", V1), ReadModelError::NotCaughtUp { .. });
    done(add_until(&mut *models.writer("balances", V1), "a", 1, 4));
    done(models.promote("balances", V1));
    assert_eq!(models.roles("balances"), [(V1, Role::Serving), (V2, Role::Previous)]);
    // And once more the other way, with a third in the making.
    assert_eq!(models.create("balances", ACCOUNTS), V3);
    done(models.promote("balances", V2));
    let all = [(V1, Role::Previous), (V2, Role::Serving), (V3, Role::Building)];
    assert_eq!(models.roles("balances"), all);
}

pub fn promoting_what_serves_changes_nothing(models: &Models) {
    models.serving_and_building();
    let mut serving = models.writer("balances", V1);
    done(models.promote("balances", V1));
    assert_eq!(models.roles("balances"), [(V1, Role::Serving), (V2, Role::Building)]);
    done(add_until(&mut *serving, "a", 1, 1));
    assert_refused!(models.promote("balances", V3), ReadModelError::UnknownVersion { .. });
    assert_refused!(
        models.promote("totals", V1),
        ReadModelError::UnknownVersion { .. } | ReadModelError::UnknownProjection { .. }
    );
}

pub fn a_stopped_version_stays_stopped(models: &Models) {
    models.serving_and_building();
    done(models.models.set_stopped(&name("balances"), V2, true));
    done(models.promote("balances", V2));
    let stopped: Vec<bool> = models.versions("balances").iter().map(|version| version.stopped).collect();
    assert_eq!(stopped, [false, true]);
}

pub fn two_who_promote_leave_one_serving(models: &Models) {
    models.serving_and_building();
    done(add_until(&mut *models.writer("balances", V1), "a", 1, 3));
    done(add_until(&mut *models.writer("balances", V2), "a", 1, 3));
    std::thread::scope(|scope| {
        for version in [V1, V2, V1, V2] {
            let models = Arc::clone(&models.models);
            scope.spawn(move || {
                for _ in 0..5 {
                    done(models.promote(&name("balances"), version));
                }
            });
        }
    });
    let mut roles: Vec<Role> = models.versions("balances").iter().map(|version| version.role).collect();
    roles.sort_by_key(|role| role.as_str());
    assert!(roles.len() == 2 && roles.contains(&Role::Serving), "{roles:?}");
    assert_eq!(models.progress("balances", V1), [progress(3)]);
    assert_eq!(models.progress("balances", V2), [progress(3)]);
}

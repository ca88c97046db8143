//! Are versions made, listed, dropped and remembered as the contract says?

use std::sync::Arc;

use factum_core::read_model::{
    Action, CompareOptions, NewVersion, PersonalData, ReadModelError, Role, Version, VersionNumber,
};
use factum_core::{Checkpoint, CheckpointError, Position, StoreId, Timestamp};

use super::case::{
    ACCOUNTS, Models, V1, V2, add, add_until, assert_refused, at, done, name, new_version, partition,
    progress,
};

const V3: VersionNumber = VersionNumber(3);

pub fn the_first_version_serves_and_the_next_is_building(models: &Models) {
    assert!(done(models.models.versions()).is_empty());
    let first = done(models.models.create(&new_version("balances", ACCOUNTS)));
    let second = done(models.models.create(&new_version("balances", ACCOUNTS)));
    assert_eq!((first.number, first.role), (V1, Role::Serving));
    assert_eq!((second.number, second.role), (V2, Role::Building));
    assert_eq!(done(models.models.versions()), [first, second]);
}

pub fn a_third_is_refused_while_one_is_building(models: &Models) {
    models.serving_and_building();
    match models.models.create(&new_version("balances", ACCOUNTS)) {
        Err(ReadModelError::AlreadyBuilding { name: refused, building }) => {
            assert_eq!((refused, building), (name("balances"), V2));
        }
        other => panic!("one is being built: {other:?}"),
    }
    models.create("totals", ACCOUNTS);
    assert_eq!(models.roles("balances"), [(V1, Role::Serving), (V2, Role::Building)]);
}

pub fn a_version_says_what_it_was_made_of(models: &Models) {
    let new = NewVersion {
        fingerprint: "sha256:abc".to_owned(),
        definition: "on 'Opened' => \"ü\"\n\u{1f600}".to_owned(),
        partitions: 7,
        personal: PersonalData::Forgotten,
        at: Timestamp(17_672_256_001_234_567),
        start: at(40),
        ..new_version("balances", ACCOUNTS)
    };
    let wanted = Version {
        name: name("balances"),
        number: V1,
        role: Role::Serving,
        fingerprint: new.fingerprint.clone(),
        definition: new.definition.clone(),
        partitions: 7,
        personal: PersonalData::Forgotten,
        stopped: false,
        created_at: new.at,
    };
    assert_eq!(done(models.models.create(&new)), wanted);
    assert_eq!(done(models.again().versions()), [wanted]);
    let start = models.progress("balances", V1);
    assert!(
        start.len() == 7 && start.iter().all(|progress| progress.applied == at(40) && progress.events == 0)
    );
}

pub fn versions_are_listed_by_name_and_number(models: &Models) {
    for projection in ["totals", "balances", "limits", "balances"] {
        models.create(projection, ACCOUNTS);
    }
    let listed: Vec<String> =
        done(models.models.versions()).iter().map(|one| format!("{} {}", one.name, one.number)).collect();
    assert_eq!(listed, ["balances v1", "balances v2", "limits v1", "totals v1"]);
}

pub fn tables_are_made_all_or_nothing(models: &Models) {
    for wrong in [
        format!("{ACCOUNTS}; CREATE TABEL more (a BIGINT)"),
        format!("{ACCOUNTS}; {ACCOUNTS}"),
        format!("{ACCOUNTS}; COMMIT; CREATE TABEL more (a BIGINT)"),
        format!("{ACCOUNTS}; INSERT INTO nowhere VALUES (1)"),
    ] {
        let refused = models.models.create(&new_version("balances", &wrong));
        assert_refused!(refused, ReadModelError::Statement { .. });
        assert!(done(models.models.versions()).is_empty(), "{wrong}");
    }
    let number =
        models.create("balances", &format!("{ACCOUNTS}; INSERT INTO accounts VALUES ('bank', 0, NULL);"));
    assert_eq!(models.accounts("balances", number), ["bank=0"]);
}

pub fn a_projection_without_tables(models: &Models) {
    for tables in ["", " ;\n-- none"] {
        models.create("empty", tables);
    }
    assert!(done(models.models.tables(&name("empty"), V1)).is_empty());
    let mut writer = models.writer("empty", V1);
    done(writer.begin());
    done(writer.commit(&progress(1)));
    let compared = models.models.compare(&name("empty"), (V1, V2), CompareOptions { examples: 1 });
    assert!(done(compared).is_empty());
}

pub fn versions_do_not_share_tables(models: &Models) {
    models.serving_and_building();
    models.create("totals", ACCOUNTS);
    done(add_until(&mut *models.writer("balances", V1), "a", 1, 1));
    done(add_until(&mut *models.writer("balances", V2), "b", 2, 2));
    done(add_until(&mut *models.writer("totals", V1), "c", 3, 3));
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
    assert_eq!(models.accounts("balances", V2), ["b=2"]);
    assert_eq!(models.accounts("totals", V1), ["c=3"]);
    done(models.models.discard(&name("balances"), V2));
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
}

pub fn tables_are_told_with_their_keys(models: &Models) {
    models.create(
        "balances",
        &format!(
            "{ACCOUNTS}; CREATE TABLE days (day TEXT, amount BIGINT, account TEXT, PRIMARY KEY (account, day)); \
             CREATE TABLE lines (line TEXT); CREATE INDEX by_amount ON accounts (amount); \
             CREATE VIEW rich AS SELECT * FROM accounts WHERE amount > 1000"
        ),
    );
    let told = done(models.models.tables(&name("balances"), V1));
    let told: Vec<String> = told.iter().map(|(table, key)| format!("{table}({})", key.join(","))).collect();
    assert_eq!(told, ["accounts(account)", "days(account,day)", "lines()"]);
}

pub fn a_version_that_serves_is_not_discarded(models: &Models) {
    models.serving_and_building();
    match models.models.discard(&name("balances"), V1) {
        Err(ReadModelError::Serves { name: refused, version }) => {
            assert_eq!((refused, version), (name("balances"), V1));
        }
        other => panic!("it serves: {other:?}"),
    }
    done(models.promote("balances", V2));
    done(models.models.discard(&name("balances"), V1));
    assert_eq!(models.roles("balances"), [(V2, Role::Serving)]);
}

pub fn a_number_is_never_used_again(models: &Models) {
    models.serving_and_building();
    done(models.models.discard(&name("balances"), V2));
    assert_eq!(models.create("balances", ACCOUNTS), V3);
    done(models.models.delete(&name("balances")));
    let again = done(models.models.create(&new_version("balances", ACCOUNTS)));
    assert_eq!((again.number, again.role), (VersionNumber(4), Role::Serving));
    assert_eq!(models.create("totals", ACCOUNTS), V1);
}

pub fn a_deleted_projection_is_gone(models: &Models) {
    models.serving_and_building();
    models.create("totals", ACCOUNTS);
    done(models.models.delete(&name("balances")));
    assert_eq!(models.versions("balances"), []);
    assert_eq!(models.roles("totals"), [(V1, Role::Serving)]);
    assert_refused!(
        models.models.delete(&name("balances")),
        ReadModelError::UnknownProjection { name: refused } if refused == name("balances")
    );
    assert_refused!(models.models.reader(&[(name("balances"), V1)]), ReadModelError::UnknownVersion { .. });
}

pub fn an_unknown_version_is_unknown_to_every_call(models: &Models) {
    models.create("balances", ACCOUNTS);
    let (db, options) = (&models.models, CompareOptions { examples: 1 });
    for (projection, version) in [(name("balances"), V2), (name("totals"), V1)] {
        let unknown = partition(projection.as_str(), version, 0);
        assert_refused!(db.writer(&unknown), ReadModelError::UnknownVersion { .. });
        assert_refused!(db.reader(&[(projection.clone(), version)]), ReadModelError::UnknownVersion { .. });
        assert_refused!(db.progress(&projection, version), ReadModelError::UnknownVersion { .. });
        assert_refused!(db.skips(&projection, version), ReadModelError::UnknownVersion { .. });
        assert_refused!(db.discard(&projection, version), ReadModelError::UnknownVersion { .. });
        assert_refused!(db.accept(&projection, version, "f", "d"), ReadModelError::UnknownVersion { .. });
        assert_refused!(db.set_stopped(&projection, version, true), ReadModelError::UnknownVersion { .. });
        assert_refused!(
            db.compare(&projection, (V1, version), options),
            ReadModelError::UnknownVersion { .. }
        );
        assert_refused!(db.watch(&projection, version), ReadModelError::UnknownVersion { .. });
        assert_refused!(db.tables(&projection, version), ReadModelError::UnknownVersion { .. });
    }
}

pub fn a_change_declared_compatible_is_kept(models: &Models) {
    models.serving_and_building();
    done(models.models.accept(&name("balances"), V1, "f2", "another definition"));
    let kept = models.versions("balances");
    assert_eq!((kept[0].fingerprint.as_str(), kept[0].definition.as_str()), ("f2", "another definition"));
    assert_eq!((kept[1].fingerprint.as_str(), kept[1].definition.as_str()), ("f1", "the definition"));
}

pub fn a_version_that_is_stopped_stays_so(models: &Models) {
    models.serving_and_building();
    let stopped = || models.versions("balances").iter().map(|one| one.stopped).collect::<Vec<_>>();
    done(models.models.set_stopped(&name("balances"), V1, true));
    done(models.models.set_stopped(&name("balances"), V1, true));
    assert_eq!(stopped(), [true, false]);
    done(models.models.set_stopped(&name("balances"), V1, false));
    assert_eq!(stopped(), [false, false]);
}

pub fn the_history_outlasts_the_version(models: &Models) {
    models.create("balances", ACCOUNTS);
    assert!(done(models.models.history(&name("balances"))).is_empty());
    let action = |what: &str, at| Action {
        name: name("balances"),
        version: V1,
        what: what.to_owned(),
        actor: "ada".to_owned(),
        reason: "it's \"so\"\nü".to_owned(),
        at: Timestamp(at),
    };
    // By the order in which they were recorded, not by time.
    let actions = [action("created", 5), action("skipped", 9), action("promoted", 2)];
    for action in &actions {
        done(models.models.record(action));
        done(models.models.record(&Action { name: name("totals"), ..action.clone() }));
    }
    done(models.models.delete(&name("balances")));
    assert_eq!(done(models.again().history(&name("balances"))), actions);
}

fn refused_history(models: &Models, start: Checkpoint) -> CheckpointError {
    models.create("balances", ACCOUNTS);
    for projection in ["balances", "totals"] {
        let new = NewVersion { start: start.clone(), ..new_version(projection, ACCOUNTS) };
        assert_refused!(models.models.create(&new), ReadModelError::OtherHistory { .. });
    }
    assert_eq!(done(models.models.versions()).len(), 1);
    let new = NewVersion { start, ..new_version("totals", ACCOUNTS) };
    match models.models.create(&new) {
        Err(ReadModelError::OtherHistory { source, .. }) => source,
        other => panic!("it is of another history: {other:?}"),
    }
}

pub fn read_models_of_another_store_are_refused(models: &Models) {
    let other = StoreId(uuid::Uuid::from_u128(1));
    let source = refused_history(models, Checkpoint::before(other, at(0).epoch(), Position(0)));
    assert_eq!(source, CheckpointError::OtherStore { expected: at(0).store(), found: other });
}

pub fn read_models_of_another_epoch_are_refused(models: &Models) {
    let epoch = at(0).epoch();
    let source = refused_history(models, Checkpoint::before(at(0).store(), epoch + 1, Position(0)));
    assert_eq!(source, CheckpointError::OtherEpoch { expected: epoch, found: epoch + 1 });
}

/// The way on after a restore: what is of the old history is deleted, and then built anew.
pub fn an_empty_database_takes_another_history(models: &Models) {
    models.create("balances", ACCOUNTS);
    done(models.models.delete(&name("balances")));
    let start = Checkpoint::before(at(0).store(), at(0).epoch() + 1, Position(0));
    done(models.models.create(&NewVersion { start, ..new_version("balances", ACCOUNTS) }));
    let old = models.models.create(&new_version("totals", ACCOUNTS));
    assert_refused!(old, ReadModelError::OtherHistory { .. });
}

pub fn what_one_handle_does_another_sees(models: &Models) {
    let other = models.again();
    models.create("balances", ACCOUNTS);
    let second = done(other.create(&new_version("balances", ACCOUNTS)));
    assert_eq!(second.number, V2);
    assert_eq!(done(other.versions()), done(models.models.versions()));
    let mut writer = done(other.writer(&partition("balances", V2, 0)));
    done(writer.begin());
    add(&mut *writer, "a", 1);
    done(writer.commit(&progress(1)));
    assert_eq!(models.accounts("balances", V2), ["a=1"]);
    done(models.promote("balances", V2));
    assert_eq!(done(other.versions())[1].role, Role::Serving);
    done(other.delete(&name("balances")));
    assert!(done(models.models.versions()).is_empty());
}

pub fn two_who_create_at_once_make_one_building(models: &Models) {
    models.create("balances", ACCOUNTS);
    std::thread::scope(|scope| {
        let made: Vec<_> = (0..4)
            .map(|_| {
                let models = Arc::clone(&models.models);
                scope.spawn(move || models.create(&new_version("balances", ACCOUNTS)))
            })
            .collect();
        let mut number_made = 0;
        for thread in made {
            match thread.join().expect("it comes back") {
                Ok(_) => number_made += 1,
                Err(ReadModelError::AlreadyBuilding { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(number_made, 1);
    });
    assert_eq!(models.roles("balances"), [(V1, Role::Serving), (V2, Role::Building)]);
}

pub fn a_scratch_version_leaves_nothing(models: &Models) {
    models.create("balances", ACCOUNTS);
    done(add_until(&mut *models.writer("balances", V1), "a", 1, 1));
    let new = NewVersion { start: at(5), ..new_version("balances", ACCOUNTS) };
    let mut scratch = done(models.models.scratch(&new));
    assert_eq!(scratch.progress().applied, at(5));
    for position in 6..9 {
        done(add_until(&mut *scratch, "b", 1, position));
    }
    done(scratch.begin());
    let seen = done(scratch.query("SELECT account, amount FROM accounts", &[]));
    assert_eq!(
        seen.rows,
        [[super::case::text("b"), 3.into()]],
        "it begins empty and keeps what is committed"
    );
    // Two at once do not meet.
    let mut other = done(models.models.scratch(&new));
    done(other.begin());
    assert!(done(other.query("SELECT * FROM accounts", &[])).rows.is_empty());
    drop((scratch, other));
    assert_eq!(models.roles("balances"), [(V1, Role::Serving)]);
    assert_eq!(models.accounts("balances", V1), ["a=1"]);
    let wrong = models.models.scratch(&new_version("balances", "CREATE TABEL t (a BIGINT)"));
    assert_refused!(wrong, ReadModelError::Statement { .. });
}

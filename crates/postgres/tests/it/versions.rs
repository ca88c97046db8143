//! Are versions built beside each other, swapped at once, compared and dropped?

use factum_core::Timestamp;
use factum_core::read_model::{
    Action, CompareOptions, ReadModelError, ReadModels, Role, RowDifference, Value, VersionNumber,
};

use crate::fixture::{Fixture, TABLES, V1, V2, V3, at, name, new_version};

fn roles(f: &Fixture) -> Vec<(u32, Role)> {
    f.read_models.versions().unwrap().iter().map(|version| (version.number.0, version.role)).collect()
}

#[test]
fn a_version_is_built_beside_the_serving_one_and_takes_over_when_it_has_caught_up() {
    let Some(f) =
        Fixture::new("a_version_is_built_beside_the_serving_one_and_takes_over_when_it_has_caught_up")
    else {
        return;
    };
    let balances = name("balances");
    f.create("balances", TABLES);
    f.add(V1, "a", 1, 3);
    assert_eq!(f.create("balances", TABLES), V2);
    assert_eq!(roles(&f), [(1, Role::Serving), (2, Role::Building)]);
    let another = f.read_models.create(&new_version("balances", TABLES));
    assert_eq!(another, Err(ReadModelError::AlreadyBuilding { name: balances.clone(), building: V2 }));

    f.add(V2, "a", 100, 2);
    let behind = f.read_models.promote(&balances, V2);
    let expected = ReadModelError::NotCaughtUp {
        name: balances.clone(),
        version: V2,
        applied: Box::new(at(2)),
        serving: Box::new(at(3)),
    };
    assert_eq!(behind, Err(expected));
    let stable = "SELECT amount FROM balances.accounts";
    assert_eq!(f.database.sql(stable), "1");
    f.add(V2, "b", 100, 3);
    f.read_models.promote(&balances, V2).unwrap();
    assert_eq!(roles(&f), [(1, Role::Previous), (2, Role::Serving)]);
    assert_eq!(f.database.sql(stable), "100\n100");
    // A reader's version stays what it is, however its tables are named.
    for statement in ["SELECT amount FROM accounts", "SELECT balances.accounts.amount FROM balances.accounts"]
    {
        assert_eq!(f.read(V1, statement), [[Value::Integer(1)]]);
        assert_eq!(f.read(V2, statement).len(), 2);
    }

    // Back, and forth to a third: the one before the previous goes.
    f.read_models.promote(&balances, V1).unwrap();
    assert_eq!(
        (roles(&f), f.database.sql(stable)),
        (vec![(1, Role::Serving), (2, Role::Previous)], "1".to_owned())
    );
    assert_eq!(f.create("balances", TABLES), V3);
    f.add(V3, "c", 7, 3);
    f.read_models.promote(&balances, V3).unwrap();
    assert_eq!(roles(&f), [(1, Role::Previous), (3, Role::Serving)]);
    assert_eq!(f.database.sql("SELECT to_regnamespace('balances__v2') IS NULL"), "t");
}

#[test]
fn rights_on_the_views_outlive_a_promotion_and_other_columns_replace_them() {
    let Some(f) = Fixture::new("rights_on_the_views_outlive_a_promotion_and_other_columns_replace_them")
    else {
        return;
    };
    let balances = name("balances");
    f.create("balances", TABLES);
    f.database.sql("GRANT SELECT ON balances.accounts TO pg_monitor");
    f.create("balances", TABLES);
    f.read_models.promote(&balances, V2).unwrap();
    let granted = "SELECT has_table_privilege('pg_monitor', 'balances.accounts', 'SELECT')";
    assert_eq!(f.database.sql(granted), "t");
    f.create("balances", "CREATE TABLE totals (day date); CREATE TABLE accounts (amount numeric, id int)");
    f.read_models.promote(&balances, V3).unwrap();
    let views = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'balances' \
                 ORDER BY 1, ordinal_position";
    assert_eq!(f.database.sql(views), "accounts|amount\naccounts|id\ntotals|day");
}

#[test]
fn a_serving_version_cannot_be_discarded_and_a_number_is_never_used_again() {
    let Some(f) = Fixture::new("a_serving_version_cannot_be_discarded_and_a_number_is_never_used_again")
    else {
        return;
    };
    let balances = name("balances");
    f.create("balances", TABLES);
    f.create("balances", TABLES);
    let refused = f.read_models.discard(&balances, V1);
    assert_eq!(refused, Err(ReadModelError::Serves { name: balances.clone(), version: V1 }));
    let mut writer = f.writer("balances", V2);
    f.read_models.discard(&balances, V2).unwrap();
    let gone = writer.begin();
    assert!(matches!(gone, Err(ReadModelError::UnknownVersion { .. })), "{gone:?}");
    assert!(matches!(f.read_models.discard(&balances, V2), Err(ReadModelError::UnknownVersion { .. })));
    assert_eq!(f.create("balances", TABLES), V3);
    let action = Action {
        name: balances.clone(),
        version: V3,
        what: "created".to_owned(),
        actor: "ada".to_owned(),
        reason: "why not".to_owned(),
        at: Timestamp(4),
    };
    f.read_models.record(&action).unwrap();
    f.read_models.delete(&balances).unwrap();
    let again = f.read_models.delete(&balances);
    assert_eq!(again, Err(ReadModelError::UnknownProjection { name: balances.clone() }));
    assert_eq!(f.database.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'balances%'"), "0");
    assert_eq!(f.create("balances", TABLES), VersionNumber(4));
    assert_eq!(f.read_models.history(&balances).unwrap(), [action]);
}

#[test]
fn a_version_is_kept_as_it_was_declared() {
    let Some(f) = Fixture::new("a_version_is_kept_as_it_was_declared") else { return };
    let balances = name("balances");
    let made = f.read_models.create(&new_version("balances", TABLES)).unwrap();
    assert_eq!(f.read_models.versions().unwrap(), [made]);
    f.read_models.accept(&balances, V1, "f2", "declared anew").unwrap();
    f.read_models.set_stopped(&balances, V1, true).unwrap();
    let now = f.read_models.versions().unwrap().remove(0);
    assert_eq!((&*now.fingerprint, &*now.definition, now.stopped), ("f2", "declared anew", true));
    let unknown = f.read_models.set_stopped(&balances, V2, true);
    assert!(matches!(unknown, Err(ReadModelError::UnknownVersion { .. })), "{unknown:?}");
    let expected = [("accounts".to_owned(), vec!["account".to_owned()])];
    assert_eq!(f.read_models.tables(&balances, V1).unwrap(), expected);
}

#[test]
fn versions_are_compared_row_by_row() {
    let Some(f) = Fixture::new("versions_are_compared_row_by_row") else { return };
    let balances = name("balances");
    let tables = format!("{TABLES}; CREATE TABLE lines (text text, data json)");
    f.create("balances", &tables);
    f.create("balances", &format!("{tables}; CREATE TABLE more (a int)"));
    for (version, rows, lines) in [
        (1, "('a', 1, NULL), ('b', 2, NULL), ('c', 3, 'x')", "('x', '1'), ('x', '1'), ('y', '2')"),
        (2, "('a', 1, NULL), ('b', 5, NULL), ('d', 4, 'x')", "('x', '1'), ('y', '2'), ('z', NULL)"),
    ] {
        f.database.sql(&format!("INSERT INTO balances__v{version}.accounts VALUES {rows}"));
        f.database.sql(&format!("INSERT INTO balances__v{version}.lines VALUES {lines}"));
    }
    let options = CompareOptions { examples: 10 };
    let found = f.read_models.compare(&balances, (V1, V2), options).unwrap();
    let counts: Vec<_> =
        found.iter().map(|d| (&*d.table, d.same, d.only_old, d.only_new, d.changed)).collect();
    assert_eq!(counts, [("accounts", 1, 1, 1, 1), ("lines", 2, 1, 1, 0), ("more", 0, 0, 0, 0)]);
    let row = |account: &str, amount: i64, owner: Option<&str>| {
        vec![Value::from(account.to_owned()), amount.into(), owner.map(str::to_owned).into()]
    };
    let expected = [
        RowDifference::OnlyOld(row("c", 3, Some("x"))),
        RowDifference::OnlyNew(row("d", 4, Some("x"))),
        RowDifference::Changed { old: row("b", 2, None), new: row("b", 5, None) },
    ];
    assert_eq!(found[0].examples, expected);
    assert_eq!(
        (found[0].columns.join(" "), found[0].key.join(" ")),
        ("account amount owner".into(), "account".into())
    );
    assert_eq!(found[1].examples.len(), 2);
    assert_eq!(found[2].other_columns.as_deref(), Some("only v2 has the table"));
    let same = f.read_models.compare(&balances, (V1, V1), options).unwrap();
    assert!(same.iter().all(|difference| !difference.differs()), "{same:?}");
}

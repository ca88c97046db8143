//! The shortest way through: a version, a writer, a reader, a watch.

use std::time::Duration;

use factum_core::read_model::{
    CompareOptions, NewVersion, Partition, Progress, ProjectionName, ReadModelError, ReadModels, Role, Value,
    VersionNumber, Woken,
};
use factum_core::{Checkpoint, Position, StoreId, Timestamp};
use factum_sqlite::SqliteReadModels;

#[test]
fn rows_and_progress_come_together() {
    let directory = tempfile::tempdir().unwrap();
    let models = SqliteReadModels::open(directory.path()).unwrap();
    let name = ProjectionName::new("balances").unwrap();
    let start = Checkpoint::before(StoreId(uuid::Uuid::nil()), 0, Position(0));
    let new = NewVersion {
        name: name.clone(),
        fingerprint: "f1".to_owned(),
        definition: String::new(),
        tables: "CREATE TABLE balances (account TEXT PRIMARY KEY, amount INTEGER NOT NULL); CREATE INDEX by_amount ON balances (amount);".to_owned(),
        partitions: 1,
        start: start.clone(),
        at: Timestamp(0),
    };
    let version = models.create(&new).unwrap();
    assert_eq!((version.number, version.role), (VersionNumber(1), Role::Serving));
    let mut watch = models.watch(&name, version.number).unwrap();
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), Woken::TimedOut);
    let partition = Partition { name: name.clone(), version: version.number, index: 0 };
    let mut writer = models.writer(&partition).unwrap();
    let mut reader = models.reader(&[(name.clone(), version.number)]).unwrap();
    writer.begin().unwrap();
    let sql = "INSERT INTO balances VALUES (:account, :data.amount)";
    for n in 0..3_i64 {
        writer.execute(sql, &[("data.amount", n.into()), ("account", format!("a{n}").into())]).unwrap();
    }
    let rows = writer.query("SELECT count(*) FROM balances", &[]).unwrap();
    assert_eq!(rows.first_value(), Some(&Value::Integer(3)));
    writer.commit(&Progress { events: 3, ..Progress::start(start.at(Position(9))) }).unwrap();
    assert_eq!(watch.wait(Duration::from_secs(10)).unwrap(), Woken::Committed);
    let (rows, progress) = reader.query("SELECT sum(amount) FROM balances.balances", &[]).unwrap();
    assert_eq!(rows.first_value(), Some(&Value::Integer(3)));
    assert_eq!(progress[0].applied, start.at(Position(9)));
    assert_eq!(models.progress(&name, version.number).unwrap(), progress);
    let second = models.create(&new).unwrap();
    let refused = models.promote(&name, second.number).unwrap_err();
    assert!(matches!(refused, ReadModelError::NotCaughtUp { .. }), "{refused}");
    let options = CompareOptions { examples: 2 };
    let compared = models.compare(&name, (version.number, second.number), options).unwrap();
    assert_eq!((compared[0].only_old, compared[0].examples.len()), (3, 2));
    assert_eq!(
        models.tables(&name, second.number).unwrap(),
        [(name.to_string(), vec!["account".to_owned()])]
    );
    models.discard(&name, second.number).unwrap();
    writer.begin().unwrap();
    let refused = writer.execute("DELETE FROM _factum_partitions", &[]).unwrap_err();
    assert!(refused.to_string().contains("not authorized"), "{refused}");
    writer.rollback().unwrap();
    models.delete(&name).unwrap();
    let refused = writer.begin().unwrap_err();
    assert!(matches!(refused, ReadModelError::Fenced { .. }), "{refused}");
}

//! Does the binary print what README.md promises, and end as it should?

use std::path::Path;
use std::process::{Command, Output};

use factum_testkit::PostgresDatabase;
use serde_json::Value;

fn orders(args: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_orders")).args(args).arg("--data").arg(data).output().unwrap()
}

fn prints(args: &[&str], data: &Path) -> Value {
    let output = orders(args, data);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_race_for_the_last_mugs_and_an_order_of_it() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("shop");
    for _ in 0..2 {
        let raced = prints(&["race"], &data);
        assert_eq!(
            (&raced["reserved"], &raced["out_of_stock"], &raced["left"]),
            (&5.into(), &11.into(), &0.into())
        );
    }
    let shown = prints(&["show", "7"], &data);
    assert_eq!(shown["status"], "submitted");
    assert_eq!(shown["total"], serde_json::json!({ "minor": 1_250, "currency": "EUR" }));
    assert_eq!(shown["payment"]["status"], "open");

    let none = orders(&["show", "99"], &data);
    assert_eq!(none.status.code(), Some(5));
    assert_eq!(
        String::from_utf8_lossy(&none.stderr).trim(),
        "orders: there is no order 99: check the number and --data"
    );
    let nowhere = orders(&["show", "1"], &data.join("nowhere"));
    assert_eq!(nowhere.status.code(), Some(5));
}

#[test]
fn a_day_in_the_shop_and_its_read_model() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("shop");
    let day = prints(&["day"], &data);
    assert_eq!(prints(&["day"], &data), day, "nothing happens twice");
    let cancelled: u64 =
        day["cancelled"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(day["shipped"].as_u64().unwrap() + cancelled, 50);
    assert!(cancelled > 10 && day["cancelled"].as_object().unwrap().len() >= 4, "{day}");

    let rows = |args: &[&str]| -> Vec<Value> {
        let output = orders(args, &data);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = rows(&["ls"]);
    assert_eq!(all.len(), 50);
    let paid: i64 = all.iter().map(|row| row["paid_minor"].as_i64().unwrap()).sum();
    assert_eq!(day["turnover_minor"].as_i64().unwrap(), paid);
    let shipped = rows(&["ls", "--status", "completed"]);
    assert_eq!(shipped.len() as u64, day["shipped"].as_u64().unwrap());
    let nowhere = orders(&["ls", "--read-models", "postgres://nobody:secret@127.0.0.1:1/nothing"], &data);
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert_eq!(nowhere.status.code(), Some(7), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn the_read_model_of_orders_in_postgres() {
    let Some(database) = PostgresDatabase::fresh("the_read_model_of_orders_in_postgres") else { return };
    let data = tempfile::tempdir().unwrap();
    prints(&["day", "--orders", "5"], data.path());
    for (status, count) in [(None, 5), (Some("open"), 0)] {
        let mut args = vec!["ls", "--read-models", database.url()];
        args.extend(status.into_iter().flat_map(|status| ["--status", status]));
        let output = orders(&args, data.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), count);
    }
}

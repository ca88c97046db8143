//! Does the binary print what README.md promises, and end as it should?

use std::path::Path;
use std::process::{Command, Output};

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

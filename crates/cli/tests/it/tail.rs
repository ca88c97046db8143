//! `factum tail`, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::factum::Factum;

#[test]
fn the_newest_events_come_oldest_first() {
    let factum = Factum::with_an_order();
    let types = |args: &[&str]| factum.run(&[args, &["--format", "{type}"]].concat()).ok();
    assert_eq!(types(&["tail", "-n", "2"]), "Paid\nShipped\n");
    assert_eq!(types(&["tail", "order-1", "-n", "1"]), "Shipped\n");
    assert_eq!(types(&["tail", "--since", "1h"]), "Placed\nPaid\nShipped\n");
    factum.run(&["tail", "order-9"]).fails(5);
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_follower_with_130() {
    let factum = Factum::with_an_order();
    let mut child = factum.command(&["tail", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for wanted in ["Placed", "Paid", "Shipped"] {
        assert!(lines.next().unwrap().unwrap().contains(wanted));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

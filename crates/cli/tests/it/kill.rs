//! Is every acknowledged event there after SIGKILL? The real binary with eight writers, killed again and again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use factum_core::{EventStoreExt, Read, Revision, StreamName};
use factum_engine::{Create, Engine, Options, OsVfs};

use crate::factum::Factum;

/// Times that the process is killed.
const ROUNDS: usize = 20;
/// Writers in the process.
const WRITERS: &str = "8";

#[test]
fn what_was_acknowledged_survives_sigkill_under_eight_writers() {
    let factum = Factum::new();
    let dir = factum.path("killed");
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for round in 0..ROUNDS {
        let place = dir.to_str().unwrap();
        let mut child = factum
            .command(&["bench", "--child-append", place, "--writers", WRITERS])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: &str| {
            let (stream, revision) = line.split_once(' ').unwrap();
            let revision: u64 = revision.parse().unwrap();
            let last = acknowledged.entry(stream.to_owned()).or_default();
            *last = revision.max(*last);
        };
        // Another number each round, so that the kill comes at another place.
        let enough = 40 + round * 37 % 200;
        for line in lines.by_ref().take(enough) {
            note(&line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What was said before the kill was acknowledged too. A last line may be cut.
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.pop();
        rest.iter().for_each(|line| note(line));

        let report = factum_engine::verify(&dir, &OsVfs, |_, _| {}).unwrap();
        assert_eq!(report.damage, [], "round {round}");
        let engine = Engine::open(&dir, Options { create: Create::Never, ..Options::default() }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (stream, last) in &acknowledged {
            let read = Read::stream(StreamName::new(stream.as_str()).unwrap());
            let events = runtime.block_on(engine.read_all(read)).unwrap();
            assert!(events.len() as u64 > *last, "round {round}: {stream} lost what was acknowledged");
            let dense = events.iter().enumerate().all(|(at, event)| event.revision() == Revision(at as u64));
            assert!(dense, "round {round}: {stream} has a gap");
        }
        engine.close();
    }
    assert_eq!(acknowledged.len(), 8, "every writer has written");
}

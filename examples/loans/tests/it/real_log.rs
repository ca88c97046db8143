//! The whole real log: its totals, its states at past moments, and whether it obeys the rules.
//!
//! The expected figures were counted straight over the XML by another program, without any of this code.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum_cli::{ImportSummary, import_xes};
use factum_core::{EventStore, Timestamp};
use factum_engine::{Engine, Options};
use loans::{Summary, audit, summarize};

use crate::vault::{options, sealing};

/// The log, in `shared/data` beside the repository or beside a worktree of it.
pub(crate) fn log() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let beside = repository.ancestors().skip(1).map(|folder| folder.join("shared/data/bpic2012.xes.gz"));
    beside.take(2).find(|path| path.exists())
}

fn import(store: &dyn EventStore, log: &Path) -> ImportSummary {
    run(import_xes(store, File::open(log).unwrap(), &options(), &mut |_| {})).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn at(store: &dyn EventStore, at: Option<&str>) -> String {
    let at = at.map(|at| (at.to_owned(), Timestamp::parse(at).unwrap()));
    let summary: Summary = run(summarize(store, at)).unwrap();
    serde_json::to_string(&summary).unwrap()
}

const MOMENTS: [(Option<&str>, &str); 7] = [
    (
        None,
        r#"{"at":null,"applications":13087,"events":262200,"requested_eur":177634511,"status":{"A_ACCEPTED":3,"A_ACTIVATED":1122,"A_APPROVED":337,"A_CANCELLED":2807,"A_DECLINED":7635,"A_FINALIZED":327,"A_PREACCEPTED":69,"A_REGISTERED":787}}"#,
    ),
    (
        Some("2011-09-30T00:00:00Z"),
        r#"{"at":"2011-09-30T00:00:00Z","applications":0,"events":0,"requested_eur":0,"status":{}}"#,
    ),
    (
        Some("2011-10-01T00:38:44.546+02:00"),
        r#"{"at":"2011-10-01T00:38:44.546+02:00","applications":1,"events":1,"requested_eur":20000,"status":{"A_SUBMITTED":1}}"#,
    ),
    // One application is registered, and submitted a millisecond later: it is in no group yet.
    (
        Some("2011-10-06T12:16:59.744+02:00"),
        r#"{"at":"2011-10-06T12:16:59.744+02:00","applications":434,"events":5121,"requested_eur":5958916,"status":{"A_ACTIVATED":2,"A_APPROVED":1,"A_CANCELLED":23,"A_DECLINED":189,"A_FINALIZED":166,"A_PARTLYSUBMITTED":10,"A_PREACCEPTED":42}}"#,
    ),
    (
        Some("2011-12-31T23:59:59+01:00"),
        r#"{"at":"2011-12-31T23:59:59+01:00","applications":7455,"events":138797,"requested_eur":98531557,"status":{"A_ACCEPTED":1,"A_ACTIVATED":547,"A_APPROVED":164,"A_CANCELLED":1346,"A_DECLINED":4334,"A_FINALIZED":509,"A_PARTLYSUBMITTED":5,"A_PREACCEPTED":130,"A_REGISTERED":419}}"#,
    ),
    (
        Some("2012-02-29T12:00:00Z"),
        r#"{"at":"2012-02-29T12:00:00Z","applications":12981,"events":249645,"requested_eur":176028961,"status":{"A_ACCEPTED":3,"A_ACTIVATED":993,"A_APPROVED":305,"A_CANCELLED":2585,"A_DECLINED":7481,"A_FINALIZED":705,"A_PARTLYSUBMITTED":3,"A_PREACCEPTED":185,"A_REGISTERED":721}}"#,
    ),
    (
        Some("2012-03-14T16:04:54.681+01:00"),
        r#"{"at":"2012-03-14T16:04:54.681+01:00","applications":13087,"events":262200,"requested_eur":177634511,"status":{"A_ACCEPTED":3,"A_ACTIVATED":1122,"A_APPROVED":337,"A_CANCELLED":2807,"A_DECLINED":7635,"A_FINALIZED":327,"A_PREACCEPTED":69,"A_REGISTERED":787}}"#,
    ),
];

#[test]
fn the_real_log_has_its_totals_and_obeys_the_rules() {
    let Some(log) = log() else {
        let why =
            "../shared/data/bpic2012.xes.gz is not there: the real loan log is not part of the repository";
        return factum_testkit::skip("the_real_log_has_its_totals_and_obeys_the_rules", why);
    };
    let data = tempfile::tempdir().unwrap();
    let store: Arc<dyn EventStore> = Arc::new(Engine::open(data.path(), Options::default()).unwrap());
    // What is asked here asks nobody's name: the log is read as it is, sealed.
    let sealing = run(sealing(Arc::clone(&store), data.path()));
    let first = import(&sealing, &log);
    assert_eq!((first.traces, first.events, first.new), (13_087, 275_287, 275_287));
    for (moment, expected) in MOMENTS {
        assert_eq!(at(&*store, moment), expected);
    }
    let found = run(audit(&*store)).unwrap();
    assert_eq!((found.decided, found.refused), (275_287, vec![]));
    // These figures are in README.md.
    let deviations = [
        ("completed_without_start", 1_042),
        ("over_with_offer_out", 1_253),
        ("scheduled_while_open", 1_821),
        ("started_on_cancelled", 23),
        ("started_twice", 2),
    ];
    assert_eq!(found.deviations.into_iter().collect::<Vec<_>>(), deviations);
    assert_eq!(found.granted_without_offer, ["177083", "180310", "198310"]);
    let open = [
        ("W_Completeren aanvraag", 1),
        ("W_Nabellen offertes", 16),
        ("W_Valideren aanvraag", 53),
        ("W_Wijzigen contractgegevens", 7),
    ];
    assert_eq!(found.open_work.into_iter().collect::<Vec<_>>(), open);
    let again = import(&sealing, &log);
    assert_eq!((again.new, again.known), (0, 275_287));
}

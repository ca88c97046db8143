//! What an XES event log becomes, and what a broken one is told.

use std::io::Write;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use factum_cli::{ImportError, ImportPhase, ImportProgress, ImportSummary, XesImport, import_xes};
use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, ErrorKind, EventReader,
    EventStore, EventStoreExt, EventType, ExpectedRevision, MemoryStore, NewEvent, Read, ReadError,
    RecordedEvent, Selector, StreamName, Subscribe, Subscription,
};

use crate::factum::Factum;

const ORDERS: &str = include_str!("../fixtures/orders.xes");

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn import(store: &dyn EventStore, xes: &[u8]) -> Result<ImportSummary, ImportError> {
    run(import_xes(store, xes, &XesImport::new("order", std::env::temp_dir()), &mut |_| {}))
}

fn events(store: &dyn EventStore) -> Vec<RecordedEvent> {
    run(store.read_all(Read::forwards(Selector::All))).unwrap()
}

fn names(store: &dyn EventStore) -> Vec<String> {
    events(store).iter().map(|event| format!("{} {}", event.stream(), event.event_type())).collect()
}

#[test]
fn a_log_is_kept_in_the_order_of_time_and_each_trace_in_its_own() {
    let store = MemoryStore::new();
    let summary = import(&store, ORDERS.as_bytes()).unwrap();
    let bytes = ORDERS.len() as u64;
    assert_eq!(summary, ImportSummary { bytes, traces: 3, events: 8, new: 8, known: 0 });
    let expected = [
        "order-earlier TraceStarted",
        "order-earlier Ordered",
        "order-empty TraceStarted",
        "order-later TraceStarted",
        "order-later Ordered",
        // The same moment as the next one, but earlier in the file.
        "order-later Paid",
        "order-earlier Recalled",
        // The file says so: its time is earlier, its place is not.
        "order-earlier Backdated",
    ];
    assert_eq!(names(&store), expected);
}

#[test]
fn attributes_keep_their_types_and_the_time_its_offset() {
    let store = MemoryStore::new();
    import(&store, ORDERS.as_bytes()).unwrap();
    let events = events(&store);
    let ordered =
        events.iter().find(|event| event.stream() == "order-later" && event.revision().0 == 1).unwrap();
    let data = r#"{"concept:name":"Ordered","lifecycle:transition":"COMPLETE","time:timestamp":"2020-02-01T08:00:01.000+01:00","org:resource":"112","items":3,"price":1.10,"paid":false,"ref":"a-b-c","note":{"value":"<fragile> & é","attributes":{"page":7}},"lines":[{"sku":"x"},{"sku":"y"}],"box":{"height":4}}"#;
    assert_eq!(ordered.data(), data);
    // A resource is a person: it is not made a tag.
    assert_eq!(ordered.tags().collect::<Vec<_>>(), ["case:later"]);
    assert_eq!(ordered.occurred_at().unwrap().to_string(), "2020-02-01T07:00:01Z");
    let started = events.iter().find(|event| event.stream() == "order-later").unwrap();
    assert_eq!(started.data(), r#"{"concept:name":"later","REG_DATE":"2020-02-01T08:00:00.000+01:00"}"#);
    assert_eq!(started.occurred_at().unwrap().to_string(), "2020-02-01T07:00:00Z");
}

#[test]
fn an_import_run_again_adds_nothing() {
    let store = MemoryStore::new();
    import(&store, ORDERS.as_bytes()).unwrap();
    let before = events(&store);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(ORDERS.as_bytes()).unwrap();
    let again = import(&store, &gzip.finish().unwrap()).unwrap();
    assert_eq!((again.new, again.known), (0, 8));
    assert_eq!(events(&store), before);
}

#[test]
fn a_byte_order_mark_prefixes_and_other_line_ends_change_nothing() {
    let plain = MemoryStore::new();
    import(&plain, ORDERS.as_bytes()).unwrap();
    let prefixed = ORDERS.replace("</", "</x:").replace("<", "<x:").replace("<x:/x:", "</x:");
    let prefixed = prefixed.replace("<x:?", "<?").replace("<x:!", "<!").replace("xmlns=", "xmlns:x=");
    for variant in [format!("\u{feff}{ORDERS}"), ORDERS.replace('\n', "\r\n"), prefixed] {
        let store = MemoryStore::new();
        import(&store, variant.as_bytes()).unwrap();
        let data = |store: &MemoryStore| events(store).iter().map(RecordedEvent::data).collect::<Vec<_>>();
        assert_eq!(data(&store), data(&plain));
    }
}

/// A log of `traces` traces whose events interleave.
fn log(traces: usize, events: usize) -> String {
    let mut xes = String::from("<log>");
    for trace in 0..traces {
        xes += &format!("<trace><string key=\"concept:name\" value=\"t{trace}\"/>");
        for event in 0..events {
            let time = format!("2020-01-01T{:02}:{:02}:00Z", event, (trace * 7 + event) % 60);
            xes += &format!(
                "<event><string key=\"concept:name\" value=\"E{event}\"/><date key=\"time:timestamp\" value=\"{time}\"/></event>"
            );
        }
        xes += "</trace>";
    }
    xes + "</log>"
}

#[test]
fn a_longer_version_of_a_log_adds_what_is_new() {
    let store = MemoryStore::new();
    import(&store, log(40, 10).as_bytes()).unwrap();
    let longer = import(&store, log(50, 12).as_bytes()).unwrap();
    assert_eq!((longer.new, longer.known), (40 * 2 + 10 * 13, 40 * 11));
    let whole = MemoryStore::new();
    import(&whole, log(50, 12).as_bytes()).unwrap();
    for trace in 0..50 {
        let read = || Read::stream(StreamName::new(format!("order-t{trace}")).unwrap());
        let ids = |store: &MemoryStore| -> Vec<_> {
            run(store.read_all(read())).unwrap().iter().map(RecordedEvent::id).collect()
        };
        assert_eq!(ids(&store), ids(&whole), "{trace}");
    }
}

/// A store that takes so many appends and then no more, as a full disk or a killed process would.
struct Failing {
    inner: MemoryStore,
    left: AtomicUsize,
}

impl EventStore for Failing {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        match self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => self.inner.append(append),
            Err(_) => Box::pin(async { Err(AppendError::DiskFull) }),
        }
    }
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        self.inner.read(read)
    }
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        self.inner.subscribe(subscribe)
    }
    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        self.inner.delete(delete)
    }
}

#[test]
fn an_import_that_was_cut_goes_on_to_the_same_log() {
    let xes = log(200, 20);
    let whole = MemoryStore::new();
    assert_eq!(import(&whole, xes.as_bytes()).unwrap().new, 4_200);
    for appends in 0..5 {
        let store = Failing { inner: MemoryStore::new(), left: AtomicUsize::new(appends) };
        let error = import(&store, xes.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.to_string().contains(&format!("{} events were appended before", appends * 1_000)),
            "{error}"
        );
        store.left.store(usize::MAX, SeqCst);
        let rest = import(&store, xes.as_bytes()).unwrap();
        assert_eq!((rest.known, rest.new), (appends as u64 * 1_000, 4_200 - appends as u64 * 1_000));
        assert_eq!(names(&store), names(&whole));
    }
}

#[test]
fn sorting_on_disk_gives_the_same_log() {
    let xes = log(60, 20);
    let in_memory = MemoryStore::new();
    import(&in_memory, xes.as_bytes()).unwrap();
    let on_disk = MemoryStore::new();
    let dir = tempfile::tempdir().unwrap();
    let options = XesImport { memory_bytes: 2_000, ..XesImport::new("order", dir.path()) };
    run(import_xes(&on_disk, xes.as_bytes(), &options, &mut |_| {})).unwrap();
    assert_eq!(names(&on_disk), names(&in_memory));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn progress_ends_with_every_event() {
    let xes = log(60, 23);
    let mut seen: Vec<ImportProgress> = Vec::new();
    let options = XesImport::new("order", std::env::temp_dir());
    let store = MemoryStore::new();
    run(import_xes(&store, xes.as_bytes(), &options, &mut |progress| seen.push(progress))).unwrap();
    let phases: Vec<_> = seen.iter().map(|progress| progress.phase).collect();
    assert_eq!(phases, [ImportPhase::Reading, ImportPhase::Writing, ImportPhase::Writing]);
    let last = seen.last().unwrap();
    assert_eq!((last.events, last.of_events, last.bytes), (60 * 24, Some(60 * 24), xes.len() as u64));
}

#[test]
fn a_stream_that_holds_something_else_is_not_touched() {
    let store = MemoryStore::new();
    let other = NewEvent::json(EventType::new("Other").unwrap(), "{}");
    let stream = StreamName::new("order-later").unwrap();
    run(store.append_to(stream, ExpectedRevision::NoStream, vec![other])).unwrap();
    let error = import(&store, ORDERS.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("order-later"), "{error}");
    assert_eq!(events(&store).len(), 1);
}

/// Checks that `xes` is refused with these words, as bad input, before anything is written.
fn refused(xes: impl AsRef<[u8]>, words: &[&str]) {
    let store = MemoryStore::new();
    let error = import(&store, xes.as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "'{word}' is not in: {error}");
    }
    assert_eq!(events(&store).len(), 0);
}

#[test]
fn a_log_cut_anywhere_is_refused() {
    let end = ORDERS.trim_end().len();
    for cut in 0..end {
        if ORDERS.is_char_boundary(cut) {
            refused(&ORDERS[..cut], &["line "]);
        }
    }
    refused(&ORDERS[..ORDERS.find("<trace>").unwrap() + 300], &["line 16 (byte ", "inside <event>", "cut"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(log(100, 20).as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for cut in [3, 11, gzip.len() / 2, gzip.len() - 1] {
        refused(&gzip[..cut], &["damaged or cut"]);
    }
}

#[test]
fn what_is_not_xes_is_refused() {
    refused("", &["no XML element"]);
    refused("id,activity,time\n1,A,2020-01-01\n", &["this is not XES", "id,activity"]);
    refused("<html><body/></html>", &["<html>", "<log>"]);
    refused("<log></trace></log>", &["not well-formed"]);
    refused("<log><trace></log>", &["not well-formed"]);
    refused("<log/><log/>", &["something follows"]);
    refused("<log><string key='a' value='&nosuch;'/></log>", &["not well-formed"]);
    refused(b"<log><string key='a' value='\xff'/></log>", &["not well-formed"]);
    refused([0_u8, 1, 2, 3].repeat(100), &["line "]);
}

fn trace(inside: &str) -> String {
    format!("<log><trace>\n<string key='concept:name' value='t1'/>\n{inside}\n</trace></log>")
}

#[test]
fn what_a_trace_or_an_event_lacks_is_named() {
    let time = "<date key='time:timestamp' value='2020-01-01T00:00:00Z'/>";
    let name = "<string key='concept:name' value='A'/>";
    refused("<log><trace/></log>", &["trace has no 'concept:name'", "line 1"]);
    refused(
        format!("<log><trace><event>{name}{time}</event></trace></log>"),
        &["trace has no 'concept:name'"],
    );
    refused(trace(""), &["no time", "'t1'"]);
    refused(trace("<event/>"), &["event has no 'concept:name'", "'t1'", "line 3"]);
    refused(trace(&format!("<event>{time}</event>")), &["event has no 'concept:name'", "'t1'"]);
    refused(trace(&format!("<event>{name}</event>")), &["'A' has no 'time:timestamp'", "'t1'", "line 3"]);
    let noon = format!("<event>{name}<date key='time:timestamp' value='noon'/></event>");
    refused(trace(&noon), &["'noon', which is not a time", "'t1'"]);
    refused(trace(&format!("<event>{name}{name}{time}</event>")), &["'concept:name' comes twice"]);
    refused(
        trace(&format!("<event>{name}{time}<int key='n' value='x'/></event>")),
        &["'n'", "not a 64-bit integer"],
    );
    refused(trace(&format!("<event>{name}{time}<int value='1'/></event>")), &["<int> has no key"]);
    refused(trace(&format!("<event>{name}{time}</event><int key='n' value='1'/>")), &["'n' comes after"]);
    let long = format!("<event><string key='concept:name' value='{}'/>{time}</event>", "x".repeat(2_000));
    refused(trace(&long), &["event type", "1024", "'t1'"]);
    let deep = "<string key='a' value='b'>".repeat(100) + &"</string>".repeat(100);
    refused(trace(&format!("<event>{name}{time}{deep}</event>")), &["nested deeper"]);
    let one = trace(&format!("<event>{name}{time}</event>"));
    let inner = one.strip_prefix("<log>").unwrap().strip_suffix("</log>").unwrap();
    refused(
        format!("<log>{inner}\n{inner}</log>"),
        &["a trace of this name was there before", "'t1'", "line 7"],
    );
}

#[test]
fn a_category_must_be_one() {
    for bad in ["", "a-b", "$x"] {
        let options = XesImport::new(bad, std::env::temp_dir());
        let error =
            run(import_xes(&MemoryStore::new(), ORDERS.as_bytes(), &options, &mut |_| {})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
    }
}

/// Whether a file below `path` holds this text.
fn holds(path: &std::path::Path, text: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), text));
    }
    std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn attributes_that_name_a_person_are_sealed_and_an_erasure_stays_one() {
    const EMPLOYEE: &str = "Xanthippe-7f3a";
    let factum = Factum::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.xes");
    std::fs::write(&path, ORDERS.replace("\"112\"", &format!("\"{EMPLOYEE}\""))).unwrap();
    let import = |personal: &[&str]| {
        let mut args = vec!["import", "xes", path.to_str().unwrap(), "--category", "order", "-o", "ndjson"];
        args.extend(personal.iter().flat_map(|key| ["--personal", *key]));
        factum.run(&args)
    };
    assert!(import(&["org:resource"]).fails(2).contains("factum privacy init"));
    factum.run(&["privacy", "init"]).ok();
    assert!(import(&["concept:name"]).fails(2).contains("cannot be personal"));
    assert!(import(&["REG_DATE"]).fails(2).contains("cannot be personal"));
    assert!(import(&["lines"]).fails(2).contains("names nobody"));
    assert_eq!(factum.lines(&["read", "--all"]).len(), 1, "the vault's own event, and nothing else");

    let came_to = |ran: crate::factum::Ran| {
        let summary: serde_json::Value = serde_json::from_str(&ran.ok()).unwrap();
        (summary["new"].as_u64().unwrap(), summary["known"].as_u64().unwrap())
    };
    let all = ["org:resource", "items"];
    assert_eq!(came_to(import(&all)), (8, 0));
    assert_eq!(came_to(import(&all)), (0, 8));
    assert!(!holds(&factum.path(""), EMPLOYEE));
    let ordered = &factum.lines(&["read", "order-later", "--from", "1", "-n", "1"])[0]["data"];
    assert!(ordered["items"]["$pii"].is_object() && ordered["price"] == 1.1, "{ordered}");

    factum.run(&["privacy", "erase", EMPLOYEE, "--reason", "r", "--confirm", EMPLOYEE]).ok();
    assert_eq!(came_to(import(&all)), (0, 8));
    // What is new of somebody who was forgotten is refused.
    let more = std::fs::read_to_string(&path).unwrap().replace("value=\"later\"", "value=\"another\"");
    std::fs::write(&path, more).unwrap();
    let refused = import(&all);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("was erased") && !refused.stderr.contains(EMPLOYEE),
        "{}",
        refused.stderr
    );
    assert!(!holds(&factum.path(""), EMPLOYEE));
}

#[test]
fn a_store_that_does_not_seal_takes_no_personal_attribute() {
    let store = MemoryStore::new();
    let personal = vec!["org:resource".to_owned()];
    let options = XesImport { personal, ..XesImport::new("order", std::env::temp_dir()) };
    let error = run(import_xes(&store, ORDERS.as_bytes(), &options, &mut |_| {})).unwrap_err();
    assert!(matches!(error, ImportError::Append { .. }) && !error.to_string().contains("112"), "{error}");
    assert!(events(&store).is_empty());
}

//! Whether everything in a log survives being written as lines and read again.

use factum_cli::{ImportError, ImportSummary, NdjsonImport, export_ndjson, import_ndjson};
use factum_core::{
    Append, AppendId, Delete, DeleteMode, ErrorKind, EventStore, EventStoreExt, EventType, ExpectedRevision,
    MemoryStore, NewEvent, Read, RecordedEvent, RecordedHeader, Revision, SchemaVersion, Selector,
    StreamMetadata, StreamName, Tag, Timestamp,
};
use factum_engine::{Engine, Options};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn export(store: &dyn EventStore) -> Vec<u8> {
    let mut out = Vec::new();
    run(export_ndjson(store, Read::forwards(Selector::All), &mut out, &mut |_| {})).unwrap();
    out
}

fn import(store: &dyn EventStore, lines: &[u8]) -> Result<ImportSummary, ImportError> {
    run(import_ndjson(store, lines, NdjsonImport::default(), &mut |_| {}))
}

fn all(store: &dyn EventStore) -> Vec<RecordedEvent> {
    run(store.read_all(Read::forwards(Selector::All))).unwrap()
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn event(event_type: &str) -> NewEvent {
    NewEvent::json(EventType::new(event_type).unwrap(), "{}")
}

fn append(store: &MemoryStore, name: &str, events: Vec<NewEvent>) {
    run(store.append_to(stream(name), ExpectedRevision::Any, events)).unwrap();
}

/// All that must survive; only recorded times are the new log's own.
fn assert_same(copy: &dyn EventStore, original: &dyn EventStore) {
    let (copy, original) = (all(copy), all(original));
    assert_eq!(copy.len(), original.len());
    for (copy, original) in copy.iter().zip(&original) {
        assert_eq!(copy.body(), original.body());
        let header = |event: &RecordedEvent| RecordedHeader { recorded_at: Timestamp(0), ..*event.header() };
        assert_eq!(header(copy), header(original));
    }
}

/// From any store to any store.
fn assert_round_trip(original: &MemoryStore) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    assert_copies(original, &engine);
    assert_copies(&engine, &MemoryStore::new());
}

fn assert_copies(original: &dyn EventStore, copy: &dyn EventStore) {
    let lines = export(original);
    let summary = import(copy, &lines).unwrap();
    assert_same(copy, original);
    assert_eq!(summary.events, all(original).len() as u64);
    let again = import(copy, &lines).unwrap();
    assert_eq!((again.new, again.known), (0, summary.events));
    assert_same(copy, original);
}

#[test]
fn every_part_of_an_event_survives() {
    let store = MemoryStore::new();
    let full = NewEvent::json(
        EventType::new("Full \"é\"").unwrap(),
        "{\"n\":1.10,\"big\":123456789012345678901234567890,\"a\":null}",
    )
    .with_metadata(r#"{ "$correlationId":"c","$causationId" : "d","x":1e3}"#)
    .with_tag(Tag::new("a:1").unwrap())
    .with_tag(Tag::new("b \"2\"").unwrap())
    .with_schema_version(SchemaVersion(7))
    .with_occurred_at(Timestamp::parse("2011-10-01T00:38:44.5461234+02:00").unwrap());
    let old = event("Old").with_occurred_at(Timestamp::parse("0001-01-01T00:00:00Z").unwrap());
    let beyond = event("Beyond").with_occurred_at(Timestamp::MAX);
    let pretty = NewEvent::json(EventType::new("Pretty").unwrap(), "\n{\r\n  \"a\": 1\n} ");
    let binary = NewEvent::binary(EventType::new("Binary").unwrap(), vec![0, 10, 13, 255]);
    let looks_like_json = NewEvent::binary(EventType::new("Binary").unwrap(), "{}");
    append(&store, "a-1", vec![full, old, beyond, pretty, binary, looks_like_json]);
    append(&store, "no category", vec![event("A")]);
    assert_round_trip(&store);
}

#[test]
fn appends_stay_appends() {
    let store = MemoryStore::new();
    let id = AppendId::generate();
    let one = Append::to(stream("a-1"), ExpectedRevision::NoStream, vec![event("A"), event("B")])
        .and(stream("b-1"), ExpectedRevision::NoStream, vec![event("C")])
        .and(stream("a-1"), ExpectedRevision::Any, vec![event("D")])
        .with_id(id);
    run(store.append(one.clone())).unwrap();
    for n in 0..200 {
        append(&store, &format!("many-{}", n % 7), vec![event("N")]);
        let next = Append::to(stream("a-2"), ExpectedRevision::Any, vec![event("E")]);
        run(store.append(next.with_id(AppendId::generate()))).unwrap();
    }
    assert_round_trip(&store);
    let copy = MemoryStore::new();
    import(&copy, &export(&store)).unwrap();
    let repeated = run(copy.append(one)).unwrap();
    assert!(repeated.deduplicated);
}

fn delete(store: &MemoryStore, name: &str, mode: DeleteMode) {
    run(store.delete(Delete { stream: stream(name), expected: ExpectedRevision::Any, mode })).unwrap();
}

#[test]
fn deletes_and_metadata_survive() {
    let store = MemoryStore::new();
    append(&store, "gone-1", vec![event("A"), event("B")]);
    delete(&store, "gone-1", DeleteMode::Tombstone);
    delete(&store, "never-1", DeleteMode::Tombstone);
    append(&store, "soft-1", vec![event("A"), event("B")]);
    delete(&store, "soft-1", DeleteMode::Soft);
    append(&store, "revived-1", vec![event("A")]);
    delete(&store, "revived-1", DeleteMode::Soft);
    append(&store, "revived-1", vec![event("B"), event("C")]);
    let metadata = StreamMetadata { max_count: Some(1), ..Default::default() };
    run(store.set_stream_metadata(stream("few-1"), &metadata)).unwrap();
    append(&store, "few-1", vec![event("A"), event("B")]);
    append(&store, "rewritten-1", vec![event("A")]);
    delete(&store, "rewritten-1", DeleteMode::Soft);
    // The store adds a second metadata event, which keeps what was deleted hidden.
    run(store.set_stream_metadata(stream("rewritten-1"), &metadata)).unwrap();
    assert_round_trip(&store);
    let copy = MemoryStore::new();
    import(&copy, &export(&store)).unwrap();
    for name in ["gone-1", "soft-1", "revived-1", "few-1", "rewritten-1"] {
        let seen = |store: &MemoryStore| {
            let events = run(store.read_all(Read::stream(stream(name))));
            events.map(|events| events.len()).map_err(|e| e.to_string())
        };
        assert_eq!(seen(&copy), seen(&store), "{name}");
    }
}

/// Also where the cut went through an append: its second half must not pass for a repetition.
#[test]
fn an_import_that_was_cut_goes_on() {
    let store = MemoryStore::new();
    for n in 0..2_500_u64 {
        let id = (n % 3 == 0).then(AppendId::generate);
        let write =
            Append::to(stream(&format!("s-{}", n % 11)), ExpectedRevision::Any, vec![event("A"), event("B")]);
        run(store.append(Append { append_id: id, ..write })).unwrap();
    }
    let lines = export(&store);
    let ends: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == b'\n').collect();
    for cut in [0, 1, 999, 1_000, 1_001, 2_345, 4_998] {
        let copy = MemoryStore::new();
        let part = &lines[..=ends[cut]];
        let first = import(&copy, part).unwrap();
        assert_eq!(first.new, cut as u64 + 1);
        {
            let rest = import(&copy, &lines).unwrap();
            assert_eq!((rest.known, rest.new), (cut as u64 + 1, 4_999 - cut as u64), "{cut}");
            let streams = |store: &MemoryStore| {
                let mut events: Vec<_> =
                    all(store).iter().map(|e| (e.stream().to_owned(), e.revision(), e.id())).collect();
                events.sort();
                events
            };
            assert_eq!(streams(&copy), streams(&store), "{cut}");
        }
    }
}

#[test]
fn a_faulty_line_is_named_and_its_append_not_written() {
    let good = r#"{"stream":"a-1","revision":0,"type":"A","id":"00000000-0000-4000-8000-000000000001"}"#;
    for (bad, word) in [
        ("{", "not a JSON event"),
        ("[]", "not a JSON event"),
        ("not json", "not a JSON event"),
        (r#"{"stream":"a-1"}"#, "type"),
        (r#"{"type":"A"}"#, "no 'stream'"),
        (r#"{"stream":"$all","type":"A"}"#, "$all"),
        (r#"{"stream":"a-1","type":"A","schemaVersion":0}"#, "version 0"),
        (r#"{"stream":"a-1","type":"A","occurredTime":"noon"}"#, "noon"),
        (r#"{"stream":"a-1","type":"A","dataBase64":"%"}"#, "base64"),
    ] {
        let store = MemoryStore::new();
        let error = import(&store, format!("\n{good}\n{bad}\n").as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().starts_with("line 3: "), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(all(&store).len(), 0);
    }
    let invalid_utf8 = import(&MemoryStore::new(), b"{\"stream\":\"a\xff\",\"type\":\"A\"}\n").unwrap_err();
    assert_eq!(invalid_utf8.kind(), ErrorKind::Invalid);
}

#[test]
fn lines_by_hand_need_neither_ids_nor_numbers() {
    let lines = concat!(
        "{\"stream\":\"a-1\",\"type\":\"A\",\"data\":{\"n\":1}}\n",
        "{\"stream\":\"a-1\",\"type\":\"A\",\"data\":{\"n\":1}}\n",
        "{\"stream\":\"b-1\",\"type\":\"B\"}"
    );
    let store = MemoryStore::new();
    assert_eq!(import(&store, lines.as_bytes()).unwrap().new, 3);
    let again = import(&store, lines.as_bytes()).unwrap();
    assert_eq!((again.new, again.known), (0, 3));
    assert_eq!(all(&store).len(), 3);
}

#[test]
fn an_export_with_gaps_keeps_its_order() {
    let store = MemoryStore::new();
    append(&store, "a-1", (0..10).map(|_| event("A")).collect());
    let lines = export(&store);
    // As after a scavenge: the first events, and one between, are not there any more.
    let kept: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    let kept = [&kept[3..6], &kept[7..]].concat().concat();
    let copy = MemoryStore::new();
    assert_eq!(import(&copy, &kept).unwrap().new, 6);
    let again = import(&copy, &kept).unwrap();
    assert_eq!((again.new, again.known), (0, 6));
    let ids = |store: &MemoryStore| all(store).iter().map(RecordedEvent::id).collect::<Vec<_>>();
    let expected: Vec<_> =
        ids(&store).into_iter().enumerate().filter(|(n, _)| *n > 2 && *n != 6).map(|(_, id)| id).collect();
    assert_eq!(ids(&copy), expected);
    assert_eq!(all(&copy)[5].revision(), Revision(5));
}

#[test]
fn a_stream_that_holds_something_else_is_not_touched() {
    let store = MemoryStore::new();
    append(&store, "a-1", vec![event("A"), event("B")]);
    let other = MemoryStore::new();
    append(&other, "a-1", vec![event("X")]);
    let error = import(&other, &export(&store)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(all(&other).len(), 1);
}

#[test]
fn the_times_of_another_log_are_kept_where_that_is_asked_for() {
    let lines = br#"{"stream":"a-1","type":"A","time":"2019-03-01T10:00:00Z","data":{}}
{"stream":"a-1","type":"B","time":"2019-03-01T11:00:00Z","occurredTime":"2019-02-28T00:00:00Z","data":{}}
"#;
    let store = MemoryStore::new();
    let keep = NdjsonImport { keep_times: true };
    let import = |lines: &[u8]| run(import_ndjson(&store, lines, keep, &mut |_| {}));
    assert_eq!(import(lines).unwrap().new, 2);
    let occurred = |at: usize| all(&store)[at].occurred_at().map(|time| time.to_string());
    assert_eq!(occurred(0).unwrap(), "2019-03-01T10:00:00Z");
    assert_eq!(occurred(1).unwrap(), "2019-02-28T00:00:00Z", "what the event itself says is kept");

    let again = import(lines).unwrap();
    assert_eq!((again.new, again.known), (0, 2));
    for bad in [
        r#"{"stream":"a-2","type":"A"}"#,
        r#"{"stream":"a-2","type":"A","time":"noon"}"#,
        r#"{"stream":"a-2","type":"A","time":5}"#,
    ] {
        let error = import(bad.as_bytes()).unwrap_err();
        assert!(matches!(&error, ImportError::Malformed { what, .. } if what.contains("'time'")), "{error}");
    }
    assert_eq!(all(&store).len(), 2, "nothing of a faulty line is written");
}

//! Declarations: what they do with events, and what is refused before anything is written.

use factum::{ApplyError, ChangedTags, DeclaredProjection, Model, Projection};
use factum_core::read_model::{Parameters, ReadModelError, Rows, Tables, Value};
use factum_core::{
    EventId, EventStoreExt, EventType, ExpectedRevision, MemoryStore, NewEvent, Position, Query, QueryItem,
    RecordedEvent, RecordedHeader, Revision, SchemaVersion, Selector, StreamName, Tag, Timestamp,
};

/// Keeps what was executed.
#[derive(Default)]
struct Kept(Vec<(String, Vec<(String, Value<'static>)>)>);

impl Tables for Kept {
    fn execute(&mut self, statement: &str, parameters: &Parameters<'_>) -> Result<(), ReadModelError> {
        let named = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_owned()));
        self.0.push((statement.to_owned(), named.collect()));
        Ok(())
    }

    fn query(&mut self, _: &str, _: &Parameters<'_>) -> Result<Rows, ReadModelError> {
        Ok(Rows::default())
    }
}

#[allow(clippy::needless_pass_by_value)] // Every caller makes one for it.
fn recorded(stream: &str, event: NewEvent) -> RecordedEvent {
    let header = RecordedHeader {
        position: Position(41),
        revision: Revision(6),
        id: event.id,
        append_id: None,
        recorded_at: Timestamp::from_unix_millis(2_000),
        occurred_at: event.occurred_at,
        schema_version: event.schema_version,
        content_type: event.content_type,
    };
    RecordedEvent::record(header, &StreamName::new(stream).unwrap(), &event)
}

fn event(event_type: &str, data: &str) -> NewEvent {
    NewEvent::json_text(EventType::new(event_type).unwrap(), data.to_owned()).unwrap()
}

type Executed = Vec<(String, Vec<(String, Value<'static>)>)>;

/// What the projection executes and says that it changes; `None` where the event does not concern it.
fn applied(
    projection: &DeclaredProjection,
    recorded: &RecordedEvent,
) -> Result<Option<(Executed, Vec<String>)>, ApplyError> {
    let (mut kept, mut changed) = (Kept::default(), ChangedTags::default());
    let Some(event) = projection.decode(recorded)? else { return Ok(None) };
    projection.apply(&event, recorded, &mut Model::new(&mut kept, &mut changed))?;
    let ChangedTags::Tags(tags) = changed else { panic!("a few tags") };
    Ok(Some((kept.0, tags)))
}

const BALANCES: &str = r#"
name = "balances"
partitions = 4
category = "account"
tables = "create table balances (account text primary key, cents bigint not null, note text)"

[parameters]
teller = ["data", "till:teller", "0"]

[on.FundsDeposited]
run = "insert into balances values (:stream_id, :data.amount.minor, :data.note); update a set t = :teller"
changed = ["account:{stream_id}", "note:{data.note}", "{{all}}"]
optional = ["data.note", "teller"]
versions = [1, 2]

[on.withdrawn]
types = ["FundsWithdrawn", "FundsTaken"]
run = ["update balances set cents = cents - :data.amount.minor where account = :stream_id"]
"#;

#[test]
fn statements_take_what_they_name_from_the_event() {
    let balances = DeclaredProjection::parse(BALANCES).unwrap();
    assert_eq!(
        balances.event_types().collect::<Vec<_>>(),
        ["FundsDeposited", "FundsWithdrawn", "FundsTaken"],
        "in the order of the declaration"
    );
    let definition = balances.definition();
    assert_eq!((definition.name().as_str(), definition.partitions()), ("balances", 4));
    assert_eq!(definition.declaration(), BALANCES, "any process can run it");
    let types = ["FundsDeposited", "FundsWithdrawn", "FundsTaken"].map(|name| EventType::new(name).unwrap());
    let selector = Selector::Query(Query::item(QueryItem::types(types)));
    assert_eq!(*definition.selector(), selector, "the index of types serves it");

    let deposit = event("FundsDeposited", r#"{"amount":{"minor":250},"till:teller":["ada"]}"#);
    let (executed, changed) = applied(&balances, &recorded("account-7-b", deposit)).unwrap().unwrap();
    let statements: Vec<&str> = executed.iter().map(|(statement, _)| statement.as_str()).collect();
    assert_eq!(
        statements,
        [
            "insert into balances values (:stream_id, :data.amount.minor, :data.note)",
            "update a set t = :teller"
        ]
    );
    let value = |name: &str| executed[0].1.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(value("stream_id"), Value::from("7-b"));
    assert_eq!(value("data.amount.minor"), Value::Integer(250));
    assert_eq!(value("data.note"), Value::Null, "it is optional");
    assert_eq!(value("teller"), Value::from("ada"));
    assert_eq!(changed, ["account:7-b", "{all}"], "what is not there has no tag");

    let taken = event("FundsTaken", r#"{"amount":{"minor":1.0}}"#);
    let (executed, _) = applied(&balances, &recorded("account-7", taken)).unwrap().unwrap();
    assert_eq!(executed[0].1[0], ("data.amount.minor".to_owned(), Value::Integer(1)));
    let elsewhere = event("FundsDeposited", "{}");
    assert!(applied(&balances, &recorded("till-7", elsewhere)).unwrap().is_none(), "of another category");
}

#[test]
fn everything_beside_the_data_has_a_name() {
    let all = DeclaredProjection::parse(
        r#"name = "all_of_it"
        tables = "create table t (a text)"
        tags = ["customer:7"]
        stream_prefix = "acc"
        [on.A]
        run = '''insert into t values (:stream, :stream_id, :category, :revision, :position, :type, :schema_version,
            :event_id, :recorded_at, :occurred_at, :correlation, :causation, :actor, :metadata.till, :tags, :json)'''"#,
    )
    .unwrap();
    let new = NewEvent {
        id: EventId::generate(),
        occurred_at: Some(Timestamp::from_unix_millis(1_000)),
        ..event("A", r#"{"b":[1]}"#).with_metadata(r#"{"$correlationId":"c","actor":"ada","till":3}"#)
    }
    .with_tag(Tag::new("customer:7").unwrap())
    .with_schema_version(SchemaVersion(3));
    let id = new.id.to_string();
    let (executed, _) = applied(&all, &recorded("account-7", new)).unwrap().unwrap();
    let values: Vec<String> = executed[0].1.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "stream=account-7",
        "stream_id=7",
        "category=account",
        "revision=6",
        "position=41",
        "type=A",
        "schema_version=3",
        &format!("event_id={id}"),
        "recorded_at=1970-01-01T00:00:02Z",
        "occurred_at=1970-01-01T00:00:01Z",
        "correlation=c",
        "causation=null",
        "actor=ada",
        "metadata.till=3",
        "tags=[\"customer:7\"]",
        "json={\"b\":[1]}",
    ];
    assert_eq!(values, expected);
    let Selector::Query(query) = all.definition().selector() else { panic!("a query") };
    assert_eq!(query.items[0].tags, [Tag::new("customer:7").unwrap()]);
}

fn fault(recorded: &RecordedEvent) -> String {
    applied(&DeclaredProjection::parse(BALANCES).unwrap(), recorded).unwrap_err().to_string()
}

#[test]
fn an_event_that_lacks_a_path_or_has_another_version_is_a_fault_that_says_so() {
    let lacks = fault(&recorded("account-7", event("FundsDeposited", r#"{"amount":{}}"#)));
    assert!(lacks.contains(":data.amount.minor"), "{lacks}");
    let newer = event("FundsDeposited", r#"{"amount":{"minor":1}}"#).with_schema_version(SchemaVersion(3));
    let newer = fault(&recorded("account-7", newer));
    assert!(newer.contains("schema version 3") && newer.contains("1, 2"), "{newer}");
    let binary = NewEvent::binary(EventType::new("FundsDeposited").unwrap(), b"\xff".to_vec());
    let binary = fault(&recorded("account-7", binary));
    assert!(binary.contains("binary"), "{binary}");
    let no_id = fault(&recorded("account-", event("FundsTaken", "{}")));
    assert!(no_id.contains(":data.amount.minor"), "{no_id}");
}

#[test]
fn the_sql_form_says_the_same() {
    let sql = DeclaredProjection::parse(
        "-- name: balances
-- partitions: 4
-- category: account
-- A comment of no meaning.

-- tables
create table balances (account text primary key, cents bigint not null);
create index by_cents on balances (cents);

-- on FundsDeposited
-- optional: data.note
insert into balances values (:stream_id, :data.amount.minor, ';') -- of all kinds
  on conflict (account) do update set cents = balances.cents + excluded.cents;
-- changed: account:{stream_id}
-- versions: 1, 2
insert into notes values (:data.note);

-- on FundsWithdrawn, FundsTaken
update balances set cents = cents - :data.amount.minor where account = :stream_id;
",
    )
    .unwrap();
    assert_eq!(sql.event_types().collect::<Vec<_>>(), ["FundsDeposited", "FundsWithdrawn", "FundsTaken"]);
    assert_eq!(sql.definition().partitions(), 4);
    assert!(sql.definition().tables().ends_with("create index by_cents on balances (cents);"));
    let deposit = event("FundsDeposited", r#"{"amount":{"minor":250}}"#);
    let (executed, changed) = applied(&sql, &recorded("account-7", deposit)).unwrap().unwrap();
    assert_eq!(executed.len(), 2);
    assert_eq!(executed[1].0, "insert into notes values (:data.note)");
    assert_eq!(changed, ["account:7"]);
    let newer = event("FundsDeposited", r#"{"amount":{"minor":1}}"#).with_schema_version(SchemaVersion(3));
    assert!(applied(&sql, &recorded("account-7", newer)).is_err());
    let line = |text: &str| DeclaredProjection::parse(text).unwrap_err().to_string();
    let wrong =
        line("-- name: a\n-- tables\ncreate table t (a text);\n-- on A\n-- changed: x\n\ndrop table t;");
    assert!(wrong.starts_with("line 7:"), "{wrong}");
    assert!(line("-- nam: a\n").starts_with("line 1: there is no key 'nam'"));
    assert!(line("-- name: a\ncreate table t (a text);").contains("-- tables"));
}

/// Takes a declaration that is right, with one thing replaced, and looks for all of these words in the refusal.
fn refused(old: &str, new: &str, words: &[&str]) {
    const RIGHT: &str =
        "name = 'a'\ntables = 'create table t (x text)'\n[on.A]\nrun = 'insert into t values (:data.x)'\n";
    assert!(DeclaredProjection::parse(RIGHT).is_ok());
    let text = RIGHT.replace(old, new);
    assert_ne!(text, RIGHT, "{old}");
    let why = match DeclaredProjection::parse(&text) {
        Ok(_) => panic!("taken:\n{text}"),
        Err(error) => error.to_string(),
    };
    for word in words {
        assert!(why.contains(word), "'{word}' is not in: {why}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_line_and_what_was_meant() {
    refused("name = 'a'", "name = 'a", &["line 1", "no TOML"]);
    refused("tables =", "tabels =", &["line 2", "'tabels'", "did you mean 'tables'?"]);
    refused("run =", "runs =", &["line 4", "'runs'", "did you mean 'run'?", "changed, optional, versions"]);
    refused("name = 'a'\n", "", &["'name' is missing"]);
    refused("tables = 'create table t (x text)'\n", "", &["'tables' is missing"]);
    refused("'a'", "7", &["line 1", "'name' must be a text"]);
    refused(
        "'insert into t values (:data.x)'",
        "[1]",
        &["line 4", "'run' must be a text or a list of texts"],
    );
    refused("'a'", "'A-b'", &["line 1", "'A-b' cannot name a projection"]);
    refused("name =", "partitions = 0\nname =", &["line 1", "partitions = 0", "1 to 64"]);
    refused("name =", "partitions = 65\nname =", &["line 1", "partitions = 65"]);
    refused("name =", "tags = ['']\nname =", &["line 1", "'tags'", "empty"]);
    refused("[on.A]\nrun = 'insert into t values (:data.x)'", "", &["of no event", "[on.SomeEventType]"]);
    refused("[on.A]", "[on.'']", &["line 3", "empty"]);
    refused("'insert into t values (:data.x)'", "[]", &["line 3", "on 'A' has no statement"]);
    refused("'insert into t values (:data.x)'", "' ; -- x'", &["line 3", "on 'A' has no statement"]);
    refused(":data.x", ":dta.x", &["line 4", ":dta.x", "did you mean 'data.x'?", ":stream_id"]);
    refused(":data.x", ":steam", &["line 4", "did you mean 'stream'?"]);
    refused("insert into t values (:data.x)", "drop table t", &["line 4", "`drop table t` changes no rows"]);
    refused("insert into", "/* x */ select", &["line 4", "changes no rows"]);
    refused(
        "[on.A]",
        "[on.B]\ntypes = ['A']\nrun = 'delete from t'\n[on.A]",
        &["line 6", "'A' is said twice"],
    );
    refused("[on.A]", "[on.A]\noptional = ['data.y']", &["line 4", "'data.y'", "did you mean 'data.x'?"]);
    refused("[on.A]", "[on.A]\nversions = ['1']", &["line 4", "[1, 2]"]);
    refused("[on.A]", "[on.A]\nchanged = 'x:{data.x'", &["line 4", "without its '}'"]);
    refused("[on.A]", "[on.A]\nchanged = 'x:{nix}'", &["line 4", ":nix"]);
    refused("[on.A]", "[parameters]\nstream = ['data', 'x']\n[on.A]", &["line 4", "another one"]);
    refused("[on.A]", "[parameters]\ny = ['dta', 'x']\n[on.A]", &["line 4", "[\"data\", \"member\"]"]);
    refused("[on.A]", "[parameters]\n'y.z' = ['data']\n[on.A]", &["line 4", "letters, digits"]);
    let many: Vec<String> = (0..2_000).map(|n| format!("'T{n}'")).collect();
    refused("[on.A]", &format!("[on.A]\ntypes = [{}]", many.join(",")), &["more than one query may ask for"]);
}

#[tokio::test]
async fn types_that_have_never_happened_are_found_with_what_was_meant() {
    let store = MemoryStore::new();
    let stream = StreamName::new("account-7").unwrap();
    store
        .append_to(
            stream,
            ExpectedRevision::Any,
            vec![event("FundsDeposited", "{}"), event("FundsTaken", "{}")],
        )
        .await
        .unwrap();
    let declared = |types: &str| {
        let text = format!("name = 'a'\ntables = 'x'\n[on.A]\nrun = 'delete from t'\ntypes = {types}");
        DeclaredProjection::parse(&text).unwrap()
    };
    let unknown = declared("['FundsDeposited', 'FundTaken', 'Zebra']").unknown_types(&store).await.unwrap();
    let found: Vec<_> = unknown.iter().map(|one| (one.event_type.as_str(), one.nearest.as_deref())).collect();
    assert_eq!(found, [("FundTaken", Some("FundsTaken")), ("Zebra", None)]);
    assert_eq!(
        (unknown[0].line, &unknown[0].known[..]),
        (5, &["FundsDeposited", "FundsTaken"].map(String::from)[..])
    );
    assert!(declared("['FundsTaken']").unknown_types(&store).await.unwrap().is_empty());
}

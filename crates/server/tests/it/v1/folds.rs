//! Folds of the application: its aggregates through time, what is left out, and events as it reads them.

use std::sync::Arc;

use factum::{Context, Decider, Domain, Event};
use factum_core::{
    EventStore, EventStoreExt, EventType, ExpectedRevision, MemoryStore, NewEvent, SchemaVersion,
};
use factum_server::{FirstEvents, Server, ServerOptions};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Web, house};
use crate::house::{House, event, name};

#[derive(Clone, Debug, PartialEq, Event)]
enum TillEvent {
    #[event(
        version = 2,
        alias = "PaidIn",
        upcast(from = 1, rename("sum", "cents"), default("currency", "EUR"))
    )]
    Taken {
        cents: i64,
        currency: String,
    },
    Counted {
        by: String,
    },
    /// The rules panic at it.
    Burnt {},
}

#[derive(Clone, Debug, Default, Serialize)]
struct Till {
    cents: i64,
    sales: Vec<i64>,
    counted: Option<Counted>,
}

#[derive(Clone, Debug, Serialize)]
struct Counted {
    by: String,
    at: i64,
}

struct Tills;

impl Decider for Tills {
    type State = Till;
    type Command = ();
    type Event = TillEvent;
    type Rejection = ();
    fn initial_state(&self) -> Till {
        Till::default()
    }
    fn evolve(&self, till: &mut Till, event: &TillEvent) {
        match event {
            TillEvent::Taken { cents, .. } => {
                till.cents += cents;
                till.sales.push(*cents);
                // Of the last three only.
                let more = till.sales.len().saturating_sub(3);
                till.sales.drain(..more);
            }
            TillEvent::Counted { by } => till.counted = Some(Counted { by: by.clone(), at: till.cents }),
            TillEvent::Burnt {} => {
                till.cents = 0;
                panic!("the till is burnt");
            }
        }
    }
    fn decide(&self, _: &Till, (): &(), _: &Context) -> Result<Vec<TillEvent>, ()> {
        Ok(vec![])
    }
}

async fn tills() -> (House, Web) {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let options = ServerOptions { first_events: FirstEvents::None, ..ServerOptions::default() };
    let domain = Domain::new().aggregate("Till", "till", Tills).unwrap();
    let server = Server::new(store.clone(), options).with_domain(Arc::new(domain));
    let house = House::over(store, server).await;
    let web = Web::of(&house.server);
    (house, web)
}

fn taken(cents: i64) -> NewEvent {
    event("Taken", &format!(r#"{{"cents":{cents},"currency":"EUR"}}"#)).with_schema_version(SchemaVersion(2))
}

/// Old, new, unknown, unreadable and burnt events; 11 of them.
async fn a_day(house: &House) {
    let events = vec![
        event("PaidIn", r#"{"sum":100}"#),
        taken(250),
        event("Counted", r#"{"by":"ada"}"#),
        event("Stolen", "{}"),
        taken(30),
        event("Taken", r#"{"worth":7}"#),
        event("Burnt", "{}"),
        taken(-20),
        event("Counted", r#"{"by":"brian"}"#),
        NewEvent::binary(EventType::new("Taken").unwrap(), vec![0]),
        taken(5),
    ];
    house.store.append_to(name("till-1"), ExpectedRevision::Any, events).await.unwrap();
}

const TILL: &str = "fold=aggregate:Till";

/// The value after a patch.
fn patched(mut state: Value, patch: &Value) -> Value {
    for step in patch.as_array().unwrap() {
        let path = step["path"].as_str().unwrap();
        let Some((parent, key)) = path.rsplit_once('/') else {
            state = step["value"].clone();
            continue;
        };
        match (state.pointer_mut(parent).unwrap(), step["op"].as_str().unwrap()) {
            (Value::Object(map), "remove") => drop(map.remove(key).unwrap()),
            (Value::Object(map), _) => drop(map.insert(key.to_owned(), step["value"].clone())),
            (Value::Array(list), "remove") => drop(list.remove(key.parse().unwrap())),
            (Value::Array(list), "add") => list.insert(key.parse().unwrap(), step["value"].clone()),
            (Value::Array(list), _) => list[key.parse::<usize>().unwrap()] = step["value"].clone(),
            (other, _) => panic!("{other} has no {key}"),
        }
    }
    state
}

#[tokio::test]
async fn an_aggregate_is_stepped_through_both_ways_also_past_what_fails() {
    let (house, web) = tills().await;
    a_day(&house).await;
    let history = web.get(&format!("/v1/streams/till-1/history?{TILL}")).await.json();
    assert_eq!(history["fold"], "aggregate:Till");
    assert_eq!(
        history["base"],
        json!({"revision": null, "state": {"cents": 0, "sales": [], "counted": null}})
    );
    let steps = history["steps"].as_array().unwrap();
    let mut state = history["base"]["state"].clone();
    for (revision, step) in steps.iter().enumerate() {
        let answer = web.get(&format!("/v1/streams/till-1/state?{TILL}&at={revision}")).await.json();
        let before = state.clone();
        state = patched(state, &step["patch"]);
        assert_eq!(state, answer["state"], "{revision}");
        assert_eq!(patched(state.clone(), &step["inverse"]), before, "{revision}");
        assert_eq!(answer["at"]["revision"], revision);
    }
    let failed: Vec<usize> = (0..steps.len()).filter(|n| steps[*n].get("error").is_some()).collect();
    assert_eq!(failed, [3, 5, 6, 9]);
    for (revision, word) in
        [(3, "no such type"), (5, "unknown field"), (6, "the till is burnt"), (9, "binary")]
    {
        let error = steps[revision]["error"].as_str().unwrap();
        assert!(error.contains(word), "{revision}: {error}");
        assert_eq!(steps[revision]["patch"], json!([]));
    }
    let now = web.get(&format!("/v1/streams/till-1/state?{TILL}")).await.json();
    assert_eq!(
        now["state"],
        json!({"cents": 365, "sales": [30, -20, 5], "counted": {"by": "brian", "at": 360}})
    );
    assert_eq!((&now["merged"], &now["failed"], &now["skipped"]), (&json!(7), &json!(4), &json!(0)));
    assert_eq!(
        (&now["firstFailure"]["revision"], &now["firstFailure"]["type"]),
        (&json!(3), &json!("Stolen"))
    );
}

#[tokio::test]
async fn each_leaf_is_blamed_on_an_event_whose_patch_touches_it() {
    let (house, web) = tills().await;
    a_day(&house).await;
    let history = web.get(&format!("/v1/streams/till-1/history?{TILL}")).await.json();
    for at in 0..11 {
        let blame = web.get(&format!("/v1/streams/till-1/blame?{TILL}&at={at}")).await.json();
        for leaf in blame["items"].as_array().unwrap() {
            let pointer = leaf["pointer"].as_str().unwrap();
            let touches = |step: &Value| {
                step["patch"].as_array().unwrap().iter().any(|op| {
                    let path = op["path"].as_str().unwrap();
                    path == pointer
                        || path.starts_with(&format!("{pointer}/"))
                        || pointer.starts_with(&format!("{path}/"))
                })
            };
            let steps = &history["steps"].as_array().unwrap()[..=at];
            let last = steps.iter().rev().find(|step| touches(step));
            let expected = last.map_or(Value::Null, |step| step["revision"].clone());
            let found = leaf["setBy"].get("revision").cloned().unwrap_or_default();
            assert_eq!(found, expected, "{pointer} at {at}");
        }
    }
    let one = web.get(&format!("/v1/streams/till-1/blame?{TILL}&path=/counted")).await.json();
    assert_eq!(one["items"].as_array().unwrap().len(), 2);
    assert_eq!(web.get(&format!("/v1/streams/till-1/blame?{TILL}&path=/none")).await.problem(), "not-found");
    let field = web.get(&format!("/v1/streams/till-1/history?{TILL}&path=/cents")).await.json();
    let values: Vec<&Value> = field["items"].as_array().unwrap().iter().map(|item| &item["value"]).collect();
    assert_eq!(values, [&json!(100), &json!(350), &json!(380), &json!(360), &json!(365)]);
    let diff = web.get(&format!("/v1/streams/till-1/diff?{TILL}&a=1&b=4")).await.json();
    let changed: Vec<&str> =
        diff["items"].as_array().unwrap().iter().map(|item| item["pointer"].as_str().unwrap()).collect();
    assert_eq!(changed, ["/cents", "/sales/2", "/counted"]);
}

#[tokio::test]
async fn an_event_can_be_left_out_as_if_it_had_not_happened() {
    let (house, web) = tills().await;
    a_day(&house).await;
    let without = web.get(&format!("/v1/streams/till-1/state?{TILL}&without=4&without=1")).await.json();
    assert_eq!(
        without["state"],
        json!({"cents": 85, "sales": [100, -20, 5], "counted": {"by": "brian", "at": 80}})
    );
    assert_eq!(without["without"], json!([1, 4]));
    let history = web.get(&format!("/v1/streams/till-1/history?{TILL}&without=1")).await.json();
    assert_eq!((&history["steps"][1]["without"], &history["steps"][1]["patch"]), (&json!(true), &json!([])));
    assert_eq!(history["steps"][2]["patch"][0]["value"]["at"], 100);
    // Of the default fold too.
    let merged = web.get("/v1/streams/till-1/state?without=10").await.json();
    assert_eq!(merged["state"]["cents"], -20);
    let many: String = (0..21).map(|n| format!("&without={n}")).collect();
    for bad in [many.as_str(), "&without=x", "&without=-1"] {
        assert_eq!(
            web.get(&format!("/v1/streams/till-1/state?{TILL}{bad}")).await.problem(),
            "bad-parameter"
        );
    }
}

#[tokio::test]
async fn what_is_remembered_of_an_aggregate_changes_nothing() {
    let (house, web) = tills().await;
    let events = (0..2_600).map(taken).collect();
    house.store.append_to(name("till-2"), ExpectedRevision::Any, events).await.unwrap();
    let sum = |upto: i64| (0..=upto).sum::<i64>();
    for at in [2_599, 2_000, 1_999, 1_000, 999, 0, 2_599] {
        let state = web.get(&format!("/v1/streams/till-2/state?{TILL}&at={at}")).await.json();
        assert_eq!((&state["state"]["cents"], &state["merged"]), (&json!(sum(at)), &json!(at + 1)));
        let merged = web.get(&format!("/v1/streams/till-2/state?at={at}")).await.json();
        assert_eq!(
            merged["state"],
            json!({"cents": at, "currency": "EUR"}),
            "another fold is another memory"
        );
        let less = web.get(&format!("/v1/streams/till-2/state?{TILL}&at={at}&without=500")).await.json();
        assert_eq!(less["state"]["cents"], sum(at) - if at >= 500 { 500 } else { 0 });
    }
    // And what was folded without an event was not remembered for those who want it.
    let whole = web.get(&format!("/v1/streams/till-2/state?{TILL}&at=2000")).await.json();
    assert_eq!(whole["state"]["cents"], sum(2_000));
}

#[tokio::test]
async fn the_folds_of_a_stream_are_named_and_others_refused() {
    let (house, web) = tills().await;
    a_day(&house).await;
    house.store.append_to(name("shop-1"), ExpectedRevision::Any, vec![event("Opened", "{}")]).await.unwrap();
    let of = web.get("/v1/folds?stream=till-1").await.json();
    assert_eq!((&of["default"], &of["note"]), (&json!("aggregate:Till"), &Value::Null));
    let named: Vec<&str> =
        of["items"].as_array().unwrap().iter().map(|of| of["fold"].as_str().unwrap()).collect();
    assert_eq!(named, ["aggregate:Till", "merge"]);
    assert_eq!(web.get("/v1/folds?stream=shop-1").await.json()["default"], "merge");
    assert_eq!(web.get("/v1/folds").await.json()["default"], "merge");
    let by_default = web.get("/v1/streams/till-1/state?fold=default").await.json();
    assert_eq!((&by_default["fold"], &by_default["state"]["cents"]), (&json!("aggregate:Till"), &json!(365)));
    assert_eq!(web.get("/v1/streams/shop-1/state?fold=default").await.json()["fold"], "merge");
    for bad in ["aggregate:Other", "aggregate:", "projection:none", "script"] {
        assert_eq!(
            web.get(&format!("/v1/streams/till-1/state?fold={bad}")).await.problem(),
            "bad-parameter",
            "{bad}"
        );
    }
    let (_plain, web) = self::house().await;
    let of = web.get("/v1/folds").await.json();
    assert!(of["note"].as_str().unwrap().contains("with_domain"), "{of}");
    assert_eq!(web.get(&format!("/v1/streams/till-1/state?{TILL}")).await.problem(), "unsupported");
}

#[tokio::test]
async fn a_stored_event_is_shown_as_the_application_reads_it() {
    let (house, web) = tills().await;
    a_day(&house).await;
    let old = web.get("/v1/streams/till-1/events/0?upcast=true").await.json();
    assert_eq!(old["data"], json!({"sum": 100}), "what is stored stays as it is");
    assert_eq!(
        old["upcasted"],
        json!({
            "type": "Taken", "schemaVersion": 2, "data": {"cents": 100, "currency": "EUR"},
            "steps": [{
                "from": 1, "to": 2, "does": ["'sum' is called 'cents'", "'currency' is \"EUR\" where there is none"],
                "data": {"cents": 100, "currency": "EUR"},
            }],
        })
    );
    let id = old["id"].as_str().unwrap();
    assert_eq!(web.get(&format!("/v1/events/{id}?upcast=true")).await.json(), old);
    assert_eq!(web.get("/v1/streams/till-1/events/0").await.json().get("upcasted"), None);
    let today = web.get("/v1/streams/till-1/events/1?upcast=true").await.json();
    assert_eq!((&today["upcasted"]["data"], &today["upcasted"]["steps"]), (&today["data"], &json!([])));
    assert_eq!(web.get("/v1/streams/till-1/events/3?upcast=true").await.json()["upcasted"], Value::Null);
    let refused = web.get("/v1/streams/till-1/events/5?upcast=true").await.json();
    assert!(refused["upcasted"]["error"].as_str().unwrap().contains("unknown field"), "{refused}");
    assert_eq!(refused["upcasted"]["steps"][0]["data"], json!({"worth": 7, "currency": "EUR"}));
    let schema = web.get("/v1/schemas/Taken").await.json();
    assert_eq!(
        (&schema["upcasting"]["version"], &schema["upcasting"]["aliases"]),
        (&json!(2), &json!(["PaidIn"]))
    );
    assert_eq!(schema["upcasting"]["steps"][0]["does"].as_array().unwrap().len(), 2);
    let versions: Vec<u64> = schema["examples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["schemaVersion"].as_u64().unwrap())
        .collect();
    assert!(versions.contains(&1) && versions.contains(&2), "{versions:?}");
    assert!(schema["examples"].as_array().unwrap().iter().all(|of| of.get("upcasted").is_some()));
    let types = web.get("/v1/types?q=Taken").await.json();
    assert_eq!(
        types["items"][0]["versions"],
        json!([{"version": 2, "events": 4}, {"version": 1, "events": 2}]),
        "{types}"
    );
    let (_plain, web) = self::house().await;
    assert_eq!(web.get("/v1/types").await.json()["items"], json!([]));
}

//! Does the store refuse what does not fit a registered schema, whoever appends it, and only that?

use factum_core::{
    Append, AppendError, AppendId, Capability, ErrorKind, ExpectedRevision, NewEvent, SCHEMAS_STREAM,
    SchemaRegistry, SchemaVersion, SchemaViolation, StreamState,
};
use serde_json::{Value, json};

use crate::case::{Case, conflict, event, event_type, exact, revision_check, stream};
use ExpectedRevision::Any;

fn schema() -> Value {
    json!({"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}})
}

fn registration(version: u32, schema: &Value) -> NewEvent {
    SchemaRegistry::registration(&event_type("Deposited"), SchemaVersion(version), schema)
        .expect("a registration")
}

async fn register(t: &Case, version: u32, schema: &Value) {
    t.append(SCHEMAS_STREAM, vec![registration(version, schema)]).await;
}

fn deposited(version: u32, data: &str) -> NewEvent {
    NewEvent::json(event_type("Deposited"), data.to_owned()).with_schema_version(SchemaVersion(version))
}

async fn violation(t: &Case, append: Append) -> SchemaViolation {
    let before = t.length().await;
    let error = t.store.append(append).await.expect_err("the event does not fit");
    assert_eq!(error.kind(), ErrorKind::SchemaViolation, "{error:?}");
    assert_eq!(t.length().await, before, "a refused append writes nothing");
    match error {
        AppendError::Schema(violation) => violation,
        other => panic!("expected a schema violation, got {other:?}"),
    }
}

async fn faults(t: &Case, event: NewEvent) -> Vec<String> {
    violation(t, Append::to(stream("s"), Any, vec![event])).await.faults
}

pub async fn what_does_not_fit_is_refused_with_place_and_rule(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    register(&t, 1, &schema()).await;
    t.append("s", vec![deposited(1, r#"{"amount":7}"#)]).await;
    assert_eq!(
        faults(&t, deposited(1, r#"{"amount":"secret"}"#)).await,
        ["'/amount' breaks rule '/properties/amount/type'"]
    );
    assert_eq!(faults(&t, deposited(1, "{}")).await, [r#"'' lacks "amount""#]);
    assert_eq!(faults(&t, deposited(1, "{secret")).await.len(), 1);
    let mut binary = NewEvent::binary(event_type("Deposited"), r#"{"amount":7}"#);
    assert_eq!(faults(&t, binary.clone()).await.len(), 1);
    binary.event_type = event_type("Other");
    t.append("s", vec![binary, event("Another")]).await;
}

pub async fn an_unregistered_version_of_a_registered_type_is_refused(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    t.append("s", vec![deposited(3, "{}")]).await;
    register(&t, 2, &schema()).await;
    for version in [1, 3] {
        assert_eq!(faults(&t, deposited(version, r#"{"amount":7}"#)).await.len(), 1, "{version}");
    }
    register(&t, 3, &json!({"type": "object"})).await;
    t.append("s", vec![deposited(3, "{}"), deposited(2, r#"{"amount":7}"#)]).await;
}

pub async fn a_schema_is_immutable(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    register(&t, 1, &schema()).await;
    register(&t, 1, &schema()).await;
    let other = Append::to(stream(SCHEMAS_STREAM), Any, vec![registration(1, &json!({"type": "object"}))]);
    violation(&t, other).await;
    assert_eq!(faults(&t, deposited(1, "{}")).await.len(), 1);
}

pub async fn a_malformed_registration_is_refused(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    let registered = |data: &str| NewEvent::json(event_type("$schemaRegistered"), data.to_owned());
    for bad in [
        "[]",
        "{",
        r#"{"version":1,"schema":{}}"#,
        r#"{"type":"T","version":0,"schema":{}}"#,
        r#"{"type":"T","version":1,"schema":{"type":"integr"}}"#,
        r#"{"type":"$metadata","version":1,"schema":{}}"#,
    ] {
        violation(&t, Append::to(stream(SCHEMAS_STREAM), Any, vec![registered(bad)])).await;
    }
    let other =
        t.try_append(SCHEMAS_STREAM, Any, vec![event("Other")]).await.expect_err("it is no registration");
    assert_eq!(other.kind(), ErrorKind::Invalid);
    // In any other stream it is an event like any other.
    t.append("s", vec![registered("[]")]).await;
    assert_eq!(t.length().await, 1);
}

pub async fn one_event_that_does_not_fit_refuses_the_whole_append(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    register(&t, 1, &schema()).await;
    let append =
        Append::to(stream("s"), Any, vec![event("A"), deposited(1, r#"{"amount":1}"#), deposited(1, "{}")]);
    assert_eq!(violation(&t, append).await.event_type, "Deposited");
}

pub async fn a_registration_counts_for_the_rest_of_its_own_append(t: Case) {
    if !t.has(Capability::SchemaEnforcement) || !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    let with = |data: &str| {
        Append::to(stream(SCHEMAS_STREAM), Any, vec![registration(1, &schema())]).and(
            stream("s"),
            Any,
            vec![deposited(1, data)],
        )
    };
    violation(&t, with("{}")).await;
    // What was refused is not registered either.
    t.append("s", vec![deposited(1, "{}")]).await;
    t.submit(with(r#"{"amount":7}"#)).await;
    assert_eq!(faults(&t, deposited(1, "{}")).await.len(), 1);
}

pub async fn a_repetition_is_answered_although_it_would_no_longer_fit(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    let by_events = Append::to(stream("s"), Any, vec![deposited(1, "{}")]);
    let by_id = Append::to(stream("s"), Any, vec![deposited(1, "{}")]).with_id(AppendId::generate());
    t.submit(by_events.clone()).await;
    if t.has(Capability::AppendIds) {
        t.submit(by_id.clone()).await;
    }
    register(&t, 1, &schema()).await;
    assert!(t.submit(by_events).await.deduplicated);
    if t.has(Capability::AppendIds) {
        assert!(t.submit(by_id).await.deduplicated);
    }
}

pub async fn a_conflict_is_told_before_a_violation(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    register(&t, 1, &schema()).await;
    let refused = t.try_append("s", exact(4), vec![deposited(1, "{}")]).await;
    assert_eq!(conflict(refused), [revision_check("s", exact(4), StreamState::Missing)]);
}

pub async fn the_registry_can_be_loaded_from_the_store(t: Case) {
    if !t.has(Capability::SchemaEnforcement) {
        return t.close();
    }
    let empty = SchemaRegistry::load(&*t.store).await.expect("the registry is loaded");
    assert!(empty.is_empty());
    register(&t, 1, &schema()).await;
    register(&t, 2, &json!(true)).await;
    let registry = SchemaRegistry::load(&*t.store).await.expect("the registry is loaded");
    assert_eq!(registry.schema("Deposited", SchemaVersion(1)), Some(&schema()));
    assert_eq!(registry.registered().count(), 2);
}

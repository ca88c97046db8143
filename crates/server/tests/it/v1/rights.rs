//! Who may do what over HTTP: nobody, a reader, a writer, an administrator.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use factum_core::{EventStoreExt, ExpectedRevision, MemoryStore};
use factum_server::{FirstUsers, Secret, Security, Server, ServerOptions, SignIn};
use http::Method;
use serde_json::json;

use super::Web;
use crate::house::{House, event, name};

const ADMIN: &str = "the admin's";
/// How long an answer may take that needs nothing.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

fn basic(login: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{login}:{password}")))
}

struct Guarded {
    house: House,
    nobody: Web,
    admin: Web,
    reader: Web,
    writer: Web,
}

/// A server with users, a stream that only ada may write and bob may read, and one that only administrators may read.
async fn guarded() -> Guarded {
    let first_users = FirstUsers { admin: Secret::new(ADMIN), ops: Secret::new("the ops'") };
    let sign_in = SignIn { first_users: Some(first_users), ..SignIn::default() };
    let options = ServerOptions { security: Security::SignIn(sign_in), ..ServerOptions::default() };
    let store: Arc<dyn factum_core::EventStore> = Arc::new(MemoryStore::new());
    let house = House::over(store.clone(), Server::new(store.clone(), options)).await;
    let users = factum_server::UserDirectory::new(store);
    for login in ["ada", "bob"] {
        let user = factum_server::NewUser {
            login: login.to_owned(),
            full_name: login.to_owned(),
            groups: vec![],
            password: Secret::new(login),
        };
        users.create(user).await.unwrap();
    }
    for (stream, acl) in [
        (
            "$$shared",
            r#"{"$acl":{"$r":["ada","bob"],"$w":"ada","$d":"ada","$mr":["ada","bob"],"$mw":"ada"}}"#,
        ),
        ("$$secret", r#"{"$acl":{"$r":"$admins","$w":"$admins"}}"#),
    ] {
        let metadata = event("$metadata", acl);
        house.store.append_to(name(stream), ExpectedRevision::Any, vec![metadata]).await.unwrap();
    }
    house.fill("shared", "T", 1).await;
    house.fill("secret", "T", 1).await;
    let nobody = Web::of(&house.server);
    Guarded {
        admin: nobody.with("authorization", &basic("admin", ADMIN)),
        reader: nobody.with("authorization", &basic("bob", "bob")),
        writer: nobody.with("authorization", &basic("ada", "ada")),
        nobody,
        house,
    }
}

#[tokio::test]
async fn each_may_do_what_access_lists_give() {
    let guarded = guarded().await;
    let event = r#"{"type":"T"}"#;
    for path in [
        "/v1/streams",
        "/v1/streams/shared",
        "/v1/streams/shared/events",
        "/v1/streams/shared/events/0",
        "/v1/events",
        "/v1/streams/shared/state",
        "/v1/streams/shared/history",
        "/v1/streams/shared/blame",
        "/v1/streams/shared/diff",
        "/v1/categories",
        "/v1/types",
        "/v1/live",
        "/v1/overview",
        "/v1/system",
        "/v1/system/users",
        "/v1/system/operations",
        "/v1/subscriptions",
        "/v1/schemas",
        "/v1/resolve?q=x",
        "/v1/subscriptions/s/g",
        "/v1/subscriptions/s/g/parked",
    ] {
        assert_eq!(guarded.nobody.get(path).await.problem(), "not-signed-in", "{path}");
    }
    for (method, path) in [
        (Method::POST, "/v1/streams/shared/events"),
        (Method::DELETE, "/v1/streams/shared"),
        (Method::PUT, "/v1/streams/shared/metadata"),
        (Method::PUT, "/v1/subscriptions/s/g"),
        (Method::POST, "/v1/system/scavenges"),
        (Method::POST, "/v1/system/verify"),
    ] {
        for (who, slug) in [(&guarded.nobody, "not-signed-in"), (&guarded.reader, "not-allowed")] {
            let body = if path.ends_with("events") { event } else { "{}" };
            assert_eq!(who.put_json(method.clone(), path, body).await.problem(), slug, "{method} {path}");
        }
    }
    assert!(guarded.reader.get("/v1/streams/shared/events").await.status.is_success());
    assert!(guarded.writer.post("/v1/streams/shared/events", event).await.status.is_success());
    for path in [
        "/v1/streams/secret",
        "/v1/streams/secret/events",
        "/v1/streams/secret/state",
        "/v1/events",
        "/v1/types",
    ] {
        assert_eq!(guarded.reader.get(path).await.problem(), "not-allowed", "{path}");
        assert!(guarded.admin.get(path).await.status.is_success(), "{path}");
    }
    assert_eq!(
        guarded
            .reader
            .post("/v1/append", r#"{"writes":[{"stream":"secret","events":[{"type":"T"}]}]}"#)
            .await
            .problem(),
        "not-allowed"
    );
    let users = guarded.admin.get("/v1/system/users").await.json();
    assert!(users["items"].as_array().unwrap().iter().any(|user| user["login"] == "ada"));
    assert!(!users.to_string().contains("argon2"), "{users}");
}

#[tokio::test]
async fn operators_read_what_operators_did_and_nobody_forges_it() {
    let guarded = guarded().await;
    let ops = guarded.nobody.with("authorization", &basic("ops", "the ops'"));
    assert!(guarded.admin.send(Method::DELETE, "/v1/streams/secret?reason=x", "").await.status.is_success());
    for path in ["/v1/system/operations", "/v1/streams/$operations/events"] {
        for who in [&ops, &guarded.admin] {
            let page = who.get(path).await.json();
            assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{path} {page}");
        }
        assert_eq!(guarded.reader.get(path).await.problem(), "not-allowed", "{path}");
        assert_eq!(guarded.nobody.get(path).await.problem(), "not-signed-in", "{path}");
    }
    let item = &ops.get("/v1/system/operations").await.json()["items"][0];
    assert_eq!((&item["actor"], &item["target"]), (&json!("admin"), &json!("secret")));
    let batch = r#"{"writes":[{"stream":"$operations","events":[{"type":"$operation"}]}]}"#;
    assert_eq!(guarded.admin.post("/v1/append", batch).await.problem(), "refused");
    let metadata = r#"{"$maxAge":86400}"#;
    let path = "/v1/streams/$operations/metadata";
    assert!(guarded.admin.put_json(Method::PUT, path, metadata).await.status.is_success());
    assert_eq!(ops.put_json(Method::PUT, path, metadata).await.problem(), "not-allowed");
}

#[tokio::test]
async fn a_stranger_is_not_listened_to() {
    let guarded = guarded().await;
    for (method, path) in [
        (Method::POST, "/v1/append"),
        (Method::POST, "/v1/streams/shared/events"),
        (Method::PUT, "/v1/subscriptions/s/g"),
        (Method::POST, "/v1/system/scavenges"),
    ] {
        // The body never comes: whoever waited for it would not answer.
        let body =
            axum::body::Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let web = guarded.nobody.with("content-type", "application/json");
        let answer = tokio::time::timeout(PATIENCE, web.send(method, path, body)).await;
        assert_eq!(answer.expect("it waits for the body").problem(), "not-signed-in", "{path}");
    }
    let admitted = SignIn { anonymous: factum_server::Anonymous::Admitted, ..SignIn::default() };
    let options = ServerOptions { security: Security::SignIn(admitted), ..ServerOptions::default() };
    let house = House::of(options).await;
    let body = r#"{"writes":[{"stream":"s","events":[{"type":"T"}]}]}"#;
    assert_eq!(Web::of(&house.server).post("/v1/append", body).await.status.as_u16(), 201);
}

#[tokio::test]
async fn nobody_is_shown_what_they_may_not_read() {
    let guarded = guarded().await;
    let listed = |page: &serde_json::Value| {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["stream"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let page = guarded.admin.get("/v1/streams?limit=1000").await.json();
    assert!(listed(&page).contains("secret"), "{page}");
    let page = guarded.reader.get("/v1/streams").await.json();
    assert_eq!(listed(&page), "shared");
    let id = guarded.admin.get("/v1/streams/secret/events/0").await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(guarded.reader.get(&format!("/v1/events/{id}")).await.problem(), "not-allowed");
    assert_eq!(guarded.reader.get(&format!("/v1/events/{id}/effects")).await.problem(), "not-allowed");
    let body = r#"{"type":"T","correlationId":"c"}"#;
    guarded.admin.post("/v1/streams/secret/events", body).await;
    guarded.writer.post("/v1/streams/shared/events", body).await;
    let seen = guarded.reader.get("/v1/correlations/c").await.json();
    assert_eq!(seen["streams"], json!(["shared"]));
    assert_eq!(guarded.admin.get("/v1/correlations/c").await.json()["streams"], json!(["secret", "shared"]));
    for text in ["secret", id.as_str()] {
        assert_eq!(
            guarded.reader.get(&format!("/v1/resolve?q={text}")).await.json()["items"],
            json!([]),
            "{text}"
        );
    }
    drop(guarded.house);
}

#[tokio::test]
async fn wrong_credentials_are_a_problem_and_a_browser_is_not_asked() {
    let guarded = guarded().await;
    let wrong = guarded.nobody.with("authorization", &basic("admin", "guess"));
    let answer = wrong.get("/v1/events").await;
    assert_eq!(answer.problem(), "not-signed-in");
    assert!(answer.header("www-authenticate").starts_with("Basic"));
    assert!(guarded.nobody.get("/v1/events").await.header("www-authenticate").starts_with("Basic"));
    for who in [&wrong, &guarded.nobody] {
        let answer = who.with("sec-fetch-site", "same-origin").get("/v1/events").await;
        assert_eq!((answer.problem().as_str(), answer.header("www-authenticate")), ("not-signed-in", ""));
    }
    // What is not of the API asks as before.
    let answer = wrong.with("sec-fetch-site", "same-origin").get("/info").await;
    assert!(answer.header("www-authenticate").starts_with("Basic"));
}

//! Signing in from a browser: a cookie, what it lets one do, and when it no longer does.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use factum_core::{Clock, ManualClock, MemoryStore, SystemClock};
use factum_server::{
    Console, FirstUsers, NewUser, Secret, Security, Server, ServerOptions, SignIn, Standing, UserDirectory,
};
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::{Answer, Web, house};
use crate::house::House;

struct Guarded {
    house: House,
    web: Web,
    users: UserDirectory,
    clock: Arc<ManualClock>,
}

async fn guarded(options: ServerOptions) -> Guarded {
    let first_users = FirstUsers { admin: Secret::new("the admin's"), ops: Secret::new("the ops'") };
    let security = Security::SignIn(SignIn { first_users: Some(first_users), ..SignIn::default() });
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let options = ServerOptions { security, clock: clock.clone(), ..options };
    let store: Arc<dyn factum_core::EventStore> = Arc::new(MemoryStore::new());
    let house = House::over(store.clone(), Server::new(store.clone(), options)).await;
    // Another directory than the server's own: what it writes is seen a moment later.
    let users = UserDirectory::new(store);
    let ada = NewUser {
        login: "ada".to_owned(),
        full_name: "Ada".to_owned(),
        groups: vec!["$admins".to_owned()],
        password: Secret::new("lovelace"),
    };
    users.create(ada).await.unwrap();
    let web = Web::of(&house.server);
    Guarded { house, web, users, clock }
}

fn credentials(login: &str, password: &str) -> String {
    json!({ "login": login, "password": password }).to_string()
}

async fn sign_in(web: &Web, login: &str, password: &str) -> Answer {
    web.post("/v1/session", &credentials(login, password)).await
}

/// The cookie of an answer, as a browser sends it back.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

impl Guarded {
    /// A browser that is signed in as ada.
    async fn ada(&self) -> Web {
        let answer = sign_in(&self.web, "ada", "lovelace").await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        self.web.with("cookie", &cookie(&answer))
    }
}

async fn who(web: &Web) -> Value {
    web.get("/v1/session").await.json()["login"].clone()
}

/// Waits until the server has seen what somebody else wrote into its store.
async fn until_signed_out(web: &Web) {
    while web.get("/v1/system").await.status.is_success() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = web.get("/v1/system").await;
    assert_eq!(answer.problem(), "not-signed-in");
    assert!(answer.json()["detail"].as_str().unwrap().contains("session has ended"), "{}", answer.text);
    assert!(answer.header("set-cookie").contains("Max-Age=0"), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_cookie_stands_for_a_password_until_it_is_given_back() {
    let guarded = guarded(ServerOptions::default()).await;
    assert_eq!(who(&guarded.web).await, Value::Null);
    let answer = sign_in(&guarded.web, "ada", "lovelace").await;
    let set = answer.header("set-cookie").to_owned();
    let port = guarded.house.server.address().port();
    assert!(set.starts_with(&format!("factum_session_{port}=")), "{set}");
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "the connection has no TLS: {set}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let document = answer.json();
    assert_eq!((&document["login"], &document["means"]), (&json!("ada"), &json!("session")));
    assert!(document["expires"].as_str() > document["expiresUnused"].as_str());
    let id = cookie(&answer).split_once('=').unwrap().1.to_owned();
    assert!(id.len() >= 43 && !answer.text.contains(&id));
    // What stands before the server may have the TLS.
    let behind = guarded.web.with("origin", "https://db.example").with("host", "127.0.0.1");
    let behind = behind.with("sec-fetch-site", "same-origin");
    assert!(sign_in(&behind, "ada", "lovelace").await.header("set-cookie").ends_with("; Secure"));

    let ada = guarded.web.with("cookie", &format!("theme=dark; {}", cookie(&answer)));
    assert_eq!(ada.get("/v1/system").await.json()["caller"]["name"], "ada");
    let guard = ada.with("x-factum-csrf", "1");
    assert_eq!(guard.post("/v1/streams/s/events", r#"{"type":"T"}"#).await.status.as_u16(), 201);
    let answer = guard.send(Method::DELETE, "/v1/session", "").await;
    assert_eq!(answer.status.as_u16(), 204);
    assert!(answer.header("set-cookie").contains("=; ") && answer.header("set-cookie").contains("Max-Age=0"));
    until_signed_out(&ada).await;
    assert_eq!(who(&ada).await, Value::Null);
    // A stale cookie is in nobody's way.
    assert_eq!(sign_in(&guard, "ada", "lovelace").await.status.as_u16(), 200);
    assert_eq!(guard.send(Method::DELETE, "/v1/session", "").await.status.as_u16(), 204);
}

#[tokio::test]
async fn wrong_passwords_begin_nothing() {
    let guarded = guarded(ServerOptions::default()).await;
    for (login, password) in [("ada", "Lovelace"), ("nobody", "lovelace"), ("", ""), ("ada", "")] {
        let answer = sign_in(&guarded.web, login, password).await;
        assert_eq!(answer.problem(), "not-signed-in", "{login}");
        assert_eq!(answer.header("set-cookie"), "");
    }
    for body in ["", "{}", r#"{"login":"ada"}"#, r#"["ada","lovelace"]"#, r#"{"login":1,"password":2}"#] {
        let answer = guarded.web.post("/v1/session", body).await;
        assert_eq!(answer.problem(), "bad-json", "{body}");
        assert!(!answer.text.contains("lovelace"), "{}", answer.text);
    }
    let form = guarded.web.with("content-type", "text/plain");
    let answer = form.send(Method::POST, "/v1/session", credentials("ada", "lovelace")).await;
    assert_eq!(answer.problem(), "unsupported-media-type", "no page of another site can send this");
    for forged in ["x", "", "0123456789012345678901234567890123456789012"] {
        let port = guarded.house.server.address().port();
        let stranger = guarded.web.with("cookie", &format!("factum_session_{port}={forged}"));
        assert_eq!(stranger.get("/v1/system").await.problem(), "not-signed-in");
    }
}

#[tokio::test]
async fn a_flood_of_guesses_is_bounded_as_everywhere() {
    let guarded = guarded(ServerOptions::default()).await;
    let guesses = (0..64).map(|n| {
        let web = guarded.web.clone();
        async move { sign_in(&web, "ada", &format!("guess {n}")).await.status.as_u16() }
    });
    let answers = futures_util::future::join_all(guesses).await;
    assert!(answers.iter().all(|status| [401, 503].contains(status)), "{answers:?}");
    assert!(answers.contains(&503), "every guess was computed: {answers:?}");
}

#[tokio::test]
async fn a_write_that_a_cookie_signs_needs_what_only_our_page_can_send() {
    let guarded = guarded(ServerOptions::default()).await;
    let ada = guarded.ada().await;
    let path = "/v1/streams/s/events";
    for web in [&ada, &ada.with("sec-fetch-site", "same-origin")] {
        let answer = web.post(path, r#"{"type":"T"}"#).await;
        assert_eq!(answer.problem(), "cross-site");
        assert!(answer.json()["detail"].as_str().unwrap().contains("X-Factum-Csrf"), "{}", answer.text);
    }
    assert_eq!(ada.send(Method::DELETE, "/v1/session", "").await.problem(), "cross-site");
    let elsewhere = ada.with("x-factum-csrf", "1").with("sec-fetch-site", "cross-site");
    assert_eq!(elsewhere.post(path, r#"{"type":"T"}"#).await.problem(), "cross-site");
    assert!(ada.get("/v1/events").await.status.is_success());
    // Credentials of its own come before the cookie, and no page of another site has them.
    let basic = format!("Basic {}", STANDARD.encode("ops:the ops'"));
    let ops = ada.with("authorization", &basic);
    assert_eq!(ops.get("/v1/session").await.json()["means"], "authorization");
    assert_eq!(who(&ops).await, "ops");
    assert_eq!(ops.post(path, r#"{"type":"T"}"#).await.status.as_u16(), 201);
    let wrong = ada.with("authorization", "Basic YWRhOng=");
    assert_eq!(wrong.get("/v1/system").await.problem(), "not-signed-in");
}

#[tokio::test]
async fn it_ends_unused_and_in_any_case() {
    let guarded = guarded(ServerOptions::default()).await;
    let minutes = |count: u64| {
        let now = guarded.clock.now();
        guarded.clock.set(now.saturating_add(Duration::from_secs(60 * count)));
    };
    let ada = guarded.ada().await;
    minutes(59);
    assert_eq!(who(&ada).await, "ada");
    minutes(59);
    assert_eq!(who(&ada).await, "ada");
    minutes(61);
    until_signed_out(&ada).await;
    let ada = guarded.ada().await;
    for _ in 0..14 {
        minutes(50);
        assert_eq!(who(&ada).await, "ada");
    }
    minutes(50);
    until_signed_out(&ada).await;
}

#[tokio::test]
async fn it_ends_with_its_user_and_with_the_password() {
    let guarded = guarded(ServerOptions::default()).await;
    let ada = guarded.ada().await;
    guarded.users.set_standing("ada", Standing::Disabled).await.unwrap();
    until_signed_out(&ada).await;
    guarded.users.set_standing("ada", Standing::Enabled).await.unwrap();
    until_signed_out(&ada).await;
    while sign_in(&guarded.web, "ada", "lovelace").await.status.as_u16() != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (ada, other) = (guarded.ada().await, guarded.ada().await);
    guarded.users.reset_password("ada", &Secret::new("byron")).await.unwrap();
    until_signed_out(&ada).await;
    until_signed_out(&other).await;
    let answer = sign_in(&guarded.web, "ada", "byron").await;
    let ada = guarded.web.with("cookie", &cookie(&answer));
    assert_eq!(who(&ada).await, "ada");
    guarded.users.delete("ada").await.unwrap();
    until_signed_out(&ada).await;
}

#[tokio::test]
async fn what_goes_on_in_its_name_ends_with_it() {
    let guarded = guarded(ServerOptions::default()).await;
    let (ada, other) = (guarded.ada().await, guarded.ada().await);
    for path in ["/v1/live", "/v1/events?from=end"] {
        let ada = guarded.ada().await;
        let open = |web: Web| async move {
            let web = web.with("accept", "text/event-stream");
            web.open(Method::GET, path, Body::empty()).await.into_body().into_data_stream()
        };
        let (mut of_ada, mut of_other) = (open(ada.clone()).await, open(other.clone()).await);
        ada.with("x-factum-csrf", "1").send(Method::DELETE, "/v1/session", "").await;
        let mut text = String::new();
        while let Some(chunk) = of_ada.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        assert!(text.contains("event: end") && text.contains("session has ended"), "{path}: {text}");
        assert!(of_other.next().await.is_some(), "the other session goes on");
    }
    assert_eq!(who(&ada).await, "ada");
}

#[tokio::test]
async fn where_nobody_is_asked_nobody_signs_in_and_looking_only_is_no_hindrance() {
    let (_house, web) = house().await;
    let document = web.get("/v1/session").await.json();
    assert_eq!((&document["security"], &document["login"]), (&json!("insecure"), &Value::Null));
    assert_eq!(sign_in(&web, "ada", "lovelace").await.problem(), "unsupported");
    assert_eq!(web.send(Method::DELETE, "/v1/session", "").await.status.as_u16(), 204);
    let guarded = guarded(ServerOptions { console: Console::ReadOnly, ..ServerOptions::default() }).await;
    let ada = guarded.ada().await.with("x-factum-csrf", "1");
    assert_eq!(ada.post("/v1/streams/s/events", r#"{"type":"T"}"#).await.problem(), "read-only");
    assert_eq!(ada.send(Method::DELETE, "/v1/session", "").await.status.as_u16(), 204);
}

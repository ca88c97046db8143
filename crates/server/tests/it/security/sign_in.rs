//! Credentials: which are let in, which are refused, and how it is said.

use std::sync::Arc;

use factum_core::MemoryStore;
use factum_protocol::wire::v1::gossip::gossip_client::GossipClient;
use factum_server::{
    Anonymous, FirstStart, FirstUsers, Secret, Security, Server, ServerOptions, SignIn, Tokens,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use super::{ADMIN_PASSWORD, Fixture, OPS_PASSWORD, Who, assert_denied, assert_unauthenticated, sign_in};

#[tokio::test]
async fn wrong_credentials_are_refused_and_none_are_a_stranger() {
    let fixture = Fixture::secure().await;
    fixture.append(&Who::admin(), "s", "A", "1").await.unwrap();
    for wrong in [
        Who::user("admin", "changeit"),
        Who::user("admin", ""),
        Who::user("nobody", ADMIN_PASSWORD),
        Who::user("", ""),
        Who::bearer(ADMIN_PASSWORD),
        Who(Some("Basic !".to_owned())),
        Who(Some("Digest x".to_owned())),
    ] {
        assert_unauthenticated(fixture.read(&wrong, "s").await);
        assert_unauthenticated(fixture.create(&wrong, "x", "x", &[]).await);
        let mut gossip = GossipClient::new(fixture.channel.clone());
        assert_unauthenticated(gossip.read(wrong.asks(())).await);
    }
    assert_denied(fixture.read(&Who::nobody(), "s").await);
    assert_denied(fixture.append(&Who::nobody(), "s", "A", "1").await);
    assert_denied(fixture.subscribe(&Who::nobody(), "s").await);
    GossipClient::new(fixture.channel.clone()).read(Who::nobody().asks(())).await.unwrap();
    assert_eq!(fixture.read(&Who::admin(), "s").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn strangers_may_be_admitted_to_what_everybody_may() {
    let fixture = Fixture::with(SignIn { anonymous: Anonymous::Admitted, ..sign_in() }).await;
    fixture.append(&Who::nobody(), "s", "A", "1").await.unwrap();
    assert_eq!(fixture.read(&Who::nobody(), "s").await.unwrap(), ["1"]);
    for closed in ["$all", "$settings", "$user-admin"] {
        assert_denied(fixture.read(&Who::nobody(), closed).await);
    }
    fixture.set_acl("s", r#"{"$r":"ops"}"#).await;
    assert_denied(fixture.read(&Who::nobody(), "s").await);
    assert_denied(fixture.create(&Who::nobody(), "x", "x", &["$admins"]).await);
}

#[tokio::test]
async fn a_token_stands_for_its_user() {
    let text =
        [Tokens::line("ops", &Secret::new("one")), Tokens::line("gone", &Secret::new("two"))].join("\n");
    let fixture = Fixture::with(SignIn { tokens: Tokens::parse(&text).unwrap(), ..sign_in() }).await;
    fixture.append(&Who::bearer("one"), "s", "A", "1").await.unwrap();
    assert_denied(fixture.read(&Who::bearer("one"), "$user-ops").await);
    for wrong in ["two", "three", "ops"] {
        assert_unauthenticated(fixture.read(&Who::bearer(wrong), "s").await);
    }
}

async fn http(fixture: &Fixture, path: &str, header: &str) -> String {
    let mut socket = TcpStream::connect(fixture.server.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn over_http_wrong_credentials_are_401() {
    let fixture = Fixture::secure().await;
    let wrong = http(&fixture, "/info", "Authorization: Basic YTpi\r\n").await;
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
    assert!(wrong.to_lowercase().contains("www-authenticate: basic realm="), "{wrong}");
    for path in ["/info", "/health/live", "/gossip", "/ping"] {
        let answer = http(&fixture, path, "").await;
        assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
    }
    let insecure = Fixture::insecure().await;
    let ignored = http(&insecure, "/info", "Authorization: Basic YTpi\r\n").await;
    assert!(ignored.starts_with("HTTP/1.1 200 "), "{ignored}");
}

#[tokio::test]
async fn the_first_users_are_created_once() {
    let store = Arc::new(MemoryStore::new());
    let listen = async |first: Option<FirstUsers>| {
        let security = Security::SignIn(SignIn { first_users: first, ..SignIn::default() });
        let options = ServerOptions { security, ..ServerOptions::default() };
        Server::new(store.clone(), options).listen("127.0.0.1:0").await.unwrap()
    };
    let none = listen(None).await;
    assert_eq!(none.first_start(), FirstStart::UsersWereThere);
    none.stop().await;
    let first = listen(sign_in().first_users).await;
    assert_eq!(first.first_start(), FirstStart::UsersCreated);
    first.stop().await;
    let others = FirstUsers { admin: Secret::new("x"), ops: Secret::new("x") };
    let security = Security::SignIn(SignIn { first_users: Some(others), ..SignIn::default() });
    let again = super::start(store, ServerOptions { security, ..ServerOptions::default() }).await;
    assert_eq!(again.server.first_start(), FirstStart::UsersWereThere);
    assert_unauthenticated(again.read(&Who::user("admin", "x"), "s").await);
    again.append(&Who::user("ops", OPS_PASSWORD), "s", "A", "1").await.unwrap();
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_leaves_the_others_alone() {
    let fixture = Arc::new(Fixture::secure().await);
    fixture.append(&Who::admin(), "s", "A", "1").await.unwrap();
    let mut flood = tokio::task::JoinSet::new();
    for n in 0..300 {
        let fixture = fixture.clone();
        flood.spawn(async move { fixture.read(&Who::user("admin", &format!("wrong {n}")), "s").await });
    }
    // Known credentials are answered before the flood is.
    for _ in 0..20 {
        assert_eq!(fixture.read(&Who::admin(), "s").await.unwrap(), ["1"]);
    }
    let mut shed = 0;
    while let Some(answer) = flood.join_next().await {
        let status = answer.unwrap().unwrap_err();
        match status.code() {
            Code::Unauthenticated => {}
            Code::Unavailable => {
                assert_eq!(status.message(), "Server Is Too Busy");
                shed += 1;
            }
            other => panic!("{other:?}: {status:?}"),
        }
    }
    assert!(shed > 0, "nobody was told to come again");
}

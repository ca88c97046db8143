//! What the client asks of the server itself.

use std::time::Duration;

use kurrentdb::Error;
use kurrentdb::operations::{Features, OperationalOptions, ScavengeStatus, StatsOptions, VNodeState};
use tokio::time::timeout;

use crate::serving::Server;
use crate::{append, deposits, is_there, stream};

#[tokio::test]
async fn the_server_tells_its_version_and_features() {
    let server = Server::start();
    let info = server.client().server_info().await.unwrap();
    assert!(info.version() >= (26, 1), "{}", info.version());
    assert!(info.contains_features(Features::BATCH_APPEND));
    let node = server.operations().current_selected_node().await.unwrap();
    assert_eq!(format!("{}:{}", node.host, node.port), server.address);
}

#[tokio::test]
async fn the_server_is_discovered_by_gossip() {
    let server = Server::start();
    let client = server.client_with("&maxDiscoverAttempts=3");
    append(&client, &stream(), deposits(1)).await;
    let settings = format!("kurrentdb+discover://{}?tls=false", server.address).parse().unwrap();
    let discovered = kurrentdb::Client::new(settings).unwrap();
    append(&discovered, &stream(), deposits(1)).await;
    let members = server.operations().read_gossip().await.unwrap();
    assert_eq!((members.len(), members[0].state, members[0].is_alive), (1, VNodeState::Leader, true));
    let endpoint = &members[0].http_end_point;
    assert_eq!(format!("{}:{}", endpoint.host, endpoint.port), server.address);
}

#[tokio::test]
async fn operations_are_carried_out() {
    let server = Server::start_kept();
    let (client, options) = (server.operations(), OperationalOptions::default());
    append(&server.client(), &stream(), deposits(10)).await;
    let scavenge = client.start_scavenge(1, 0, &options).await.unwrap();
    assert!(!scavenge.id().is_empty());
    let stopped = client.stop_scavenge(scavenge.id(), &options).await.unwrap();
    assert!(matches!(stopped.status(), ScavengeStatus::Stopped), "{:?}", stopped.status());
    let unknown = client.stop_scavenge("6f2c0f0e-0000-4000-8000-000000000000", &options).await;
    assert!(matches!(unknown, Err(Error::ResourceNotFound)), "{unknown:?}");
    client.merge_indexes(&options).await.unwrap();
    client.resign_node(&options).await.unwrap();
    client.set_node_priority(1, &options).await.unwrap();
}

#[tokio::test]
async fn figures_come_again_and_again() {
    let server = Server::start();
    let options = StatsOptions::default().refresh_time(Duration::from_millis(200));
    let mut stats = server.operations().stats(&options).await.unwrap();
    for _ in 0..2 {
        timeout(Duration::from_secs(30), stats.next()).await.expect("in time").unwrap();
    }
}

#[tokio::test]
async fn a_shutdown_is_answered_and_ends_the_server() {
    let mut server = Server::start();
    server.operations().shutdown(&OperationalOptions::default()).await.unwrap();
    server.wait();
}

#[tokio::test]
async fn users_are_kept_by_a_server_that_asks_nobody_who_he_is() {
    let server = Server::start();
    let (client, options) = (server.operations(), OperationalOptions::default());
    let created = client.create_user("ada", "first-password", "Ada", vec!["readers".to_owned()], &options).await;
    if !is_there("users_are_kept_by_a_server_that_asks_nobody_who_he_is", &created) {
        return;
    }
    created.unwrap();
    assert!(client.create_user("ada", "other-password", "Ada", vec![], &options).await.is_err());
    let ada = async || {
        let mut details = client.user_details("ada", &options).await.unwrap();
        details.next().await.unwrap().expect("she is there")
    };
    let told = ada().await;
    assert_eq!((told.login.as_str(), told.full_name.as_str(), told.disabled), ("ada", "Ada", false));
    assert_eq!(told.groups, ["readers"]);
    client.update_user("ada", "first-password", "Ada L.", vec![], &options).await.unwrap();
    client.disable_user("ada", &options).await.unwrap();
    assert!(ada().await.disabled);
    client.enable_user("ada", &options).await.unwrap();
    let told = ada().await;
    assert_eq!((told.full_name.as_str(), told.disabled), ("Ada L.", false));
    client.change_user_password("ada", "first-password", "second-password", &options).await.unwrap();
    client.reset_user_password("ada", "third-password", &options).await.unwrap();
    client.delete_user("ada", &options).await.unwrap();
    let gone = client.disable_user("ada", &options).await;
    assert!(matches!(gone, Err(Error::ResourceNotFound)), "{gone:?}");
}

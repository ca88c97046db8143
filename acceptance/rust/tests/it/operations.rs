//! What the client asks of the server itself.

use kurrentdb::operations::{Features, VNodeState};

use crate::serving::Server;
use crate::{append, deposits, stream};

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

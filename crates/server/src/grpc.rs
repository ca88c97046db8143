//! The gRPC services, one file each.

mod append;
mod append_many;
mod batch_append;
mod delete;
mod factum;
mod features;
mod gossip;
mod groups;
mod groups_info;
mod groups_options;
mod groups_read;
mod monitoring;
mod operations;
mod projections;
mod read;
mod read_answer;
mod read_options;
mod read_service;
mod streams;
mod streams_v2;
mod subscribe;
mod users;

use std::pin::Pin;
use std::sync::Arc;

use factum_protocol::wire::own;
use factum_protocol::wire::v1;
use factum_protocol::wire::v2;
use futures_util::Stream;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

pub(crate) use features::PROTOCOL_VERSION;

use crate::shared::Shared;

/// The answers of a call that has many.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Largest message that a client may send beyond the events in it, in bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 1024 * 1024;

/// Bytes of a message around each of its events, at most: ids, numbers, lengths.
const EVENT_OVERHEAD_BYTES: usize = 64;

/// Every service.
pub(crate) fn routes(shared: &Arc<Shared>) -> Routes {
    let largest = shared.options.limits.append_bytes + MESSAGE_OVERHEAD_BYTES;
    let streams = streams::Streams::new(shared.clone());
    let generated = v1::streams::streams_server::StreamsServer::new(streams.clone())
        .max_decoding_message_size(largest)
        .accept_compressed(CompressionEncoding::Gzip);
    let streams_v2 =
        v2::streams_service_server::StreamsServiceServer::new(streams_v2::StreamsV2::new(shared.clone()))
            .max_decoding_message_size(largest)
            .accept_compressed(CompressionEncoding::Gzip);
    let groups =
        v1::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptionsServer::new(
            groups::PersistentSubscriptions::new(shared.clone()),
        )
        .accept_compressed(CompressionEncoding::Gzip);
    let around = factum_core::limits::MAX_EVENTS_PER_APPEND * EVENT_OVERHEAD_BYTES;
    let store = own::store_server::StoreServer::new(factum::FactumStore::new(shared.clone()))
        .max_decoding_message_size(largest + around)
        .accept_compressed(CompressionEncoding::Gzip);
    Routes::new(read_service::StreamsService::new(streams, generated))
        .add_service(groups)
        .add_service(streams_v2)
        .add_service(store)
        .add_service(v1::server_features::server_features_server::ServerFeaturesServer::new(
            features::Features,
        ))
        .add_service(v1::users::users_server::UsersServer::new(users::Users::new(shared.clone())))
        .add_service(v1::gossip::gossip_server::GossipServer::new(gossip::Gossip::new(shared.clone())))
        .add_service(v1::operations::operations_server::OperationsServer::new(operations::Operations::new(
            shared.clone(),
        )))
        .add_service(v1::monitoring::monitoring_server::MonitoringServer::new(monitoring::Monitoring::new(
            shared.clone(),
        )))
        .add_service(v1::projections::projections_server::ProjectionsServer::new(
            projections::Projections::new(shared.clone()),
        ))
}

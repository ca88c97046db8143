//! Which calls does the server answer? Clients ask first, and leave out what is not listed.

use factum_protocol::wire::v1::server_features::server_features_server::ServerFeatures;
use factum_protocol::wire::v1::server_features::{SupportedMethod, SupportedMethods};
use tonic::{Request, Response, Status};

/// The version of KurrentDB whose protocol this is: clients turn features on by it.
pub(crate) const PROTOCOL_VERSION: &str = "26.1.0";

/// A service, its methods and their features, in lower case as clients look them up.
type Service = (&'static str, &'static [(&'static str, &'static [&'static str])]);

/// What groups may read.
const GROUPS: &[&str] = &["stream", "all"];

/// Everything that the server answers.
const SERVICES: &[Service] = &[
    (
        "event_store.client.streams.streams",
        &[
            ("read", &["position", "events"]),
            ("append", &[]),
            ("delete", &[]),
            ("tombstone", &[]),
            ("batchappend", &["deadline_duration"]),
        ],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        &[
            ("create", GROUPS),
            ("update", GROUPS),
            ("delete", GROUPS),
            ("read", GROUPS),
            ("getinfo", GROUPS),
            ("replayparked", GROUPS),
            ("truncateparked", GROUPS),
            ("list", GROUPS),
            ("restartsubsystem", GROUPS),
        ],
    ),
    ("event_store.client.server_features.serverfeatures", &[("getsupportedmethods", &[])]),
    ("event_store.client.gossip.gossip", &[("read", &[])]),
    (
        "event_store.client.operations.operations",
        &[
            ("startscavenge", &[]),
            ("stopscavenge", &[]),
            ("shutdown", &[]),
            ("mergeindexes", &[]),
            ("resignnode", &[]),
            ("setnodepriority", &[]),
            ("restartpersistentsubscriptions", &[]),
        ],
    ),
    ("event_store.client.monitoring.monitoring", &[("stats", &[])]),
    // Creating and updating are left out: users' projections do not run here.
    (
        "event_store.client.projections.projections",
        &[
            ("delete", &[]),
            ("statistics", &[]),
            ("disable", &[]),
            ("enable", &[]),
            ("reset", &[]),
            ("state", &[]),
            ("result", &[]),
            ("restartsubsystem", &[]),
        ],
    ),
    (
        "event_store.client.users.users",
        &[
            ("create", &[]),
            ("update", &[]),
            ("delete", &[]),
            ("disable", &[]),
            ("enable", &[]),
            ("details", &[]),
            ("changepassword", &[]),
            ("resetpassword", &[]),
        ],
    ),
    ("kurrentdb.protocol.v2.streams.streamsservice", &[("appendsession", &[]), ("appendrecords", &[])]),
    (
        "factum.v1.store",
        &[
            ("describe", &[]),
            ("append", &[]),
            ("appendmany", &[]),
            ("delete", &[]),
            ("read", &[]),
            ("subscribe", &[]),
        ],
    ),
];

/// `event_store.client.server_features.ServerFeatures`.
pub(crate) struct Features;

#[tonic::async_trait]
impl ServerFeatures for Features {
    async fn get_supported_methods(&self, _: Request<()>) -> Result<Response<SupportedMethods>, Status> {
        let methods = SERVICES.iter().flat_map(|(service, methods)| {
            methods.iter().map(|(method, features)| SupportedMethod {
                method_name: (*method).to_owned(),
                service_name: (*service).to_owned(),
                features: features.iter().map(|feature| (*feature).to_owned()).collect(),
            })
        });
        Ok(Response::new(SupportedMethods {
            methods: methods.collect(),
            event_store_server_version: PROTOCOL_VERSION.to_owned(),
        }))
    }
}

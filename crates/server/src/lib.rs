//! A server that KurrentDB's own clients can talk to, over any [`EventStore`](factum_core::EventStore).
//!
//! [`Server`] takes a store and [`ServerOptions`], listens on one port for gRPC over HTTP/2 and for plain HTTP, and runs
//! until it is told to stop. Each gRPC service has a file in `grpc/`; what several of them share (names of streams that
//! stand for an index, filters, links, errors) lies beside them.
//!
//! **Invariant:** no store is named here. What a client is told of an event comes from the store, and what it is told of
//! an error from `status.rs`.

mod access;
mod backups;
mod boot;
mod call;
mod connection;
mod filter;
mod first_bytes;
mod groups;
mod grpc;
mod http;
mod jobs;
mod limited;
mod links;
mod local_consumer;
mod maintenance;
mod metrics;
mod moment;
mod notice;
mod observe;
mod operations;
mod ops;
mod options;
mod otlp;
mod privacy_desk;
mod projections;
mod read_side;
mod scavenges;
mod security;
mod server;
mod sessions;
mod shared;
mod shown;
mod sign_in;
mod source;
mod stats;
mod status;
mod stopping;
mod tls;
mod tokens;
mod users;
mod v1;

pub use access::Anonymous;
pub use backups::{Backup, BackupCheck, BackupName, BackupNameError, Backups, BackupsError};
pub use local_consumer::{ConsumeError, Delivered, LocalConsumer};
pub use maintenance::{
    Condition, Disk, Fault, Maintenance, ProcessFigures, Progress, Reclaimed, ScavengeEstimate,
    StorageFigures, Verification,
};
pub use moment::{Moment, MomentError, TimeKind};
pub use notice::{Notice, Notices};
pub use options::{Console, Endpoint, FirstEvents, LimitError, Limits, ServerOptions, Setting};
pub use otlp::{Collector, CollectorError, Telemetry};
pub use privacy_desk::{Answer, DeskError, Erased, PrivacyDesk};
pub use read_side::{By, KnownProjections, ReadSide, ReadSideError, RowsMade};
pub use security::{Exposure, FirstUsers, Security, SignIn};
pub use server::{RunningServer, ServeError, Server};
pub use shown::{
    StandingFields, fault_fields, process_details, process_record, process_summary, process_trouble,
    table_difference_fields, value_of_row, version_details, version_fields,
};
pub use tls::{CertificateSource, Pem, TlsError, TlsOptions};
pub use tokens::{Tokens, TokensError};
pub use users::{FirstStart, NewUser, Secret, Standing, User, UserDirectory, UserError};

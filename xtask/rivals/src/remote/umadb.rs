//! UmaDB's server, as the script of its Python package starts it: the stream of an event is a tag.
//!
//! Its Rust client needs protoc to be built, so the one call that is measured is written out here.

use std::path::Path;
use std::process::Command;

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{IntoRequest, Request};
use tonic_prost::ProstCodec;

use super::process::{Process, free_address};
use super::{Answer, Connection, Server};

/// The call that appends.
const APPEND: &str = "/umadb.v1.DCB/Append";

#[derive(Clone, PartialEq, Message)]
struct NewEvent {
    #[prost(string, tag = "1")]
    event_type: String,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
    #[prost(bytes = "bytes", tag = "3")]
    data: bytes::Bytes,
}

/// An append without a condition.
#[derive(Clone, PartialEq, Message)]
struct AppendRequest {
    #[prost(message, repeated, tag = "1")]
    events: Vec<NewEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct AppendResponse {
    #[prost(uint64, tag = "1")]
    position: u64,
}

pub(super) struct Umadb(Process);

pub(super) fn start(script: &Path, directory: &Path) -> Result<Umadb, String> {
    let address = free_address()?;
    let mut command = Command::new("python3");
    command.arg(script).arg("--listen").arg(address.to_string()).arg("--db-path").arg(directory);
    // The script lies in `bin`, below the directory that its package was installed into.
    if let Some(packages) = script.parent().and_then(Path::parent) {
        command.env("PYTHONPATH", packages);
    }
    Process::start(command, address).map(Umadb)
}

struct Appender {
    channel: Grpc<Channel>,
    tag: String,
}

impl Server for Umadb {
    fn connect(&self, client: usize) -> Answer<'_, Box<dyn Connection>> {
        Box::pin(async move {
            let endpoint =
                Endpoint::from_shared(format!("http://{}", self.0.address)).map_err(|e| e.to_string())?;
            let channel =
                endpoint.tcp_nodelay(true).connect().await.map_err(|error| format!("umadb: {error}"))?;
            let appender: Box<dyn Connection> =
                Box::new(Appender { channel: Grpc::new(channel), tag: format!("account-{client}") });
            Ok(appender)
        })
    }
}

impl Connection for Appender {
    fn append<'a>(&'a mut self, events: &'a [Vec<u8>]) -> Answer<'a, ()> {
        Box::pin(async move {
            let one = |event: &Vec<u8>| NewEvent {
                event_type: "Deposited".to_owned(),
                tags: vec![self.tag.clone()],
                data: event.clone().into(),
            };
            let request: Request<AppendRequest> =
                AppendRequest { events: events.iter().map(one).collect() }.into_request();
            self.channel.ready().await.map_err(|error| format!("umadb: {error}"))?;
            let codec = ProstCodec::<AppendRequest, AppendResponse>::default();
            let path = PathAndQuery::from_static(APPEND);
            let answer = self.channel.unary(request, path, codec).await;
            answer.map(drop).map_err(|status| format!("umadb: {status}"))
        })
    }
}

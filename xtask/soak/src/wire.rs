//! The messages that the soak sends, and what it reads out of those that come.

use std::time::Duration;

use factum_protocol::stream_to_wire;
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::filter_options::{Expression, Filter, Window};
use tonic::transport::{Channel, Endpoint};

/// How long to wait before dialling again.
pub(crate) const AGAIN: Duration = Duration::from_millis(200);
/// What the names of the streams begin with.
pub(crate) const PREFIX: &str = "soak-";

/// A connection, dialled until it stands.
pub(crate) async fn connect(url: &str) -> Channel {
    loop {
        if let Ok(endpoint) = Endpoint::from_shared(url.to_owned())
            && let Ok(channel) = endpoint.connect().await
        {
            return channel;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

pub(crate) fn stream_of(writer: usize) -> v1::StreamIdentifier {
    stream_to_wire(&format!("{PREFIX}{writer}"))
}

/// The writer's number and the event's, from its stream and revision.
pub(crate) fn place_of(event: &v1::RecordedEvent) -> Option<(usize, u64)> {
    let stream = std::str::from_utf8(&event.stream_identifier.as_ref()?.stream_name).ok()?.to_owned();
    Some((stream.strip_prefix(PREFIX)?.parse().ok()?, event.stream_revision))
}

/// Only the streams of the soak.
pub(crate) fn filter() -> v1::FilterOptions {
    v1::FilterOptions {
        filter: Some(Filter::StreamIdentifier(Expression {
            regex: String::new(),
            prefix: vec![PREFIX.to_owned()],
        })),
        window: Some(Window::Max(1_000)),
        checkpoint_interval_multiplier: 1,
    }
}

pub(crate) fn ids_as_text() -> v1::UuidOption {
    v1::UuidOption { content: Some(v1::uuid_option::Content::String(())) }
}

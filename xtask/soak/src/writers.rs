//! A writer appends to a stream of its own, one event after the other, until each is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use factum_core::{EventType, NewEvent};
use factum_protocol::Proposed;
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::change_options::ExpectedStreamRevision;
use factum_protocol::wire::v1::streams::append_req::Content;
use factum_protocol::wire::v1::streams::append_resp::Result as Outcome;
use factum_protocol::wire::v1::streams::streams_client::StreamsClient;
use factum_protocol::wire::v1::streams::{AppendReq, append_req};
use futures_util::stream;

use crate::tally::Tally;
use crate::wire::{AGAIN, connect, stream_of};

pub(crate) async fn write(url: String, number: usize, rate: u64, tally: Arc<Tally>) {
    let pause = Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX);
    let mut client = StreamsClient::new(connect(&url).await);
    let mut next: u64 = 0;
    while tally.is_writing() {
        let event = event(number, next);
        // The same event until it is acknowledged: a second append of it is the first one again.
        loop {
            let expected = match next.checked_sub(1) {
                None => ExpectedStreamRevision::NoStream(()),
                Some(last) => ExpectedStreamRevision::Revision(last),
            };
            let options = v1::ChangeOptions {
                stream_identifier: Some(stream_of(number)),
                expected_stream_revision: Some(expected),
            };
            let messages = [
                AppendReq { content: Some(Content::Options(options)) },
                AppendReq { content: Some(append_req::Content::ProposedMessage(event.clone())) },
            ];
            match client.append(stream::iter(messages)).await.map(|answer| answer.into_inner().result) {
                Ok(Some(Outcome::Success(_))) => break,
                Ok(other) => {
                    eprintln!("writer {number}: event {next} was refused: {other:?}");
                    tally.failed();
                    tokio::time::sleep(AGAIN).await;
                }
                Err(_) => {
                    tally.failed();
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        tally.acknowledge(number);
        next += 1;
        tokio::time::sleep(pause).await;
    }
}

fn event(writer: usize, number: u64) -> v1::ProposedMessage {
    let event_type = EventType::new("Soaked").unwrap_or_else(|_| unreachable!("a plain name is a type"));
    Proposed(NewEvent::json(event_type, format!("{{\"writer\":{writer},\"number\":{number}}}"))).to_wire()
}

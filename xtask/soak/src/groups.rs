//! A consumer of a group of its own acknowledges whatever it is given, and comes back when its connection breaks.

use std::sync::Arc;

use factum_protocol::wire::v1::persistent_subscriptions as wire;
use factum_protocol::wire::v1::persistent_subscriptions::persistent_subscriptions_client::PersistentSubscriptionsClient;
use tokio::sync::mpsc;
use tonic::Code;

use crate::tally::Tally;
use crate::wire::{AGAIN, connect, filter, ids_as_text, place_of};

/// Events under way to one consumer.
const BUFFER: i32 = 100;

fn name(number: usize) -> String {
    format!("soakers-{number}")
}

pub(crate) async fn create(url: &str, groups: usize) -> Result<(), String> {
    let mut client = PersistentSubscriptionsClient::new(connect(url).await);
    for number in 0..groups {
        let all = wire::AllOptions {
            all_option: Some(wire::all_options::AllOption::Start(())),
            filter_option: Some(wire::all_options::FilterOption::Filter(filter())),
        };
        let settings = wire::Settings {
            max_retry_count: 100,
            min_checkpoint_count: 10,
            max_checkpoint_count: 1_000,
            live_buffer_size: 500,
            read_batch_size: 20,
            history_buffer_size: 500,
            message_timeout: Some(wire::settings::MessageTimeout::MessageTimeoutMs(30_000)),
            checkpoint_after: Some(wire::settings::CheckpointAfter::CheckpointAfterMs(2_000)),
            ..wire::Settings::default()
        };
        let options = wire::create_req::Options {
            group_name: name(number),
            settings: Some(settings),
            stream_option: Some(wire::create_req::options::StreamOption::All(all)),
            ..wire::create_req::Options::default()
        };
        match client.create(wire::CreateReq { options: Some(options) }).await {
            Ok(_) => {}
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(format!("group {} cannot be created: {status}", name(number))),
        }
    }
    Ok(())
}

pub(crate) async fn consume(url: String, number: usize, tally: Arc<Tally>) {
    loop {
        let mut client = PersistentSubscriptionsClient::new(connect(&url).await);
        let (send, mut requests) = mpsc::unbounded_channel();
        let options = wire::read_req::Options {
            group_name: name(number),
            buffer_size: BUFFER,
            uuid_option: Some(ids_as_text()),
            stream_option: Some(wire::read_req::options::StreamOption::All(())),
        };
        let first = wire::ReadReq { content: Some(wire::read_req::Content::Options(options)) };
        if send.send(first).is_err() {
            continue;
        }
        let requests = futures_util::stream::poll_fn(move |cx| requests.poll_recv(cx));
        let Ok(answers) = client.read(requests).await else {
            tally.failed();
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let mut answers = answers.into_inner();
        while let Ok(Some(answer)) = answers.message().await {
            let Some(wire::read_resp::Content::Event(read)) = answer.content else { continue };
            let Some(event) = read.event else { continue };
            if let Some((stream, revision)) = place_of(&event) {
                tally.group(number).see(stream, revision);
            }
            let ack =
                wire::read_req::Ack { ids: event.id.into_iter().collect(), ..wire::read_req::Ack::default() };
            if send.send(wire::ReadReq { content: Some(wire::read_req::Content::Ack(ack)) }).is_err() {
                break;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

//! A subscriber follows the log, and goes on where it was when its connection breaks.

use std::sync::Arc;

use factum_protocol::wire::v1::AllStreamPosition;
use factum_protocol::wire::v1::streams::ReadReq;
use factum_protocol::wire::v1::streams::read_req::Options;
use factum_protocol::wire::v1::streams::read_req::options::all_options::AllOption;
use factum_protocol::wire::v1::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, StreamOption, SubscriptionOptions,
};
use factum_protocol::wire::v1::streams::read_resp::Content;
use factum_protocol::wire::v1::streams::streams_client::StreamsClient;

use crate::tally::Tally;
use crate::wire::{AGAIN, connect, filter, ids_as_text, place_of};

pub(crate) async fn follow(url: String, number: usize, tally: Arc<Tally>) {
    let mut last: Option<u64> = None;
    loop {
        let mut client = StreamsClient::new(connect(&url).await);
        let Ok(answers) = client.read(ReadReq { options: Some(after(last)) }).await else {
            tally.failed();
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let mut answers = answers.into_inner();
        while let Ok(Some(answer)) = answers.message().await {
            match answer.content {
                Some(Content::Event(read)) => {
                    let Some(event) = read.event else { continue };
                    last = Some(event.commit_position);
                    if let Some((stream, revision)) = place_of(&event) {
                        tally.subscriber(number).see(stream, revision);
                    }
                }
                Some(Content::Checkpoint(checkpoint)) => last = Some(checkpoint.commit_position),
                _ => {}
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn after(last: Option<u64>) -> Options {
    let place = match last {
        None => AllOption::Start(()),
        Some(last) => {
            AllOption::Position(AllStreamPosition { commit_position: last, prepare_position: last })
        }
    };
    Options {
        read_direction: 0,
        resolve_links: false,
        uuid_option: Some(ids_as_text()),
        control_option: None,
        stream_option: Some(StreamOption::All(AllOptions { all_option: Some(place) })),
        count_option: Some(CountOption::Subscription(SubscriptionOptions {})),
        filter_option: Some(FilterOption::Filter(filter())),
    }
}

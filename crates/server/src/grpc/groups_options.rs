//! What does a client choose about a group? Reads the request; what cannot be is the group's failure, as clients expect.

use std::time::Duration;

use factum_protocol::wire::v1::AllStreamPosition;
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use tonic::Status;
use wire::all_options::{AllOption, FilterOption};
use wire::create_req::Options;
use wire::create_req::options::StreamOption;
use wire::settings::{CheckpointAfter, ConsumerStrategy, MessageTimeout};
use wire::stream_options::RevisionOption;

use super::groups::key;
use crate::groups::{
    Change, ExtraStatistics, FilterText, GroupConfig, GroupError, GroupKey, Settings, Start, Strategy,
};
use crate::links::Links;
use crate::status;

/// The number that stands for the end.
const END: u64 = u64::MAX;
/// Ticks of 100 ns in a millisecond.
const TICKS_PER_MILLI: i64 = 10_000;

/// A group that is to be made.
pub(super) fn create(options: &Options) -> Result<GroupConfig, Status> {
    let (key, start) = place(options)?;
    let settings = settings(options).map_err(|why| failed(&key, why))?;
    let filter = match &options.stream_option {
        Some(StreamOption::All(all)) => match &all.filter_option {
            Some(FilterOption::Filter(filter)) => {
                let none =
                    "the filter tests nothing: give an expression for the stream's name or the event's type";
                Some(FilterText::from_wire(filter).ok_or_else(|| failed(&key, none.to_owned()))?)
            }
            Some(FilterOption::NoFilter(())) | None => None,
        },
        _ => None,
    };
    Ok(GroupConfig { key, settings, start, began: None, filter })
}

/// A group that is to be changed.
pub(super) fn update(options: &Options) -> Result<Change, Status> {
    let (key, start) = place(options)?;
    let settings = settings(options).map_err(|why| failed(&key, why))?;
    Ok(Change { key, settings, start })
}

fn failed(key: &GroupKey, why: String) -> Status {
    status::of_group(&GroupError::Failed { key: key.clone(), why })
}

fn place(options: &Options) -> Result<(GroupKey, Start), Status> {
    match &options.stream_option {
        Some(StreamOption::Stream(stream)) => {
            let key = key(stream.stream_identifier.as_ref().map(Some), &options.group_name)?;
            let start = match stream.revision_option {
                Some(RevisionOption::Revision(END) | RevisionOption::End(())) => Start::End,
                Some(RevisionOption::Revision(revision)) => Start::At(revision),
                Some(RevisionOption::Start(())) => Start::At(0),
                None => return Err(Status::invalid_argument("'None' is not a valid RevisionOption")),
            };
            Ok((key, start))
        }
        Some(StreamOption::All(all)) => {
            let key = key(Some(None), &options.group_name)?;
            let start = match &all.all_option {
                Some(AllOption::Start(())) => Start::At(0),
                Some(AllOption::End(())) => Start::End,
                Some(AllOption::Position(AllStreamPosition { commit_position: END, .. })) => Start::End,
                Some(AllOption::Position(position)) => Start::At(position.commit_position),
                None => return Err(Status::invalid_argument("'None' is not a valid AllOption")),
            };
            Ok((key, start))
        }
        None => former(options),
    }
}

/// As clients asked before groups over the whole log were.
#[allow(deprecated, reason = "old clients still send it")]
fn former(options: &Options) -> Result<(GroupKey, Start), Status> {
    let stream = options.stream_identifier.as_ref();
    let key = key(stream.map(Some), &options.group_name)?;
    let start = match options.settings.as_ref().map_or(0, |settings| settings.revision) {
        END => Start::End,
        revision => Start::At(revision),
    };
    Ok((key, start))
}

fn settings(options: &Options) -> Result<Settings, String> {
    let wire = options.settings.as_ref().ok_or("the request has no settings")?;
    let timeout = wire.message_timeout.map_or(0, |timeout| match timeout {
        MessageTimeout::MessageTimeoutTicks(ticks) => ticks / TICKS_PER_MILLI,
        MessageTimeout::MessageTimeoutMs(millis) => i64::from(millis),
    });
    let after = wire.checkpoint_after.map_or(0, |after| match after {
        CheckpointAfter::CheckpointAfterTicks(ticks) => ticks / TICKS_PER_MILLI,
        CheckpointAfter::CheckpointAfterMs(millis) => i64::from(millis),
    });
    Ok(Settings {
        links: Links::of(wire.resolve_links),
        extra_statistics: if wire.extra_statistics {
            ExtraStatistics::Kept
        } else {
            ExtraStatistics::Omitted
        },
        message_timeout: millis("the message timeout", timeout)?,
        max_retry_count: count("max_retry_count", wire.max_retry_count)?,
        checkpoint_after: millis("the time between checkpoints", after)?,
        min_checkpoint_count: count("min_checkpoint_count", wire.min_checkpoint_count)?,
        max_checkpoint_count: count("max_checkpoint_count", wire.max_checkpoint_count)?,
        max_subscriber_count: count("max_subscriber_count", wire.max_subscriber_count)?,
        live_buffer_size: count("live_buffer_size", wire.live_buffer_size)?,
        history_buffer_size: count("history_buffer_size", wire.history_buffer_size)?,
        read_batch_size: count("read_batch_size", wire.read_batch_size)?,
        strategy: strategy(wire)?,
    })
}

/// The strategy by its name, or by its number where it has no name.
#[allow(deprecated, reason = "most clients send the number")]
fn strategy(wire: &wire::Settings) -> Result<Strategy, String> {
    if !wire.consumer_strategy.is_empty() {
        let name: String = wire.consumer_strategy.chars().take(64).collect();
        return Strategy::named(&wire.consumer_strategy)
            .ok_or_else(|| format!("Consumer strategy {name} does not exist."));
    }
    match ConsumerStrategy::try_from(wire.named_consumer_strategy) {
        Ok(ConsumerStrategy::DispatchToSingle) => Ok(Strategy::DispatchToSingle),
        Ok(ConsumerStrategy::RoundRobin) => Ok(Strategy::RoundRobin),
        Ok(ConsumerStrategy::Pinned) => Ok(Strategy::Pinned),
        Err(_) => Err(format!("Consumer strategy {} does not exist.", wire.named_consumer_strategy)),
    }
}

fn count(name: &str, value: i32) -> Result<u32, String> {
    u32::try_from(value).map_err(|_| format!("{name} is {value}: it may not be negative"))
}

fn millis(name: &str, value: i64) -> Result<Duration, String> {
    match u64::try_from(value) {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(_) => Err(format!("{name} is {value} ms: it may not be negative")),
    }
}

//! What is known of a group, as clients read it.

use std::time::Duration;

use factum_protocol::wire::v1::persistent_subscriptions::SubscriptionInfo;
use factum_protocol::wire::v1::persistent_subscriptions::subscription_info::{ConnectionInfo, Measurement};

use crate::groups::{ConsumerNumbers, ExtraStatistics, GroupInfo, place_text};
use crate::links::Links;

/// Writes it.
pub(super) fn to_wire(info: &GroupInfo) -> SubscriptionInfo {
    let (settings, numbers) = (&info.config.settings, &info.numbers);
    let source = info.config.key.source();
    let place = |place: Option<u64>| place.map(|place| place_text(&source, place)).unwrap_or_default();
    SubscriptionInfo {
        event_source: info.config.key.source_name().to_owned(),
        group_name: info.config.key.group().to_owned(),
        status: info.status.clone(),
        connections: numbers.consumers.iter().map(|consumer| connection(info, consumer)).collect(),
        average_per_second: small(numbers.rate.per_second),
        total_items: large(numbers.rate.total),
        count_since_last_measurement: large(numbers.rate.recent),
        last_checkpointed_event_position: place(numbers.checkpoint),
        last_known_event_position: place(info.last_known),
        resolve_link_tos: settings.links == Links::Resolve,
        start_from: info.config.start.text(&source),
        message_timeout_milliseconds: millis(settings.message_timeout),
        extra_statistics: settings.extra_statistics == ExtraStatistics::Kept,
        max_retry_count: small(settings.max_retry_count),
        live_buffer_size: small(settings.live_buffer_size),
        buffer_size: small(settings.history_buffer_size),
        read_batch_size: small(settings.read_batch_size),
        check_point_after_milliseconds: millis(settings.checkpoint_after),
        min_check_point_count: small(settings.min_checkpoint_count),
        max_check_point_count: small(settings.max_checkpoint_count),
        read_buffer_count: small(numbers.fresh),
        live_buffer_count: large(numbers.fresh),
        retry_buffer_count: small(numbers.again),
        total_in_flight_messages: small(numbers.in_flight),
        outstanding_messages_count: small(numbers.in_flight + numbers.again + numbers.parking),
        named_consumer_strategy: settings.strategy.name().to_owned(),
        max_subscriber_count: small(settings.max_subscriber_count),
        parked_message_count: large(info.parked),
    }
}

fn connection(info: &GroupInfo, consumer: &ConsumerNumbers) -> ConnectionInfo {
    let who = info.members.get(&consumer.id).cloned().unwrap_or_default();
    let measurement =
        |(key, value): &(&'static str, u64)| Measurement { key: (*key).to_owned(), value: large(*value) };
    ConnectionInfo {
        from: who.from,
        username: who.user,
        average_items_per_second: small(consumer.rate.per_second),
        total_items: large(consumer.rate.total),
        count_since_last_measurement: large(consumer.rate.recent),
        observed_measurements: consumer.measurements.iter().map(measurement).collect(),
        available_slots: small(consumer.slots.saturating_sub(consumer.in_flight)),
        in_flight_messages: small(consumer.in_flight),
        connection_name: who.connection_name,
    }
}

/// What has no place on the wire is shown as the largest number that has.
fn small(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn large(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> i32 {
    small(time.as_millis())
}

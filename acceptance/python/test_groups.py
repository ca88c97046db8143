"""Persistent subscriptions: consumers that share a stream, or the log, and say what became of each event."""

import itertools
import time
import uuid

import pytest

import published
from published import AlreadyExists, MaximumSubscriptionsReached, NotFound, StreamState

ANY, NO_STREAM = StreamState.ANY, StreamState.NO_STREAM
PATIENCE = 60


@pytest.fixture(scope="module", autouse=True)
def known(server):
    if b"persistent_subscriptions.persistentsubscriptions" not in published.features(server):
        pytest.skip("the server has no persistent subscriptions yet")


@pytest.fixture
def group():
    return f"group-{uuid.uuid4()}"


@pytest.fixture
def five(client, stream, events):
    client.append_to_stream(stream, events=events(5), current_version=NO_STREAM)
    return stream


def consume(client, group, stream, **options):
    return client.read_subscription_to_stream(group, stream, max_ack_delay=0.05, timeout=PATIENCE, **options)


def take(subscription, count):
    return list(itertools.islice(subscription, count))


def revisions(read):
    return [event.stream_position for event in read]


def wait_until(true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def test_a_consumer_gets_what_was_written_and_what_comes(client, group, five, events):
    client.create_subscription_to_stream(group, five)
    with consume(client, group, five) as consumer:
        assert consumer.subscription_id == f"{five}::{group}"
        first = take(consumer, 5)
        assert revisions(first) == [0, 1, 2, 3, 4]
        assert [event.retry_count for event in first] == [0] * 5
        for event in first:
            consumer.ack(event)
        client.append_to_stream(five, events=events(2), current_version=4)
        assert revisions(take(consumer, 2)) == [5, 6]


def test_a_group_begins_where_it_was_told_to(client, five, events):
    client.create_subscription_to_stream("from-three", five, stream_position=3)
    client.create_subscription_to_stream("from-end", five, from_end=True)
    client.append_to_stream(five, events=events(1), current_version=4)
    with consume(client, "from-three", five) as consumer:
        assert revisions(take(consumer, 3)) == [3, 4, 5]
    with consume(client, "from-end", five) as consumer:
        assert revisions(take(consumer, 1)) == [5]


def test_a_group_goes_on_after_what_was_acknowledged(client, group, five):
    client.create_subscription_to_stream(group, five, min_checkpoint_count=1, max_checkpoint_count=1, checkpoint_after=0.1)
    with consume(client, group, five) as consumer:
        for event in take(consumer, 3):
            consumer.ack(event)
        wait_until(lambda: client.get_subscription_info(group, five).last_checkpointed_event_position == "2")
    with consume(client, group, five) as consumer:
        assert revisions(take(consumer, 2)) == [3, 4]


def test_what_is_retried_comes_again_and_says_so(client, group, five):
    client.create_subscription_to_stream(group, five)
    with consume(client, group, five) as consumer:
        (first,) = take(consumer, 1)
        consumer.nack(first, action="retry")
        again = next(event for event in consumer if event.id == first.id)
        assert again.retry_count == 1


def test_what_is_skipped_does_not_come_again(client, group, five):
    client.create_subscription_to_stream(group, five, min_checkpoint_count=1, max_checkpoint_count=1, checkpoint_after=0.1)
    with consume(client, group, five) as consumer:
        for event in take(consumer, 5):
            consumer.nack(event, action="skip")
        wait_until(lambda: client.get_subscription_info(group, five).last_checkpointed_event_position == "4")
    assert client.get_subscription_info(group, five).parked_message_count == 0


def test_what_is_parked_is_counted_and_replayed(client, group, five):
    client.create_subscription_to_stream(group, five)
    with consume(client, group, five) as consumer:
        parked = take(consumer, 2)
        for event in parked:
            consumer.nack(event, action="park")
        for event in take(consumer, 3):
            consumer.ack(event)
        wait_until(lambda: client.get_subscription_info(group, five).parked_message_count == 2)
        client.replay_parked_events(group, five)
        replayed = take(consumer, 2)
        assert {event.id for event in replayed} == {event.id for event in parked}
        for event in replayed:
            consumer.ack(event.ack_id)
        wait_until(lambda: client.get_subscription_info(group, five).parked_message_count == 0)


def test_what_is_retried_too_often_is_parked(client, group, five):
    client.create_subscription_to_stream(group, five, max_retry_count=2)
    with consume(client, group, five) as consumer:
        counts = []
        for event in consumer:
            if event.stream_position != 0:
                consumer.ack(event)
                continue
            counts.append(event.retry_count)
            consumer.nack(event, action="retry")
            if len(counts) == 3:
                break
        assert counts == [0, 1, 2]
        wait_until(lambda: client.get_subscription_info(group, five).parked_message_count == 1)


def test_what_is_not_answered_in_time_comes_again(client, group, five):
    client.create_subscription_to_stream(group, five, message_timeout=0.5)
    with consume(client, group, five) as consumer:
        (first,) = take(consumer, 1)
        again = next(event for event in consumer if event.id == first.id)
        assert again.retry_count >= 1


def test_consumers_share_the_events(client, group, stream, events):
    client.create_subscription_to_stream(group, stream, consumer_strategy="RoundRobin")
    consumers = [consume(client, group, stream) for _ in range(2)]
    client.append_to_stream(stream, events=events(20), current_version=NO_STREAM)
    shares = [revisions(take(consumer, 10)) for consumer in consumers]
    assert sorted(shares[0] + shares[1]) == list(range(20))
    for consumer in consumers:
        consumer.stop()


@pytest.mark.parametrize("strategy", ["DispatchToSingle", "RoundRobin", "Pinned", "PinnedByCorrelation"])
def test_every_strategy_delivers(client, group, five, strategy):
    client.create_subscription_to_stream(group, five, consumer_strategy=strategy)
    assert client.get_subscription_info(group, five).consumer_strategy == strategy
    with consume(client, group, five) as consumer:
        assert revisions(take(consumer, 5)) == [0, 1, 2, 3, 4]


def test_no_more_consumers_than_are_allowed(client, group, five):
    client.create_subscription_to_stream(group, five, max_subscriber_count=1)
    with consume(client, group, five):
        with pytest.raises(MaximumSubscriptionsReached):
            consume(client, group, five)


def test_a_group_of_the_log_sees_what_its_filter_passes(client, group, stream, events):
    wanted = f"Wanted{uuid.uuid4().hex}"
    client.create_subscription_to_all(group, from_end=True, filter_include=[wanted])
    with client.read_subscription_to_all(group, max_ack_delay=0.05, timeout=PATIENCE) as consumer:
        assert consumer.subscription_id == f"$all::{group}"
        client.append_to_stream(stream, events=[*events(3), *events(2, type=wanted)], current_version=NO_STREAM)
        assert revisions(take(consumer, 2)) == [3, 4]
    info = client.get_subscription_info(group)
    assert info.event_source == "$all"
    client.delete_subscription(group)


def test_links_are_resolved_and_acknowledged(client, group, events):
    category = f"ledger{uuid.uuid4().hex}"
    client.append_to_stream(f"{category}-1", events=events(2), current_version=NO_STREAM)
    client.create_subscription_to_stream(group, f"$ce-{category}", resolve_links=True)
    with consume(client, group, f"$ce-{category}") as consumer:
        seen = take(consumer, 2)
        assert [(event.stream_name, event.stream_position) for event in seen] == [(f"{category}-1", 0), (f"{category}-1", 1)]
        for event in seen:
            consumer.ack(event)


def test_a_group_is_created_updated_and_deleted_once(client, group, five):
    with pytest.raises(NotFound):
        client.get_subscription_info(group, five)
    client.create_subscription_to_stream(group, five)
    with pytest.raises(AlreadyExists):
        client.create_subscription_to_stream(group, five)
    client.update_subscription_to_stream(group, five, max_retry_count=3, message_timeout=7.0, from_end=True)
    info = client.get_subscription_info(group, five)
    assert (info.group_name, info.event_source, info.max_retry_count, info.message_timeout) == (group, five, 3, 7.0)
    client.delete_subscription(group, five)
    for call in [client.get_subscription_info, client.delete_subscription, client.replay_parked_events]:
        with pytest.raises(NotFound):
            call(group, five)
    with pytest.raises(NotFound):
        client.update_subscription_to_stream(group, five, max_retry_count=1)
    with pytest.raises(NotFound):
        consume(client, group, five)


def test_groups_are_listed(client, group, five):
    # The server says that nothing is found, and the client makes an empty list of it.
    assert client.list_subscriptions_to_stream(five) == []
    client.create_subscription_to_stream(group, five)
    assert [info.group_name for info in client.list_subscriptions_to_stream(five)] == [group]
    assert (five, group) in [(info.event_source, info.group_name) for info in client.list_subscriptions()]


def test_consumers_are_seen_in_the_groups_figures(client, group, five):
    client.create_subscription_to_stream(group, five)
    with consume(client, group, five) as consumer:
        take(consumer, 5)
        info = client.get_subscription_info(group, five)
        assert (info.total_in_flight_messages, info.status) == (5, "Live")
        if published.is_current:
            (connection,) = info.connections
            assert connection.connection_name


def test_a_deleted_group_drops_its_consumers(client, group, five):
    client.create_subscription_to_stream(group, five)
    consumer = consume(client, group, five)
    take(consumer, 5)
    client.delete_subscription(group, five)
    with pytest.raises(published.AnyError):
        take(consumer, 1)


def test_settings_that_cannot_be_are_refused(client, group, five):
    with pytest.raises(published.AnyError):
        client.create_subscription_to_stream(group, five, read_batch_size=500, history_buffer_size=500)
    with pytest.raises(NotFound):
        client.get_subscription_info(group, five)


def test_groups_and_their_places_survive_a_kill(kept_server, group, events):
    with published.connect(kept_server) as client:
        client.append_to_stream("kept-1", events=events(5), current_version=NO_STREAM)
        client.create_subscription_to_stream(group, "kept-1", min_checkpoint_count=1, max_checkpoint_count=1, checkpoint_after=0.1)
        with consume(client, group, "kept-1") as consumer:
            one, two, three = take(consumer, 3)
            consumer.ack(one)
            consumer.ack(two)
            consumer.nack(three, action="park")
            wait_until(lambda: client.get_subscription_info(group, "kept-1").last_checkpointed_event_position == "2")
    kept_server.kill()
    kept_server.start()
    with published.connect(kept_server) as client:
        assert client.get_subscription_info(group, "kept-1").parked_message_count == 1
        with consume(client, group, "kept-1") as consumer:
            assert revisions(take(consumer, 2)) == [3, 4]

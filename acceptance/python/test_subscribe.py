"""Catch-up subscriptions: what is there, the word that it is caught up, and what comes."""

import itertools
import threading
import time

import pytest

import published
from published import NewEvent, StreamIsDeleted, StreamState

ANY, NO_STREAM = StreamState.ANY, StreamState.NO_STREAM

# Longest wait for something that must come, in seconds: a subscription ends with an error then.
PATIENCE = 60


def take(subscription, count):
    return list(itertools.islice(subscription, count))


def revisions(read):
    return [event.stream_position for event in read]


@pytest.fixture
def five(client, stream, events):
    client.append_to_stream(stream, events=events(5), current_version=NO_STREAM)
    return stream


def test_a_stream_is_followed_from_its_start(client, five, events):
    with client.subscribe_to_stream(five, timeout=PATIENCE) as subscription:
        assert subscription.subscription_id
        assert revisions(take(subscription, 5)) == [0, 1, 2, 3, 4]
        client.append_to_stream(five, events=events(2), current_version=4)
        assert revisions(take(subscription, 2)) == [5, 6]


def test_a_stream_is_followed_after_a_revision(client, five, event):
    with client.subscribe_to_stream(five, stream_position=2, timeout=PATIENCE) as subscription:
        assert revisions(take(subscription, 2)) == [3, 4]
        client.append_to_stream(five, events=event(), current_version=4)
        assert revisions(take(subscription, 1)) == [5]


def test_a_stream_is_followed_from_its_end(client, five, event):
    with client.subscribe_to_stream(five, from_end=True, timeout=PATIENCE) as subscription:
        client.append_to_stream(five, events=event(), current_version=4)
        assert revisions(take(subscription, 1)) == [5]


def test_a_stream_that_is_not_yet_there_is_waited_for(client, stream, event):
    with client.subscribe_to_stream(stream, timeout=PATIENCE) as subscription:
        client.append_to_stream(stream, events=event(), current_version=NO_STREAM)
        assert revisions(take(subscription, 1)) == [0]


def test_a_subscriber_is_told_once_that_it_has_caught_up(client, five, events):
    with client.subscribe_to_stream(five, include_caught_up=True, timeout=PATIENCE) as subscription:
        first = take(subscription, 6)
        assert [event.is_caught_up for event in first] == [False] * 5 + [True]
        if published.is_current:
            assert first[5].stream_position == 4
            assert first[5].recorded_at is not None
        client.append_to_stream(five, events=events(20), current_version=4)
        assert [event.is_caught_up for event in take(subscription, 20)] == [False] * 20


def test_the_log_is_followed(client, stream, events):
    with client.subscribe_to_all(from_end=True, timeout=PATIENCE) as subscription:
        client.append_to_stream(stream, events=events(3), current_version=NO_STREAM)
        seen = take((event for event in subscription if event.stream_name == stream), 3)
        assert revisions(seen) == [0, 1, 2]
    with client.subscribe_to_all(commit_position=seen[0].commit_position, timeout=PATIENCE) as subscription:
        again = take((event for event in subscription if event.stream_name == stream), 2)
    assert again == seen[1:]


def test_the_log_is_followed_from_its_start(own_client, events):
    own_client.append_to_stream("a-1", events=events(3), current_version=NO_STREAM)
    with own_client.subscribe_to_all(include_caught_up=True, timeout=PATIENCE) as subscription:
        assert revisions(take(subscription, 3)) == [0, 1, 2]
        (told,) = take(subscription, 1)
        assert told.is_caught_up
        if published.is_current:
            assert told.commit_position >= own_client.get_commit_position()
        own_client.append_to_stream("b-1", events=events(1), current_version=NO_STREAM)
        assert take(subscription, 1)[0].stream_name == "b-1"


def test_what_is_written_while_catching_up_is_seen_once_and_in_order(client, stream, events):
    client.append_to_stream(stream, events=events(500), current_version=NO_STREAM)

    def write():
        for n in range(50):
            client.append_to_stream(stream, events=events(10), current_version=499 + 10 * n)

    writer = threading.Thread(target=write)
    with client.subscribe_to_stream(stream, timeout=PATIENCE) as of_stream, client.subscribe_to_all(timeout=PATIENCE) as of_log:
        writer.start()
        assert revisions(take(of_stream, 1_000)) == list(range(1_000))
        assert revisions(take((e for e in of_log if e.stream_name == stream), 1_000)) == list(range(1_000))
        writer.join()


def test_a_subscriber_that_reads_late_misses_nothing(client, stream):
    big = [NewEvent(type="Big", data=b'"' + b"x" * 10_000 + b'"') for _ in range(100)]
    with client.subscribe_to_stream(stream, timeout=PATIENCE) as subscription:
        for n in range(20):
            fresh = [NewEvent(type=e.type, data=e.data) for e in big]
            client.append_to_stream(stream, events=fresh, current_version=100 * n - 1 if n else NO_STREAM)
        time.sleep(0.2)
        assert revisions(take(subscription, 2_000)) == list(range(2_000))


def test_a_delete_does_not_end_a_subscription(client, five, event):
    with client.subscribe_to_stream(five, timeout=PATIENCE) as subscription:
        take(subscription, 5)
        client.delete_stream(five, current_version=4)
        client.append_to_stream(five, events=event(), current_version=ANY)
        assert revisions(take(subscription, 1)) == [5]


def test_a_tombstone_is_seen_and_ends_a_subscription(client, five):
    with client.subscribe_to_stream(five, timeout=PATIENCE) as subscription:
        take(subscription, 5)
        client.tombstone_stream(five, current_version=4)
        assert [event.type for event in take(subscription, 1)] == ["$streamDeleted"]
        with pytest.raises(StreamIsDeleted):
            take(subscription, 1)


def test_a_subscription_to_a_tombstoned_stream_fails(client, five):
    client.tombstone_stream(five, current_version=4)
    with pytest.raises(StreamIsDeleted):
        with client.subscribe_to_stream(five, timeout=PATIENCE) as subscription:
            take(subscription, 7)


def test_a_subscription_ends_at_its_deadline(client, stream):
    with client.subscribe_to_stream(stream, timeout=0.3) as subscription:
        with pytest.raises(published.DeadlineExceeded):
            take(subscription, 1)


def test_a_subscription_ends_when_it_is_stopped(client, five):
    subscription = client.subscribe_to_stream(five, timeout=PATIENCE)
    take(subscription, 5)
    threading.Timer(0.1, subscription.stop).start()
    assert take(subscription, 1) == []


def test_a_subscriber_goes_on_after_the_server_was_restarted(kept_server, events):
    seen = []
    with published.connect(kept_server) as client:
        client.append_to_stream("kept-1", events=events(3), current_version=NO_STREAM)
        subscription = client.subscribe_to_all(timeout=PATIENCE)
        seen += take(subscription, 3)
        kept_server.restart()
        with pytest.raises(published.ServiceUnavailable):
            take(subscription, 1)
    with published.connect(kept_server) as client:
        client.append_to_stream("kept-1", events=events(2), current_version=2)
        with client.subscribe_to_all(commit_position=seen[-1].commit_position, timeout=PATIENCE) as subscription:
            seen += take(subscription, 2)
    assert revisions(seen) == [0, 1, 2, 3, 4]


def test_many_subscribers_see_the_same(client, stream, events):
    subscriptions = [client.subscribe_to_stream(stream, timeout=PATIENCE) for _ in range(30)]
    client.append_to_stream(stream, events=events(10), current_version=NO_STREAM)
    for subscription in subscriptions:
        assert revisions(take(subscription, 10)) == list(range(10))
        subscription.stop()

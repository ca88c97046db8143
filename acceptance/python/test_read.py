"""Reads of streams and of the whole log, both ways, from everywhere."""

import time

import pytest

import published
from published import NotFound, StreamState

NO_STREAM = StreamState.NO_STREAM


def revisions(read):
    return [event.stream_position for event in read]


@pytest.fixture
def ten(client, stream, events):
    """Ten events in the stream."""
    client.append_to_stream(stream, events=events(10), current_version=NO_STREAM)
    return stream


def test_a_stream_is_read_forwards(client, ten):
    assert revisions(client.get_stream(ten)) == list(range(10))
    assert revisions(client.get_stream(ten, stream_position=7)) == [7, 8, 9]
    assert revisions(client.get_stream(ten, stream_position=2, limit=3)) == [2, 3, 4]
    assert revisions(client.get_stream(ten, limit=0)) == []
    assert revisions(client.get_stream(ten, stream_position=10)) == []
    assert revisions(client.get_stream(ten, stream_position=1_000)) == []


def test_a_stream_is_read_backwards(client, ten):
    assert revisions(client.get_stream(ten, backwards=True)) == list(reversed(range(10)))
    assert revisions(client.get_stream(ten, backwards=True, limit=2)) == [9, 8]
    assert revisions(client.get_stream(ten, stream_position=2, backwards=True)) == [2, 1, 0]
    assert revisions(client.get_stream(ten, stream_position=0, backwards=True)) == [0]
    assert revisions(client.get_stream(ten, stream_position=1_000, backwards=True, limit=1)) == [9]


def test_a_long_stream_is_read_over_pages(client, stream, events):
    client.append_to_stream(stream, events=events(3_000), current_version=NO_STREAM)
    assert revisions(client.get_stream(stream)) == list(range(3_000))
    assert revisions(client.get_stream(stream, backwards=True)) == list(reversed(range(3_000)))
    assert revisions(client.get_stream(stream, stream_position=1_500, limit=600)) == list(range(1_500, 2_100))


@pytest.mark.parametrize("backwards", [False, True])
def test_a_stream_that_never_was_is_not_found(client, stream, backwards):
    with pytest.raises(NotFound):
        client.get_stream(stream, backwards=backwards)
    assert client.get_current_version(stream) is NO_STREAM


def test_a_read_may_stop_in_the_middle(client, ten):
    read = client.read_stream(ten)
    assert next(read).stream_position == 0
    read.stop()
    assert revisions(client.get_stream(ten)) == list(range(10))


def test_the_log_begins_with_the_systems_own_events(own_client):
    """Enough of them for consumers that only look at the log, and position 0 is never an event of a user's: clients take it for
    "nothing yet"."""
    log = list(own_client.read_all(filter_exclude=()))
    assert len(log) >= 10
    assert all(event.type.startswith("$") and event.stream_name.startswith("$") for event in log)


def test_an_event_of_a_users_is_not_at_position_nought(own_client, event):
    assert own_client.append_to_stream("a-1", events=event(), current_version=NO_STREAM) > 0


def test_the_log_of_a_new_server_has_nothing_of_a_users(own_client):
    assert list(own_client.read_all()) == []
    assert own_client.get_commit_position() == 0


def test_the_log_is_read_both_ways(own_client, events):
    own_client.append_to_stream("a-1", events=events(3), current_version=NO_STREAM)
    own_client.append_to_stream("b-1", events=events(2), current_version=NO_STREAM)
    own_client.append_to_stream("a-1", events=events(1), current_version=2)
    forwards = list(own_client.read_all())
    assert [(e.stream_name, e.stream_position) for e in forwards] == [
        ("a-1", 0), ("a-1", 1), ("a-1", 2), ("b-1", 0), ("b-1", 1), ("a-1", 3),
    ]  # fmt: skip
    assert list(own_client.read_all(backwards=True)) == forwards[::-1]
    positions = [e.commit_position for e in forwards]
    assert positions == sorted(set(positions))
    assert own_client.get_commit_position() == positions[-1]
    # Forwards from a position is with it, backwards without it.
    assert list(own_client.read_all(commit_position=positions[3])) == forwards[3:]
    assert list(own_client.read_all(commit_position=positions[3], backwards=True)) == forwards[2::-1]
    assert list(own_client.read_all(commit_position=positions[1], limit=2)) == forwards[1:3]
    assert list(own_client.read_all(limit=0)) == []


def test_a_stream_and_the_log_tell_the_same_positions(client, ten):
    of_stream = client.get_stream(ten)
    of_log = [event for event in client.read_all(commit_position=of_stream[0].commit_position) if event.stream_name == ten]
    assert of_log == list(of_stream)


def test_a_position_beyond_the_end_is_an_error(client, ten):
    end = client.get_stream(ten)[-1].commit_position
    with pytest.raises(published.AnyError):
        list(client.read_all(commit_position=end + 10_000_000))


def test_what_was_acknowledged_is_there_after_a_kill(kept_server, events):
    written = []
    for _ in range(2):
        with published.connect(kept_server) as client:
            batch = events(20)
            client.append_to_stream("kept-1", events=batch, current_version=len(written) - 1 if written else NO_STREAM)
            written += batch
        kept_server.kill()
        kept_server.start()
    with published.connect(kept_server) as client:
        assert [event.id for event in client.get_stream("kept-1")] == [event.id for event in written]


def test_a_client_finds_the_server_again_after_a_restart(kept_server, event):
    with published.connect(kept_server) as client:
        client.append_to_stream("kept-1", events=event(), current_version=NO_STREAM)
        kept_server.restart()
        # The client connects again by itself when it is told that the service is unavailable.
        deadline = time.monotonic() + 30
        while True:
            try:
                assert len(client.get_stream("kept-1")) == 1
                break
            except published.ServiceUnavailable:
                assert time.monotonic() < deadline
        client.append_to_stream("kept-1", events=event(), current_version=0)


def test_the_server_is_discovered(server, stream, event):
    host, port = server.address.rsplit(":", 1)
    for uri in [f"{published.scheme}+discover://{server.uri}", f"{published.scheme}://{server.address},{host}:{port}?tls=false"]:
        with published.Client(uri) as client:
            assert client.connection_target == server.address
            client.append_to_stream(stream, events=event(), current_version=StreamState.ANY)
            (member,) = client.read_gossip()
            assert (member.state, member.address, member.port) == ("NODE_STATE_LEADER", host, int(port))


def test_a_client_that_wants_a_follower_finds_none(server):
    with pytest.raises(published.error("FollowerNotFound")):
        published.Client(f"{published.scheme}://{server.address},{server.address}?tls=false&NodePreference=follower")

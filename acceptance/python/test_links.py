"""Links: those that a client writes, and those of the streams that are indexes."""

import itertools
import json
import uuid

import pytest

from published import NewEvent, StreamState

ANY = StreamState.ANY
PATIENCE = 60


def link_to(stream, revision):
    return NewEvent(type="$>", data=f"{revision}@{stream}".encode(), content_type="application/octet-stream")


@pytest.fixture
def linked(client, stream, events):
    """A stream, and another with links to its events 0 and 2."""
    client.append_to_stream(stream, events=events(3), current_version=ANY)
    links = f"links-{uuid.uuid4()}"
    client.append_to_stream(links, events=[link_to(stream, 0), link_to(stream, 2)], current_version=ANY)
    return stream, links


def test_links_are_events_unless_they_are_resolved(client, linked):
    stream, links = linked
    shown = client.get_stream(links)
    assert [(event.type, event.data, event.link) for event in shown] == [
        ("$>", f"0@{stream}".encode(), None), ("$>", f"2@{stream}".encode(), None),
    ]  # fmt: skip
    resolved = client.get_stream(links, resolve_links=True)
    assert [(event.stream_name, event.stream_position) for event in resolved] == [(stream, 0), (stream, 2)]
    assert [(event.link.stream_name, event.link.stream_position) for event in resolved] == [(links, 0), (links, 1)]
    assert [event.ack_id for event in resolved] == [event.id for event in shown]
    assert client.get_stream(links, resolve_links=True, backwards=True) == resolved[::-1]


def test_links_are_resolved_in_the_log_and_in_subscriptions(client, linked):
    stream, links = linked
    start = client.get_stream(stream)[-1].commit_position
    in_log = [e for e in client.read_all(commit_position=start, filter_exclude=(), resolve_links=True) if e.is_resolved_event]
    assert [event.link.stream_name for event in in_log if event.link.stream_name == links] == [links, links]
    with client.subscribe_to_stream(links, resolve_links=True, timeout=PATIENCE) as subscription:
        client.append_to_stream(links, events=[link_to(stream, 1)], current_version=1)
        assert [e.stream_position for e in itertools.islice(subscription, 3)] == [0, 2, 1]


def test_a_link_to_nothing_stands_alone(client, linked, event):
    stream, links = linked
    client.append_to_stream(links, events=[link_to(stream, 77), link_to("never-was", 0)], current_version=1)
    # The client leaves out what has no event: the links that lead somewhere are still there.
    assert len(client.get_stream(links, resolve_links=True)) == 2
    assert len(client.get_stream(links)) == 4
    client.delete_stream(stream, current_version=2)
    assert client.get_stream(links, resolve_links=True) == ()


def test_a_category_has_a_stream_of_links(client, events):
    category = f"ledger{uuid.uuid4().hex}"
    for name in ["1", "2"]:
        client.append_to_stream(f"{category}-{name}", events=events(2), current_version=ANY)
    shown = client.get_stream(f"$ce-{category}")
    assert [event.data.decode() for event in shown] == [f"{n}@{category}-{name}" for name in "12" for n in (0, 1)]
    assert {event.type for event in shown} == {"$>"}
    resolved = client.get_stream(f"$ce-{category}", resolve_links=True)
    assert [(e.stream_name, e.stream_position) for e in resolved] == [(f"{category}-{name}", n) for name in "12" for n in (0, 1)]
    assert [e.ack_id for e in resolved] == [e.id for e in shown]
    # From a link's own number, forwards with it and backwards too; a subscription goes on after it.
    at = shown[2].stream_position
    assert client.get_stream(f"$ce-{category}", stream_position=at) == shown[2:]
    assert client.get_stream(f"$ce-{category}", stream_position=at, backwards=True) == shown[2::-1]
    assert client.get_stream(f"$ce-{category}", limit=2) == shown[:2]
    with client.subscribe_to_stream(f"$ce-{category}", stream_position=at, resolve_links=True, timeout=PATIENCE) as subscription:
        client.append_to_stream(f"{category}-3", events=events(1), current_version=ANY)
        assert [e.stream_name for e in itertools.islice(subscription, 2)] == [f"{category}-2", f"{category}-3"]


def test_the_streams_of_a_category_have_a_stream(client, events):
    category = f"ledger{uuid.uuid4().hex}"
    for name in ["1", "2"]:
        client.append_to_stream(f"{category}-{name}", events=events(2), current_version=ANY)
    assert [e.data.decode() for e in client.get_stream(f"$category-{category}")] == [f"{category}-1", f"{category}-2"]


def test_a_type_has_a_stream_of_links(client, stream, events):
    type = f"Type{uuid.uuid4().hex}"
    client.append_to_stream(stream, events=[*events(1), *events(2, type=type)], current_version=ANY)
    resolved = client.get_stream(f"$et-{type}", resolve_links=True)
    assert [(e.stream_name, e.stream_position, e.type) for e in resolved] == [(stream, 1, type), (stream, 2, type)]


def test_a_correlation_has_a_stream_of_links(client, stream, event):
    correlation = str(uuid.uuid4())
    metadata = json.dumps({"$correlationId": correlation}).encode()
    client.append_to_stream(stream, events=[event(), event(metadata=metadata), event()], current_version=ANY)
    resolved = client.get_stream(f"$bc-{correlation}", resolve_links=True)
    assert [e.stream_position for e in resolved] == [1]


def test_every_stream_is_in_the_stream_of_streams(own_client, events):
    for name in ["a-1", "b-1"]:
        own_client.append_to_stream(name, events=events(2), current_version=ANY)
    own = [e.data.decode() for e in own_client.get_stream("$streams") if not e.data.decode().split("@")[1].startswith("$")]
    assert own == ["0@a-1", "0@b-1"]


def test_an_index_with_nothing_is_not_found_and_can_be_waited_for(client, events):
    from published import NotFound

    category = f"ledger{uuid.uuid4().hex}"
    with pytest.raises(NotFound):
        client.get_stream(f"$ce-{category}")
    with client.subscribe_to_stream(f"$ce-{category}", resolve_links=True, timeout=PATIENCE) as subscription:
        client.append_to_stream(f"{category}-1", events=events(1), current_version=ANY)
        assert next(subscription).stream_name == f"{category}-1"


def test_an_index_is_not_written(client, event):
    with pytest.raises(Exception, match="index"):
        client.append_to_stream("$ce-ledger", events=event(), current_version=ANY)

"""Metadata of streams: what it is kept as, and what it does to reads."""

import json
import time

import pytest

from published import NewEvent, StreamState, WrongCurrentVersion

ANY, NO_STREAM = StreamState.ANY, StreamState.NO_STREAM


@pytest.fixture
def ten(client, stream, events):
    client.append_to_stream(stream, events=events(10), current_version=NO_STREAM)
    return stream


def visible(client, stream, **options):
    return [event.stream_position for event in client.get_stream(stream, **options)]


def test_metadata_is_what_was_set_last(client, stream):
    assert client.get_stream_metadata(stream) == ({}, NO_STREAM)
    client.set_stream_metadata(stream, metadata={"a": 1, "b": {"c": ["\u00e4"]}}, current_version=NO_STREAM)
    assert client.get_stream_metadata(stream) == ({"a": 1, "b": {"c": ["\u00e4"]}}, 0)
    client.set_stream_metadata(stream, metadata={"d": None}, current_version=0)
    assert client.get_stream_metadata(stream) == ({"d": None}, 1)
    with pytest.raises(WrongCurrentVersion):
        client.set_stream_metadata(stream, metadata={}, current_version=0)


def test_only_the_last_metadata_can_be_read(client, stream):
    for n in range(3):
        client.set_stream_metadata(stream, metadata={"n": n})
    (last,) = client.get_stream(f"$${stream}")
    assert (last.stream_position, last.type, json.loads(last.data)) == (2, "$metadata", {"n": 2})


def test_metadata_is_kept_byte_by_byte(client, stream):
    data = b'{ "b":1.50,\n "a" : 2 }'
    client.append_to_stream(f"$${stream}", events=NewEvent(type="$metadata", data=data), current_version=ANY)
    assert client.get_stream(f"$${stream}")[0].data == data


def test_metadata_that_is_no_json_is_none(client, ten):
    client.append_to_stream(f"$${ten}", events=NewEvent(type="$metadata", data=b"{"), current_version=ANY)
    assert visible(client, ten) == list(range(10))


def test_max_count_shows_the_last(client, ten, event):
    client.set_stream_metadata(ten, metadata={"$maxCount": 3})
    assert visible(client, ten) == [7, 8, 9]
    assert visible(client, ten, stream_position=2) == [7, 8, 9]
    assert visible(client, ten, backwards=True) == [9, 8, 7]
    assert visible(client, ten, stream_position=4, backwards=True) == []
    client.append_to_stream(ten, events=event(), current_version=9)
    assert visible(client, ten) == [8, 9, 10]
    client.set_stream_metadata(ten, metadata={"$maxCount": 100})
    assert 10 in visible(client, ten)


def test_truncate_before_hides_the_beginning(client, ten):
    client.set_stream_metadata(ten, metadata={"$tb": 6})
    assert visible(client, ten) == [6, 7, 8, 9]
    client.set_stream_metadata(ten, metadata={"$tb": 6, "$maxCount": 2})
    assert visible(client, ten) == [8, 9]


def test_a_stream_that_is_wholly_truncated_is_empty_and_there(client, ten, event):
    client.set_stream_metadata(ten, metadata={"$tb": 10})
    assert visible(client, ten) == []
    assert visible(client, ten, backwards=True) == []
    with pytest.raises(WrongCurrentVersion, match="is 9"):
        client.append_to_stream(ten, events=event(), current_version=3)
    client.append_to_stream(ten, events=event(), current_version=9)
    assert visible(client, ten) == [10]


def test_max_age_hides_what_is_old(client, ten, event):
    client.set_stream_metadata(ten, metadata={"$maxAge": 3600})
    assert visible(client, ten) == list(range(10))
    client.set_stream_metadata(ten, metadata={"$maxAge": 1})
    deadline = time.monotonic() + 20
    while visible(client, ten):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    client.append_to_stream(ten, events=event(), current_version=9)
    assert visible(client, ten) == [10]


def test_metadata_of_metadata_is_refused(client, stream):
    with pytest.raises(Exception):
        client.set_stream_metadata(f"$${stream}", metadata={})

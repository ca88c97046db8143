"""Appends with every expected state, on streams in every state, with both rpcs."""

import concurrent.futures
import datetime
import uuid

import pytest

from published import AnyError, NewEvent, StreamState, WrongCurrentVersion

ANY, NO_STREAM, EXISTS = StreamState.ANY, StreamState.NO_STREAM, StreamState.EXISTS


@pytest.mark.parametrize("expected", [ANY, NO_STREAM])
def test_a_new_stream_takes_any_and_no_stream(client, append, stream, event, expected):
    position = append(stream, event(), expected)
    (read,) = client.get_stream(stream)
    assert (read.stream_position, read.commit_position) == (0, position)


@pytest.mark.parametrize("expected", [EXISTS, 0, 7])
def test_a_new_stream_refuses_exists_and_revisions(client, append, stream, event, expected):
    with pytest.raises(WrongCurrentVersion, match="does not exist"):
        append(stream, event(), expected)
    assert client.get_current_version(stream) is NO_STREAM


@pytest.mark.parametrize("expected", [ANY, EXISTS, 2])
def test_a_live_stream_takes_any_exists_and_its_revision(client, append, stream, event, events, expected):
    client.append_to_stream(stream, events=events(3), current_version=NO_STREAM)
    append(stream, event(), expected)
    assert client.get_current_version(stream) == 3


@pytest.mark.parametrize("expected", [NO_STREAM, 0, 1, 3, 99])
def test_a_live_stream_refuses_no_stream_and_other_revisions(client, append, stream, event, events, expected):
    client.append_to_stream(stream, events=events(3), current_version=NO_STREAM)
    with pytest.raises(WrongCurrentVersion, match="last event is 2"):
        append(stream, event(), expected)
    assert client.get_current_version(stream) == 2


def test_a_stream_with_only_metadata_exists(client, append, stream, event):
    client.set_stream_metadata(stream, metadata={"colour": "blue"})
    with pytest.raises(WrongCurrentVersion):
        append(stream, event(), 0)
    append(stream, event(), EXISTS)
    assert client.get_current_version(stream) == 0


@pytest.mark.parametrize("expected", [ANY, NO_STREAM, 2])
def test_a_deleted_stream_comes_back_with_any_no_stream_and_its_revision(client, append, stream, event, events, expected):
    client.append_to_stream(stream, events=events(3), current_version=NO_STREAM)
    client.delete_stream(stream, current_version=2)
    append(stream, event(), expected)
    assert [read.stream_position for read in client.get_stream(stream)] == [3]


def test_a_deleted_stream_does_not_exist_and_is_not_at_another_revision(client, append, stream, event, events):
    client.append_to_stream(stream, events=events(3), current_version=NO_STREAM)
    client.delete_stream(stream, current_version=2)
    with pytest.raises(append.deleted, match="deleted"):
        append(stream, event(), EXISTS)
    with pytest.raises(WrongCurrentVersion):
        append(stream, event(), 1)
    with pytest.raises(WrongCurrentVersion):
        append(stream, event(), 9)


@pytest.mark.parametrize("expected", [ANY, NO_STREAM, EXISTS, 0, 5])
def test_a_tombstoned_stream_refuses_everything(client, append, stream, event, expected):
    append(stream, event(), NO_STREAM)
    client.tombstone_stream(stream, current_version=0)
    with pytest.raises(append.deleted, match="deleted"):
        append(stream, event(), expected)


def test_an_append_twice_is_one_append(client, append, stream, event, events):
    first = event()
    position = append(stream, first, NO_STREAM)
    client.append_to_stream(stream, events=events(2), current_version=0)
    for expected in [NO_STREAM, ANY, EXISTS]:
        assert append(stream, first, expected) == position
    assert client.get_current_version(stream) == 2


def test_an_append_twice_at_a_revision_is_one_append(client, stream, events):
    client.append_to_stream(stream, events=events(2), current_version=NO_STREAM)
    batch = events(3)
    position = client.append_to_stream(stream, events=batch, current_version=1)
    client.append_to_stream(stream, events=events(1), current_version=4)
    assert client.append_to_stream(stream, events=batch, current_version=1) == position
    assert client.append_to_stream(stream, events=batch[:2], current_version=1) < position
    assert client.get_current_version(stream) == 5


def test_an_append_that_is_known_in_part_is_refused(client, stream, events):
    known = events(2)
    client.append_to_stream(stream, events=known, current_version=NO_STREAM)
    for expected in [NO_STREAM, ANY, EXISTS]:
        with pytest.raises(WrongCurrentVersion):
            client.append_to_stream(stream, events=[*known, *events(1)], current_version=expected)
    with pytest.raises(WrongCurrentVersion):
        client.append_to_stream(stream, events=[known[1], known[0]], current_version=NO_STREAM)
    assert client.get_current_version(stream) == 1


def test_the_same_id_in_another_stream_is_another_event(client, append, stream, event):
    one = event()
    assert append(stream, one, ANY) < append(stream + "-other", one, ANY)


def test_an_append_of_nothing_tells_where_the_stream_is(client, stream, events):
    client.append_to_stream(stream, events=[], current_version=NO_STREAM)
    assert client.get_current_version(stream) is NO_STREAM
    client.append_to_stream(stream, events=events(2), current_version=NO_STREAM)
    client.append_to_stream(stream, events=[], current_version=1)
    with pytest.raises(WrongCurrentVersion):
        client.append_to_stream(stream, events=[], current_version=0)
    with pytest.raises(WrongCurrentVersion):
        client.append_to_stream(stream + "-none", events=[], current_version=EXISTS)


def test_an_event_is_read_as_it_was_written(client, append, stream):
    json = NewEvent(type="Opened", data=b'{"a":  1, "b": "\xc3\xa9"}', metadata=b'{"who": "me"}', id=uuid.uuid4())
    binary = NewEvent(type="Bild \u00e4\u4e2d", data=bytes(range(256)), metadata=b"\x00\xff", content_type="application/octet-stream")
    # What calls itself JSON need not be any.
    other = NewEvent(type="NotJson", data=b"{", metadata=b"[")
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    for event in [json, binary, other]:
        append(stream, event, ANY)
    read = client.get_stream(stream)
    wanted = [(e.type, e.data, e.metadata, e.content_type, e.id) for e in [json, binary, other]]
    assert [(e.type, e.data, e.metadata, e.content_type, e.id) for e in read] == wanted
    assert [(e.stream_name, e.stream_position, e.link) for e in read] == [(stream, n, None) for n in range(3)]
    after = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    assert all(before <= e.recorded_at <= after for e in read)
    assert all(e.prepare_position == e.commit_position for e in read)


def test_an_append_of_many_is_whole_and_in_order(client, stream, events):
    many = events(5_000)
    position = client.append_to_stream(stream, events=many, current_version=NO_STREAM)
    read = client.get_stream(stream)
    assert [e.id for e in read] == [e.id for e in many]
    assert read[-1].commit_position == position
    positions = [e.commit_position for e in read]
    assert positions == sorted(set(positions))


def test_of_appends_at_once_one_wins(client, append, stream, event):
    append(stream, event(), NO_STREAM)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(append, stream, event(), 0) for _ in range(16)]
        errors = [attempt.exception() for attempt in tries]
    assert errors.count(None) == 1
    assert all(isinstance(error, WrongCurrentVersion) for error in errors if error)
    assert client.get_current_version(stream) == 1


def test_names_of_all_kinds_are_streams(client, append, event):
    for name in ["a b/c?d#e%", "\u00fc\u4e2d\U0001f40e", "$of-a-system", "x" * 200, "UPPER", "upper", "-", "a-"]:
        name = f"{name}{uuid.uuid4()}"
        append(name, event(), NO_STREAM)
        assert [read.stream_name for read in client.get_stream(name)] == [name]


@pytest.mark.parametrize("name", ["", "$$"])
def test_what_is_no_name_of_a_stream_is_refused(append, event, name):
    with pytest.raises(AnyError):
        append(name, event(), ANY)


def test_nobody_writes_to_all(append, event):
    with pytest.raises(AnyError):
        append("$all", event(), ANY)

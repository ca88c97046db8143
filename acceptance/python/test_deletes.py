"""Deletes that can be undone, and those that cannot."""

import pytest

from published import NotFound, StreamIsDeleted, StreamState, WrongCurrentVersion

ANY, NO_STREAM, EXISTS = StreamState.ANY, StreamState.NO_STREAM, StreamState.EXISTS


@pytest.fixture
def three(client, stream, events):
    client.append_to_stream(stream, events=events(3), current_version=NO_STREAM)
    return stream


@pytest.mark.parametrize("expected", [ANY, EXISTS, 2])
def test_a_deleted_stream_is_not_found_and_comes_back(client, three, event, expected):
    client.delete_stream(three, current_version=expected)
    with pytest.raises(NotFound):
        client.get_stream(three)
    assert client.get_current_version(three) is NO_STREAM
    client.append_to_stream(three, events=[event()], current_version=NO_STREAM)
    # Its numbers go on, and what was deleted stays so.
    assert [read.stream_position for read in client.get_stream(three)] == [3]
    assert [read.stream_position for read in client.get_stream(three, backwards=True)] == [3]
    assert [read.stream_position for read in client.get_stream(three, stream_position=1)] == [3]


def test_a_deleted_stream_is_still_in_the_log(client, three):
    position = client.get_stream(three)[0].commit_position
    client.delete_stream(three, current_version=ANY)
    assert len([read for read in client.read_all(commit_position=position) if read.stream_name == three]) == 3


def test_a_delete_is_metadata_that_truncates(client, three, event):
    client.set_stream_metadata(three, metadata={"colour": "blue"})
    client.delete_stream(three, current_version=ANY)
    metadata, version = client.get_stream_metadata(three)
    assert (metadata, version) == ({"$tb": 9223372036854775807}, 1)
    client.append_to_stream(three, events=event(), current_version=ANY)
    metadata, version = client.get_stream_metadata(three)
    assert (metadata["$tb"], version) == (3, 2)


def test_metadata_of_ones_own_brings_a_stream_back_with_all_its_keys(client, three, event):
    client.delete_stream(three, current_version=ANY)
    client.set_stream_metadata(three, metadata={"colour": "blue"})
    client.append_to_stream(three, events=event(), current_version=2)
    assert client.get_stream_metadata(three)[0]["colour"] == "blue"
    assert 3 in [read.stream_position for read in client.get_stream(three)]


def test_deletes_expect_the_stream_as_appends_do(client, three):
    with pytest.raises(WrongCurrentVersion):
        client.delete_stream(three, current_version=1)
    with pytest.raises(WrongCurrentVersion):
        client.delete_stream(three, current_version=3)
    with pytest.raises(WrongCurrentVersion):
        client.tombstone_stream(three, current_version=1)
    assert client.get_current_version(three) == 2


def test_a_stream_that_never_was_cannot_be_deleted(client, stream):
    for expected in [ANY, EXISTS, 0]:
        with pytest.raises(NotFound):
            client.delete_stream(stream, current_version=expected)


def test_a_deleted_stream_is_deleted_again_unless_it_must_exist(client, three):
    client.delete_stream(three, current_version=2)
    client.delete_stream(three, current_version=ANY)
    client.delete_stream(three, current_version=2)
    with pytest.raises(StreamIsDeleted):
        client.delete_stream(three, current_version=EXISTS)


@pytest.mark.parametrize("expected", [ANY, EXISTS, 2])
def test_a_tombstone_is_for_ever(client, three, expected):
    client.tombstone_stream(three, current_version=expected)
    with pytest.raises(StreamIsDeleted):
        client.get_stream(three)
    with pytest.raises(StreamIsDeleted):
        client.get_stream(three, backwards=True)
    with pytest.raises(StreamIsDeleted):
        client.get_current_version(three)
    for state in [ANY, EXISTS, 2]:
        with pytest.raises(StreamIsDeleted):
            client.delete_stream(three, current_version=state)
        with pytest.raises(StreamIsDeleted):
            client.tombstone_stream(three, current_version=state)


def test_the_metadata_of_a_tombstoned_stream_is_gone_too(client, three):
    client.set_stream_metadata(three, metadata={"colour": "blue"})
    client.tombstone_stream(three, current_version=ANY)
    with pytest.raises(StreamIsDeleted):
        client.get_stream_metadata(three)


def test_a_stream_that_never_was_can_be_tombstoned(client, stream, event):
    client.tombstone_stream(stream, current_version=ANY)
    with pytest.raises(StreamIsDeleted):
        client.get_stream(stream)
    with pytest.raises(StreamIsDeleted):
        client.append_to_stream(stream, events=[event()], current_version=ANY)


def test_a_stream_that_never_was_has_no_revision_to_tombstone(client, stream):
    for expected in [EXISTS, 0]:
        with pytest.raises(NotFound):
            client.tombstone_stream(stream, current_version=expected)


def test_a_deleted_stream_can_be_tombstoned(client, three):
    client.delete_stream(three, current_version=2)
    client.tombstone_stream(three, current_version=2)
    with pytest.raises(StreamIsDeleted):
        client.get_stream(three)


def test_the_tombstone_is_in_the_log(client, three):
    position = client.get_stream(three)[0].commit_position
    client.tombstone_stream(three, current_version=2)
    log = client.read_all(commit_position=position, filter_exclude=())
    assert [read.type for read in log if read.stream_name == three][-1] == "$streamDeleted"

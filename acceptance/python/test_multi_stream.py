"""Appends to several streams at once, with checks: the second version of the protocol."""

import json
import uuid

import pytest

from kurrentdbclient import NewEvent, NewEvents, NewRecord, StreamState, StreamStateCheck, exceptions

ANY, NO_STREAM, EXISTS = StreamState.ANY, StreamState.NO_STREAM, StreamState.EXISTS
MIB = 1024 * 1024


@pytest.fixture
def pair():
    tail = uuid.uuid4()
    return f"from-{tail}", f"to-{tail}"


def record(stream, **given):
    return NewRecord(**{"stream_name": stream, "type": "Moved", "data": b"{}", **given})


def versions(client, *streams):
    return [client.get_current_version(stream) for stream in streams]


def test_several_streams_are_written_at_once(client, pair, events):
    first, second = pair
    position = client.multi_append_to_stream([NewEvents(first, events(2), NO_STREAM), NewEvents(second, events(1), ANY)])
    assert versions(client, first, second) == [1, 0]
    assert client.get_stream(second)[-1].commit_position == position
    position = client.multi_append_to_stream([NewEvents(second, events(1), 0), NewEvents(first, events(1), EXISTS)])
    assert client.get_stream(first)[-1].commit_position == position


def test_one_stream_in_the_wrong_state_refuses_all(client, pair, events):
    first, second = pair
    for state, expected in [(NO_STREAM, 3), (NO_STREAM, EXISTS)]:
        with pytest.raises(exceptions.WrongCurrentVersionError) as wrong:
            client.multi_append_to_stream([NewEvents(first, events(1), state), NewEvents(second, events(1), expected)])
        assert (wrong.value.stream_name, wrong.value.expected_version, wrong.value.actual_version) == (second, expected, NO_STREAM)
    assert versions(client, first, second) == [NO_STREAM, NO_STREAM]
    client.append_to_stream(first, events=events(2), current_version=ANY)
    with pytest.raises(exceptions.WrongCurrentVersionError) as wrong:
        client.multi_append_to_stream([NewEvents(first, events(1), 0), NewEvents(second, events(1), ANY)])
    assert (wrong.value.stream_name, wrong.value.actual_version) == (first, 1)
    assert versions(client, first, second) == [1, NO_STREAM]


def test_a_tombstoned_stream_refuses_all(client, pair, events):
    first, second = pair
    client.tombstone_stream(second, current_version=ANY)
    with pytest.raises(exceptions.StreamTombstonedError) as gone:
        client.multi_append_to_stream([NewEvents(first, events(1), ANY), NewEvents(second, events(1), ANY)])
    assert gone.value.stream_name == second
    assert versions(client, first) == [NO_STREAM]


def test_the_same_stream_twice_is_refused(client, pair, events):
    first, _ = pair
    with pytest.raises(exceptions.MultiAppendToSameStreamError) as twice:
        client.multi_append_to_stream([NewEvents(first, events(1), ANY), NewEvents(first, events(1), ANY)])
    assert twice.value.stream_name == first


def test_nothing_at_all_is_refused(client):
    with pytest.raises(exceptions.KurrentDBClientError):
        client.multi_append_to_stream([])


def test_sizes_over_the_limits_are_told(client, pair):
    first, second = pair
    big = lambda bytes: NewEvent(type="Big", data=b"x" * bytes, content_type="application/octet-stream")
    with pytest.raises(exceptions.RecordMaxSizeExceededError) as large:
        client.multi_append_to_stream([NewEvents(first, [big(16 * MIB + 1)], ANY)])
    assert (large.value.stream_name, large.value.max_size) == (first, 16 * MIB)
    assert large.value.size > 16 * MIB
    with pytest.raises(exceptions.TransactionMaxSizeExceededError) as large:
        client.multi_append_to_stream([NewEvents(f"{second}-{n}", [big(10 * MIB)], ANY) for n in range(8)])
    assert large.value.size > large.value.max_size
    assert versions(client, first, f"{second}-0") == [NO_STREAM, NO_STREAM]


def test_what_was_written_is_read_with_its_properties(client, pair):
    first, _ = pair
    json_event = NewEvent(type="Moved", data=b'{"a": 1}', metadata=b'{"who": "me"}')
    binary = NewEvent(type="Seen", data=b"\x00\x01", content_type="application/octet-stream")
    client.multi_append_to_stream([NewEvents(first, [json_event, binary], NO_STREAM)])
    one, two = client.get_stream(first)
    assert (one.id, one.type, one.data, one.content_type) == (json_event.id, "Moved", b'{"a": 1}', "application/json")
    assert json.loads(one.metadata) == {"who": "me", "$schema.name": "Moved", "$schema.format": "Json"}
    assert (two.id, two.data, two.content_type) == (binary.id, b"\x00\x01", "application/octet-stream")
    assert json.loads(two.metadata) == {"$schema.name": "Seen", "$schema.format": "Bytes"}


def test_the_same_appends_twice_are_one(client, pair, events):
    first, second = pair
    writes = [NewEvents(first, events(2), NO_STREAM), NewEvents(second, events(1), NO_STREAM)]
    position = client.multi_append_to_stream(writes)
    assert client.multi_append_to_stream(writes) == position
    assert versions(client, first, second) == [1, 0]


def test_records_may_take_turns(client, pair):
    first, second = pair
    result = client.append_records([record(first), record(second), record(first)])
    assert {s.stream_name: s.stream_position for s in result.stream_positions} == {first: 1, second: 0}
    log = [*client.get_stream(first), *client.get_stream(second)]
    order = [event.stream_name for event in sorted(log, key=lambda event: event.commit_position)]
    assert order == [first, second, first]
    assert max(event.commit_position for event in log) == result.commit_position


def test_checks_hold_for_streams_that_are_not_written(client, pair, events):
    first, second = pair
    client.append_to_stream(second, events=events(3), current_version=ANY)
    for check in [StreamStateCheck(second, 2), StreamStateCheck(second, EXISTS), [StreamStateCheck(first + "-none", NO_STREAM)]]:
        client.append_records(record(first), check)
    assert versions(client, first, second) == [2, 2]


def test_every_check_that_fails_is_told(client, pair, events):
    first, second = pair
    client.append_to_stream(second, events=events(3), current_version=ANY)
    checks = [StreamStateCheck(second, 1), StreamStateCheck(second, EXISTS), StreamStateCheck(first, EXISTS)]
    with pytest.raises(exceptions.ConsistencyChecksFailedError) as failed:
        client.append_records(record(first), checks)
    told = [(f.check_index, f.stream_state_failure.stream_name, f.stream_state_failure.expected_state, f.stream_state_failure.actual_state)
            for f in failed.value.failures]  # fmt: skip
    assert told == [(0, second, 1, 2), (2, first, -4, -1)]
    assert versions(client, first) == [NO_STREAM]


def test_deleted_and_tombstoned_streams_are_told_apart(client, pair, events):
    first, second = pair
    for stream in pair:
        client.append_to_stream(stream, events=events(1), current_version=ANY)
    client.delete_stream(first, current_version=ANY)
    client.tombstone_stream(second, current_version=ANY)
    with pytest.raises(exceptions.ConsistencyChecksFailedError) as failed:
        client.append_records(record(f"other-{uuid.uuid4()}"), [StreamStateCheck(first, EXISTS), StreamStateCheck(second, EXISTS)])
    assert [f.stream_state_failure.actual_state for f in failed.value.failures] == [-5, -6]


def test_a_checked_and_written_stream(client, pair):
    first, _ = pair
    client.append_records(record(first), StreamStateCheck(first, NO_STREAM))
    with pytest.raises(exceptions.ConsistencyChecksFailedError):
        client.append_records(record(first), StreamStateCheck(first, NO_STREAM))
    client.append_records(record(first), StreamStateCheck(first, 0))
    assert versions(client, first) == [1]


def test_no_records_are_refused(client):
    with pytest.raises(exceptions.KurrentDBClientError):
        client.append_records([])

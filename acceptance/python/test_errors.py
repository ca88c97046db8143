"""What each error is to the client: sizes, deadlines, a server that is gone."""

import pytest

import published
from published import NewEvent, StreamState

ANY = StreamState.ANY
MIB = 1024 * 1024


def sized(bytes, type="Big"):
    return NewEvent(type=type, data=b"x" * bytes, content_type="application/octet-stream")


def test_an_event_of_many_megabytes_is_taken(client, append, stream):
    append(stream, sized(15 * MIB), ANY)
    (read,) = client.get_stream(stream)
    assert len(read.data) == 15 * MIB


def test_an_event_over_the_limit_is_refused(client, append, stream, event):
    with pytest.raises(published.AnyError, match="(?i)maximum"):
        append(stream, sized(16 * MIB + 1), ANY)
    assert client.get_current_version(stream) is StreamState.NO_STREAM
    append(stream, event(), ANY)


def test_an_append_over_the_limit_is_refused_as_a_whole(client, stream, event):
    with pytest.raises(published.MaximumAppendSizeExceeded):
        client.append_to_stream(stream, events=[*[sized(15 * MIB) for _ in range(4)], sized(9 * MIB // 2)], current_version=ANY)
    assert client.get_current_version(stream) is StreamState.NO_STREAM
    client.append_to_stream(stream, events=[event()], current_version=ANY)


def test_an_event_without_a_type_is_refused(client, append, stream):
    with pytest.raises(published.AnyError):
        append(stream, NewEvent(type="", data=b""), ANY)
    assert client.get_current_version(stream) is StreamState.NO_STREAM


def test_a_batch_whose_time_is_up_is_told_so(client, stream, events):
    with pytest.raises(published.error("DeadlineExceeded")):
        client.append_to_stream(stream, events=events(1), current_version=ANY, timeout=-1)


def test_a_server_that_is_gone_is_unavailable(own_server, event):
    with published.Client(f"{published.scheme}://{own_server.address}?tls=false&MaxDiscoverAttempts=1") as client:
        client.append_to_stream("a-1", events=event(), current_version=ANY)
        own_server.kill()
        with pytest.raises(published.AnyError):
            client.append_to_stream("a-1", events=event(), current_version=ANY)
        with pytest.raises(published.ServiceUnavailable):
            client.get_stream("a-1", timeout=10)


def test_credentials_are_ignored_by_a_server_that_asks_for_none(server, stream, event):
    with published.Client(f"{published.scheme}://somebody:wrong@{server.uri}") as client:
        client.append_to_stream(stream, events=event(), current_version=ANY)
        assert len(client.get_stream(stream)) == 1


def test_a_batch_with_a_deleted_stream_and_a_wrong_version_goes_on(client, stream, events):
    client.append_to_stream(stream, events=events(1), current_version=ANY)
    with pytest.raises(published.WrongCurrentVersion) as wrong:
        client.append_to_stream(stream, events=events(1), current_version=5)
    if published.is_current:
        assert (wrong.value.stream_name, wrong.value.expected_version, wrong.value.actual_version) == (stream, 5, 0)
    with pytest.raises(published.WrongCurrentVersion) as wrong:
        client.delete_stream(stream, current_version=5)
    if published.is_current:
        assert (wrong.value.stream_name, wrong.value.expected_version, wrong.value.actual_version) == (stream, 5, 0)
    client.append_to_stream(stream, events=events(1), current_version=0)

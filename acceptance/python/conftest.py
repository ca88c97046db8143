"""What every test gets: a server that all share, one of its own, a client, and the name of a stream that nobody else has."""

import uuid

import pytest

import published
from serving import Server

# What the older client has no calls for.
collect_ignore = [] if published.is_current else ["test_multi_stream.py", "test_prefixes.py"]


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def client(server):
    with published.connect(server) as client:
        yield client


@pytest.fixture
def own_server():
    """A server whose log nobody else writes."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def own_client(own_server):
    with published.connect(own_server) as client:
        yield client


@pytest.fixture
def kept_server():
    """A server that can be restarted: data in a directory, always the same port."""
    server = Server(keep=True)
    yield server
    server.close()


@pytest.fixture
def stream():
    return f"account-{uuid.uuid4()}"


@pytest.fixture
def event():
    """Makes events: each call another."""
    count = iter(range(1_000_000))
    return lambda type="Deposited", **given: published.NewEvent(type=type, **{"data": b'{"n": %d}' % next(count), **given})


@pytest.fixture
def events(event):
    return lambda count, **given: [event(**given) for _ in range(count)]


@pytest.fixture(params=["append", "batch"])
def append(request, client):
    """Appends one event with either rpc: the clients send an event by itself with Append, and a list with BatchAppend."""
    as_sent = (lambda event: event) if request.param == "append" else (lambda event: [event])

    def append(stream, event, expected, **options):
        return client.append_to_stream(stream, events=as_sent(event), current_version=expected, **options)

    # Only a batch's answer has an error of its own for a deleted stream.
    append.deleted = published.FailedPrecondition if request.param == "append" else published.StreamIsDeleted
    return append

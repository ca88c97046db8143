"""The log that tests of filters read, and reading it in every way at once."""

import itertools

import pytest

import published
from published import NewEvent, StreamState

ANY = StreamState.ANY
PATIENCE = 60
WRITTEN = [
    ("account-1", "Opened"),
    ("account-1", "Deposited"),
    ("order-1", "Placed"),
    ("account-2", "Opened"),
    ("order-2", "Placed"),
    ("order-2", "PlacedAgain"),
]


@pytest.fixture
def log(own_client):
    for stream, type in WRITTEN:
        own_client.append_to_stream(stream, events=NewEvent(type=type, data=b"{}"), current_version=ANY)
    own_client.set_stream_metadata("account-1", metadata={"a": 1})
    return own_client


def read(client, **filter):
    """Both ways, and by a subscription: they must agree."""
    forwards = list(client.read_all(**filter))
    assert list(client.read_all(backwards=True, **filter)) == forwards[::-1]
    with client.subscribe_to_all(include_caught_up=True, timeout=PATIENCE, **filter) as subscription:
        assert list(itertools.takewhile(lambda event: not event.is_caught_up, subscription)) == forwards
    return [(event.stream_name, event.type) for event in forwards]

"""The asynchronous client: the same protocol through another library of gRPC."""

import asyncio

import pytest

import published
from published import StreamState

NO_STREAM = StreamState.NO_STREAM
PATIENCE = 60


def run(server, body):
    async def whole():
        client = published.AsyncClient(f"{published.scheme}://{server.uri}")
        await client.connect()
        try:
            await asyncio.wait_for(body(client), PATIENCE)
        finally:
            await client.close()

    asyncio.run(whole())


def test_streams_are_written_read_and_refused(server, stream, events):
    async def body(client):
        await client.append_to_stream(stream, events=events(3), current_version=NO_STREAM)
        with pytest.raises(published.WrongCurrentVersion):
            await client.append_to_stream(stream, events=events(1), current_version=9)
        assert [event.stream_position for event in await client.get_stream(stream)] == [0, 1, 2]
        await client.set_stream_metadata(stream, metadata={"$maxCount": 1})
        assert [event.stream_position for event in await client.get_stream(stream)] == [2]
        await client.delete_stream(stream, current_version=2)
        with pytest.raises(published.NotFound):
            await client.get_stream(stream)
        await client.tombstone_stream(stream, current_version=StreamState.ANY)
        with pytest.raises(published.StreamIsDeleted):
            await client.get_stream(stream)

    run(server, body)


def test_a_subscription_goes_from_history_to_live(server, stream, events):
    async def body(client):
        await client.append_to_stream(stream, events=events(2), current_version=NO_STREAM)
        subscription = await client.subscribe_to_stream(stream)
        assert [(await anext(subscription)).stream_position for _ in range(2)] == [0, 1]
        await client.append_to_stream(stream, events=events(2), current_version=1)
        assert [(await anext(subscription)).stream_position for _ in range(2)] == [2, 3]
        await subscription.stop()

    run(server, body)


def test_many_calls_at_once(server, stream, event):
    async def body(client):
        append = lambda n: client.append_to_stream(f"{stream}-{n}", events=[event()], current_version=NO_STREAM)
        await asyncio.gather(*(append(n) for n in range(200)))
        reads = await asyncio.gather(*(client.get_stream(f"{stream}-{n}") for n in range(200)))
        assert all(len(read) == 1 for read in reads)

    run(server, body)

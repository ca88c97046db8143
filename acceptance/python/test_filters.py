"""Filters of reads and subscriptions of the log, and the checkpoints that go with them."""

import itertools

import pytest

import published
from log_of_filters import PATIENCE, WRITTEN, log, read  # noqa: F401
from published import NewEvent, StreamState

ANY = StreamState.ANY


def test_without_a_filter_there_is_everything(log):
    everything = read(log, filter_exclude=())
    assert ("$$account-1", "$metadata") in everything
    assert [one for one in everything if not one[0].startswith("$")] == WRITTEN


def test_the_clients_own_filter_leaves_out_system_events_by_lookahead(log):
    assert read(log) == WRITTEN


def test_types_are_included_and_excluded_by_expression(log):
    assert read(log, filter_include=["Opened", "Placed"]) == [one for one in WRITTEN if one[1] in ("Opened", "Placed")]
    assert read(log, filter_include=["Placed.*"]) == [one for one in WRITTEN if one[1].startswith("Placed")]
    assert read(log, filter_exclude=[r"\$.*", "Opened"]) == [one for one in WRITTEN if one[1] != "Opened"]


def test_streams_are_included_and_excluded_by_expression(log):
    by_name = {"filter_by_stream_name": True}
    assert read(log, filter_include=["account-.*"], **by_name) == [one for one in WRITTEN if one[0].startswith("account")]
    assert read(log, filter_include=["order-2", "account-2"], **by_name) == [one for one in WRITTEN if one[0].endswith("-2")]
    assert read(log, filter_exclude=[r"\$.*", "order.*"], **by_name) == [one for one in WRITTEN if one[0].startswith("account")]


def test_a_filter_that_nothing_passes_gives_nothing(log):
    assert read(log, filter_include=["NeverHeardOf"]) == []


def test_limits_count_what_passes(log):
    orders = {"filter_include": ["order-.*"], "filter_by_stream_name": True}
    assert [event.stream_name for event in log.read_all(limit=2, **orders)] == ["order-1", "order-2"]
    assert [event.type for event in log.read_all(limit=2, backwards=True, **orders)] == ["PlacedAgain", "Placed"]


def test_an_expression_that_cannot_be_read_is_refused(log):
    with pytest.raises(published.AnyError):
        list(log.read_all(filter_include=["(unclosed"]))


def test_an_expression_that_would_take_for_ever_does_not_stop_the_server(log):
    log.append_to_stream("a" * 60, events=NewEvent(type="a" * 60, data=b"{}"), current_version=ANY)
    assert list(log.read_all(filter_include=["((?=a)a+)+b"], timeout=30)) == []
    assert len(list(log.read_all(filter_include=["Opened"]))) == 2


def test_live_events_are_filtered(client, stream, events):
    with client.subscribe_to_all(from_end=True, filter_include=["Wanted"], timeout=PATIENCE) as subscription:
        mixed = [*events(3, type="Unwanted"), *events(1, type="Wanted"), *events(2, type="Unwanted"), *events(1, type="Wanted")]
        client.append_to_stream(stream, events=mixed, current_version=ANY)
        assert [event.stream_position for event in itertools.islice(subscription, 2)] == [3, 6]


def test_checkpoints_come_for_what_a_filter_leaves_out(own_client, events):
    own_client.append_to_stream("noise-1", events=events(200, type="Noise"), current_version=ANY)
    own_client.append_to_stream("wanted-1", events=events(1, type="Wanted"), current_version=ANY)
    with own_client.subscribe_to_all(
        filter_include=["Wanted"], include_checkpoints=True, include_caught_up=True, window_size=10,
        checkpoint_interval_multiplier=2, timeout=PATIENCE,
    ) as subscription:  # fmt: skip
        history = list(itertools.takewhile(lambda event: not event.is_caught_up, subscription))
        marks = [event for event in history if event.is_checkpoint]
        positions = [event.commit_position for event in history]
        assert 2 <= len(marks) <= 40
        assert positions == sorted(positions)
        assert len({mark.commit_position for mark in marks}) == len(marks)
        # Always one just before going live, at or after the last event.
        assert history[-1].is_checkpoint
        own_client.append_to_stream("noise-1", events=events(100, type="Noise"), current_version=ANY)
        live = next(subscription)
        assert live.is_checkpoint and live.commit_position > history[-1].commit_position


def test_a_subscription_goes_on_from_a_checkpoint(own_client, events):
    own_client.append_to_stream("noise-1", events=events(100, type="Noise"), current_version=ANY)
    wanted = {"filter_include": ["Wanted"], "timeout": PATIENCE}
    with own_client.subscribe_to_all(include_checkpoints=True, window_size=10, **wanted) as subscription:
        mark = next(subscription)
        assert mark.is_checkpoint
    own_client.append_to_stream("wanted-1", events=events(2, type="Wanted"), current_version=ANY)
    with own_client.subscribe_to_all(commit_position=mark.commit_position, **wanted) as subscription:
        assert [event.stream_position for event in itertools.islice(subscription, 2)] == [0, 1]


def test_no_interval_is_an_error_of_the_handler(client):
    with pytest.raises(published.ExceptionThrownByHandler):
        client.subscribe_to_all(checkpoint_interval_multiplier=0, timeout=PATIENCE)

"""The system's projections, as clients list them; users' own do not run here, and that is said."""

import pytest

import published
from published import NotFound

SYSTEM = ["$by_category", "$by_correlation_id", "$by_event_type", "$stream_by_category", "$streams"]


@pytest.mark.parametrize("name", SYSTEM)
def test_a_projection_of_the_systems_runs(client, name):
    told = client.get_projection_statistics(name=name)
    assert (told.name, told.status, told.progress) == (name, "Running", 100.0)
    client.enable_projection(name=name)


def test_a_projection_that_is_not_there_is_not_found(client):
    with pytest.raises(NotFound):
        client.get_projection_statistics(name="never-heard-of")
    with pytest.raises(NotFound):
        client.enable_projection(name="never-heard-of")


def test_a_projection_of_a_users_is_refused(client):
    with pytest.raises(published.AnyError, match="(?i)unimplemented|not supported|projection"):
        client.create_projection(name="ours", query="fromAll().when({})")

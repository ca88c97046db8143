"""Filters by prefix, of types and of streams."""

from log_of_filters import WRITTEN, log, read  # noqa: F401


def test_types_are_included_by_prefix(log):
    assert read(log, filter_include=["Place", "Dep"], filter_by_prefix=True) == [
        one for one in WRITTEN if one[1].startswith(("Place", "Dep"))
    ]


def test_streams_are_included_by_prefix(log):
    by_prefix = {"filter_by_stream_name": True, "filter_by_prefix": True}
    assert read(log, filter_include=["order-"], **by_prefix) == [one for one in WRITTEN if one[0].startswith("order")]
    assert read(log, filter_include=["order-1", "$$acc"], **by_prefix) == [("order-1", "Placed"), ("$$account-1", "$metadata")]


def test_prefixes_that_nothing_has_give_nothing(log):
    assert read(log, filter_include=["never"], filter_by_stream_name=True, filter_by_prefix=True) == []

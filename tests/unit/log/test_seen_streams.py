"""The filter never denies a stream that it was told of, whatever else it was told."""

from hypothesis import given
from hypothesis import strategies as st

from core.log.seen_streams import SeenStreams


@given(st.lists(st.text()))
def test_a_stream_that_was_added_is_never_lacking(names: list[str]) -> None:
    streams = SeenStreams()
    for name in names:
        streams.add(name)
    streams.complete()
    assert not any(streams.lacks(name) for name in names)


def test_before_it_was_told_of_all_nothing_is_lacking() -> None:
    streams = SeenStreams()
    assert not streams.lacks("a")
    streams.complete()
    assert streams.lacks("a")


def test_after_forgetting_nothing_is_lacking() -> None:
    streams = SeenStreams()
    streams.complete()
    streams.forget()
    assert not streams.lacks("a")


def test_few_of_those_that_are_absent_pass_for_present() -> None:
    streams = SeenStreams()
    for number in range(20_000):
        streams.add(f"there-{number}")
    streams.complete()
    assert sum(streams.lacks(f"absent-{number}") for number in range(10_000)) > 9_990

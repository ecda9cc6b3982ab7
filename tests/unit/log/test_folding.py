"""The newest event of each alarm, and folding."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarm.events import SCHEMA_VERSION
from core.errors import UnknownEvent
from core.log.folding import Fold, newest_events
from tests.unit.log.histories import history, long_history, moves


@given(moves)
def test_the_newest_events_of_a_history_carry_its_fold(steps: list[tuple[str, str]]) -> None:
    made = history(steps)
    newest = newest_events(made.events)
    assert {stream: event.alarm for stream, event in newest.items()} == made.fold()


@given(moves, st.randoms())
def test_the_latest_position_wins_in_whatever_order_events_come(
    steps: list[tuple[str, str]], random: Random
) -> None:
    made = history(steps)
    events = [*made.events, *made.events]
    random.shuffle(events)
    newest = newest_events(events)
    assert {stream: event.alarm for stream, event in newest.items()} == made.fold()


def test_the_fold_tells_what_changed_since_it_was_last_asked() -> None:
    events = long_history().events
    fold = Fold()
    for event in events[:2]:
        fold.add(event)
    assert fold.changed() == {event.stream: event.alarm for event in events[:2]}
    assert fold.changed() == {}
    fold.add(events[2])
    assert fold.changed() == {events[2].stream: events[2].alarm}


@pytest.mark.parametrize("change", [{"v": SCHEMA_VERSION + 1}, {"type": "alarm.dreamt"}])
def test_an_event_of_a_newer_version_is_refused(change: dict[str, object]) -> None:
    unknown = replace(long_history().events[0], **change)
    with pytest.raises(UnknownEvent):
        newest_events([unknown])
    with pytest.raises(UnknownEvent):
        Fold().add(unknown)


def test_the_fold_goes_on_from_the_facts_not_from_a_forged_snapshot() -> None:
    made = long_history()
    events = list(made.events)
    events[0] = replace(events[0], alarm=replace(events[0].alarm, text="forged"))
    fold = Fold()
    for event in events:
        fold.add(event)
    assert fold.alarms == made.fold()

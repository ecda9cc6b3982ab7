"""The newest row of each alarm, and the fold that proves the log."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarm.events import SCHEMA_VERSION, Event
from core.errors import UnknownEvent
from core.log.projection import Audit, Finding, Fold, differing_fields, newest_rows
from tests.kit.history import History

moves = st.lists(st.tuples(st.sampled_from(["raised", "cleared", "acknowledged"]), st.sampled_from("abc")))


def history(steps: list[tuple[str, str]]) -> History:
    made = History()
    for move, source in steps:
        getattr(made, move)(source)
    return made


def long_history() -> History:
    return history(
        [("raised", "a"), ("raised", "b"), ("acknowledged", "a"), ("cleared", "a"), ("raised", "a")]
    )


def findings(events: list[Event]) -> list[Finding]:
    audit = Audit()
    return [finding for event in events for finding in audit.add(event)]


@given(moves)
def test_the_newest_rows_of_a_history_are_its_fold(steps: list[tuple[str, str]]) -> None:
    made = history(steps)
    assert newest_rows(made.events) == made.fold()


@given(moves, st.randoms())
def test_the_latest_position_wins_in_whatever_order_events_come(
    steps: list[tuple[str, str]], random: Random
) -> None:
    made = history(steps)
    events = [*made.events, *made.events]
    random.shuffle(events)
    assert newest_rows(events) == made.fold()


@given(moves)
def test_a_sound_history_folds_without_a_finding(steps: list[tuple[str, str]]) -> None:
    made = history(steps)
    audit = Audit()
    assert [finding for event in made.events for finding in audit.add(event)] == []
    assert audit.fold.alarms == made.fold()
    assert audit.fold.position == len(made.events)


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
        newest_rows([unknown])
    with pytest.raises(UnknownEvent):
        Fold().add(unknown)


def test_a_missing_event_is_a_gap_in_positions_and_revisions() -> None:
    events = long_history().events
    del events[2]
    found = findings(events)
    assert {("position", 4), ("revision", 4)} <= {(each.kind, each.position) for each in found}


def test_a_wrong_revision_is_found() -> None:
    events = long_history().events
    events[4] = replace(events[4], revision=7)
    assert ("revision", 5) in {(each.kind, each.position) for each in findings(events)}


def test_a_time_that_runs_backwards_is_found() -> None:
    events = long_history().events
    events[4] = replace(events[4], at=events[4].at - timedelta(days=1))
    assert ("time", 5) in {(each.kind, each.position) for each in findings(events)}


def test_a_snapshot_that_is_not_its_fold_is_found_and_names_the_field() -> None:
    events = long_history().events
    events[1] = replace(events[1], alarm=replace(events[1].alarm, text="forged"))
    (found,) = findings(events)
    assert found == Finding("snapshot", 2, events[1].stream, "text is 'forged', its fold is ''")


def test_the_snapshot_of_an_earlier_version_is_not_held_against_its_fold() -> None:
    events = long_history().events
    events[1] = replace(events[1], v=SCHEMA_VERSION - 1, alarm=replace(events[1].alarm, text="of old"))
    assert findings(events) == []


def test_the_fold_goes_on_from_the_facts_not_from_a_forged_snapshot() -> None:
    made = long_history()
    events = list(made.events)
    events[0] = replace(events[0], alarm=replace(events[0].alarm, text="forged"))
    fold = Fold()
    for event in events:
        fold.add(event)
    assert fold.alarms == made.fold()


def test_differing_fields_have_both_values() -> None:
    row = long_history().events[0].alarm
    assert differing_fields(row, row) == {}
    assert differing_fields(row, replace(row, text="x", revision=9)) == {
        "text": ("", "x"),
        "revision": (1, 9),
    }

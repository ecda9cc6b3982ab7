"""What an audit finds in a log that was tampered with, and that it finds nothing else."""

from datetime import timedelta

from hypothesis import given
from msgspec.structs import replace

from core.alarm.events import SCHEMA_VERSION, Event
from core.log.audit import Audit, Finding, differing_fields
from tests.unit.log.histories import history, long_history, moves


def findings(events: list[Event]) -> list[Finding]:
    audit = Audit()
    return [finding for event in events for finding in audit.add(event)]


@given(moves)
def test_a_sound_history_folds_without_a_finding(steps: list[tuple[str, str]]) -> None:
    made = history(steps)
    audit = Audit()
    assert [finding for event in made.events for finding in audit.add(event)] == []
    assert audit.fold.alarms == made.fold()
    assert audit.fold.position == len(made.events)


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


def test_differing_fields_have_both_values() -> None:
    row = long_history().events[0].alarm
    assert differing_fields(row, row) == {}
    assert differing_fields(row, replace(row, text="x", revision=9)) == {
        "text": ("", "x"),
        "revision": (1, 9),
    }

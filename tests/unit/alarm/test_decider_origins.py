"""Several reporters hold one alarm active."""

from typing import Any

import pytest

from core.alarm.bounds import ORIGINS
from core.alarm.condition import Raise
from core.alarm.decider import decide
from core.alarm.facts import Cleared, Previous, Raised, Updated
from tests.kit.given import Given, acknowledging, clearing, raising, second


def repeated(given: Given, command: Raise) -> None:
    """The command comes once more, whether or not that is an event."""
    if decide(given.alarm, command) is not None:
        given.and_then(command)


def test_the_alarm_shows_the_highest_severity_of_its_origins() -> None:
    given = Given(raising("minor", origin="a"))
    assert given.and_then(raising("critical", origin="b")).alarm.severity == "critical"
    assert given.and_then(raising("major", origin="c")).alarm.severity == "critical"
    assert set(given.alarm.origins) == {"a", "b", "c"}


def test_a_second_origin_of_no_higher_severity_changes_only_the_origins() -> None:
    given = Given(raising("major", origin="a", text="A"), acknowledging(1))
    event = given.when(raising("major", origin="b", text="B", at=1))
    assert set(event.data) == {"origins"}
    assert (event.alarm.text, event.alarm.state, event.alarm.announced_revision) == ("A", "acked", 1)


def test_two_origins_that_repeat_side_by_side_record_nothing() -> None:
    """Alertmanager: a warning and a critical rule of one name, each with its own text."""
    warning: dict[str, Any] = {"origin": "w", "since": 1, "text": "above 80 %", "labels": {"rule": "w"}}
    critical: dict[str, Any] = {"origin": "c", "since": 2, "text": "above 95 %", "details": {"limit": 95}}
    given = Given(raising("warning", **warning), raising("critical", **critical))
    for _ in range(3):
        given.nothing_when(raising("warning", at=3600, **warning))
        given.nothing_when(raising("critical", at=3600, **critical))
    assert given.alarm.text == "above 95 %"


def test_two_origins_of_equal_severity_that_began_at_once_record_nothing_when_they_repeat() -> None:
    given = Given(raising(origin="a", since=1, text="A"), raising(origin="b", since=1, text="B"))
    given.nothing_when(raising(origin="a", since=1, text="A"))
    given.nothing_when(raising(origin="b", since=1, text="B"))


@pytest.mark.parametrize("first", ["a", "b"])
def test_repeats_settle_in_whatever_order_the_origins_came(first: str) -> None:
    of = {name: raising(origin=name, since=1, text=name.upper()) for name in "ab"}
    other = "b" if first == "a" else "a"
    given = Given(of[first], of[other])
    for name in (other, first):
        repeated(given, of[name])
    given.nothing_when(of["a"])
    given.nothing_when(of["b"])


def test_the_origin_that_is_left_shows_its_own_text_at_its_next_repeat() -> None:
    low = raising("warning", origin="w", since=1, text="above 80 %")
    given = Given(low, raising("critical", origin="c", since=2, text="above 95 %"), clearing("c"))
    assert given.alarm.severity == "warning"
    event = given.and_then(low)
    assert event.alarm.text == "above 80 %"
    given.nothing_when(low)


def test_a_severity_that_sinks_at_the_origin_that_held_the_highest_leaves_the_next_highest() -> None:
    given = Given(raising("minor", origin="a"), raising("critical", origin="b"))
    event = given.when(raising("warning", origin="b"))
    assert event.alarm.severity == "minor"
    assert isinstance(event.fact, Updated)
    assert event.fact.previous == Previous(severity="critical")


def test_a_severity_that_rises_below_the_highest_calls_nobody() -> None:
    given = Given(raising("warning", origin="a"), raising("critical", origin="b"), acknowledging(2))
    event = given.when(raising("major", origin="a"))
    assert (event.alarm.state, event.alarm.severity) == ("acked", "critical")


def test_a_condition_that_began_anew_is_recorded_for_the_sake_of_late_news() -> None:
    given = Given(raising(origin="a", since=1))
    event = given.when(raising(origin="a", since=7))
    assert event.alarm.origins["a"].since == second(7)
    assert event.alarm.occurrence == 1


def test_an_older_beginning_does_not_set_a_condition_back() -> None:
    given = Given(raising(origin="a", since=7))
    given.nothing_when(raising(origin="a", since=1))
    given.nothing_when(raising(origin="a", at=9))


def test_an_alarm_has_at_most_16_origins() -> None:
    given = Given(*(raising(origin=f"origin {number}") for number in range(ORIGINS)))
    refusal = given.refused_when(raising("critical", origin="one more"), "too_many_origins")
    assert refusal.alarm == given.alarm
    given.nothing_when(raising(origin="origin 3"))
    assert given.when(raising("critical", origin="origin 3")).alarm.severity == "critical"
    given.and_then(clearing("origin 3"))
    assert len(given.and_then(raising(origin="one more")).alarm.origins) == ORIGINS


def test_origins_of_the_last_occurrence_do_not_count() -> None:
    given = Given(*(raising(origin=f"origin {number}") for number in range(ORIGINS)), clearing())
    assert isinstance(given.when(raising(origin="new")).fact, Raised)
    assert list(given.when(raising(origin="new")).alarm.origins) == ["new"]


def test_an_alarm_with_as_many_origins_as_there_may_be_can_be_cleared() -> None:
    given = Given(*(raising(origin=f"{number}") for number in range(ORIGINS)))
    for number in range(ORIGINS - 1):
        assert given.and_then(clearing(f"{number}")).alarm.active
    assert isinstance(given.and_then(clearing("15")).fact, Cleared)

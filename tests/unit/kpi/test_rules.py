"""What other rules would have called, from the same events."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from core.kpi.activity import Activity, activity_of
from core.kpi.rules import Rules, applied
from tests.kit.history import BEGINNING, Shift
from tests.kit.shifts import shift, steps


def activities_of(*moves: tuple[str, str, float]) -> list[Activity]:
    return [each for event in shift(moves).events if (each := activity_of(event)) is not None]


def called(activities: list[Activity], rules: Rules) -> list[tuple[str, float]]:
    return [
        (each.source, since(each.at)) for each in applied(activities, rules) if each.kind == "annunciated"
    ]


def since(time: datetime) -> float:
    return (time - BEGINNING).total_seconds()


@given(steps)
def test_without_rules_nothing_changes(moves: list[tuple[str, str, float]]) -> None:
    activities = activities_of(*moves)
    assert list(applied(activities, Rules())) == activities
    # Nor if the period begins in the middle of it all.
    assert list(applied(activities[1:], Rules())) == activities[1:]


@given(steps, st.floats(0, 600), st.floats(0, 600), st.floats(0, 600))
def test_rules_never_call_more_often(
    moves: list[tuple[str, str, float]], on_delay: float, off_delay: float, deadband: float
) -> None:
    activities = activities_of(*moves)
    rules = Rules(on_delay=on_delay, off_delay=off_delay, deadband=deadband)
    assert len(called(activities, rules)) <= len(called(activities, Rules()))


def test_an_on_delay_leaves_out_alarms_that_did_not_last() -> None:
    activities = activities_of(("raised", "a", 5), ("cleared", "a", 60), ("raised", "a", 60))
    assert called(activities, Rules(on_delay=10)) == [("a", 75.0)]


def test_an_alarm_that_grew_worse_has_lasted_since_it_began() -> None:
    made = Shift()
    made.raised("a", "minor")
    made.wait(50)
    made.raised("a", "critical")
    made.wait(20)
    made.cleared("a")
    activities = [each for event in made.events if (each := activity_of(event)) is not None]
    assert called(activities, Rules(on_delay=60)) == [("a", 60.0)]
    assert called(activities, Rules(on_delay=40)) == [("a", 40.0), ("a", 50.0)]


def test_an_off_delay_takes_one_that_comes_back_soon_for_the_same() -> None:
    activities = activities_of(
        ("raised", "a", 60),
        ("cleared", "a", 5),
        ("raised", "a", 60),
        ("cleared", "a", 60),
        ("raised", "a", 0),
    )
    assert called(activities, Rules(off_delay=10)) == [("a", 0.0), ("a", 185.0)]


def test_an_alarm_bridged_by_an_off_delay_is_not_fleeting() -> None:
    activities = activities_of(*[("raised", "a", 5), ("cleared", "a", 5)] * 4)
    kept = list(applied(activities, Rules(off_delay=10)))
    assert [each.kind for each in kept] == ["annunciated", "cleared"]
    assert (kept[1].seconds, since(kept[1].at)) == (15.0, 45.0)


def test_a_deadband_calls_once_in_its_time() -> None:
    activities = activities_of(*[("raised", "a", 10), ("cleared", "a", 10)] * 6)
    assert called(activities, Rules(deadband=50)) == [("a", 0.0), ("a", 60.0)]


def test_a_shelved_source_calls_nobody() -> None:
    activities = activities_of(("raised", "a/1", 1), ("raised", "a/2", 1), ("raised", "b", 1))
    assert called(activities, Rules(shelved=frozenset({"a/*"}))) == [("b", 2.0)]


def test_a_rule_may_give_an_alarm_another_severity() -> None:
    activities = activities_of(("raised", "a", 1))
    (one,) = applied(activities, Rules(severities={"pressure": "warning"}))
    assert one.severity == "warning"

from typing import get_args

import pytest

from core.alarm.alarm import Severity
from core.alarm.events import ActorKind
from core.alarm.facts import Cleared, Previous, Updated
from tests.kit.given import Given, acknowledging, clearing, raising, second


def test_an_acknowledged_alarm_returns_to_normal() -> None:
    event = Given(raising(), acknowledging(1)).when(clearing(at=7))
    assert (event.type, event.revision) == ("alarm.cleared", 3)
    assert (event.alarm.state, event.alarm.active, event.alarm.origins) == ("normal", False, {})
    assert event.alarm.cleared_at == second(7)
    assert event.alarm.acked_by == "some operator"


def test_an_unacknowledged_alarm_waits_for_its_acknowledgement() -> None:
    event = Given(raising(text="hot")).when(clearing())
    assert (event.alarm.state, event.alarm.acked) == ("rtn_unacked", False)
    assert (event.alarm.text, event.alarm.severity, event.alarm.occurrence) == ("hot", "major", 1)
    assert event.alarm.raised_at == second(0)


@pytest.mark.parametrize("by", get_args(ActorKind))
def test_anyone_may_clear(by: ActorKind) -> None:
    assert Given(raising()).when(clearing(by=by)).alarm.state == "rtn_unacked"


@pytest.mark.parametrize("by", ["source", "operator"])
def test_an_alarm_that_never_was_is_unknown(by: ActorKind) -> None:
    refusal = Given().refused_when(clearing(by=by), "unknown_alarm")
    assert refusal.alarm is None


def test_an_alarm_of_another_tenant_is_unknown() -> None:
    refusal = Given(raising()).refused_when(clearing(tenant="other"), "unknown_alarm")
    assert refusal.alarm is None
    assert refusal.detail == Given().refused_when(clearing(), "unknown_alarm").detail


def test_clearing_an_inactive_alarm_is_nothing_to_a_source_and_refused_to_an_operator() -> None:
    given = Given(raising(), clearing())
    given.nothing_when(clearing())
    given.nothing_when(clearing(by="system"))
    assert given.refused_when(clearing(by="operator"), "not_active").alarm == given.alarm


class TestOrigins:
    def test_the_last_origins_clear_clears_the_alarm(self) -> None:
        given = Given(raising("critical", origin="a"), raising("minor", origin="b"))
        event = given.and_then(clearing("a"))
        assert isinstance(event.fact, Updated)
        assert event.fact.previous == Previous(severity="critical")
        assert (event.alarm.active, event.alarm.severity, set(event.alarm.origins)) == (True, "minor", {"b"})
        event = given.and_then(clearing("b"))
        assert event.fact == Cleared(origin="b")
        assert event.alarm.state == "rtn_unacked"

    def test_the_clear_of_an_origin_that_did_not_hold_the_severity_changes_only_the_origins(self) -> None:
        event = Given(raising("critical", origin="a"), raising("minor", origin="b")).when(clearing("b"))
        assert set(event.data) == {"origins"}
        assert event.alarm.severity == "critical"

    def test_a_severity_that_falls_with_an_origins_clear_calls_nobody(self) -> None:
        given = Given(raising("critical", origin="a"), raising("minor", origin="b"), acknowledging(2))
        event = given.when(clearing("a"))
        assert (event.alarm.state, event.alarm.announced_revision) == ("acked", 1)

    @pytest.mark.parametrize("by", ["source", "operator"])
    def test_the_clear_of_an_origin_that_does_not_hold_the_alarm_changes_nothing(self, by: ActorKind) -> None:
        Given(raising(origin="a")).nothing_when(clearing("b", by=by))

    def test_the_nameless_origin_is_one_like_any_other(self) -> None:
        given = Given(raising(), raising(origin="a"))
        event = given.when(clearing(""))
        assert set(event.alarm.origins) == {"a"}

    def test_a_clear_without_an_origin_clears_all(self) -> None:
        event = Given(raising(origin="a"), raising(origin="b")).when(clearing(by="operator"))
        assert event.fact == Cleared()
        assert (event.alarm.active, event.alarm.origins) == (False, {})

    @pytest.mark.parametrize("severities", [("warning", "critical"), ("critical", "warning")])
    def test_a_severity_that_moves_between_origins_ends_once_both_are_gone(
        self, severities: tuple[Severity, Severity]
    ) -> None:
        """Alertmanager: severity is in the fingerprint; the new one fires before the old one is resolved."""
        old, new = severities
        given = Given(raising(old, origin="old", since=0), raising(new, origin="new", since=60))
        given.and_then(clearing("old", since=0))
        assert (given.alarm.severity, given.alarm.occurrence) == (new, 1)
        assert given.and_then(clearing("new", since=60)).type == "alarm.cleared"


class TestLateNews:
    """A resolve that arrives after its condition began anew (field: Alertmanager)."""

    def test_the_end_of_an_older_condition_changes_nothing(self) -> None:
        given = Given(raising(origin="a", since=5))
        given.nothing_when(clearing("a", since=4))

    @pytest.mark.parametrize("since", [None, 5, 6])
    def test_the_end_of_the_present_condition_clears(self, since: float | None) -> None:
        assert not Given(raising(origin="a", since=5)).when(clearing("a", since=since)).alarm.active

    def test_a_fraction_of_a_millisecond_does_not_make_a_clear_late(self) -> None:
        given = Given(raising(origin="a", since=5.0009))
        assert given.when(clearing("a", since=5.0001)).type == "alarm.cleared"
        assert given.when(clearing("a", since=5.0009)).type == "alarm.cleared"

    def test_a_condition_that_began_anew_while_another_origin_held_the_alarm_outlasts_a_late_clear(
        self,
    ) -> None:
        given = Given(
            raising(origin="a", since=1), raising(origin="b", since=1), raising(origin="a", since=9)
        )
        given.nothing_when(clearing("a", since=1))
        assert given.when(clearing("b", since=1)).alarm.active

    def test_a_condition_that_began_anew_as_another_occurrence_outlasts_a_late_clear(self) -> None:
        given = Given(raising(origin="a", since=1), clearing("a", since=1), raising(origin="a", since=9))
        given.nothing_when(clearing("a", since=1))
        assert given.alarm.active


def test_a_latched_alarm_stays_active_though_its_condition_is_gone() -> None:
    given = Given(raising(latched=True), acknowledging(1))
    event = given.and_then(clearing(at=4))
    assert (event.type, event.alarm.active, event.alarm.state) == ("alarm.cleared", True, "acked")
    assert (event.alarm.origins, event.alarm.cleared_at) == ({}, second(4))
    given.nothing_when(clearing())
    given.refused_when(clearing(by="operator"), "not_active")

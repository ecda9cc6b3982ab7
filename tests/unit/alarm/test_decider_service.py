"""Suppression by design, and removal from service."""

from itertools import permutations

import pytest

from core.alarm.commands import Command
from core.alarm.events import ActorKind
from core.alarm.facts import PlacedInService, RemovedFromService, Suppressed, Unsuppressed
from tests.kit.given import Given, acknowledging, clearing, raising
from tests.unit.alarm.responding import placing, removing, shelving, suppressing, unshelving, unsuppressing


class TestSuppress:
    @pytest.mark.parametrize("by", ["source", "system"])
    def test_an_alarm_is_suppressed_by_the_plant(self, by: ActorKind) -> None:
        given = Given(raising())
        event = given.and_then(suppressing(by=by, reason="start-up"))
        assert (event.type, event.fact) == ("alarm.suppressed", Suppressed(reason="start-up"))
        assert (event.alarm.suppressed, event.alarm.state) == (True, "suppressed")
        event = given.when(unsuppressing(by=by, reason="running"))
        assert (event.type, event.fact) == ("alarm.unsuppressed", Unsuppressed(reason="running"))
        assert (event.alarm.suppressed, event.alarm.state) == (False, "unacked")

    def test_an_operator_never_suppresses_an_alarm(self) -> None:
        given = Given(raising())
        assert given.refused_when(suppressing(by="operator"), "forbidden").alarm == given.alarm
        given.refused_when(unsuppressing(by="operator"), "forbidden")
        given.and_then(suppressing())
        given.refused_when(suppressing(by="operator"), "forbidden")
        given.refused_when(unsuppressing(by="operator"), "forbidden")

    def test_an_administrator_suppresses_and_stays_an_operator(self) -> None:
        given = Given(raising())
        event = given.and_then(suppressing(by="operator", administrator=True))
        assert (event.actor.kind, event.alarm.suppressed) == ("operator", True)
        given.refused_when(suppressing(by="operator", administrator=True), "already_suppressed")
        event = given.and_then(unsuppressing(by="operator", administrator=True))
        assert (event.actor.kind, event.alarm.suppressed) == ("operator", False)

    def test_suppressing_twice_is_refused(self) -> None:
        given = Given(raising())
        given.refused_when(unsuppressing(), "not_suppressed")
        given.and_then(suppressing())
        given.refused_when(suppressing(), "already_suppressed")

    def test_a_suppressed_alarm_goes_on_being_raised_and_cleared(self) -> None:
        given = Given(raising(), acknowledging(1), clearing(), suppressing(), raising("critical"))
        assert (given.alarm.state, given.alarm.occurrence, given.alarm.active) == ("suppressed", 2, True)
        assert given.when(unsuppressing()).alarm.state == "unacked"
        given.and_then(clearing())
        assert given.alarm.state == "suppressed"
        assert given.when(unsuppressing()).alarm.state == "rtn_unacked"

    def test_the_reason_of_a_suppression_has_its_bound(self) -> None:
        given = Given(raising())
        given.refused_when(suppressing(reason="x" * 4097), "invalid")
        given.and_then(suppressing(reason="x" * 4096))
        given.refused_when(unsuppressing(reason="x" * 4097), "invalid")

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        Given().refused_when(suppressing(), "unknown_alarm")
        Given().refused_when(unsuppressing(), "unknown_alarm")


class TestService:
    def test_an_operator_takes_an_alarm_out_and_back(self) -> None:
        given = Given(raising())
        event = given.and_then(removing("repair"))
        assert (event.type, event.fact) == ("alarm.removed_from_service", RemovedFromService(reason="repair"))
        assert (event.alarm.out_of_service, event.alarm.state) == (True, "out_of_service")
        event = given.when(placing("repaired"))
        assert (event.type, event.fact) == ("alarm.placed_in_service", PlacedInService(reason="repaired"))
        assert (event.alarm.out_of_service, event.alarm.state) == (False, "unacked")

    @pytest.mark.parametrize("by", ["source", "system"])
    def test_nobody_but_an_operator_takes_an_alarm_out_of_service(self, by: ActorKind) -> None:
        given = Given(raising())
        given.refused_when(removing(by=by), "forbidden")
        given.and_then(removing())
        given.refused_when(placing(by=by), "forbidden")

    @pytest.mark.parametrize("reason", ["", " \t\n", "x" * 4097])
    def test_taking_out_of_service_requires_a_reason_which_has_its_bound(self, reason: str) -> None:
        given = Given(raising())
        given.refused_when(removing(reason), "invalid")
        given.and_then(removing())
        given.refused_when(placing(reason), "invalid")

    def test_taking_out_of_service_twice_is_refused(self) -> None:
        given = Given(raising())
        given.refused_when(placing(), "not_out_of_service")
        given.and_then(removing())
        assert given.refused_when(removing(), "already_out_of_service").alarm == given.alarm

    def test_an_alarm_out_of_service_goes_on_being_raised_and_cleared(self) -> None:
        given = Given(raising(), removing(), clearing())
        assert (given.alarm.state, given.alarm.active) == ("out_of_service", False)
        given.and_then(raising())
        assert (given.alarm.state, given.alarm.occurrence) == ("out_of_service", 2)
        assert given.when(placing()).alarm.state == "unacked"

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        Given().refused_when(removing(), "unknown_alarm")
        Given().refused_when(placing(), "unknown_alarm")


@pytest.mark.parametrize(
    ("commands", "state"),
    [
        ([shelving()], "shelved"),
        ([shelving(None)], "shelved"),
        ([suppressing(), shelving()], "suppressed"),
        ([removing(), shelving()], "out_of_service"),
        ([removing(), suppressing()], "out_of_service"),
        ([removing(), suppressing(), shelving(), acknowledging(1)], "out_of_service"),
        ([acknowledging(1), clearing(), suppressing()], "suppressed"),
    ],
)
def test_the_state_is_the_first_that_holds_in_whatever_order_they_came(
    commands: list[Command], state: str
) -> None:
    """Out of service, suppressed, shelved, then the rest (ISA-18.2 §5)."""
    for order in permutations(commands):
        assert Given(raising(), *order).alarm.state == state


def test_a_state_that_ends_uncovers_the_next() -> None:
    given = Given(raising(), removing(), suppressing(), shelving(), acknowledging(1))
    ends: list[Command] = [placing(), unsuppressing(), unshelving(), clearing()]
    states = [given.and_then(each).alarm.state for each in ends]
    assert states == ["suppressed", "shelved", "acked", "normal"]

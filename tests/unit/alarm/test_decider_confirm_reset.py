import pytest

from core.alarm.commands import Command
from core.alarm.facts import Confirmed, Updated, WasReset
from tests.kit.given import Given, acknowledging, clearing, raising, second
from tests.unit.alarm.responding import confirming, resetting, shelving, unshelving


class TestConfirm:
    @pytest.mark.parametrize("history", [[], [clearing()]], ids=["active", "returned to normal"])
    def test_an_acknowledged_alarm_can_be_confirmed(self, history: list[Command]) -> None:
        given = Given(raising(), acknowledging(1), *history)
        assert given.alarm.confirmed is False
        event = given.when(confirming())
        assert (event.type, event.fact, event.data) == ("alarm.confirmed", Confirmed(), {})
        assert event.alarm.confirmed
        assert event.alarm.state == given.alarm.state

    @pytest.mark.parametrize("history", [[], [clearing()]], ids=["active", "returned to normal"])
    def test_an_unacknowledged_alarm_cannot_be_confirmed(self, history: list[Command]) -> None:
        given = Given(raising(), *history)
        assert given.refused_when(confirming(), "not_acknowledged").alarm == given.alarm

    def test_a_second_confirmation_is_refused(self) -> None:
        Given(raising(), acknowledging(1), confirming()).refused_when(confirming(), "already_confirmed")

    @pytest.mark.parametrize(
        "again",
        [
            [raising("critical")],
            [clearing(), raising()],
        ],
        ids=["a higher severity", "a new occurrence"],
    )
    def test_an_announcement_needs_a_new_confirmation(self, again: list[Command]) -> None:
        given = Given(raising(), acknowledging(1), confirming(), *again)
        assert given.alarm.confirmed is None
        given.refused_when(confirming(), "not_acknowledged")
        given.and_then(acknowledging(given.alarm.revision))
        assert given.when(confirming()).alarm.confirmed

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        assert Given().refused_when(confirming(), "unknown_alarm").alarm is None


class TestReset:
    def test_a_latched_alarm_returns_to_normal_by_its_reset_and_not_by_the_clear(self) -> None:
        given = Given(raising(latched=True), acknowledging(1), clearing(at=4))
        assert (given.alarm.active, given.alarm.state) == (True, "acked")
        event = given.when(resetting(at=9))
        assert (event.type, event.fact, event.data) == ("alarm.reset", WasReset(), {})
        assert (event.alarm.active, event.alarm.state) == (False, "normal")
        assert event.alarm.cleared_at == second(4)

    def test_a_latched_alarm_that_was_reset_waits_for_its_acknowledgement(self) -> None:
        given = Given(raising(latched=True), clearing())
        event = given.and_then(resetting())
        assert (event.alarm.state, event.alarm.acked) == ("rtn_unacked", False)
        assert given.when(acknowledging(1)).alarm.state == "normal"

    def test_an_alarm_that_is_not_latched_has_no_reset(self) -> None:
        given = Given(raising())
        assert given.refused_when(resetting(), "not_latched").alarm == given.alarm
        given.and_then(clearing())
        given.refused_when(resetting(), "not_latched")

    def test_a_latched_alarm_whose_condition_stands_cannot_be_reset(self) -> None:
        given = Given(raising(latched=True, origin="a"), raising(latched=True, origin="b"), clearing("a"))
        given.refused_when(resetting(), "still_active")
        given.and_then(clearing("b"))
        assert not given.when(resetting()).alarm.active

    def test_a_latched_alarm_is_reset_once(self) -> None:
        Given(raising(latched=True), clearing(), resetting()).refused_when(resetting(), "not_latched")

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        assert Given().refused_when(resetting(), "unknown_alarm").alarm is None

    def test_after_a_reset_the_next_activation_is_another_occurrence_and_latches_anew(self) -> None:
        given = Given(raising(latched=True), acknowledging(1), clearing(), resetting())
        event = given.and_then(raising(latched=True))
        assert (event.type, event.alarm.occurrence, event.alarm.state) == ("alarm.raised", 2, "unacked")
        assert event.alarm.latched
        assert given.when(clearing()).alarm.active

    def test_after_a_reset_the_next_activation_may_come_without_the_latch(self) -> None:
        given = Given(raising(latched=True), clearing(), resetting(), raising())
        assert not given.when(clearing()).alarm.active


class TestTheConditionComesBack:
    """Before a latched alarm was reset: the alarm never ended, so it is announced again."""

    def test_a_condition_that_comes_back_under_the_latch_is_announced_again(self) -> None:
        given = Given(raising(latched=True), acknowledging(1), confirming(), clearing(at=4))
        event = given.and_then(raising(latched=True, at=9))
        assert isinstance(event.fact, Updated)
        assert event.fact.reannounced
        assert (event.alarm.state, event.alarm.announced_revision) == ("unacked", 5)
        assert (event.alarm.acked_by, event.alarm.confirmed) == (None, None)
        assert (event.alarm.occurrence, event.alarm.raised_at) == (1, second(0))
        given.refused_when(acknowledging(4), "revision_outdated")
        given.refused_when(resetting(), "still_active")

    def test_a_condition_that_comes_back_with_a_lower_severity_is_announced_again(self) -> None:
        given = Given(raising("critical", latched=True), acknowledging(1), clearing())
        event = given.when(raising("minor", latched=True))
        assert isinstance(event.fact, Updated)
        assert event.fact.reannounced
        assert (event.alarm.state, event.alarm.severity) == ("unacked", "minor")

    def test_an_alarm_whose_condition_came_back_is_no_longer_cleared(self) -> None:
        given = Given(raising(latched=True), clearing(at=4), raising(latched=True, at=9))
        assert given.alarm.cleared_at is None
        assert given.and_then(clearing(at=12)).alarm.cleared_at == second(12)

    def test_a_condition_came_back_at_the_time_that_the_source_says(self) -> None:
        given = Given(raising(latched=True, occurred=0), clearing(at=4))
        assert given.alarm.occurred_at == second(4)
        assert given.when(raising(latched=True, at=9, occurred=8)).alarm.occurred_at == second(8)

    def test_a_latch_that_is_given_up_ends_with_the_clear(self) -> None:
        given = Given(raising(latched=True), clearing(), raising(latched=False))
        event = given.when(clearing())
        assert (event.alarm.active, event.alarm.state) == (False, "rtn_unacked")


class TestOneShotShelfOfALatchedAlarm:
    def test_a_one_shot_shelf_ends_with_the_reset(self) -> None:
        given = Given(raising(latched=True), shelving(None))
        event = given.and_then(clearing())
        assert (event.data, event.alarm.shelving, event.alarm.state) == ({}, "one_shot", "shelved")
        event = given.when(resetting())
        assert event.data == {"unshelved": True}
        assert (event.alarm.shelving, event.alarm.state) == ("unshelved", "rtn_unacked")
        assert (event.alarm.shelved_by, event.alarm.shelf_reason) == (None, None)

    def test_a_timed_shelf_does_not_end_with_the_reset(self) -> None:
        event = Given(raising(latched=True), shelving(60), clearing()).when(resetting())
        assert (event.data, event.alarm.shelving, event.alarm.state) == ({}, "timed", "shelved")

    def test_a_one_shot_shelf_that_was_ended_before_does_not_end_with_the_reset(self) -> None:
        event = Given(raising(latched=True), shelving(None), unshelving(), clearing()).when(resetting())
        assert event.data == {}

import math
from datetime import timedelta
from typing import get_args

import pytest
from msgspec.structs import replace

from core.alarm.commands import Command
from core.alarm.events import ActorKind
from core.alarm.facts import Shelved, Unshelved
from core.errors import InvalidInput
from tests.kit.given import Given, acknowledging, clearing, context, raising, second
from tests.unit.alarm.responding import DAY, expiring, shelving, unshelving


class TestShelve:
    def test_an_alarm_is_shelved_for_a_time(self) -> None:
        event = Given(raising()).when(shelving(60, at=5, reason="noise"))
        assert event.type == "alarm.shelved"
        assert event.fact == Shelved(shelving="timed", until=second(65), reason="noise")
        assert (event.alarm.state, event.alarm.shelving) == ("shelved", "timed")
        assert event.alarm.shelved_until == second(65)
        assert (event.alarm.shelved_by, event.alarm.shelf_reason) == ("some operator", "noise")
        assert (event.alarm.active, event.alarm.acked) == (True, False)

    def test_an_alarm_is_shelved_until_it_next_returns_to_normal(self) -> None:
        event = Given(raising()).when(shelving(None))
        assert event.fact == Shelved(shelving="one_shot")
        assert (event.alarm.state, event.alarm.shelving) == ("shelved", "one_shot")
        assert event.alarm.shelved_until is None

    @pytest.mark.parametrize(
        "history", [[clearing()], [acknowledging(1)], [acknowledging(1), clearing()]], ids=len
    )
    def test_an_alarm_can_be_shelved_in_any_state(self, history: list[Command]) -> None:
        assert Given(raising(), *history).when(shelving()).alarm.state == "shelved"

    @pytest.mark.parametrize("seconds", [0.001, 0.5, DAY])
    def test_a_shelf_lasts_as_long_as_was_asked_for(self, seconds: float) -> None:
        until = Given(raising()).when(shelving(seconds)).alarm.shelved_until
        assert until == second(0) + timedelta(seconds=seconds)

    @pytest.mark.parametrize("seconds", [0, -1, DAY + 0.001, math.inf, -math.inf, math.nan])
    def test_a_time_that_is_out_of_bounds_is_refused(self, seconds: float) -> None:
        refusal = Given(raising()).refused_when(shelving(seconds), "invalid")
        assert isinstance(refusal, InvalidInput)
        assert str(DAY) in refusal.detail

    def test_the_longest_shelf_is_the_callers_to_say(self) -> None:
        given = Given(raising())
        given.refused_when(shelving(11, most=10), "invalid")
        assert given.when(shelving(10, most=10)).alarm.shelved_until == second(10)
        assert given.when(shelving(None, most=10)).alarm.shelving == "one_shot"

    def test_the_end_of_a_shelf_is_cut_to_milliseconds(self) -> None:
        assert Given(raising()).when(shelving(1.0009, at=1.0004)).alarm.shelved_until == second(2.001)

    @pytest.mark.parametrize("first", [60, None])
    @pytest.mark.parametrize("then", [60, 90, None])
    def test_shelving_twice_is_refused(self, first: float | None, then: float | None) -> None:
        given = Given(raising(), shelving(first))
        assert given.refused_when(shelving(then), "already_shelved").alarm == given.alarm

    def test_bad_input_is_refused_as_such_whatever_the_state(self) -> None:
        Given(raising(), shelving()).refused_when(shelving(0), "invalid")

    def test_the_reason_of_a_shelf_has_its_bound(self) -> None:
        given = Given(raising())
        given.when(shelving(reason="é" * 2048))
        given.refused_when(shelving(reason="é" * 2049), "invalid")

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        Given().refused_when(shelving(), "unknown_alarm")
        foreign = replace(shelving(), context=context("operator", tenant="other"))
        Given(raising()).refused_when(foreign, "unknown_alarm")


class TestUnshelve:
    @pytest.mark.parametrize("seconds", [60, None])
    def test_an_operator_unshelves_an_alarm(self, seconds: float | None) -> None:
        event = Given(raising(), shelving(seconds, reason="noise")).when(unshelving())
        assert (event.type, event.fact) == ("alarm.unshelved", Unshelved(cause="operator"))
        assert (event.alarm.state, event.alarm.shelving) == ("unacked", "unshelved")
        shelf = (event.alarm.shelved_until, event.alarm.shelved_by, event.alarm.shelf_reason)
        assert shelf == (None, None, None)

    @pytest.mark.parametrize("by", get_args(ActorKind))
    def test_an_alarm_that_is_not_shelved_cannot_be_unshelved(self, by: ActorKind) -> None:
        Given(raising()).refused_when(unshelving(by=by), "not_shelved")
        Given(raising(), shelving(), unshelving()).refused_when(unshelving(by=by), "not_shelved")

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        Given().refused_when(unshelving(), "unknown_alarm")
        Given().refused_when(expiring(60), "unknown_alarm")

    @pytest.mark.parametrize("acked", [True, False])
    def test_unshelving_leaves_the_acknowledgement_as_it_was(self, acked: bool) -> None:
        given = Given(raising(), *([acknowledging(1)] if acked else []), shelving())
        event = given.when(unshelving())
        assert (event.alarm.acked, event.alarm.state) == (acked, "acked" if acked else "unacked")
        assert event.alarm.announced_revision == 1

    def test_an_unshelved_alarm_can_be_shelved_again(self) -> None:
        event = Given(raising(), shelving(), unshelving()).when(shelving(60, at=100))
        assert event.alarm.shelved_until == second(160)


class TestExpiry:
    def test_the_expiry_of_the_present_shelf_ends_it(self) -> None:
        event = Given(raising(), shelving(60)).when(expiring(60))
        assert event.fact == Unshelved(cause="expired")
        assert (event.alarm.state, event.alarm.shelved_until) == ("unacked", None)
        assert event.actor.kind == "system"

    @pytest.mark.parametrize(
        "since",
        [
            [unshelving()],
            [unshelving(), shelving(60, at=1)],
            [unshelving(), shelving(None)],
            [expiring(60)],
        ],
        ids=["unshelved", "renewed", "one-shot now", "expired already"],
    )
    def test_the_expiry_of_a_shelf_that_is_no_more_changes_nothing(self, since: list[Command]) -> None:
        Given(raising(), shelving(60), *since).nothing_when(expiring(60))

    def test_an_expiry_for_another_end_changes_nothing(self) -> None:
        given = Given(raising(), shelving(60))
        given.nothing_when(expiring(59.999))
        given.nothing_when(expiring(60.001))

    def test_an_expiry_of_a_one_shot_shelf_changes_nothing(self) -> None:
        Given(raising(), shelving(None)).nothing_when(expiring(60))


class TestRaisedAndClearedUnderneath:
    @pytest.mark.parametrize("seconds", [60, None])
    def test_a_raise_on_the_shelf_is_recorded_and_stays_out_of_sight(self, seconds: float | None) -> None:
        given = Given(raising(), acknowledging(1), clearing(), shelving(seconds))
        event = given.and_then(raising("critical", at=9))
        assert (event.type, event.alarm.state, event.alarm.occurrence) == ("alarm.raised", "shelved", 2)
        assert event.alarm.shelving == ("one_shot" if seconds is None else "timed")

    @pytest.mark.parametrize("ending", [unshelving(), expiring(60)], ids=["operator", "expired"])
    def test_an_alarm_raised_on_the_shelf_comes_back_unacknowledged(self, ending: Command) -> None:
        given = Given(raising(), acknowledging(1), clearing(), shelving(60), raising())
        event = given.and_then(ending)
        assert (event.alarm.state, event.alarm.acked_by) == ("unacked", None)
        given.refused_when(acknowledging(4), "revision_outdated")

    def test_an_alarm_announced_again_on_the_shelf_comes_back_unacknowledged(self) -> None:
        given = Given(raising("minor"), acknowledging(1), shelving(60), raising("major"))
        assert given.alarm.state == "shelved"
        assert given.when(unshelving()).alarm.state == "unacked"

    def test_an_alarm_acknowledged_on_the_shelf_comes_back_acknowledged(self) -> None:
        given = Given(raising(), shelving(60), acknowledging(2))
        assert given.alarm.state == "shelved"
        assert given.when(unshelving()).alarm.state == "acked"

    def test_a_clear_leaves_a_timed_shelf(self) -> None:
        given = Given(raising(), shelving(60))
        event = given.and_then(clearing())
        assert (event.data, event.alarm.state, event.alarm.active) == ({}, "shelved", False)
        assert event.alarm.shelved_until == second(60)
        assert given.when(expiring(60)).alarm.state == "rtn_unacked"

    @pytest.mark.parametrize("acked", [True, False])
    def test_the_return_to_normal_ends_a_one_shot_shelf_in_the_same_event(self, acked: bool) -> None:
        given = Given(raising(), *([acknowledging(1)] if acked else []), shelving(None, reason="noise"))
        event = given.when(clearing())
        assert (event.type, event.data) == ("alarm.cleared", {"unshelved": True})
        assert (event.alarm.shelving, event.alarm.state) == (
            "unshelved",
            "normal" if acked else "rtn_unacked",
        )
        assert (event.alarm.shelved_by, event.alarm.shelf_reason) == (None, None)

    def test_only_the_last_origins_clear_is_a_return_to_normal(self) -> None:
        given = Given(raising(origin="a"), raising(origin="b"), shelving(None))
        event = given.and_then(clearing("a"))
        assert (event.type, event.alarm.shelving) == ("alarm.updated", "one_shot")
        assert given.when(clearing("b")).data == {"origin": "b", "unshelved": True}

    def test_a_one_shot_shelf_on_a_normal_alarm_waits_for_the_next_return(self) -> None:
        given = Given(raising(), acknowledging(1), clearing(), shelving(None))
        given.nothing_when(clearing())
        given.and_then(raising())
        assert given.alarm.state == "shelved"
        assert given.when(clearing()).data == {"unshelved": True}

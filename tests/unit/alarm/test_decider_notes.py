"""Who sees to an alarm, and what is said about it."""

from typing import get_args

import pytest

from core.alarm.commands import Command
from core.alarm.events import ActorKind
from core.alarm.facts import Assigned, Commented, Unassigned
from tests.kit.given import Given, acknowledging, clearing, raising
from tests.unit.alarm.responding import assigning, commenting, removing, shelving, suppressing, unassigning

STATES: list[list[Command]] = [
    [],
    [acknowledging(1)],
    [clearing()],
    [acknowledging(1), clearing()],
    [shelving()],
    [suppressing()],
    [removing()],
]


@pytest.mark.parametrize("history", STATES)
@pytest.mark.parametrize("by", get_args(ActorKind))
def test_anyone_may_assign_and_comment_in_any_state_and_nothing_else_changes(
    history: list[Command], by: ActorKind
) -> None:
    given = Given(raising(), *history)
    state = given.alarm.state
    for command in (assigning(by=by), unassigning(by=by), commenting(by=by)):
        assert given.and_then(command).alarm.state == state
    assert given.alarm.announced_revision == 1


class TestAssign:
    def test_an_alarm_is_assigned_to_somebody_and_then_to_somebody_else(self) -> None:
        given = Given(raising())
        event = given.and_then(assigning("olga"))
        assert (event.type, event.fact) == ("alarm.assigned", Assigned(assignee="olga"))
        assert event.alarm.assignee == "olga"
        assert given.when(assigning("oleg")).alarm.assignee == "oleg"

    def test_assigning_to_the_same_changes_nothing(self) -> None:
        Given(raising(), assigning("olga")).nothing_when(assigning("olga"))

    def test_an_assigned_alarm_is_assigned_to_nobody_again(self) -> None:
        given = Given(raising(), assigning("olga"))
        event = given.and_then(unassigning())
        assert (event.type, event.fact) == ("alarm.unassigned", Unassigned())
        assert event.alarm.assignee is None
        given.nothing_when(unassigning())

    @pytest.mark.parametrize("assignee", ["", "x" * 513, "\ud800"])
    def test_an_assignees_name_has_its_bounds(self, assignee: str) -> None:
        Given(raising()).refused_when(assigning(assignee), "invalid")
        Given(raising()).when(assigning("x" * 512))

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        Given().refused_when(assigning(), "unknown_alarm")
        Given().refused_when(unassigning(), "unknown_alarm")


class TestComment:
    def test_a_comment_is_counted_and_its_text_is_in_the_event(self) -> None:
        given = Given(raising())
        event = given.and_then(commenting("on my way"))
        assert (event.type, event.fact) == ("alarm.commented", Commented(text="on my way"))
        assert event.alarm.comment_count == 1
        assert event.alarm.text == ""

    def test_the_same_comment_may_be_made_twice(self) -> None:
        assert Given(raising(), commenting("hm")).when(commenting("hm")).alarm.comment_count == 2

    def test_a_comment_does_not_make_an_acknowledgement_outdated(self) -> None:
        assert Given(raising(), commenting()).when(acknowledging(1)).alarm.acked

    @pytest.mark.parametrize("text", ["", "x" * 4097, "\ud800"])
    def test_a_comments_text_has_its_bounds(self, text: str) -> None:
        Given(raising()).refused_when(commenting(text), "invalid")
        Given(raising()).when(commenting("x" * 4096))

    def test_an_alarm_that_never_was_is_unknown(self) -> None:
        Given().refused_when(commenting(), "unknown_alarm")

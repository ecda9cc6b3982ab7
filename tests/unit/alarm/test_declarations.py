"""Each command and each fact says all of itself, once."""

import pytest
from hypothesis import given

from core.alarm.alarm import Alarm
from core.alarm.commands import COMMANDS, REFUSALS, Command
from core.alarm.condition import Raise
from core.alarm.context import OF_EVERY_COMMAND, OfAlarm
from core.alarm.decider import allowed_commands, decide
from core.alarm.events import Event
from core.alarm.facts import FACT_TYPES, FACTS, Fact
from core.errors import Refusal, Refused
from core.roles import ROLES
from tests.kit.given import PUMP, Given, raising
from tests.unit.alarm.worlds import after, any_command, events, histories

FOUND_IN = "core.alarm."


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_a_name_roles_a_rule_and_refusals(command: type[Command]) -> None:
    assert command.name.replace("_", " ").title().replace(" ", "") == command.__name__
    assert command.roles
    assert command.roles <= ROLES
    assert callable(command.decide)
    assert isinstance(command.allowed(Given(raising()).alarm), bool)
    assert {refusal.code for refusal in command.refusals} <= REFUSALS.keys()


def test_no_command_is_left_out() -> None:
    own = {each for each in OfAlarm.__subclasses__() if each.__module__.startswith(FOUND_IN)}
    assert {*own, Raise} == set(COMMANDS)
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)


def test_no_two_refusals_share_a_code() -> None:
    declared = {refusal for command in COMMANDS for refusal in command.refusals} | {*OF_EVERY_COMMAND}
    assert len({refusal.code for refusal in declared}) == len(declared)


@given(histories(), any_command)
def test_a_command_is_refused_for_what_it_declares_alone(happened: list[Event], command: Command) -> None:
    assert refusal_of(after(happened), command) in (None, *OF_EVERY_COMMAND, *command.refusals)


def refusal_of(alarm: Alarm, command: Command) -> Refusal | None:
    try:
        decide(alarm, command)
    except Refused as refused:
        return refused.refusal
    return None


def test_an_alarm_that_never_was_can_only_be_raised() -> None:
    assert allowed_commands(Alarm.absent(PUMP.alarm_id)) == ["raise"]


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_has_a_stored_name_and_an_evolution(fact: type[Fact]) -> None:
    assert FACT_TYPES[fact.stored_as] is fact
    assert fact.stored_as.startswith("alarm.")
    assert callable(fact.changes)
    assert "stored_as" in vars(fact)


@given(events())
def test_what_a_fact_makes_of_an_alarm_are_fields_of_it(event: Event) -> None:
    assert event.fact.changes(event.alarm, event).keys() <= set(Alarm.__struct_fields__)

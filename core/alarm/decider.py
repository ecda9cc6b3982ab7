"""The alarm's rules: `decide` says what a command changes, as one event or nothing (ISA-18.2, OPC UA 9)."""

from datetime import datetime
from typing import assert_never

import msgspec
from msgspec.structs import replace

from core.alarm import condition, responses
from core.alarm.alarm import Alarm
from core.alarm.commands import (
    Acknowledge,
    Assign,
    Clear,
    Command,
    Comment,
    Confirm,
    Context,
    Expected,
    PlaceInService,
    Raise,
    RemoveFromService,
    Reset,
    Shelve,
    Suppress,
    Unassign,
    Unshelve,
    Unsuppress,
)
from core.alarm.events import FACT_NAMES, Event, Fact, milliseconds
from core.alarm.evolution import applied
from core.errors import Refused


def decide(alarm: Alarm, command: Command) -> Event | None:
    """Return the one event that the command adds to the alarm, not yet placed, or None: nothing changes.

    Raises:
        Refused: the command is against the rules as the alarm stands.
    """
    fact = _fact_of(alarm, command)
    return None if fact is None else _event(alarm, command.context, fact)


def allowed_commands(alarm: Alarm) -> list[str]:
    """Name the commands that some actor could give without being refused as the alarm stands.

    A source may clear at any time; `clear` is named where there is a condition to clear.
    """
    if alarm.revision == 0:
        return ["raise"]
    possible = {
        "clear": bool(alarm.origins),
        "acknowledge": not alarm.acked,
        "confirm": alarm.acked and not alarm.confirmed,
        "reset": alarm.latched and not alarm.origins,
        "shelve": alarm.shelving == "unshelved",
        "unshelve": alarm.shelving != "unshelved",
        "suppress": not alarm.suppressed,
        "unsuppress": alarm.suppressed,
        "remove_from_service": not alarm.out_of_service,
        "place_in_service": alarm.out_of_service,
    }
    return ["raise", *(name for name, holds in possible.items() if holds), "assign", "unassign", "comment"]


def _fact_of(alarm: Alarm, command: Command) -> Fact | None:
    # Another tenant's alarm is as good as none: its existence is not told either.
    if not isinstance(command, Raise) and (alarm.revision == 0 or alarm.tenant != command.context.tenant):
        raise Refused("unknown_alarm", "there is no such alarm")
    _check_expected(alarm, command.context.expected)
    return _rule(alarm, command)


def _check_expected(alarm: Alarm, expected: Expected | None) -> None:
    """Raise Refused unless the alarm is at an expected revision.

    That decides the race too: the event takes the revision after this one, which the log gives out once.
    """
    if expected is None or (alarm.revision > 0 and (expected == "any" or alarm.revision in expected)):
        return
    stands = f"at revision {alarm.revision}" if alarm.revision else "not there"
    raise Refused("precondition_failed", f"the alarm is {stands}", alarm)


def _rule(alarm: Alarm, command: Command) -> Fact | None:  # noqa: C901, PLR0911, PLR0912 (one case a command)
    match command:
        case Raise():
            return condition.raise_alarm(alarm, command)
        case Clear():
            return condition.clear(alarm, command)
        case Acknowledge():
            return responses.acknowledge(alarm, command)
        case Confirm():
            return responses.confirm(alarm)
        case Reset():
            return responses.reset(alarm)
        case Shelve():
            return responses.shelve(alarm, command)
        case Unshelve():
            return responses.unshelve(alarm, command)
        case Suppress():
            return responses.suppress(alarm, command)
        case Unsuppress():
            return responses.unsuppress(alarm, command)
        case RemoveFromService():
            return responses.remove_from_service(alarm, command)
        case PlaceInService():
            return responses.place_in_service(alarm, command)
        case Assign():
            return responses.assign(alarm, command)
        case Unassign():
            return responses.unassign(alarm)
        case Comment():
            return responses.comment(command)
        case _:
            assert_never(command)


def _event(alarm: Alarm, context: Context, fact: Fact) -> Event:
    now = milliseconds(context.now)
    event = Event(
        event_id=context.event_id,
        stream=alarm.id,
        revision=alarm.revision + 1,
        tenant=context.tenant,
        type=FACT_NAMES[type(fact)],
        at=now,
        occurred_at=milliseconds(context.occurred_at) if context.occurred_at else now,
        actor=context.actor,
        command_id=context.command_id,
        command_hash=context.command_hash,
        trace=context.trace,
        data=msgspec.to_builtins(fact, builtin_types=(datetime,)),
        alarm=alarm,
    )
    return replace(event, alarm=applied(alarm, event, fact))

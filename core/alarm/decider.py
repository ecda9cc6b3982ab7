"""The alarm's rules: `decide` says what a command changes, as one event or nothing (ISA-18.2, OPC UA 9)."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from core.alarm.alarm import Alarm
from core.alarm.commands import COMMANDS, Command
from core.alarm.condition import Raise
from core.alarm.context import PRECONDITION_FAILED, UNKNOWN_ALARM, Context, Expected
from core.alarm.events import Event, milliseconds
from core.alarm.evolution import applied
from core.alarm.facts import Fact
from core.errors import Refused


def decide(alarm: Alarm, command: Command) -> Event | None:
    """Return the one event that the command adds to the alarm, not yet placed, or None: nothing changes.

    Raises:
        Refused: the command is against the rules as the alarm stands.
    """
    # Another tenant's alarm is as good as none: its existence is not told either.
    if not isinstance(command, Raise) and (alarm.revision == 0 or alarm.tenant != command.context.tenant):
        raise Refused(UNKNOWN_ALARM, "there is no such alarm")
    _check_expected(alarm, command.context.expected)
    fact = command.decide(alarm)
    return None if fact is None else _event(alarm, command.context, fact)


def allowed_commands(alarm: Alarm) -> list[str]:
    """Name the commands that some actor could give without being refused as the alarm stands."""
    if alarm.revision == 0:
        return [Raise.name]
    return [command.name for command in COMMANDS if command.allowed(alarm)]


def _check_expected(alarm: Alarm, expected: Expected | None) -> None:
    """Raise Refused unless the alarm is at an expected revision.

    That decides the race too: the event takes the revision after this one, which the log gives out once.
    """
    if expected is None or (alarm.revision > 0 and (expected == "any" or alarm.revision in expected)):
        return
    stands = f"at revision {alarm.revision}" if alarm.revision else "not there"
    raise Refused(PRECONDITION_FAILED, f"the alarm is {stands}", alarm)


def _event(alarm: Alarm, context: Context, fact: Fact) -> Event:
    now = milliseconds(context.now)
    event = Event(
        event_id=context.event_id,
        stream=alarm.id,
        revision=alarm.revision + 1,
        tenant=context.tenant,
        type=fact.stored_as,
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

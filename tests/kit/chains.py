"""Chains of events to append, and what holds for every log that is read as a whole."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from core.alarm.alarm import Alarm, Identity
from core.alarm.commands import Command
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from core.alarm.evolution import evolve
from core.log.ports import Stamp
from tests.kit.logs import EventLog

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def absent(source: str = "line/1") -> Alarm:
    return Alarm.absent(Identity("default", source, "pressure").alarm_id)


def raised(before: Alarm, source: str = "line/1", **more: Any) -> Event:
    """The event of a raise that changes the alarm."""
    identity = Identity("default", source, "pressure")
    more.setdefault("text", uuid.uuid4().hex)
    return decided(
        before, Raise(context=context(**more.pop("by", {})), identity=identity, severity="major", **more)
    )


def decided(before: Alarm, command: Command) -> Event:
    event = decide(before, command)
    assert event is not None
    return event


def context(**more: Any) -> Context:
    given: dict[str, Any] = {
        "event_id": str(uuid.uuid4()),
        "tenant": "default",
        "actor": Actor("line", "source"),
        "now": BEGINNING,
    }
    return Context(**{**given, **more})


async def chain(log: EventLog, count: int, source: str = "line/1") -> list[Event]:
    """Append so many events of one alarm, each decided on the one before."""
    alarm, appended = absent(source), []
    for _ in range(count):
        appended.append(await log.append(alarm, raised(alarm, source)))
        alarm = appended[-1].alarm
    return appended


async def everything(log: EventLog, page: int = 100) -> list[Event]:
    """Read the whole log, checking what holds for all of it."""
    events: list[Event] = []
    while found := (await log.read(len(events), page)).events:
        assert len(found) <= page
        events += found
    check(events)
    return events


def check(events: Sequence[Event]) -> None:
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    alarms: dict[str, Alarm] = {}
    at = datetime.min.replace(tzinfo=UTC)
    for event in events:
        before = alarms.get(event.stream, Alarm.absent(event.stream))
        assert event.revision == before.revision + 1
        assert event.alarm == evolve(before, event)
        assert event.at >= at
        alarms[event.stream], at = event.alarm, event.at


def stamp_of(event: Event) -> Stamp:
    return Stamp(event.position, event.event_id, event.at)

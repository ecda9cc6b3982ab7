"""Events to append, each the first of an alarm of its own, and a store for them."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import uuid_utils

from adapters.memory.log import MemoryLog
from core.alarm.alarm import Alarm, Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from core.log.ports import Result, Stamp
from tests.kit.logs import EventLog


class AnsweringStore(MemoryLog):
    """A log as a store that answers every insert alike, and notes what came; None: it takes none."""

    def __init__(self, answer: Result | None) -> None:
        super().__init__("log")
        self._answer = answer
        self.inserted: list[Event] = []

    def encode(self, event: Event) -> tuple[Event, int]:
        return event, 1

    async def insert(self, documents: Sequence[Event]) -> Result:
        assert documents
        assert self._answer is not None
        self.inserted += documents
        return self._answer

    async def stamps(self, first: int, limit: int) -> Sequence[Stamp]:
        return ()

    async def stamp_of(self, stream: str, revision: int) -> Stamp | None:
        return None

    async def find(self, event: Event, key: Literal["event_id", "command"]) -> Event | None:
        return None


def first_raise(source: str | None = None) -> tuple[Alarm, Event]:
    """Return an alarm that was never raised, and its first event."""
    identity = Identity("default", source or f"source-{uuid.uuid4().hex}", "overpressure")
    actor = Actor(identity.source, "source")
    context = Context(event_id=str(uuid_utils.uuid7()), tenant="default", actor=actor, now=datetime.now(UTC))
    before = Alarm.absent(identity.alarm_id)
    event = decide(before, Raise(context=context, identity=identity, severity="major", text="12 bar"))
    assert event is not None
    return before, event


def large_raise(number: int = 0) -> tuple[Alarm, Event]:
    """Return an alarm that was never raised, and its first event: about as large as an event can be."""
    identity = Identity("default", f"large/{number}", "overpressure")
    actor = Actor(identity.source, "source")
    context = Context(event_id=str(uuid_utils.uuid7()), tenant="default", actor=actor, now=datetime.now(UTC))
    command = Raise(
        context=context,
        identity=identity,
        severity="major",
        text="t" * 4_000,
        details={"log": "d" * 15_000},
        labels={f"{label:03}".ljust(225, "n"): "v" * 225 for label in range(32)},
    )
    before = Alarm.absent(identity.alarm_id)
    event = decide(before, command)
    assert event is not None
    return before, event


async def append_large(log: EventLog, count: int) -> list[Event]:
    """Append the first events of that many alarms, `large/0` and on; return them as recorded."""
    recorded: list[Event] = []
    # So many at once are written well within the time that an append may take.
    for start in range(0, count, 100):
        some = [log.append(*large_raise(number)) for number in range(start, min(start + 100, count))]
        recorded += await asyncio.gather(*some)
    return recorded


async def appended(log: EventLog, count: int) -> list[Event]:
    """Append that many events, one after the other; return them as recorded."""
    return [await log.append(*first_raise()) for _ in range(count)]

"""Events to append, each the first of an alarm of its own."""

import uuid
from datetime import UTC, datetime

import uuid_utils

from core.alarm.alarm import Alarm, Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from tests.kit.logs import EventLog


def first_raise(source: str | None = None) -> tuple[Alarm, Event]:
    """Return an alarm that was never raised, and its first event."""
    identity = Identity("default", source or f"source-{uuid.uuid4().hex}", "overpressure")
    actor = Actor(identity.source, "source")
    context = Context(event_id=str(uuid_utils.uuid7()), tenant="default", actor=actor, now=datetime.now(UTC))
    before = Alarm.absent(identity.alarm_id)
    event = decide(before, Raise(context=context, identity=identity, severity="major", text="12 bar"))
    assert event is not None
    return before, event


async def appended(log: EventLog, count: int) -> list[Event]:
    """Append that many events, one after the other; return them as recorded."""
    return [await log.append(*first_raise()) for _ in range(count)]

"""The event that records in the log what happened to an alarm, and by whom.

The names and versions here are stored for good: a new field gets a default, none is ever retyped.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.facts import FACT_TYPES, Fact
from core.alarm.upcasting import upcast_data
from core.errors import UnknownEvent

ActorKind = Literal["source", "operator", "system"]


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who caused an event."""

    id: str
    kind: ActorKind


SCHEMA_VERSION = 1
"""The version of `data` and `alarm` that this code writes."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact, when and by whom: what a fold needs of an event.

    `position` is 0 until the log has placed the event; `at` is when the service recorded it, `occurred_at`
    when the source says it happened (UTC, ms). `data` is the fact as it is stored (see `fact`).
    """

    position: int = 0
    event_id: str
    stream: str
    revision: int
    tenant: str
    type: str
    v: int = SCHEMA_VERSION
    at: datetime
    occurred_at: datetime
    actor: Actor
    data: dict[str, Any]

    @property
    def fact(self) -> Fact:
        """The typed fact in `data`, brought up to the present version.

        Raises:
            UnknownEvent: the type or its version is newer than this code.
        """
        known = FACT_TYPES.get(self.type)
        if known is None or self.v > SCHEMA_VERSION:
            raise UnknownEvent(self.type, self.v, self.position)
        return msgspec.convert(upcast_data(self.type, self.data, self.v, SCHEMA_VERSION), known)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The alarm after an event, as the event of this position, type and version carries it."""

    position: int
    stream: str
    revision: int
    type: str
    v: int
    alarm: Alarm


class Event(Recorded, frozen=True, kw_only=True, gc=False):
    """What the log records: one fact, and the alarm as it stands afterwards.

    `command_id`, `command_hash`: the Idempotency-Key it came with and the hash of that request. `trace`: its
    W3C traceparent.
    """

    command_id: str | None = None
    command_hash: str | None = None
    trace: str | None = None
    alarm: Alarm

    @property
    def snapshot(self) -> Snapshot:
        """The alarm afterwards, and which event it is after."""
        return Snapshot(
            position=self.position,
            stream=self.stream,
            revision=self.revision,
            type=self.type,
            v=self.v,
            alarm=self.alarm,
        )


def milliseconds(time: datetime) -> datetime:
    """Cut a time to what the log stores."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)

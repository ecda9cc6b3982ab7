"""What can be asked of an alarm. Time and ids come in with the command; core reads no clock."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from core.alarm.alarm import Identity, Severity
from core.alarm.events import Actor

Expected = frozenset[int] | Literal["any"]
"""Revisions, or just that there is one."""


class Context(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who asks, when, and under which ids.

    `event_id` (UUIDv7) is minted once and kept through every retry and every new decision. `now` is the
    service's clock, `occurred_at` the source's (UTC, ms). `command_id` is the caller's Idempotency-Key,
    `command_hash` the hash of the request it came with, `trace` its W3C traceparent. `expected`: the
    revisions one of which the alarm must be at, or the command is refused ("any": it must exist).
    """

    event_id: str
    tenant: str
    actor: Actor
    now: datetime
    occurred_at: datetime | None = None
    command_id: str | None = None
    command_hash: str | None = None
    trace: str | None = None
    expected: Expected | None = None


class Raise(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The condition is there, by the word of `origin`, which holds the alarm active until it clears it.

    `since`: when the condition began at that origin, where the origin tells it apart from repeats.
    `latched`: the alarm stays active until it is reset, however soon the condition goes.
    """

    context: Context
    identity: Identity
    severity: Severity
    text: str = ""
    labels: dict[str, str] = {}
    details: dict[str, Any] = {}
    event_type: str | None = None
    probable_cause: str | None = None
    annunciate: bool = True
    latched: bool = False
    origin: str = ""
    since: datetime | None = None

    @property
    def alarm_id(self) -> str:
        """The id of the alarm it is about."""
        return self.identity.alarm_id


class Clear(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The condition is gone at `origin`, or altogether where none is named.

    `since`: the beginning of the condition that ended; an older one than the origin's present is late news.
    """

    context: Context
    alarm_id: str
    origin: str | None = None
    since: datetime | None = None


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An operator has taken note of the alarm as it stood at `revision`."""

    context: Context
    alarm_id: str
    revision: int


class Confirm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An operator has seen to the alarm after acknowledging it (OPC UA Part 9 §5.7.4)."""

    context: Context
    alarm_id: str


class Reset(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Let a latched alarm whose condition is gone return to normal (OPC UA Part 9 §5.8.5)."""

    context: Context
    alarm_id: str


class Shelve(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Take the alarm out of sight: for `seconds`, at most `max_seconds`; None: until it returns to normal."""

    context: Context
    alarm_id: str
    seconds: float | None
    max_seconds: float
    reason: str = ""


class Unshelve(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Bring the alarm back: by an operator, or because the shelf that ends at `expired` has run out."""

    context: Context
    alarm_id: str
    expired: datetime | None = None


class Suppress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Suppress by design: the plant's state makes the alarm meaningless (ISA-18.2 §11.7)."""

    context: Context
    alarm_id: str
    reason: str = ""


class Unsuppress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """End the suppression by design."""

    context: Context
    alarm_id: str
    reason: str = ""


class RemoveFromService(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Take the alarm out of service, for maintenance (ISA-18.2 §11.8)."""

    context: Context
    alarm_id: str
    reason: str


class PlaceInService(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Put the alarm back in service."""

    context: Context
    alarm_id: str
    reason: str


class Assign(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Make somebody the one who sees to the alarm."""

    context: Context
    alarm_id: str
    assignee: str


class Unassign(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Make nobody the one who sees to the alarm."""

    context: Context
    alarm_id: str


class Comment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Say something about the alarm."""

    context: Context
    alarm_id: str
    text: str


Command = (
    Raise
    | Clear
    | Acknowledge
    | Confirm
    | Reset
    | Shelve
    | Unshelve
    | Suppress
    | Unsuppress
    | RemoveFromService
    | PlaceInService
    | Assign
    | Unassign
    | Comment
)

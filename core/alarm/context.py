"""What every command comes with. Time and ids are part of it; core reads no clock."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Actor
from core.errors import INVALID, Refusal

Expected = frozenset[int] | Literal["any"]
"""Revisions, or just that there is one."""

UNKNOWN_ALARM = Refusal(
    "unknown_alarm", "absent", "there is no such alarm, or it is another tenant's", "raise it, or look it up"
)
PRECONDITION_FAILED = Refusal(
    "precondition_failed", "outdated", "the alarm is at another revision than If-Match names", "read it again"
)
FORBIDDEN = Refusal(
    "forbidden", "forbidden", "the caller's roles do not allow it", "ask with one of the roles in `detail`"
)
OF_EVERY_COMMAND = (UNKNOWN_ALARM, PRECONDITION_FAILED, INVALID)
"""What any command can be refused for, besides its own `refusals`."""


class Context(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who asks, when, and under which ids.

    `event_id` (UUIDv7) is minted once and kept through every retry and every new decision. `now` is the
    service's clock, `occurred_at` the source's (UTC, ms). `command_id` is the caller's Idempotency-Key,
    `command_hash` the hash of the request it came with, `trace` its W3C traceparent. `expected`: the
    revisions one of which the alarm must be at, or the command is refused ("any": it must exist).
    `administrator`: whoever asks has proven to be one, and may do by hand what is otherwise up to the plant.
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
    administrator: bool = False


class OfAlarm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A command on an alarm by its id.

    Each command declares its `name`, the `roles` that may give it, and as `decide` its rule. `refusals`: what
    the rule can refuse it for. `allowed`: whether some actor could give it as the alarm stands.
    """

    refusals: ClassVar[tuple[Refusal, ...]] = ()

    context: Context
    alarm_id: str

    @staticmethod
    def allowed(_: Alarm) -> bool:
        """At any time."""
        return True

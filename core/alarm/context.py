"""The context of a command. It carries time and ids, because core reads no clock."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Actor
from core.errors import INVALID, Refusal

Expected = frozenset[int] | Literal["any"]
"""The revisions to expect; "any": every one but 0."""

UNKNOWN_ALARM = Refusal(
    "unknown_alarm", "absent", "there is no such alarm, or it is another tenant's", "raise it, or look it up"
)
PRECONDITION_FAILED = Refusal(
    "precondition_failed", "outdated", "the alarm is at another revision than If-Match names", "read it again"
)
FORBIDDEN = Refusal(
    "forbidden", "forbidden", "the caller's roles do not allow it", "use one of the roles in `detail`"
)
OF_EVERY_COMMAND = (UNKNOWN_ALARM, PRECONDITION_FAILED, INVALID)
"""The refusals of every command, besides its own `refusals`."""


class Context(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A command's caller, times and ids.

    `event_id` (UUIDv7) stays the same through every retry and every new decision. `now` is the service's
    clock, `occurred_at` the source's (UTC, ms). `command_id` is the caller's Idempotency-Key, `command_hash`
    the hash of the request, `trace` its W3C traceparent. `expected`: the command is refused unless the alarm
    is at one of these revisions ("any": unless it exists). `administrator`: the caller is an authenticated
    administrator and may suppress by design, which is otherwise up to the plant.
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

    Each command declares its `name`, the `roles` that may send it, its rule (`decide`), the `refusals` that
    the rule raises, and whether the alarm as it stands allows the command to some actor (`allowed`).
    """

    refusals: ClassVar[tuple[Refusal, ...]] = ()

    context: Context
    alarm_id: str

    @staticmethod
    def allowed(_: Alarm) -> bool:
        """Allow the command at any time."""
        return True

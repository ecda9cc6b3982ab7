"""The messages of client and server on a stream: protocol `tocsin.v1`, version 1 of its messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Actor
from core.errors import InvalidInput
from core.lists.filter import Filter

CLIENT_BYTES = 64 * 1024
"""The largest message taken from a client."""
SUBSCRIPTIONS = 32
"""How many subscriptions one session can have."""

ResetReason = Literal["log_changed", "position_ahead"]
ErrorCode = Literal[
    "bad_message",
    "invalid",
    "duplicate_id",
    "too_many_subscriptions",
    "too_many_sessions",
    "too_many_messages",
    "unknown_subscription",
    "unavailable",
]

RESTART = 1012
BAD_MESSAGE = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
TOO_SLOW = 4408
DUPLICATE_ID = 4409
TOO_MANY = 4429

SubscriptionId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
LogIdentity = Annotated[str, msgspec.Meta(max_length=64)]


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="auth"):
    """Proves who the client is."""

    token: Annotated[str, msgspec.Meta(max_length=CLIENT_BYTES)]


class Subscribe(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="subscribe"
):
    """Send what matches the filter: from now on, after a position of the log, or after a snapshot.

    `log` is the log identity that `after` belongs to. `conflate`: if the client falls behind, send only the
    newest event of each alarm.
    """

    id: SubscriptionId
    filter: Filter = Filter()
    after: Position | None = None
    log: LogIdentity | None = None
    snapshot: bool = False
    conflate: bool = False

    def check(self, filter_values: int) -> None:
        """Check that the parts go together, and the filter's bounds. Raises InvalidInput."""
        if self.snapshot and self.after is not None:
            raise InvalidInput("a snapshot starts over: leave `after` out")
        self.filter.check(filter_values)


class Unsubscribe(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="unsubscribe"
):
    """Send nothing more for the subscription."""

    id: SubscriptionId


ClientMessage = Auth | Subscribe | Unsubscribe


class Hello(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="hello"):
    """The identity of the log and how far this process has read it; sent again when the log is replaced."""

    log: str
    position: int


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="subscribed"):
    """Nothing after this position will be missed."""

    id: str
    position: int


class SnapshotMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="snapshot"):
    """A page of the alarm list; events after `position` follow once `done`."""

    id: str
    alarms: Sequence[Alarm]
    position: int
    done: bool


class EventMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An event as clients see it; `left`: the alarm no longer matches the filter."""

    position: int
    event_id: str
    type: str
    at: datetime
    occurred_at: datetime
    actor: Actor
    revision: int
    data: dict[str, Any]
    alarm: Alarm
    left: bool = False


class EventsMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="events"):
    """The subscription's events up to `position`."""

    id: str
    events: Sequence[EventMessage]
    position: int


class PositionMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="position"):
    """There is nothing for the subscription up to this position."""

    id: str
    position: int


class ResetMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="reset"):
    """The subscription ended, and the client's state may be wrong: subscribe again, with a snapshot."""

    id: str
    reason: ResetReason


class ErrorMessage(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="error", omit_defaults=True
):
    """The server did not carry out a message."""

    id: str | None = None
    code: ErrorCode
    detail: str


class Goodbye(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="op", tag="goodbye"):
    """The server closes the connection; reconnect after this time, to any process."""

    reason: str
    retry_after_ms: int


ServerMessage = (
    Hello
    | Subscribed
    | SnapshotMessage
    | EventsMessage
    | PositionMessage
    | ResetMessage
    | ErrorMessage
    | Goodbye
)


class Close(msgspec.Struct, frozen=True, gc=False):
    """Close the session's socket with this code, once everything before it has been sent."""

    code: int
    reason: str

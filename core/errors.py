"""Every error that core raises or expects a port to raise.

TocsinError
├─ Refused            the alarm's rules say no; nothing was recorded
│  └─ InvalidInput    the input itself is out of bounds
├─ Unauthenticated    who asks does not prove who they are
├─ BadMessage         what a client of the stream sent is no message
├─ UnknownEvent       an event written by a newer version
├─ RevisionConflict   a concurrent command on the same alarm was first
├─ DuplicateCommand   an event with this Idempotency-Key is in the log
├─ Unavailable        it did not happen and will not
├─ TooBroad           a query would look at too much
├─ OutcomeUnknown     it may have happened, and may still
├─ LogMismatch        the log is not the one a position belongs to
└─ StartupRefused     this process must not start; the message says why
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from core.alarm.alarm import Alarm
    from core.alarm.events import Event

RefusalCode = Literal[
    "unknown_alarm",
    "not_active",
    "still_active",
    "already_acknowledged",
    "not_acknowledged",
    "already_confirmed",
    "not_latched",
    "already_shelved",
    "not_shelved",
    "already_suppressed",
    "not_suppressed",
    "already_out_of_service",
    "not_out_of_service",
    "forbidden",
    "revision_outdated",
    "revision_ahead",
    "precondition_failed",
    "too_many_origins",
    "invalid",
    "idempotency_key_reused",
    "unknown_api_key",
    "too_many_api_keys",
]


class TocsinError(Exception):
    """The root of all errors of this project."""


class Refused(TocsinError):
    """The command is against the alarm's rules as it stands (`alarm`, where there is one)."""

    def __init__(self, code: RefusalCode, detail: str, alarm: "Alarm | None" = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.alarm = alarm


class InvalidInput(Refused):
    """A value is out of its bounds; `detail` names the field and the bound."""

    def __init__(self, detail: str) -> None:
        super().__init__("invalid", detail)


UnauthenticatedCode = Literal["token_missing", "token_invalid", "expired", "revoked"]


class Unauthenticated(TocsinError):
    """What proves who asks is missing, wrong or over; `detail` says which."""

    def __init__(self, code: UnauthenticatedCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class BadMessage(TocsinError):
    """What the client sent is no message of this protocol; the text says why."""


class UnknownEvent(TocsinError):
    """An event of a newer version of the code: stop and say so, never guess."""

    def __init__(self, event_type: str, version: int, position: int) -> None:
        super().__init__(f"event {position} is {event_type} v{version}, which this version does not know")


class RevisionConflict(TocsinError):
    """Another command changed the alarm since the revision this one was decided on."""


class DuplicateCommand(TocsinError):
    """The command was recorded before, as `event`."""

    def __init__(self, event: "Event") -> None:
        super().__init__(f"recorded before at position {event.position}")
        self.event = event


class Unavailable(TocsinError):
    """MongoDB cannot be reached or the queue is full: nothing was recorded, and nothing will be."""


class TooBroad(TocsinError):
    """The query would have to look at more than there is time or memory for; the message says what helps."""


class OutcomeUnknown(TocsinError):
    """The write was sent and its answer never came: it may be in the log, now or later."""


class LogMismatch(TocsinError):
    """The log is not the one that was read before: it was restored or replaced."""


class StartupRefused(TocsinError):
    """This process must not start; the message says why, in one line."""

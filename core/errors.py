"""Every error of the program; those of the client and of HTTP derive from the root in their own files.

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
├─ InvalidEvent       what an integration sent is no event of its kind
├─ UnknownWebhook     the tenant has no such webhook
├─ UnknownRow         the tenant has no such row in its outbox
├─ Conflict           a webhook or a row is not in a state that allows it
├─ AddressRefused     a webhook must not be called there
└─ StartupRefused     this process must not start; the message says why
"""

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from core.alarm.alarm import Alarm
    from core.alarm.events import Event

RefusalKind = Literal["absent", "conflict", "forbidden", "outdated", "invalid"]
"""What is wrong: nothing of this id; as it stands; who asks; not the revision that was named; the input."""


class Refusal(msgspec.Struct, frozen=True):
    """A reason to refuse, declared beside the rule that gives it.

    `code` tells it apart, on the wire and in stored answers; `remedy`: what whoever gets it can do.
    """

    code: str
    kind: RefusalKind
    meaning: str
    remedy: str


INVALID = Refusal(
    "invalid", "invalid", "something is missing, unknown or out of its bounds", "`detail` names it"
)


class TocsinError(Exception):
    """The root of all errors of this project."""


class Refused(TocsinError):
    """The command is against the alarm's rules as it stands (`alarm`, where there is one)."""

    def __init__(self, refusal: Refusal, detail: str, alarm: "Alarm | None" = None) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail
        self.alarm = alarm

    @property
    def code(self) -> str:
        """What tells the refusal apart."""
        return self.refusal.code


class InvalidInput(Refused):
    """A value is out of its bounds; `detail` names the field and the bound."""

    def __init__(self, detail: str) -> None:
        super().__init__(INVALID, detail)


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


class InvalidEvent(TocsinError):
    """It is no event, for each of the reasons in `errors`; sending it again is of no use."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class UnknownWebhook(TocsinError):
    """The tenant has no such webhook."""


class UnknownRow(TocsinError):
    """The tenant has no such row in its outbox."""


class Conflict(TocsinError):
    """It cannot be done as things are: `code` tells why, the message in words."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class AddressRefused(TocsinError):
    """The address must not be called; the message says why, without telling where a name leads."""


class StartupRefused(TocsinError):
    """This process must not start; the message says why, in one line."""

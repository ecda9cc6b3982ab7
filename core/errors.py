"""All errors of the program; the client and HTTP derive their own from the root in their own files.

TocsinError
├─ Refused            the alarm's rules forbid the command; nothing was recorded
│  └─ InvalidInput    a value is out of its bounds
├─ Unauthenticated    the caller's credentials are missing or not valid
├─ BadMessage         a client of the stream sent a malformed message
├─ UnknownEvent       a newer version wrote the event
├─ RevisionConflict   a concurrent command on the same alarm came first
├─ DuplicateCommand   the log has an event with this Idempotency-Key
├─ Unavailable        the operation did not happen and will not
├─ TooBroad           a query would read too much
├─ OutcomeUnknown     the write may have happened, or may happen yet
├─ LogMismatch        the log is not the one that a position belongs to
├─ InvalidEvent       an integration sent a malformed event
├─ UnknownWebhook     the tenant has no such webhook
├─ UnknownRow         the tenant's outbox has no such row
├─ Conflict           the state of a webhook or a row forbids the change
├─ AddressRefused     a webhook must not call this address
├─ UnusableKeySet     the keys of an issuer cannot be had
└─ StartupRefused     this process must not start; the message says why
"""

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from core.alarm.alarm import Alarm
    from core.alarm.events import Event

RefusalKind = Literal["absent", "conflict", "forbidden", "outdated", "invalid"]
"""What is wrong, in this order: the id, the alarm's state, the caller, the revision, the input."""


class Refusal(msgspec.Struct, frozen=True):
    """A reason to refuse, declared beside the rule that gives it.

    `code` identifies it on the wire and in stored answers; `remedy` says what the caller can do.
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
    """The alarm's rules forbid the command. `alarm` is the alarm as it stands, None where there is none."""

    def __init__(self, refusal: Refusal, detail: str, alarm: "Alarm | None" = None) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail
        self.alarm = alarm

    @property
    def code(self) -> str:
        """The refusal's code."""
        return self.refusal.code


class InvalidInput(Refused):
    """A value is out of its bounds; `detail` names the field and the bound."""

    def __init__(self, detail: str) -> None:
        super().__init__(INVALID, detail)


UnauthenticatedCode = Literal["token_missing", "token_invalid", "expired", "revoked"]


class Unauthenticated(TocsinError):
    """The caller's credentials are missing, invalid, expired or revoked; `detail` says which."""

    def __init__(self, code: UnauthenticatedCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class BadMessage(TocsinError):
    """The client sent a message that the protocol does not allow; the text says why."""


class UnknownEvent(TocsinError):
    """A newer version of the code wrote the event: the reader must stop, never guess."""

    def __init__(self, event_type: str, version: int, position: int) -> None:
        super().__init__(f"event {position} is {event_type} v{version}, which this version does not know")


class RevisionConflict(TocsinError):
    """Another command changed the alarm after the revision that this one was decided on."""


class DuplicateCommand(TocsinError):
    """The command was recorded before, as `event`."""

    def __init__(self, event: "Event") -> None:
        super().__init__(f"recorded before at position {event.position}")
        self.event = event


class Unavailable(TocsinError):
    """MongoDB cannot be reached or the queue is full: nothing was recorded, and nothing will be."""


class TooBroad(TocsinError):
    """The query needs more time or memory than is allowed; the message says what helps."""


class OutcomeUnknown(TocsinError):
    """The write was sent but not answered: its event may be in the log, now or later."""


class LogMismatch(TocsinError):
    """The log is not the one that was read before: it was restored or replaced."""


class InvalidEvent(TocsinError):
    """The event is malformed, for the reasons in `errors`; sending it again does not help."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class UnknownWebhook(TocsinError):
    """The tenant has no such webhook."""


class UnknownRow(TocsinError):
    """The tenant's outbox has no such row."""


class Conflict(TocsinError):
    """The present state forbids the change: `code` tells why, the message in words."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class AddressRefused(TocsinError):
    """The address must not be called; the message says why, but reveals no resolved address."""


class UnusableKeySet(TocsinError):
    """A key set cannot be read, or holds no key that can be used; the message says why, in one line."""


class StartupRefused(TocsinError):
    """This process must not start; the message says why, in one line."""

"""Forwards decided events to the process that appends for all, and tells what became of them (ADR 0035).

Messages go in and out as values; who carries them, and notices that it can't, is outside.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.alarm.evolution import place
from core.errors import (
    BadMessage,
    DuplicateCommand,
    InvalidInput,
    OutcomeUnknown,
    RevisionConflict,
    TocsinError,
    Unavailable,
)
from core.log.submission import Submission

FORWARDS = 10_000
"""The most events under way to the process that appends."""
FORWARD_BYTES = 32 * 1024 * 1024
"""How many bytes these events take together. Like FORWARDS half of the queue: no process fills all of it."""
WAITED_SECONDS = 5.0
"""The longest time that an event can have waited before it was forwarded."""


class Forward(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decided event, the alarm that it was decided on, and for how many seconds it has waited.

    `number` is the sender's, for the answer.
    """

    number: int
    waited: float
    before: Alarm
    event: Event


class Landed(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The event is in the log, at this position and time."""

    number: int
    position: int
    at: datetime


class Repeated(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The log has an event of this Idempotency-Key: a DuplicateCommand."""

    number: int
    event: Event


class _Failed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An error that its text says all about."""

    number: int
    detail: str


class Conflicted(_Failed, frozen=True, tag=True, gc=False):
    """The stream has an event of this revision: a RevisionConflict."""


class Unstorable(_Failed, frozen=True, tag=True, gc=False):
    """The event cannot be stored: an InvalidInput."""


class Unclear(_Failed, frozen=True, tag=True, gc=False):
    """The event may be in the log, now or later: an OutcomeUnknown."""


class NotTaken(_Failed, frozen=True, tag=True, gc=False):
    """The event is not in the log and will not be, from this process: Unavailable, as any other error."""


Answer = Landed | Conflicted | Repeated | Unstorable | NotTaken | Unclear

_ERRORS: Mapping[type[Conflicted | Unstorable | Unclear | NotTaken], type[TocsinError]] = {
    Conflicted: RevisionConflict,
    Unstorable: InvalidInput,
    Unclear: OutcomeUnknown,
    NotTaken: Unavailable,
}

Submit = Callable[[Submission], None]
"""Queues a submission to be appended. Raises Unavailable: too many are waiting."""


class Forwarder:
    """What this process has forwarded over one connection, and has no answer to yet.

    `send` sends a message, or loses it together with the connection, or raises InvalidInput: it cannot be
    sent. `now`: the time by the clock of `Submission.since`.
    """

    def __init__(self, send: Callable[[Forward], None], now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self._number = 0
        self._bytes = 0
        self._under_way: dict[int, Submission] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def submit(self, submission: Submission) -> None:
        """Forward the submission.

        Raises:
            Unavailable: too many are under way.
            InvalidInput: it cannot be forwarded; whether it can be stored, the store tells.
        """
        if len(self._under_way) >= FORWARDS:
            raise Unavailable(f"{FORWARDS} commands are waiting already")
        if self._bytes and self._bytes + submission.size > FORWARD_BYTES:
            raise Unavailable(f"commands of {FORWARD_BYTES >> 20} MiB are waiting already")
        self._number += 1
        waited = self._now() - submission.since
        self._send(Forward(self._number, waited, submission.before, submission.event))
        self._bytes += submission.size
        self._under_way[self._number] = submission
        submission.under_way = True

    def take(self, answer: Answer) -> None:
        """Tell the submission what became of it. Raises BadMessage: nothing under way has this number."""
        submission = self._under_way.pop(answer.number, None)
        if submission is None:
            raise BadMessage("invalid", f"an answer to number {answer.number}, which is not under way")
        self._bytes -= submission.size
        submission.settle(_result(answer, submission))

    def lost(self) -> list[Submission]:
        """Return what has no answer, in order, for this process to append itself: the connection is gone.

        It may land nevertheless, or have landed: event ids and revisions are unique, so once.
        """
        left, self._under_way, self._bytes = list(self._under_way.values()), {}, 0
        for submission in left:
            submission.in_doubt = True
            submission.under_way = False
        return left


class Incoming:
    """What a peer has forwarded to this process over one connection, and has no answer to yet.

    `reply` sends an answer, or loses it together with the connection. `now`: the clock of `Submission.since`.
    """

    def __init__(self, submit: Submit, reply: Callable[[Answer], None], now: Callable[[], float]) -> None:
        self._submit = submit
        self._reply = reply
        self._now = now
        self._bytes = 0
        self._under_way: dict[int, Submission] = {}

    def take(self, forward: Forward) -> None:
        """Submit the event, and answer it once. Raises BadMessage: its number is under way already."""
        if forward.number in self._under_way:
            raise BadMessage("invalid", f"number {forward.number} is under way already")
        # In this order, what is no number becomes 0.
        since = self._now() - min(max(0.0, forward.waited), WAITED_SECONDS)
        submission = Submission(
            forward.before, forward.event, lambda result: self._settled(forward.number, result), since
        )
        self._under_way[forward.number] = submission
        self._bytes += submission.size
        try:
            self._check_room()
            self._submit(submission)
        except Unavailable as error:
            submission.settle(error)

    def lost(self) -> None:
        """Give up what is in no batch yet: the connection is gone, and the peer appends all this itself."""
        for submission in list(self._under_way.values()):
            submission.settle(OutcomeUnknown("the connection to its process is gone"))

    def _check_room(self) -> None:
        if len(self._under_way) > FORWARDS or (len(self._under_way) > 1 and self._bytes > FORWARD_BYTES):
            raise Unavailable("one process has too many commands under way")

    def _settled(self, number: int, result: Event | TocsinError) -> None:
        self._bytes -= self._under_way.pop(number).size
        self._reply(answer_to(number, result))


def answer_to(number: int, result: Event | TocsinError) -> Answer:
    """Return the message that tells a peer what became of its event."""
    match result:
        case Event():
            return Landed(number, result.position, result.at)
        case DuplicateCommand():
            return Repeated(number, result.event)
        case _:
            kinds = (kind for kind, error in _ERRORS.items() if isinstance(result, error))
            return next(kinds, NotTaken)(number, str(result))


def _result(answer: Answer, submission: Submission) -> Event | TocsinError:
    match answer:
        case Landed():
            return place(submission.before, submission.event, answer.position, answer.at)
        case Repeated():
            return DuplicateCommand(answer.event)
        case _:
            return _ERRORS[type(answer)](answer.detail)

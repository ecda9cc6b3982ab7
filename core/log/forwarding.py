"""Forwards decided events to the process that appends for all, and tells what became of them (ADR 0035).

Messages go in and out as values; who carries them, and notices that it can't, is outside.
"""

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

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
from core.log.appender import Submission

FORWARDS = 10_000
"""The most events under way to the process that appends."""
FORWARD_BYTES = 64 * 1024 * 1024
"""How many bytes these events take together."""


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


class Conflicted(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The stream has an event of this revision: a RevisionConflict."""

    number: int
    detail: str


class Repeated(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The log has an event of this Idempotency-Key: a DuplicateCommand."""

    number: int
    event: Event


class Unstorable(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The event cannot be stored: an InvalidInput."""

    number: int
    detail: str


class NotTaken(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The event is not in the log and will not be, from this process: Unavailable."""

    number: int
    detail: str


class Unclear(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The event may be in the log, now or later: an OutcomeUnknown."""

    number: int
    detail: str


Answer = Landed | Conflicted | Repeated | Unstorable | NotTaken | Unclear


class Forwarder:
    """What this process has forwarded over one connection, and has no answer to yet.

    `send` sends a message, or loses it together with the connection. `now`: the time by the clock of
    `Submission.since`.
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
        """Forward the submission. Raises Unavailable: too many are under way."""
        if len(self._under_way) >= FORWARDS:
            raise Unavailable(f"{FORWARDS} commands are waiting already")
        if self._bytes and self._bytes + submission.size > FORWARD_BYTES:
            raise Unavailable(f"commands of {FORWARD_BYTES >> 20} MiB are waiting already")
        self._number += 1
        self._bytes += submission.size
        self._under_way[self._number] = submission
        submission.under_way = True
        waited = self._now() - submission.since
        self._send(Forward(self._number, waited, submission.before, submission.event))

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


def answer_to(number: int, result: Event | TocsinError) -> Answer:
    """Return the message that tells a peer what became of its event."""
    match result:
        case Event():
            return Landed(number, result.position, result.at)
        case RevisionConflict():
            return Conflicted(number, str(result))
        case DuplicateCommand():
            return Repeated(number, result.event)
        case InvalidInput():
            return Unstorable(number, result.detail)
        case OutcomeUnknown():
            return Unclear(number, str(result))
        case _:
            return NotTaken(number, str(result))


def _result(answer: Answer, submission: Submission) -> Event | TocsinError:
    match answer:
        case Landed():
            return place(submission.before, submission.event, answer.position, answer.at)
        case Conflicted():
            return RevisionConflict(answer.detail)
        case Repeated():
            return DuplicateCommand(answer.event)
        case Unstorable():
            return InvalidInput(answer.detail)
        case NotTaken():
            return Unavailable(answer.detail)
        case Unclear():
            return OutcomeUnknown(answer.detail)
        case _:
            assert_never(answer)

"""The append protocol: which events go out together, at which positions, and what the answer means.

It holds for any store whose positions are unique and whose reads are majority-committed, whatever is lost
on the way. The caller runs `flush` again and again, never twice at once.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, assert_never

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.alarm.evolution import place
from core.counters import AppendCounts
from core.errors import DuplicateCommand, InvalidInput, RevisionConflict, TocsinError, Unavailable
from core.log.ports import (
    Document,
    Duplicate,
    NotSent,
    Rejected,
    Result,
    Stamp,
    Store,
    Unknown,
    Written,
)

BATCH_EVENTS = 500
BATCH_BYTES = 1024 * 1024
QUEUE_SUBMISSIONS = 20_000
STAMPS = 2 * BATCH_EVENTS


class Submission:
    """One decided event on its way into the log; `done` is told once, the event or the error.

    `since` is when it set out, in seconds by any clock of the caller's.
    """

    __slots__ = ("before", "done", "event", "since", "under_way")

    def __init__(
        self,
        before: Alarm,
        event: Event,
        done: Callable[[Event | TocsinError], None],
        since: float = 0.0,
    ) -> None:
        self.before = before
        self.event = event
        self.done = done
        self.since = since
        # Whether it was taken into a batch: from then on it may land without an answer having come.
        self.under_way = False


class _Placed(msgspec.Struct, Generic[Document], frozen=True):
    """A submission's event at its position, as it goes out."""

    submission: Submission
    event: Event
    document: Document


class Appender(Generic[Document]):
    """Appends what is queued, one command at a time, at positions that leave no gap.

    `tail` is the newest position known to be majority-committed; only behind it may an event be placed.
    `pause` waits before the n-th try (n = 1, 2, ...) of a store that did not answer.
    """

    def __init__(self, store: Store[Document], pause: Callable[[int], Awaitable[None]]) -> None:
        self._store = store
        self._pause = pause
        self._queue: deque[Submission] = deque()
        self._tail: Stamp | None = None
        self._landed: list[Event] = []
        self.counts = AppendCounts()
        self.losing = False
        """Whether the last batch landed nothing because others were first."""

    @property
    def waiting(self) -> int:
        """How many submissions are queued."""
        return len(self._queue)

    @property
    def oldest(self) -> Submission | None:
        """The submission that goes out first, None while none is queued."""
        return self._queue[0] if self._queue else None

    @property
    def tail(self) -> int:
        """The newest position known to be majority-committed, 0 if none is."""
        return 0 if self._tail is None else self._tail.position

    def submit(self, submission: Submission) -> None:
        """Queue the submission. Raises Unavailable when the queue is full."""
        if len(self._queue) >= QUEUE_SUBMISSIONS:
            raise Unavailable(f"{QUEUE_SUBMISSIONS} commands are waiting already")
        self._queue.append(submission)

    def withdraw(self, submission: Submission) -> bool:
        """Take the submission out of the queue; False: it is under way and may land."""
        if submission.under_way:
            return False
        self._queue.remove(submission)
        return True

    def learn(self, stamp: Stamp) -> None:
        """Go on behind this majority-committed event, if it is newer than what is known."""
        if self._tail is not None and stamp.position > self._tail.position:
            self._tail = stamp

    def forget(self) -> None:
        """Read the tail anew before the next append: the log was replaced."""
        self._tail = None

    async def flush(self) -> Sequence[Event]:
        """Write one batch to its end: each submission of it is done, or back in the queue and not in the log.

        Returns the events that this has brought into the log, in order.
        """
        self._landed = []
        if self._tail is None:
            try:
                self._tail = await self._store.tail()
            except Unavailable:
                await self._pause(1)
                return ()
        remaining, tries, in_doubt = self._take(self._tail), 0, False
        if remaining:
            self.counts.sizes.observe(len(remaining))
        while remaining:
            result = await self._store.insert([placed.document for placed in remaining])
            if isinstance(result, NotSent) and not in_doubt:
                self._requeue(remaining)
                remaining = []
            in_doubt |= isinstance(result, Unknown)
            remaining, settled = await self._after(result, remaining)
            if not settled:
                tries += 1
                await self._pause(tries)
        return self._landed

    async def _after(
        self, result: Result, sent: list[_Placed[Document]]
    ) -> tuple[list[_Placed[Document]], bool]:
        """Draw the consequences; return what to send again at the same positions, and whether at once."""
        match result:
            case Written():
                self._land(sent)
                return [], True
            case Duplicate():
                self._land(sent[: result.index])
                return await self._settle(sent[result.index :], result.key)
            case Rejected():
                self._land(sent[: result.index])
                sent[result.index].submission.done(Unavailable(f"the store refused it: {result.detail}"))
                self._requeue(sent[result.index + 1 :])
                return [], True
            case NotSent() | Unknown():
                return sent, False
            case _:
                assert_never(result)

    def _take(self, tail: Stamp) -> list[_Placed[Document]]:
        batch: list[_Placed[Document]] = []
        held: list[Submission] = []
        streams: set[str] = set()
        position, not_before, size = tail.position, tail.at, 0
        while self._queue and len(batch) < BATCH_EVENTS:
            submission = self._queue.popleft()
            # The second of two commands on one alarm decides on the result of the first.
            if submission.event.stream in streams:
                held.append(submission)
                continue
            event = place(submission.before, submission.event, position + 1, not_before)
            try:
                document, length = self._store.encode(event)
            except InvalidInput as error:
                # Out of the queue for good, so nobody can withdraw it.
                submission.under_way = True
                submission.done(error)
                continue
            if batch and size + length > BATCH_BYTES:
                self._queue.appendleft(submission)
                break
            submission.under_way = True
            batch.append(_Placed(submission, event, document))
            streams.add(event.stream)
            position, not_before, size = event.position, event.at, size + length
        self._queue.extendleft(reversed(held))
        return batch

    def _land(self, landed: Sequence[_Placed[Document]]) -> None:
        if landed:
            self.losing = False
        if self._tail is not None:
            # Otherwise the log was replaced meanwhile, and they may be of the one before.
            self._landed += [placed.event for placed in landed]
        self.counts.events += len(landed)
        for placed in landed:
            self.learn(_stamp(placed.event))
            placed.submission.done(placed.event)

    def _requeue(self, left: Sequence[_Placed[Document]]) -> None:
        for placed in left:
            placed.submission.under_way = False
        self._queue.extendleft(placed.submission for placed in reversed(left))

    async def _settle(self, left: list[_Placed[Document]], key: str) -> tuple[list[_Placed[Document]], bool]:
        """Find out what the first of `left` met. Return what to send again at the same positions.

        The flag is False if that could not be found out yet.
        """
        try:
            if key == "position":
                return await self._settle_position(left)
            return await self._settle_key(left, key)
        except Unavailable:
            return left, False

    async def _settle_position(self, left: list[_Placed[Document]]) -> tuple[list[_Placed[Document]], bool]:
        stamps = await self._store.stamps(left[0].event.position, STAMPS)
        # Just after a failover the majority view may be older than what the write has met.
        if not stamps or stamps[0].position != left[0].event.position:
            return left, False
        own = 0
        while own < min(len(left), len(stamps)) and stamps[own].event_id == left[own].event.event_id:
            own += 1
        if own == len(stamps):
            self._land(left[:own])
            return left[own:], True
        # Read before anybody is told: were it the other way round, a failing read would have them told twice.
        newest = stamps[-1] if len(stamps) < STAMPS else await self._store.tail()
        self._land(left[:own])
        # From here on the positions belong to others: no try of these, however late, can land any more.
        self.learn(newest)
        self.losing = own == 0
        self.counts.conflicts += 1
        self._requeue(left[own:])
        return [], True

    async def _settle_key(
        self, left: list[_Placed[Document]], key: str
    ) -> tuple[list[_Placed[Document]], bool]:
        first, event = left[0], left[0].event
        landed = await self._store.find(event.event_id)
        if landed is not None:
            self.learn(_stamp(landed))
            first.submission.done(landed)
            if landed.position == event.position:
                return left[1:], True
        elif key == "revision":
            self.counts.conflicts += 1
            first.submission.done(RevisionConflict(f"{event.stream} has a revision {event.revision} already"))
        else:
            recorded = await self._store.by_command(event.tenant, event.command_id or "")
            if recorded is None:
                return left, False
            first.submission.done(DuplicateCommand(recorded))
        self._requeue(left[1:])
        return [], True


def _stamp(event: Event) -> Stamp:
    return Stamp(event.position, event.event_id, event.at)

"""The append protocol: batches events, assigns their positions and interprets the store's answers.

Whatever messages are lost, it is correct on any store with unique positions and majority-committed reads.
The caller runs `flush` again and again, never twice at once.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, assert_never

import msgspec

from core.alarm.events import Event
from core.alarm.evolution import place
from core.counters import AppendCounts
from core.errors import (
    DuplicateCommand,
    InvalidInput,
    OutcomeUnknown,
    RevisionConflict,
    TocsinError,
    Unavailable,
    UnknownEvent,
)
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
from core.log.submission import Submission

BATCH_EVENTS = 500
BATCH_BYTES = 1024 * 1024
QUEUE_SUBMISSIONS = 20_000
QUEUE_BYTES = 64 * 1024 * 1024
"""How many bytes the events take together that have no outcome yet."""
STAMPS = 2 * BATCH_EVENTS


class _Placed(msgspec.Struct, Generic[Document], frozen=True):
    """A submission's event at its position, with its document."""

    submission: Submission
    event: Event
    document: Document


class Appender(Generic[Document]):
    """Appends queued events, one insert at a time, at positions without a gap.

    `tail` is the newest position known to be majority-committed; events may be placed only behind it.
    `pause` waits before the n-th retry (n = 1, 2, ...) of a store that did not answer.
    """

    def __init__(self, store: Store[Document], pause: Callable[[int], Awaitable[None]]) -> None:
        self._store = store
        self._pause = pause
        self._queue: deque[Submission] = deque()
        # Of all submissions that have no outcome yet, whether queued or under way.
        self._bytes = 0
        self._tail: Stamp | None = None
        self._landed: list[Event] = []
        self.counts = AppendCounts()

    @property
    def waiting(self) -> int:
        """How many submissions are queued."""
        return len(self._queue)

    @property
    def tail(self) -> int:
        """The newest position known to be majority-committed, 0 if none is."""
        return 0 if self._tail is None else self._tail.position

    def submit(self, submission: Submission) -> None:
        """Queue the submission. Raises Unavailable when the queue is full."""
        if len(self._queue) >= QUEUE_SUBMISSIONS:
            raise Unavailable(f"{QUEUE_SUBMISSIONS} commands are waiting already")
        if self._bytes and self._bytes + submission.size > QUEUE_BYTES:
            raise Unavailable(f"commands of {QUEUE_BYTES >> 20} MiB are waiting already")
        self._bytes += submission.size
        self._queue.append(submission)

    def withdraw(self, submission: Submission) -> bool:
        """Remove the submission from the queue; return False if it may land nevertheless."""
        if submission.under_way:
            return False
        self._queue.remove(submission)
        self._bytes -= submission.size
        return not submission.in_doubt

    def learn(self, stamp: Stamp) -> None:
        """Move the known tail to this majority-committed event, if it is newer."""
        if self._tail is not None and stamp.position > self._tail.position:
            self._tail = stamp

    def forget(self) -> None:
        """Forget the tail, because the log was replaced; the next `flush` reads it anew."""
        self._tail = None

    async def flush(self) -> Sequence[Event]:
        """Write one batch. Each of its submissions is then done, or back in the queue and not in the log.

        Returns the events that this call added to the log, in order. What the store raises against its port
        is raised, once the submissions of the batch are told that their outcome is unknown.
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
            with self._answered(remaining):
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
        """Process the result; return what to send again at the same positions, and whether at once."""
        match result:
            case Written():
                self._land(sent)
                return [], True
            case Duplicate():
                self._land(sent[: result.index])
                return await self._settle(sent[result.index :], result.key)
            case Rejected():
                self._land(sent[: result.index])
                self._finish(sent[result.index].submission, _refused(sent[result.index], result.detail))
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
            if submission.answered:
                # Nobody waits for it any more, or its own process appends it.
                self._bytes -= submission.size
                continue
            # A second event of a stream waits until the first has landed or failed.
            if submission.event.stream in streams:
                held.append(submission)
                continue
            event = place(submission.before, submission.event, position + 1, not_before)
            try:
                document, length = self._store.encode(event)
            except InvalidInput as error:
                # The submission has left the queue for good, so nobody can withdraw it.
                submission.under_way = True
                self._finish(submission, error)
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
        if self._tail is not None:
            # Without a tail, the log was replaced meanwhile and the events may be in the old one.
            self._landed += [placed.event for placed in landed]
        self.counts.events += len(landed)
        for placed in landed:
            self.learn(_stamp(placed.event))
            self._finish(placed.submission, placed.event)

    def _finish(self, submission: Submission, outcome: Event | TocsinError) -> None:
        self._bytes -= submission.size
        submission.settle(outcome)

    def _requeue(self, left: Sequence[_Placed[Document]]) -> None:
        for placed in left:
            placed.submission.under_way = False
        self._queue.extendleft(placed.submission for placed in reversed(left))

    async def _settle(self, left: list[_Placed[Document]], key: str) -> tuple[list[_Placed[Document]], bool]:
        """Find out which event the first of `left` collided with.

        Return what to send again at the same positions, and False if the store cannot tell yet.
        """
        try:
            with self._answered(left):
                if key == "position":
                    return await self._settle_position(left)
                return await self._settle_key(left, key)
        except Unavailable:
            return left, False

    async def _settle_position(self, left: list[_Placed[Document]]) -> tuple[list[_Placed[Document]], bool]:
        stamps = await self._store.stamps(left[0].event.position, STAMPS)
        # Just after a failover the majority view may be older than the event that the write met.
        if not stamps or stamps[0].position != left[0].event.position:
            return left, False
        landed = 0
        while landed < min(len(left), len(stamps)) and stamps[landed].event_id == left[landed].event.event_id:
            landed += 1
        if landed == len(stamps):
            self._land(left[:landed])
            return left[landed:], True
        # Read before landing: if the read failed afterwards, `done` would be called twice.
        newest = stamps[-1] if len(stamps) < STAMPS else await self._store.tail()
        self._land(left[:landed])
        # Other events hold these positions now, so no late insert of these can land any more.
        self.learn(newest)
        self.counts.conflicts += 1
        self._requeue(left[landed:])
        return [], True

    @contextmanager
    def _answered(self, under_way: Sequence[_Placed[Document]]) -> Iterator[None]:
        """Tell them that their outcome is unknown if the store raises what its port does not name."""
        try:
            yield
        except Unavailable:
            raise
        except Exception:
            for placed in under_way:
                unknown = OutcomeUnknown("the write was sent and its answer could not be read")
                self._finish(placed.submission, unknown)
            raise

    async def _recorded(self, event: Event) -> TocsinError | None:
        """Return what tells of the event recorded with this Idempotency-Key, None if it is not there yet."""
        try:
            recorded = await self._store.find(event, "command")
        except Unavailable:
            raise
        except UnknownEvent as error:
            return error
        except Exception as error:  # noqa: BLE001 (it is the answer to this command, and harms no other)
            kind = type(error).__name__
            return Unavailable(f"the event recorded with this Idempotency-Key cannot be read: {kind}")
        return None if recorded is None else DuplicateCommand(recorded)

    def _conflicted(self, left: list[_Placed[Document]]) -> tuple[list[_Placed[Document]], bool]:
        first, event = left[0], left[0].event
        self.counts.conflicts += 1
        conflict = RevisionConflict(f"{event.stream} has a revision {event.revision} already")
        self._finish(first.submission, conflict)
        self._requeue(left[1:])
        return [], True

    async def _settle_key(
        self, left: list[_Placed[Document]], key: str
    ) -> tuple[list[_Placed[Document]], bool]:
        first, event = left[0], left[0].event
        if key == "revision":
            holder = await self._store.stamp_of(event.stream, event.revision)
            # Just after a failover the majority view may be older than the event that the write met.
            if holder is None:
                return left, False
            if holder.event_id != event.event_id:
                return self._conflicted(left)
        landed = await self._store.find(event, "event_id")
        if landed is not None:
            self.learn(_stamp(landed))
            self._finish(first.submission, landed)
            if landed.position == event.position:
                return left[1:], True
        else:
            recorded = await self._recorded(event)
            if recorded is None:
                return left, False
            self._finish(first.submission, recorded)
        self._requeue(left[1:])
        return [], True


def _refused(placed: _Placed[Document], detail: str) -> TocsinError:
    text = f"the store refused the event: {detail}"
    return OutcomeUnknown(text) if placed.submission.in_doubt else Unavailable(text)


def _stamp(event: Event) -> Stamp:
    return Stamp(event.position, event.event_id, event.at)

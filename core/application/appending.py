"""Appends events by group commit, or forwards them; tells each command in bounded time what became of it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Generic

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.application.background import Background
from core.application.waiting import loop_time
from core.backoff import backoff
from core.counters import AppendCounts
from core.errors import InvalidInput, OutcomeUnknown, TocsinError, Unavailable
from core.host import Chance
from core.log.appender import Appender
from core.log.forwarding import Forwarder
from core.log.ports import Document, Stamp, Store
from core.log.submission import Submission

logger = logging.getLogger("tocsin.appender")

APPEND_SECONDS = 5.0
"""How long a command waits for its event; then the log is unavailable or the outcome unknown."""
FORWARD_SECONDS = 5.5
"""The same for an event that was forwarded: who appends it gives up first, and can tell more."""

PAUSE_SECONDS = 1.0
"""The longest pause between two tries of a store that does not answer."""


Committed = Callable[[int, Sequence[Event]], None]
"""Takes the log's newest known position and the events that this process has added to it, in order."""


class _Patience(Generic[Document]):
    """Answers the submissions that have waited too long, in order of time: one timer serves all."""

    def __init__(self, appender: Appender[Document], seconds: float) -> None:
        self._appender = appender
        self._seconds = seconds
        self._waiting: deque[Submission] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, submission: Submission) -> None:
        """Answer the submission if nobody does so in time."""
        # What was answered must not be kept for seconds.
        self._drop_answered()
        self._waiting.append(submission)
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._waiting[0].since + self._seconds
        self._timer = asyncio.get_running_loop().call_at(due, self._answer_overdue)

    def _answer_overdue(self) -> None:
        self._timer, now = None, loop_time()
        while self._waiting and self._waiting[0].since + self._seconds <= now:
            submission = self._waiting.popleft()
            if not submission.answered:
                submission.settle(self._given_up(submission))
        self._drop_answered()
        if self._waiting:
            self._set_timer()

    def _given_up(self, submission: Submission) -> TocsinError:
        if self._appender.withdraw(submission):
            return Unavailable(f"the log could not be written for {APPEND_SECONDS:.0f} s")
        return OutcomeUnknown("the write was sent and its answer did not come")

    def _drop_answered(self) -> None:
        while self._waiting and self._waiting[0].answered:
            self._waiting.popleft()


class Appending(Generic[Document]):
    """This process's appends to the store (an EventAppender, see core.log.ports); needs `running()`."""

    def __init__(
        self, store: Store[Document], chance: Chance, check: Callable[[], None] = lambda: None
    ) -> None:
        """Take the store; `check` raises Unavailable while this process must not append."""
        self._appender = Appender(store, self._pause)
        self._chance = chance
        self._check = check
        self._queued = asyncio.Event()
        self._patience = _Patience(self._appender, APPEND_SECONDS)
        self._longer_patience = _Patience(self._appender, FORWARD_SECONDS)
        self._forwarder: Forwarder | None = None

    @property
    def counts(self) -> AppendCounts:
        """The counts of appends since the process started."""
        return self._appender.counts

    async def append(self, before: Alarm, event: Event) -> Event:
        """Append after the tail; see core.log.ports."""
        self._check()
        answer: asyncio.Future[Event | TocsinError] = asyncio.get_running_loop().create_future()

        def done(result: Event | TocsinError) -> None:
            if not answer.done():
                answer.set_result(result)

        submission = Submission(before, event, done, loop_time())
        if self._forwarder is None:
            self.submit(submission)
        else:
            self._forward(self._forwarder, submission)
        result = await answer
        if isinstance(result, Event):
            return result
        raise result

    def submit(self, submission: Submission) -> None:
        """Append an event, of this process or another, whose clock was checked there. Raises Unavailable."""
        self._appender.submit(submission)
        self._patience.watch(submission)
        self._queued.set()

    def forward_through(self, forwarder: Forwarder | None) -> None:
        """Forward what comes from now on; None: append it here."""
        self._forwarder = forwarder

    def take_back(self, submissions: Sequence[Submission]) -> None:
        """Append here what was forwarded and may have landed, under the same event ids."""
        for submission in submissions:
            if not submission.answered:
                try:
                    self._appender.submit(submission)
                except Unavailable:
                    submission.settle(OutcomeUnknown("the write was sent and its answer did not come"))
        self._queued.set()

    def _forward(self, forwarder: Forwarder, submission: Submission) -> None:
        try:
            forwarder.submit(submission)
        except InvalidInput:
            self.submit(submission)
            return
        self._longer_patience.watch(submission)
        self.counts.forwarded += 1

    def learn(self, events: Sequence[Event]) -> None:
        """Append after these events, which the feed has shown to be majority-committed."""
        newest = events[-1]
        if newest.position > self._appender.tail:
            self._appender.learn(Stamp(newest.position, newest.event_id, newest.at))

    def forget(self) -> None:
        """Read the tail anew before the next append: the log was replaced."""
        self._appender.forget()

    @asynccontextmanager
    async def running(
        self,
        committed: Committed = lambda _position, _events: None,
        background: Background | None = None,
    ) -> AsyncIterator[None]:
        """Append submitted events for as long as the context lasts; call `committed` after each write.

        `background` keeps the task that writes, and tells of its failures; None: nobody asks for them.
        """
        keeper = background or Background(self._chance)
        keeping = keeper.keep("the appender", "serving", lambda: self._write(committed))
        task = asyncio.create_task(keeping, name="appender")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _write(self, committed: Committed) -> None:
        while True:
            self._queued.clear()
            # Look before waiting: after a failure there may be a queue already.
            while self._appender.waiting:
                # One turn of the loop: commands that are ready to append share this write.
                await asyncio.sleep(0)
                began = loop_time()
                landed = await self._appender.flush()
                self.counts.seconds.observe(loop_time() - began)
                _tell(committed, self._appender.tail, landed)
            await self._queued.wait()

    async def _pause(self, tries: int) -> None:
        await asyncio.sleep(backoff(tries, 0.01, PAUSE_SECONDS, self._chance()))


def _tell(committed: Committed, position: int, landed: Sequence[Event]) -> None:
    try:
        committed(position, landed)
    except Exception:
        # The events are in the log, where the feed finds them: no command may fail for it.
        logger.exception("a listener failed at the commit of position %d", position)

"""Appends events by group commit, and tells each command in bounded time what became of its event."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Generic

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.application.background import Background
from core.application.bells import Bell
from core.application.courtesy import Courtesy
from core.application.ports import TURNS, TurnRequests
from core.backoff import backoff
from core.counters import AppendCounts
from core.errors import OutcomeUnknown, TocsinError, Unavailable
from core.host import Host
from core.log.appender import Appender, Submission
from core.log.ports import Document, Stamp, Store

logger = logging.getLogger("tocsin.appender")

APPEND_SECONDS = 5.0
"""How long a command waits for its event; then the log is unavailable or the outcome unknown."""

PAUSE_SECONDS = 1.0
"""The longest pause between two tries of a store that does not answer."""


Committed = Callable[[int, Sequence[Event]], None]
"""Takes the log's newest known position and the events that this process has added to it, in order."""


class _Patience(Generic[Document]):
    """Answers the submissions that waited for APPEND_SECONDS, in order of time: one timer serves all."""

    def __init__(self, appender: Appender[Document]) -> None:
        self._appender = appender
        self._waiting: deque[tuple[Submission, asyncio.Future[Event | TocsinError]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, submission: Submission, answer: asyncio.Future[Event | TocsinError]) -> None:
        """Answer the submission if nobody does so in time."""
        # What was answered must not keep its event for seconds.
        self._drop_answered()
        self._waiting.append((submission, answer))
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        submission, _ = self._waiting[0]
        due = submission.since + APPEND_SECONDS
        self._timer = asyncio.get_running_loop().call_at(due, self._answer_overdue)

    def _answer_overdue(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0][0].since + APPEND_SECONDS <= now:
            submission, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(self._given_up(submission))
        self._drop_answered()
        if self._waiting:
            self._set_timer()

    def _given_up(self, submission: Submission) -> TocsinError:
        if self._appender.withdraw(submission):
            return Unavailable(f"the log could not be written for {APPEND_SECONDS:.0f} s")
        return OutcomeUnknown("the write was sent and its answer did not come")

    def _drop_answered(self) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()


class Appending(Generic[Document]):
    """This process's appends to the store (an EventAppender, see core.log.ports); needs `running()`."""

    def __init__(self, store: Store[Document], requests: TurnRequests, host: Host) -> None:
        self._appender = Appender(store, self._pause)
        self._chance = host.chance
        self._courtesy = Courtesy(requests, host.ids.new(), self._waiting)
        self._queued = asyncio.Event()
        self._patience = _Patience(self._appender)

    @property
    def counts(self) -> AppendCounts:
        """The counts of appends since the process started."""
        return self._appender.counts

    async def append(self, before: Alarm, event: Event) -> Event:
        """Append after the tail; see core.log.ports."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Event | TocsinError] = loop.create_future()

        def done(result: Event | TocsinError) -> None:
            if not answer.done():
                answer.set_result(result)

        submission = Submission(before, event, done, loop.time())
        self._appender.submit(submission)
        self._patience.watch(submission, answer)
        self._queued.set()
        result = await answer
        if isinstance(result, Event):
            return result
        raise result

    def learn(self, events: Sequence[Event]) -> None:
        """Append after these events, which the feed has shown to be majority-committed."""
        newest = events[-1]
        if newest.position > self._appender.tail:
            self._appender.learn(Stamp(newest.position, newest.event_id, newest.at))
            self._courtesy.landed(events)

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

    async def hold_back_on_request(self, bell: Bell) -> None:
        """Hold back a moment whenever a process that keeps losing the race asks for it; never return."""
        while True:
            # Listen before reading: a request in between would be lost.
            rung = bell(TURNS)
            await self._courtesy.read_request()
            await rung.wait()

    async def _write(self, committed: Committed) -> None:
        now = asyncio.get_running_loop().time
        while True:
            self._queued.clear()
            # Look before waiting: after a failure there may be a queue already.
            while self._appender.waiting:
                # One turn of the loop: commands that are ready to append share this write.
                await asyncio.sleep(0)
                await self._courtesy.wait()
                began = now()
                landed = await self._appender.flush()
                self._tried(now() - began)
                self.counts.seconds.observe(now() - began)
                _tell(committed, self._appender.tail, landed)
            await self._queued.wait()

    def _tried(self, seconds: float) -> None:
        oldest = self._appender.oldest
        if self._appender.losing and oldest is not None:
            self._courtesy.lost(oldest.event.event_id, seconds)

    def _waiting(self) -> float:
        oldest = self._appender.oldest
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest.since

    async def _pause(self, tries: int) -> None:
        await asyncio.sleep(backoff(tries, 0.01, PAUSE_SECONDS, self._chance()))


def _tell(committed: Committed, position: int, landed: Sequence[Event]) -> None:
    try:
        committed(position, landed)
    except Exception:
        # The events are in the log, where the feed finds them: no command may fail for it.
        logger.exception("a listener failed at the commit of position %d", position)

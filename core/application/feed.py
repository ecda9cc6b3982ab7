"""The feed: the process's one reader of the log, in order, without a gap, whatever the doorbell does."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from core.alarm.events import Event
from core.application.bells import Bells
from core.application.checkpoints import contains
from core.application.ports import Clients
from core.application.recent_events import RecentEvents
from core.application.reconnecting import LONGEST_PAUSE_SECONDS, Reconnecting
from core.backoff import backoff
from core.errors import Unavailable, UnknownEvent
from core.host import Chance
from core.log.ports import START, Doorbell, FeedReader, Notice, Page, Stamp

logger = logging.getLogger("tocsin.feed")

PAGE_EVENTS = 1_000
GRACE_SECONDS = 0.2
"""How long the doorbell may take to bring events known from elsewhere, before the feed reads the log."""


class _Skipped(Exception):
    """The doorbell fell behind the range read: reopen it at the new position."""


Taker = Callable[[Sequence[Event]], None]

Follow = Callable[[int], AsyncIterator[Sequence[Event]]]
"""Yields every event after the given position, in non-empty batches, in order, for ever."""


class Feed:
    """Follows the log's end for the whole process.

    Correctness rests on the range read and on `n == last + 1`; the doorbell only says when to read. The feed
    starts at the log's tail and goes on for ever; `follow` yields older events too. `chance` spreads retries.
    """

    def __init__(self, log: FeedReader, doorbell: Doorbell, chance: Chance) -> None:
        self._log = log
        self._doorbell = doorbell
        self._chance = chance
        self._last: Stamp = START
        self._identity = ""
        self._heard = 0
        self._recent = RecentEvents()
        # Each with its reset, for a taker that fails.
        self._takers: list[tuple[Taker, Callable[[], None]]] = []
        self._resets: list[Callable[[], None]] = []
        self._reading = asyncio.Lock()
        self._moved = asyncio.Event()
        self._behind = asyncio.Event()
        self._reconnecting = Reconnecting(chance, logger)
        self.bells = Bells()
        """They ring when the doorbell names their collection, and whenever it was away."""
        self.live = False
        """Whether the doorbell is connected."""
        self.stopped: UnknownEvent | None = None
        """The error of an event of a newer version: the feed stopped there for good."""

    @property
    def position(self) -> int:
        """The newest position that this process has read."""
        return self._last.position

    @property
    def identity(self) -> str:
        """The identity of the log that `position` belongs to."""
        return self._identity

    @property
    def lag(self) -> int:
        """How many positions the process has heard of but not read."""
        return max(0, self._heard - self.position)

    def on_events(self, taker: Taker, reset: Callable[[], None]) -> None:
        """Call `taker` with every batch, in order without a gap, and `reset` when the log is replaced.

        The feed calls both directly, so neither may block. A taker that fails harms no other: the error is
        logged and its `reset` called, after which it goes on behind those events.
        """
        self._takers.append((taker, reset))
        self.on_reset(reset)

    def on_reset(self, reset: Callable[[], None]) -> None:
        """Call `reset` when the log is replaced. The feed calls it directly, so it must not block."""
        self._resets.append(reset)

    def hear(self, position: int, events: Sequence[Event] = ()) -> None:
        """Note that the log has reached the position, with these events, in order.

        The feed passes on at once the events that directly follow its position: no doorbell is faster.
        """
        self._take(events)
        self._heard = max(self._heard, position)
        if self._heard > self.position:
            self._behind.set()

    async def start(self) -> None:
        """Move to the log's tail; the feed starts there. Raises Unavailable."""
        identity, last = await self._log.identity(), await self._log.tail()
        self._identity, self._last = identity, last
        self._heard = self._last.position

    async def run(self) -> None:
        """Follow the log for ever, reconnecting after each failure.

        Returns at an event that only a newer version can read: skipping it would leave a gap.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._reconnecting.run(self._follow_doorbell))
                tasks.create_task(self._chase())
        except* UnknownEvent as group:
            self.stopped = next(error for error in group.exceptions if isinstance(error, UnknownEvent))
            logger.error("stopped: %s", self.stopped)  # noqa: TRY400 (one clear line is the point)
            self._moved.set()

    async def ring_on(self) -> None:
        """Go on ringing the bells for ever, without reading events; for a feed that has stopped."""
        await self._reconnecting.run(self._ring_bells)

    async def follow(self, after: int) -> AsyncIterator[Sequence[Event]]:
        """Yield every event after a position, in batches, in order, for ever.

        Raises:
            UnknownEvent: the next event is of a newer version.
            Unavailable.
        """
        while True:
            moved = self._moved
            batch = self._newer(after)
            if batch is None:
                batch = (await self._log.read(after, PAGE_EVENTS)).events
            if batch:
                yield batch
                after = batch[-1].position
            elif self.stopped is not None:
                raise self.stopped
            else:
                await moved.wait()

    def _newer(self, after: int) -> Sequence[Event] | None:
        """Return the remembered events after `after`; None: the oldest of them are forgotten."""
        if after >= self.position:
            return ()
        first = self.position - len(self._recent)
        if after < first:
            return None
        return self._recent.skipping(after - first, PAGE_EVENTS)

    async def _follow_doorbell(self) -> None:
        with suppress(_Skipped):
            await self._connected()

    async def _connected(self) -> None:
        await self._check_log()
        page = await self._catch_up()
        async with self._doorbell.listen(page.moment, lambda: self.position) as notices:
            # The doorbell may report only from now on: read what came before.
            await self._catch_up()
            # Collections may have changed while nobody listened: wake every waiter.
            self.bells.ring_all()
            self.live = True
            try:
                async for notice in notices:
                    self._reconnecting.succeeded()
                    await self._handle(notice)
            finally:
                self.live = False
        raise Unavailable("the doorbell ended")

    async def _ring_bells(self) -> None:
        # Of an event that only a newer version can read, the doorbell must not bring anything.
        async with self._doorbell.listen(None, lambda: sys.maxsize) as notices:
            self.bells.ring_all()
            async for notice in notices:
                self._reconnecting.succeeded()
                self.bells.ring(notice.topics)
        raise Unavailable("the doorbell ended")

    async def _handle(self, notice: Notice) -> None:
        if notice.topics:
            self.bells.ring(notice.topics)
            if "meta" in notice.topics:
                await self._check_log()
        self.hear(notice.position, notice.events)
        if notice.more and notice.events:
            # Far behind: the range read is faster than the doorbell, and skips its backlog.
            await self._catch_up()
            raise _Skipped
        if notice.position > self.position and not notice.events:
            # This doorbell brings no events: don't wait for them.
            await self._catch_up(notice.position)

    async def _chase(self) -> None:
        """Read the events that no doorbell brought; just after a failover that may take a few tries."""
        tries = 0
        while True:
            await self._behind.wait()
            await asyncio.sleep(GRACE_SECONDS + backoff(tries, 0.01, LONGEST_PAUSE_SECONDS, self._chance()))
            if self._heard > self.position:
                with suppress(Unavailable):
                    await self._catch_up(self._heard)
            tries += 1
            if self._heard <= self.position:
                tries = 0
                self._behind.clear()

    async def _catch_up(self, to: int | None = None) -> Page:
        """Read on to the position, None: to the log's end; return the page read last."""
        async with self._reading:
            while True:
                before = self.position
                page = await self._log.read(before, PAGE_EVENTS)
                self._take(page.events)
                # A short page is not the log's end: an answer holds so many bytes. Only an empty one is.
                if self.position == before or (to is not None and self.position >= to):
                    return page

    def _take(self, events: Sequence[Event]) -> None:
        """Pass on what directly follows; the rest is known, or follows a gap that the log will fill."""
        known = 0
        while known < len(events) and events[known].position <= self.position:
            known += 1
        end = known
        while end < len(events) and events[end].position == self.position + 1 + end - known:
            end += 1
        if end == known:
            return
        fresh = events[known:end]
        newest = fresh[-1]
        self._recent.add(fresh)
        self._last = Stamp(newest.position, newest.event_id, newest.at)
        for taker, reset in self._takers:
            try:
                taker(fresh)
            except Exception:
                logger.exception("a listener failed at events up to %d and starts over", newest.position)
                _isolated(reset)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _check_log(self) -> None:
        """Start over if the log was restored from a backup or created anew."""
        # No range read may move the position while it is compared.
        async with self._reading:
            if await self._is_same_log():
                return
            logger.error("the log was replaced: starting over at its tail")
            self._recent.clear()
            await self.start()
            for reset in self._resets:
                _isolated(reset)

    async def _is_same_log(self) -> bool:
        if await self._log.identity() != self._identity:
            return False
        # The last event as of now: what this process adds meanwhile proves nothing.
        return await contains(self._log, self._last)


def _isolated(reset: Callable[[], None]) -> None:
    try:
        reset()
    except Exception:
        logger.exception("a listener could not start over")


async def run_while_readable(feed: Feed, clients: Clients) -> None:
    """Run the feed; when it stops at an event of a newer version, send the clients to newer processes.

    The bells ring on: who is refused from now on must be refused here, too.
    """
    await feed.run()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed.ring_on())
        tasks.create_task(clients.drain())

"""The feed: this process's one reader of the log, in order and without a gap, whatever the doorbell does."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from core.alarm.events import Event
from core.backoff import backoff
from core.errors import Unavailable, UnknownEvent
from core.host import Chance
from core.log.ports import START, Doorbell, EventReader, Notice, Page, Stamp

logger = logging.getLogger("tocsin.feed")

PAGE_EVENTS = 1_000
RECENT_EVENTS = 5_000
"""How many events followers can be behind before they read the log themselves."""
GRACE_SECONDS = 0.2
"""How long the doorbell may take for what was heard of elsewhere, before the log is read without it."""
LONGEST_PAUSE_SECONDS = 2.0


class _Skipped(Exception):
    """The doorbell fell behind the range read: open it anew from there."""


Listener = Callable[[Sequence[Event]], None]

Follow = Callable[[int], AsyncIterator[Sequence[Event]]]
"""Yields every event of a position > the argument, in batches, none empty, in order, for ever."""

Bell = Callable[[str], asyncio.Event]
"""Returns the event that is set as soon as something changes in the collection, or may have."""


class Feed:
    """Follows the log's end for everything in the process that wants to.

    Correctness rests on the range read and on `n == last + 1`; the doorbell only says when. The feed
    starts at the tail it finds and goes on for ever; who wants older events follows from there.
    `chance` spreads its retries.
    """

    def __init__(self, log: EventReader, doorbell: Doorbell, chance: Chance) -> None:
        self._log = log
        self._doorbell = doorbell
        self._chance = chance
        self._last: Stamp = START
        self._identity = ""
        self._heard = 0
        self._recent: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._listeners: list[Listener] = []
        self._resets: list[Callable[[], None]] = []
        self._reading = asyncio.Lock()
        self._moved = asyncio.Event()
        self._behind = asyncio.Event()
        self._topics: dict[str, asyncio.Event] = {}
        self._failures = 0
        self.live = False
        """Whether the doorbell is connected."""
        self.stopped: UnknownEvent | None = None
        """The event of a newer version that this process cannot read: it follows the log no further."""

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
        """How many positions the process has heard of and not yet read."""
        return max(0, self._heard - self.position)

    def listen(self, listener: Listener, reset: Callable[[], None]) -> None:
        """Call `listener` with every batch, in order without a gap, and `reset` when the log was replaced.

        Both are called from the feed itself and must not block.
        """
        self._listeners.append(listener)
        self.on_reset(reset)

    def on_reset(self, reset: Callable[[], None]) -> None:
        """Call `reset` when the log was replaced, from the feed itself; it must not block."""
        self._resets.append(reset)

    def hear(self, position: int, events: Sequence[Event] = ()) -> None:
        """Take note that the log is known to have reached the position, with these events, in order.

        What directly follows what was read needs no reading any more: no doorbell is faster.
        """
        self._take(events)
        self._heard = max(self._heard, position)
        if self._heard > self.position:
            self._behind.set()

    async def start(self) -> None:
        """Find the log's tail; the feed starts there. Raises Unavailable."""
        identity, last = await self._log.identity(), await self._log.tail()
        self._identity, self._last = identity, last
        self._heard = self._last.position

    async def run(self) -> None:
        """Follow the log for ever; whatever breaks is opened anew.

        Returns at an event whose shape only a newer version knows: going on behind it would be a gap.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stay_connected())
                tasks.create_task(self._chase())
        except* UnknownEvent as group:
            self.stopped = next(error for error in group.exceptions if isinstance(error, UnknownEvent))
            logger.error("stopped: %s", self.stopped)  # noqa: TRY400 (one clear line is the point)
            self._moved.set()

    async def follow(self, after: int) -> AsyncIterator[Sequence[Event]]:
        """Yield every event of a position > after, in batches, in order, for ever.

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

    def bell(self, topic: str) -> asyncio.Event:
        """Return the event that is set as soon as something changes in the collection, or may have."""
        return self._topics.setdefault(topic, asyncio.Event())

    def _newer(self, after: int) -> Sequence[Event] | None:
        """Return what followed `after` as far as it is remembered, or None: it is not."""
        if after >= self.position:
            return ()
        first = self.position - len(self._recent)
        if after < first:
            return None
        return list(islice(self._recent, after - first, after - first + PAGE_EVENTS))

    async def _stay_connected(self) -> None:
        while True:
            try:
                await self._connected()
            except _Skipped:
                continue
            except Unavailable as error:
                self._failures += 1
                logger.log(
                    logging.INFO if self._failures == 1 else logging.WARNING, "reconnecting: %s", error
                )
                await asyncio.sleep(backoff(self._failures, 0.01, LONGEST_PAUSE_SECONDS, self._chance()))

    async def _connected(self) -> None:
        await self._check_log()
        page = await self._catch_up()
        async with self._doorbell.listen(page.moment, lambda: self.position) as rings:
            # For bells that ring only from now on: what came before they did is read here.
            await self._catch_up()
            # Whatever changed while nobody listened: let everyone look again.
            self._announce(self._topics.keys())
            self.live = True
            try:
                async for ring in rings:
                    self._failures = 0
                    await self._answer(ring)
            finally:
                self.live = False
        raise Unavailable("the doorbell ended")

    async def _answer(self, ring: Notice) -> None:
        if ring.topics:
            self._announce(ring.topics)
            if "meta" in ring.topics:
                await self._check_log()
        self.hear(ring.position, ring.events)
        if ring.more and ring.events:
            # Further behind than the doorbell tells quickly: the range read is faster, and skips its backlog.
            await self._catch_up()
            raise _Skipped
        if ring.position > self.position and not ring.events:
            # This doorbell brings none along: no use waiting for them.
            await self._catch_up()

    def _announce(self, topics: Iterable[str]) -> None:
        for topic in tuple(topics):
            waiting = self._topics.pop(topic, None)
            if waiting is not None:
                waiting.set()

    async def _chase(self) -> None:
        """Read what was heard of and not brought along; just after a failover that may take a few tries."""
        tries = 0
        while True:
            await self._behind.wait()
            await asyncio.sleep(GRACE_SECONDS + backoff(tries, 0.01, LONGEST_PAUSE_SECONDS, self._chance()))
            if self._heard > self.position:
                with suppress(Unavailable):
                    await self._catch_up()
            tries += 1
            if self._heard <= self.position:
                tries = 0
                self._behind.clear()

    async def _catch_up(self) -> Page:
        async with self._reading:
            while True:
                page = await self._log.read(self.position, PAGE_EVENTS)
                self._take(page.events)
                if len(page.events) < PAGE_EVENTS // 2:
                    return page

    def _take(self, events: Sequence[Event]) -> None:
        """Pass on what directly follows; the rest is known already, or a gap that the log will fill."""
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
        self._recent.extend(fresh)
        self._last = Stamp(newest.position, newest.event_id, newest.at)
        for listener in self._listeners:
            listener(fresh)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _check_log(self) -> None:
        """Start over if the log is another than before: restored from a backup, or made anew."""
        # Nothing may be read meanwhile: it would be compared with what was there before it.
        async with self._reading:
            if await self._is_same_log():
                return
            logger.error("the log was replaced: starting over at its tail")
            self._recent.clear()
            await self.start()
            for reset in self._resets:
                reset()

    async def _is_same_log(self) -> bool:
        if await self._log.identity() != self._identity:
            return False
        # What this process itself adds meanwhile says nothing about what was there before.
        last = self._last
        if last.position == 0:
            return True
        found = await self._log.stamp(last.position)
        if found is None:
            if (await self._log.tail()).position < last.position:
                # A new primary's majority view may lag behind what was read from the old one.
                raise Unavailable(f"the log does not reach position {last.position} yet")
            # It may have come between the two reads.
            found = await self._log.stamp(last.position)
        return found is not None and found.event_id == last.event_id

"""Deadlines: ends timed shelves when their time is up, in one process at a time (ISA-18.2 §11.5)."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from core.alarm.context import Context
from core.alarm.events import Actor, Event
from core.alarm.shelves import Shelf, Shelves
from core.alarm.suppression import Unshelve
from core.application.projections.projector import PROJECTION, AlarmModel, Follow
from core.application.workers.leader import LeaderTask
from core.backoff import backoff
from core.coordination.ports import Lease, Leases
from core.errors import LogMismatch, OutcomeUnknown, Refused, Unavailable
from core.log.handler import CommandHandler
from core.log.ports import EventLog
from core.log.projection import check_known

logger = logging.getLogger("tocsin.deadlines")

DEADLINES_LEASE = "deadlines"
ACTOR = Actor("deadlines", "system")
AT_ONCE = 64
"""How many shelves are ended at the same time."""
SLEEP_SECONDS = 60.0
"""The longest sleep: the clock may have been set, or the machine suspended, meanwhile."""
FIRST_RETRY_SECONDS = 0.05
RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ShelfSources:
    """Where the shelves are read: from the alarm list, and from then on from the log."""

    log: EventLog
    follow: Follow
    model: AlarmModel


@dataclass(frozen=True, slots=True)
class Minting:
    """What a command needs from outside core: the time, UTC, and an event id."""

    now: Callable[[], datetime]
    new_event_id: Callable[[], str]


class Deadlines:
    """Unshelves each alarm when its timed shelf ends, and sleeps until the next one does.

    The expiry names the end of the shelf that it is for. So a shelf that was renewed or ended meanwhile,
    a second leader or a shelf that is seen twice changes nothing.
    """

    def __init__(
        self, sources: ShelfSources, handler: CommandHandler, minting: Minting, leases: Leases, holder: str
    ) -> None:
        self._sources = sources
        self._handler = handler
        self._minting = minting
        self.task = LeaderTask(leases, DEADLINES_LEASE, holder, self.work)
        self._failures = 0

    @property
    def status(self) -> str:
        """`leading`, `standby`, or in one line why it has stopped."""
        return self.task.status

    async def run(self) -> None:
        """End shelves for ever; cancelling it lets go of the lease. Returns at a newer version's event."""
        await self.task.run()

    def log_replaced(self) -> None:
        """Read the shelves again: the feed has seen another log."""
        self.task.restart()

    async def work(self, _: Lease) -> None:
        """End shelves until the lease is lost, through every outage. Raises UnknownEvent."""
        while True:
            try:
                await self._keep_all()
            except (Unavailable, LogMismatch) as error:
                self._failures += 1
                if self._failures > 1:
                    logger.warning("reading the shelves again: %s", error)
            await asyncio.sleep(backoff(self._failures, FIRST_RETRY_SECONDS, RETRY_SECONDS, random.random()))

    async def _keep_all(self) -> None:
        """Read all shelves, then follow the log and end them as they come due."""
        shelves = Shelves()
        after = await self._load(shelves)
        async with _arriving(self._sources.follow(after)) as arrival:
            coming = arrival()
            while True:
                await asyncio.wait({coming}, timeout=self._seconds_left(shelves))
                if coming.done():
                    after = _see(shelves, coming.result(), after)
                    coming = arrival()
                    self._failures = 0
                due = shelves.take_due(self._minting.now(), AT_ONCE)
                await asyncio.gather(*(self._end(shelf) for shelf in due))

    async def _load(self, shelves: Shelves) -> int:
        """Read the shelves of the alarm list; return the position to follow the log from.

        Raises:
            LogMismatch: the list is of another log, or was swapped meanwhile; it has to be read again.
        """
        model = self._sources.model
        # A swap that is under way changes the list first and its generation last: finish it, on both sides.
        await model.rebuild.settle()
        before = await model.checkpoints.load(PROJECTION)
        stamp = await self._sources.log.stamp(before.position)
        if before.position and (stamp is None or stamp.event_id != before.event_id):
            raise LogMismatch(f"position {before.position} of the alarm list is not in the log")
        async for rows in model.alarms.shelved():
            for row in rows:
                shelves.see(row)
        await model.rebuild.settle()
        if (await model.checkpoints.load(PROJECTION)).generation != before.generation:
            raise LogMismatch("the alarm list was swapped while it was read")
        return before.position

    def _seconds_left(self, shelves: Shelves) -> float | None:
        until = shelves.earliest()
        if until is None:
            return None
        return min(SLEEP_SECONDS, max(0.0, (until - self._minting.now()).total_seconds()))

    async def _end(self, shelf: Shelf) -> None:
        """Unshelve the alarm, again and again while the log cannot be reached."""
        command = self._expiry(shelf)
        for tries in count(1):
            try:
                await self._handler.handle(command)
            except (Unavailable, OutcomeUnknown) as error:
                if tries > 1:
                    logger.warning("unshelving %s again: %s", shelf.alarm_id, error)
            except Refused as refusal:
                logger.warning("alarm %s is not unshelved: %s", shelf.alarm_id, refusal.detail)
                return
            else:
                return
            await asyncio.sleep(backoff(tries, FIRST_RETRY_SECONDS, RETRY_SECONDS, random.random()))

    def _expiry(self, shelf: Shelf) -> Unshelve:
        context = Context(
            event_id=self._minting.new_event_id(),
            tenant=shelf.tenant,
            actor=ACTOR,
            now=self._minting.now(),
        )
        return Unshelve(context=context, alarm_id=shelf.alarm_id, expired=shelf.until)


def _see(shelves: Shelves, events: Sequence[Event], after: int) -> int:
    """Take note of what follows `after`; return its last position. Raises LogMismatch, UnknownEvent."""
    for event in events:
        check_known(event)
        if event.position != after + 1:
            raise LogMismatch(f"event {event.position} follows {after}")
        shelves.see(event.alarm)
        after = event.position
    return after


Arrival = Callable[[], "asyncio.Future[Sequence[Event]]"]


@asynccontextmanager
async def _arriving(batches: AsyncIterator[Sequence[Event]]) -> AsyncIterator[Arrival]:
    """Give what starts to wait for the next batch; the waiting and the generator end with the block."""
    coming: list[asyncio.Future[Sequence[Event]]] = []

    def arrival() -> "asyncio.Future[Sequence[Event]]":
        coming[:] = [asyncio.ensure_future(anext(batches))]
        return coming[0]

    try:
        yield arrival
    finally:
        for each in coming:
            each.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        close = getattr(batches, "aclose", None)
        if close is not None:
            await close()

"""Fetches what sessions need from the log and the alarm list, beside the delivery, never inside it."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.streaming.peer import Peer
from adapters.streaming.snapshot_places import SnapshotPlaces
from core.alarm.alarm import Alarm
from core.application.checkpoints import belongs
from core.application.log_tail import tail_up_to
from core.application.projections.alarms import PROJECTION
from core.application.waiting import closing
from core.backoff import backoff
from core.coordination.ports import Checkpoint, CheckpointReader
from core.delivery.delivery import Delivery
from core.delivery.pages import page_end
from core.delivery.requests import NeedPage, NeedSnapshot, NeedTail, Request
from core.delivery.session import Subscription
from core.errors import LogMismatch, Unavailable
from core.lists.ports import AlarmListReader, DecidedSwap
from core.log.ports import EventReader

logger = logging.getLogger("tocsin.delivery")

PAGE_READS = 4
"""How many pages of the log are read at once."""
LIST_READS = 4
"""How many pages of the alarm list are read at once."""
SCAN_TRIES = 5
"""How often a scan is tried while the list is being swapped, or is not yet of this log."""
TAIL_TRIES = 5
"""How often the tail is read for a position beyond it."""
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of events and rows that the ring does not hold."""

    log: EventReader
    alarms: AlarmListReader
    checkpoints: CheckpointReader
    rebuild: DecidedSwap


class Fetching:
    """Answers a delivery's requests; calls `wake` whenever there may be something to send."""

    def __init__(self, delivery: Delivery[Peer], sources: Sources, wake: Callable[[], None]) -> None:
        self._delivery = delivery
        self._sources = sources
        self._wake = wake
        self._page_reads = asyncio.Semaphore(PAGE_READS)
        self._list_reads = asyncio.Semaphore(LIST_READS)
        self._places = SnapshotPlaces()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to fetch what was requested since the last call."""
        for request in self._delivery.requests():
            if isinstance(request, NeedSnapshot):
                self._queue(request)
            else:
                self._begin(self._fetch(request))

    def stop(self) -> None:
        """Fetch nothing more."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, fetching: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(fetching)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _queue(self, request: NeedSnapshot) -> None:
        """Begin the snapshot, or let it wait for those that its session has asked for before."""
        peer: Peer = request.subscription.session.peer
        peer.snapshots.append(request)
        if len(peer.snapshots) == 1:
            self._begin(self._one_by_one(peer.snapshots))

    async def _one_by_one(self, snapshots: deque[NeedSnapshot]) -> None:
        while snapshots:
            await self._fetch(snapshots[0])
            snapshots.popleft()

    async def _fetch(self, request: Request) -> None:
        try:
            match request:
                case NeedPage():
                    await self._page(request)
                case NeedTail():
                    await self._tail(request)
                case NeedSnapshot():
                    await self._snapshot(request)
        except Exception:
            # Whatever the error, the client must not wait for ever.
            logger.exception("a subscription could not be served")
            self._delivery.give_up(request, "the subscription's data could not be read")
        self._wake()

    async def _page(self, request: NeedPage) -> None:
        tries = request.tries
        while self._delivery.needs(request):
            if tries:
                await asyncio.sleep(backoff(tries, 0.01, RETRY_SECONDS, random.random()))
            tries += 1
            try:
                async with self._page_reads:
                    limit = page_end(request.number) - request.after
                    page = await self._sources.log.read(request.after, limit)
                self._delivery.page(request, page.events)
            except (Unavailable, LogMismatch) as error:
                logger.warning("reading the log again for sessions that are behind: %s", error)
            else:
                return

    async def _tail(self, request: NeedTail) -> None:
        try:
            tail = await tail_up_to(self._sources.log, request.after, TAIL_TRIES)
            self._delivery.tail(request, tail)
        except Unavailable as error:
            self._delivery.give_up(request, str(error))

    async def _snapshot(self, request: NeedSnapshot) -> None:
        session = request.subscription.session
        try:
            async with self._places.taken(session.tenant, session.subject):
                await self._try_scan(request)
        except Unavailable as error:
            self._delivery.give_up(request, str(error))

    async def _try_scan(self, request: NeedSnapshot) -> None:
        for tries in range(SCAN_TRIES):
            if tries:
                await asyncio.sleep(backoff(tries, 0.1, RETRY_SECONDS, random.random()))
            if not request.subscription.scanning:
                return
            if await self._scan(request.subscription):
                self._delivery.snapshot_ended(request.subscription)
                return
        self._delivery.give_up(request, "the alarm list is being rebuilt; try again")

    async def _scan(self, subscription: Subscription[Peer]) -> bool:
        """Send the alarm list once; False: it was swapped meanwhile, or belongs to a replaced log."""
        before = await self._checkpoint()
        if not await belongs(self._sources.log, before):
            return False
        self._delivery.snapshot_began(subscription, before.position)
        async with closing(self._sources.alarms.scan(subscription.session.tenant)) as scan:
            while rows := await self._next(scan):
                await self._send(subscription, rows)
                if not subscription.scanning:
                    return True
        return (await self._checkpoint()).generation == before.generation

    async def _checkpoint(self) -> Checkpoint:
        # A swap changes the list first and its generation last: finish one that is under way.
        await self._sources.rebuild.settle()
        return await self._sources.checkpoints.load(PROJECTION)

    async def _next(self, scan: AsyncIterator[Sequence[Alarm]]) -> list[Alarm]:
        """Read a page; empty: the list has ended. Only reads are limited: a slow client holds up no other."""
        async with self._list_reads:
            try:
                return list(await anext(scan))
            except StopAsyncIteration:
                return []

    async def _send(self, subscription: Subscription[Peer], rows: list[Alarm]) -> None:
        """Send a page, and wait until the session has taken it."""
        self._delivery.snapshot_rows(subscription, rows)
        self._wake()
        session = subscription.session
        while not (session.answered or session.closed):
            await session.peer.wait_for_room()

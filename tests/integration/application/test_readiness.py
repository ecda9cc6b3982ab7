"""Whether a process is to be sent clients, and what it says when it is not."""

import asyncio
import logging
from typing import ClassVar

from adapters.memory.leases import MemoryLeases
from adapters.memory.log import MemoryLog
from core.application.feed import Feed
from core.application.readiness import Readiness
from core.application.workers.worker import Worker
from core.coordination.ports import Lease
from core.errors import UnknownEvent
from core.log.ports import Notice, Page
from tests.integration.application.test_feed_followers import Bringing
from tests.kit.hosts import HOST, candidate

SECONDS = 10.0


class Log(MemoryLog):
    """A log with an event of a newer version in it, once it was told."""

    newer = False

    async def read(self, after: int, limit: int) -> Page:
        if self.newer:
            raise UnknownEvent("alarm.raised", 99, 1)
        return await super().read(after, limit)


class Clients:
    draining = False

    async def drain(self) -> None:
        self.draining = True


class Stopping(Worker):
    """A projector that meets an event of a newer version."""

    logger: ClassVar = logging.getLogger("tocsin.projector")
    again: ClassVar = "again"

    async def _go(self, _: Lease) -> None:
        raise UnknownEvent("alarm.dreamt", 9, 1)


class Place:
    """A process with a feed, a projector and clients."""

    def __init__(self) -> None:
        self.log, self.doorbell, self.clients = Log("log"), Bringing(), Clients()
        self.feed = Feed(self.log, self.doorbell, HOST.chance)
        self.projector = Stopping(candidate(MemoryLeases()), "projector")
        self.readiness = Readiness(self.feed, self.projector, self.clients)

    async def connected(self) -> "asyncio.Task[None]":
        """Start the feed, and wait until it is connected."""
        await self.feed.start()
        keeping = asyncio.create_task(self.readiness.keep())
        async with asyncio.timeout(SECONDS):
            while not self.feed.live:
                await asyncio.sleep(0)
        return keeping


async def test_a_process_is_ready_once_its_feed_is_connected() -> None:
    place = Place()
    assert place.readiness.reasons() == ["the feed is not connected to MongoDB"]
    keeping = await place.connected()
    assert place.readiness.reasons() == []
    keeping.cancel()


async def test_a_draining_process_is_to_be_sent_no_more_clients() -> None:
    place = Place()
    keeping = await place.connected()
    place.clients.draining = True
    assert place.readiness.reasons() == ["it is draining: send no more clients here"]
    keeping.cancel()


async def test_a_projector_that_has_stopped_says_why() -> None:
    place = Place()
    keeping = await place.connected()
    await place.projector.run()
    (reason,) = place.readiness.reasons()
    assert reason.startswith("the projector: stopped: event 1 is alarm.dreamt v9")
    keeping.cancel()


async def test_clients_are_sent_away_when_the_feed_meets_an_event_of_a_newer_version() -> None:
    place = Place()
    keeping = await place.connected()
    place.log.newer = True
    place.doorbell.rings.put_nowait(Notice(position=1))
    async with asyncio.timeout(SECONDS):
        await keeping
    assert place.clients.draining
    reasons = place.readiness.reasons()
    assert reasons[0] == "it is draining: send no more clients here"
    assert reasons[1].startswith("the feed: stopped: event 1 is alarm.raised v99")

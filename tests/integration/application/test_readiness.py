"""Whether a process is to be sent clients, and what it says when it is not."""

import asyncio
import logging
from datetime import timedelta
from typing import ClassVar

import pytest
from msgspec.structs import replace

from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.leases import MemoryLeases
from adapters.memory.log import Events, MemoryLog
from core.application import readiness
from core.application.feed import Feed, run_while_readable
from core.application.lag import FEED, LagMeter
from core.application.readiness import FEED_SECONDS, Readiness
from core.application.workers.worker import Worker
from core.coordination.ports import Lease
from core.errors import Unavailable, UnknownEvent
from core.log.ports import Notice, Page, Stamp
from tests.integration.application.test_feed_followers import Bringing
from tests.kit.history import History
from tests.kit.hosts import HOST, candidate

SECONDS = 10.0


class Log(MemoryLog):
    """A log with an event of a newer version in it, or one that does not answer, once it was told."""

    newer = False
    away: Exception | None = None
    silent = False

    async def tail(self) -> Stamp:
        if self.away is not None:
            raise self.away
        if self.silent:
            await asyncio.Event().wait()
        return await super().tail()

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

    async def _work_once(self, _: Lease) -> None:
        raise UnknownEvent("alarm.dreamt", 9, 1)


class Place:
    """A process with a feed, a projector and clients."""

    def __init__(self) -> None:
        self.events = Events()
        self.log, self.doorbell, self.clients = Log("log", self.events), Bringing(), Clients()
        self.feed = Feed(self.log, self.doorbell, HOST.chance)
        self.projector = Stopping(candidate(MemoryLeases()), "projector")
        meter = LagMeter(self.log, self.feed, MemoryCheckpoints(), (), HOST.clock)
        self.clock_fault: str | None = None
        self.readiness = Readiness(self.feed, self.projector, self.clients, meter, lambda: self.clock_fault)

    async def connected(self) -> "asyncio.Task[None]":
        """Start the feed, and wait until it is connected."""
        await self.feed.start()
        keeping = asyncio.create_task(run_while_readable(self.feed, self.clients))
        async with asyncio.timeout(SECONDS):
            while not self.feed.live:
                await asyncio.sleep(0)
        return keeping


async def test_a_process_is_ready_once_its_feed_is_connected() -> None:
    place = Place()
    assert (await place.readiness.report()).reasons == ["the feed is not connected to MongoDB"]
    keeping = await place.connected()
    assert (await place.readiness.report()).reasons == []
    keeping.cancel()


async def test_a_draining_process_is_to_be_sent_no_more_clients() -> None:
    place = Place()
    keeping = await place.connected()
    place.clients.draining = True
    assert (await place.readiness.report()).reasons == ["it is draining: send no more clients here"]
    keeping.cancel()


async def test_a_projector_that_has_stopped_says_why() -> None:
    place = Place()
    keeping = await place.connected()
    await place.projector.run()
    (reason,) = (await place.readiness.report()).reasons
    assert reason.startswith("the projector: stopped: event 1 is alarm.dreamt v9")
    keeping.cancel()


async def test_a_process_whose_clock_is_ahead_is_to_be_sent_no_clients() -> None:
    place = Place()
    keeping = await place.connected()
    place.clock_fault = "this machine's clock is 60 s ahead of MongoDB's"
    assert (await place.readiness.report()).reasons == [place.clock_fault]
    keeping.cancel()


@pytest.mark.parametrize(("age", "ready"), [(FEED_SECONDS - 5, True), (FEED_SECONDS + 5, False)])
async def test_a_feed_that_is_connected_and_far_behind_the_log_is_not_ready(age: float, ready: bool) -> None:
    place, history = Place(), History()
    keeping = await place.connected()
    history.raised("pump")
    place.events.add(replace(history.events[0], at=HOST.clock.now() - timedelta(seconds=age)))
    report = await place.readiness.report()
    assert [(lag.projection, lag.positions) for lag in report.lags] == [(FEED, 1)]
    assert [reason.endswith("s behind the log") for reason in report.reasons] == ([] if ready else [True])
    keeping.cancel()


@pytest.mark.parametrize("away", [Unavailable("away"), None])
async def test_a_process_whose_mongodb_does_not_answer_is_not_ready(
    away: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "ASK_SECONDS", 0.01)
    place = Place()
    keeping = await place.connected()
    place.log.away, place.log.silent = away, True
    report = await place.readiness.report()
    assert (report.reasons, report.lags) == (["MongoDB does not answer"], [])
    keeping.cancel()


async def test_clients_are_sent_away_when_the_feed_meets_an_event_of_a_newer_version() -> None:
    place = Place()
    keeping = await place.connected()
    place.log.newer = True
    place.doorbell.rings.put_nowait(Notice(position=1))
    async with asyncio.timeout(SECONDS):
        await keeping
    assert place.clients.draining
    reasons = (await place.readiness.report()).reasons
    assert reasons[0] == "it is draining: send no more clients here"
    assert reasons[1].startswith("the feed: stopped: event 1 is alarm.raised v99")

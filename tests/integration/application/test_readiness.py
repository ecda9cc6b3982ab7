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
from core.application.background import Background, Need
from core.application.feed import Feed, run_while_readable
from core.application.lag import FEED, LagMeter
from core.application.readiness import FEED_SECONDS, PROJECTION_SECONDS, Readiness
from core.application.workers.worker import Worker
from core.coordination.ports import Lease
from core.errors import Unavailable, UnknownEvent
from core.log.ports import Notice, Page, Stamp
from tests.integration.application.test_feed_followers import Bringing
from tests.kit.history import History
from tests.kit.hosts import HOST, candidate
from tests.kit.waiting import eventually

SECONDS = 10.0
FRESH_SECONDS = readiness.FRESH_SECONDS


@pytest.fixture(autouse=True)
def _asking_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)


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

    def __init__(self, *projections: str) -> None:
        self.events = Events()
        self.log, self.doorbell, self.clients = Log("log", self.events), Bringing(), Clients()
        self.feed = Feed(self.log, self.doorbell, HOST.chance)
        self.projector = Stopping(candidate(MemoryLeases()), "projector")
        meter = LagMeter(self.log, self.feed, MemoryCheckpoints(), projections, HOST.clock)
        self.background = Background(HOST.chance)
        self.clock_fault: str | None = None
        self.readiness = Readiness(
            self.feed,
            self.projector,
            self.clients,
            meter,
            self.background,
            clock_fault=lambda: self.clock_fault,
        )

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


@pytest.mark.parametrize(("age", "warned"), [(PROJECTION_SECONDS - 5, False), (PROJECTION_SECONDS + 5, True)])
async def test_a_process_whose_list_no_worker_projects_warns_and_stays_ready(
    age: float, warned: bool
) -> None:
    place, history = Place("alarms"), History()
    history.raised("pump")
    place.events.add(replace(history.events[0], at=HOST.clock.now() - timedelta(seconds=age)))
    keeping = await place.connected()
    report = await place.readiness.report()
    assert report.reasons == []
    told = [f"the projection alarms is {age:.0f} s behind the log: does a worker run?"]
    assert report.warnings == (told if warned else [])
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
    await eventually("the clients are sent away", lambda: place.clients.draining, SECONDS)
    reasons = (await place.readiness.report()).reasons
    assert reasons[0] == "it is draining: send no more clients here"
    assert reasons[1].startswith("the feed: stopped: event 1 is alarm.raised v99")
    keeping.cancel()


@pytest.mark.parametrize(("need", "ready"), [("serving", False), ("working", True)])
async def test_a_background_task_that_fails_is_named(need: Need, ready: bool) -> None:
    place = Place()
    keeping = await place.connected()
    failed = asyncio.Event()

    async def fail() -> None:
        failed.set()
        raise KeyError("secret")

    background = asyncio.create_task(place.background.keep("the appender", need, fail))
    await failed.wait()
    await asyncio.sleep(0)
    report = await place.readiness.report()
    told = ["the appender failed with KeyError and is started again"]
    assert (report.reasons, report.warnings) == (([], told) if ready else (told, []))
    background.cancel()
    keeping.cancel()


async def test_however_many_ask_the_log_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", FRESH_SECONDS)
    place, asked = Place(), 0
    tail = place.log.tail

    async def counted() -> Stamp:
        nonlocal asked
        asked += 1
        return await tail()

    monkeypatch.setattr(place.log, "tail", counted)
    await asyncio.gather(*(place.readiness.report() for _ in range(10)))
    assert asked == 1
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    await place.readiness.report()
    assert asked == 2

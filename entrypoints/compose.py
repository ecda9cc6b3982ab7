"""The composition root: the only place that builds adapters and wires them together."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import uuid_utils

from adapters.memory.turns import StreamTurns
from adapters.mongo.alarms import MongoAlarmList
from adapters.mongo.answers import MongoAnswers
from adapters.mongo.checkpoints import MongoCheckpoints
from adapters.mongo.client import connect
from adapters.mongo.doorbell import ChangeStreamDoorbell
from adapters.mongo.leases import MongoLeases
from adapters.mongo.log import MongoLog
from adapters.mongo.rebuild import MongoAlarmRebuild
from core.events import Event
from core.handler import CommandHandler
from core.ports import Stamp
from core.recollection import Recollection
from entrypoints.feed import Feed
from entrypoints.services import Services
from entrypoints.worker import PROJECTION, AlarmModel, Projector


@dataclass(frozen=True, slots=True)
class Process:
    """The parts of a running process that its entrypoints use."""

    services: Services
    feed: Feed
    projector: Projector


@dataclass(frozen=True, slots=True)
class Storage:
    """The adapters on one database."""

    log: MongoLog
    rebuild: MongoAlarmRebuild
    doorbell: ChangeStreamDoorbell
    alarms: MongoAlarmList
    checkpoints: MongoCheckpoints
    leases: MongoLeases
    answers: MongoAnswers


@asynccontextmanager
async def storage(uri: str, database: str) -> AsyncIterator[Storage]:
    """Connect to a database and make what is missing in it. Raises Unavailable."""
    connection = connect(uri, database)
    try:
        built = Storage(
            MongoLog(connection),
            MongoAlarmRebuild(connection),
            ChangeStreamDoorbell(connection),
            MongoAlarmList(connection),
            MongoCheckpoints(connection),
            MongoLeases(connection),
            MongoAnswers(connection),
        )
        await built.log.create()
        await built.alarms.create()
        await built.answers.create()
        yield built
    finally:
        connection.client.close()


@asynccontextmanager
async def running(store: Storage) -> AsyncIterator[Process]:
    """Run the feed, the appender and the projector for as long as the context lasts. Raises Unavailable."""
    feed = Feed(store.log, store.doorbell)
    await feed.start()
    recollection = Recollection()
    _remember(feed, store.log, recollection)
    model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
    projector = Projector(store.log, feed.follow, model, store.leases, holder())
    feed.listen(lambda _: None, projector.log_replaced)
    services = Services(
        handler=CommandHandler(store.log, StreamTurns(), recollection, store.answers),
        log=store.log,
        alarms=store.alarms,
        checkpoints=store.checkpoints,
        now=now,
        new_event_id=new_event_id,
        projected=lambda position, seconds: _projected(store.checkpoints, feed, position, seconds),
        not_ready=lambda: _not_ready(feed, projector),
    )
    async with store.log.running(feed.hear), asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(feed.run()), tasks.create_task(projector.run())]
        yield Process(services, feed, projector)
        for worker in workers:
            worker.cancel()


@asynccontextmanager
async def feeding(store: Storage) -> AsyncIterator[Feed]:
    """Run the feed alone, for as long as the context lasts. Raises Unavailable."""
    feed = Feed(store.log, store.doorbell)
    await feed.start()
    async with asyncio.TaskGroup() as tasks:
        running_feed = tasks.create_task(feed.run())
        yield feed
        running_feed.cancel()


def now() -> datetime:
    """The service's clock, UTC."""
    return datetime.now(UTC)


def new_event_id() -> str:
    """Mint an event id: UUIDv7 (RFC 9562)."""
    return str(uuid_utils.uuid7())


def holder() -> str:
    """Name this process as the holder of leases."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _remember(feed: Feed, log: MongoLog, recollection: Recollection) -> None:
    def seen(events: Sequence[Event]) -> None:
        newest = events[-1]
        log.learn(Stamp(newest.position, newest.event_id, newest.at))
        for event in events:
            recollection.see(event.alarm)

    def replaced() -> None:
        log.forget()
        recollection.forget()

    feed.listen(seen, replaced)


async def _projected(checkpoints: MongoCheckpoints, feed: Feed, position: int, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while True:
                # Listen before reading: a move in between would be missed.
                moved = feed.bell("checkpoints")
                if (await checkpoints.load(PROJECTION)).position >= position:
                    return True
                await moved.wait()
    except TimeoutError:
        return False


def _not_ready(feed: Feed, projector: Projector) -> list[str]:
    reasons = []
    if not feed.live:
        reasons.append("the feed is not connected to MongoDB")
    if projector.status not in ("leading", "standby"):
        reasons.append(f"the projector: {projector.status}")
    return reasons

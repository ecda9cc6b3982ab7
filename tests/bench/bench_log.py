"""The log and the feed against the raw driver: throughput, latency, insert to feed, keeping up."""

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uuid_utils

from adapters.mongo.client import Database, connect
from adapters.mongo.codec import event_document
from adapters.mongo.log.doorbell import ChangeStreamDoorbell
from adapters.mongo.log.store import INDEXES
from core.alarm.alarm import Alarm, Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from core.alarm.evolution import place
from core.application.feed import Feed
from tests.bench.table import Row, median
from tests.kit.hosts import HOST
from tests.kit.mongologs import WritableLog

EVENTS = 20_000
WRITERS = 256
ROUNDS = 3
SINGLES = 300


def run(uri: str) -> list[Row]:
    """Measure everything on the MongoDB at `uri`."""
    return asyncio.run(_run(uri))


async def _run(uri: str) -> list[Row]:
    return [
        await _throughput(uri),
        await _append_latency(uri),
        await _feed_latency(uri),
        await _keeping_up(uri),
    ]


def decided(number: int) -> tuple[Alarm, Event]:
    """Return a first raise of an alarm of its own, as big as they usually are (about 1 KB as stored)."""
    identity = Identity("default", f"boiler-{number}-{uuid.uuid4().hex[:6]}", "overpressure", "")
    context = Context(
        event_id=str(uuid_utils.uuid7()),
        tenant="default",
        actor=Actor(identity.source, "source"),
        now=datetime.now(UTC),
    )
    command = Raise(
        context=context,
        identity=identity,
        severity="major",
        text="Pressure 12.4 bar is over the limit of 10 bar",
        labels={"plant": "north"},
    )
    before = Alarm.absent(command.alarm_id)
    event = decide(before, command)
    assert event is not None
    return before, event


@asynccontextmanager
async def _database(uri: str) -> AsyncIterator[Database]:
    database = connect(uri, f"bench_{uuid.uuid4().hex[:8]}")
    try:
        yield database
    finally:
        await database.client.drop_database(database.name)
        database.client.close()


async def _throughput(uri: str) -> Row:
    ratios, ours, floors = [], [], []
    for _ in range(ROUNDS):
        async with _database(uri) as database:
            ours.append(await _append_all(database))
            floors.append(await _insert_many(database))
            ratios.append(ours[-1] / floors[-1])
    return Row(
        f"append, {WRITERS} writers / insert_many(500)",
        f"{median(ours):,.0f} events/s",
        f"{median(floors):,.0f} events/s",
        median(ratios),
        ">= 0.6",
    )


async def _append_all(database: Database) -> float:
    log = WritableLog(database)
    await log.create()
    events = iter([decided(number) for number in range(EVENTS)])
    async with log.running():
        began = time.perf_counter()
        await asyncio.gather(*(_append_from(log, events) for _ in range(WRITERS)))
        return EVENTS / (time.perf_counter() - began)


async def _append_from(log: WritableLog, events: Iterator[tuple[Alarm, Event]]) -> None:
    for before, event in events:
        await log.append(before, event)


async def _insert_many(database: Database) -> float:
    collection = database["raw"]
    await collection.create_indexes(INDEXES)
    documents = [_document(number) for number in range(1, EVENTS + 1)]
    began = time.perf_counter()
    for first in range(0, EVENTS, 500):
        await collection.insert_many(documents[first : first + 500])
    return EVENTS / (time.perf_counter() - began)


def _document(position: int) -> dict[str, Any]:
    before, event = decided(position)
    return event_document(place(before, event, position, None))


async def _append_latency(uri: str) -> Row:
    ours, floors = [], []
    async with _database(uri) as database:
        log, raw = WritableLog(database), database["raw"]
        await log.create()
        await raw.create_indexes(INDEXES)
        async with log.running():
            for number in range(1, SINGLES + 1):
                before, event = decided(number)
                began = time.perf_counter()
                await log.append(before, event)
                ours.append(time.perf_counter() - began)
                document = _document(number)
                began = time.perf_counter()
                await raw.insert_one(document)
                floors.append(time.perf_counter() - began)
    return _latency("one append / raw w:majority insert_one", ours, floors)


async def _feed_latency(uri: str) -> Row:
    async with _database(uri) as database:
        log = WritableLog(database)
        await log.create()
        feed = Feed(log, ChangeStreamDoorbell(database), HOST.chance)
        await feed.start()
        arrived: dict[str, float] = {}
        feed.on_events(
            lambda events: arrived.update((e.event_id, time.perf_counter()) for e in events), lambda: None
        )
        async with log.running(), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(feed.run())
            stream = database["raw"].watch()
            floors = []
            async with stream:
                await stream.try_next()
                ours = []
                for number in range(1, SINGLES + 1):
                    ours.append(await _to_feed(log, feed, arrived, number))
                    floors.append(await _to_stream(database, stream, number))
            running.cancel()
    return _latency("insert -> feed / insert -> bare change stream", ours, floors)


async def _to_feed(log: WritableLog, feed: Feed, arrived: dict[str, float], number: int) -> float:
    before, event = decided(number)
    began = time.perf_counter()
    position = (await log.append(before, event)).position
    async for _ in feed.follow(position - 1):
        break
    return arrived[event.event_id] - began


async def _to_stream(database: Database, stream: Any, number: int) -> float:
    document = _document(number)
    began = time.perf_counter()
    writing = asyncio.ensure_future(database["raw"].insert_one(document))
    await stream.next()
    seconds = time.perf_counter() - began
    await writing
    return seconds


def _latency(name: str, ours: list[float], floors: list[float]) -> Row:
    return Row(
        name,
        f"{median(ours) * 1e3:.2f} ms",
        f"{median(floors) * 1e3:.2f} ms",
        median(ours) / median(floors),
        "<= 1.3",
    )


async def _keeping_up(uri: str) -> Row:
    """Read in this process while another appends at full speed; what is compared is when each is done."""
    async with _database(uri) as database:
        log = WritableLog(database)
        await log.create()
        feed = Feed(log, ChangeStreamDoorbell(database), HOST.chance)
        await feed.start()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(feed.run())
            began = time.perf_counter()
            appender = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.bench_log",
                uri,
                database.name,
                stdout=asyncio.subprocess.PIPE,
            )
            assert appender.stdout is not None
            ready = await appender.stdout.readline()
            began = time.perf_counter()
            seconds = float((await appender.stdout.readline()) or ready)
            async for _ in feed.follow(EVENTS - 1):
                break
            lagging = time.perf_counter() - began
            running.cancel()
        await appender.wait()
    return Row(
        "feed reads all / other process appends all",
        f"{lagging:.2f} s",
        f"{seconds:.2f} s",
        lagging / seconds,
        "<= 1.2",
    )


async def _appending_process(uri: str, name: str) -> None:
    database = connect(uri, name)
    events = iter([decided(number) for number in range(EVENTS)])
    log = WritableLog(database)
    print("ready", flush=True)
    async with log.running():
        began = time.perf_counter()
        await asyncio.gather(*(_append_from(log, events) for _ in range(WRITERS)))
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    asyncio.run(_appending_process(sys.argv[1], sys.argv[2]))

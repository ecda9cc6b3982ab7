"""Replaying the log: folding every event, and from the newest snapshots, against a bare find that decodes it.

TOCSIN_REPLAY_EVENTS: how many events each log has (default 1,000,000; 100,000 take a minute). One log has ten
events of each alarm, the other a hundred.
"""

import asyncio
import os
import random
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import uuid_utils
from pymongo import MongoClient

from adapters.mongo.codec import event_document
from adapters.mongo.log.store import EVENTS, INDEXES
from core.alarm.alarm import Alarm, Identity
from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from core.alarm.evolution import place
from core.alarm.notes import Assign, Comment
from core.alarm.responses import Acknowledge
from core.application.projections.alarms import AlarmModel
from core.application.replay.alarms import replay_alarms
from entrypoints.process.host import holder
from entrypoints.process.settings import Settings
from entrypoints.process.storage import storage
from tests.bench.table import Row

COUNT = int(os.environ.get("TOCSIN_REPLAY_EVENTS", "1000000"))
LIFE = 10
LONG_LIFE = 100
"""How many events each alarm has, in the one log and in the other."""
CYCLE = 10
"""After how many events an alarm's life repeats itself."""
BATCH = 2_000
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
OPERATOR = Actor("ann", "operator")


def run(uri: str) -> list[Row]:
    """Measure everything on the MongoDB at `uri`."""
    with MongoClient[dict[str, Any]](uri) as client:
        return [*_short_lives(uri, client), _long_lives(uri, client)]


def _short_lives(uri: str, client: MongoClient[dict[str, Any]]) -> list[Row]:
    with _filled(client, LIFE) as whole, _halved(client, whole) as half:
        bare, _ = _measured(uri, whole, "bare")
        folded, memory = _measured(uri, whole, "folding")
        newest, _ = _measured(uri, whole, "newest")
        halved, less = _measured(uri, half, "folding")
        of_half, _ = _measured(uri, half, "newest")
    rate = f"replay, folding {COUNT:,} events / find"
    found = f"{COUNT / bare:,.0f} events/s"
    taken, kept = f"{memory:.0f} MB", f"{less:.0f} MB"
    return [
        Row(rate, f"{COUNT / folded:,.0f} events/s", found, bare / folded, ">= 0.65"),
        _newest_row(LIFE, newest, folded, "<= 0.4"),
        Row("replay, memory: all / half of the events", taken, kept, memory / less, "<= 1.1"),
        Row("replay, time: all / half", f"{folded:.1f} s", f"{halved:.1f} s", folded / halved, "<= 2.2"),
        Row("replay --newest: all / half", f"{newest:.1f} s", f"{of_half:.1f} s", newest / of_half, "<= 1.3"),
    ]


def _long_lives(uri: str, client: MongoClient[dict[str, Any]]) -> Row:
    with _filled(client, LONG_LIFE) as database:
        folded, _ = _measured(uri, database, "folding")
        newest, _ = _measured(uri, database, "newest")
    return _newest_row(LONG_LIFE, newest, folded, "<= 0.1")


def _newest_row(life: int, newest: float, folded: float, gate: str) -> Row:
    name = f"replay --newest / folding, {life} events an alarm"
    return Row(name, f"{newest:.2f} s", f"{folded:.2f} s", newest / folded, gate)


@contextmanager
def _database(client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    name = f"bench_{uuid.uuid4().hex[:8]}"
    try:
        yield name
    finally:
        client.drop_database(name)


@contextmanager
def _filled(client: MongoClient[dict[str, Any]], life: int) -> Iterator[str]:
    """Give a database with a log of COUNT events, so many of each alarm."""
    with _database(client) as name:
        log, events = client[name][EVENTS], log_of(COUNT // life, life)
        while documents := [event_document(event) for event in islice(events, BATCH)]:
            log.insert_many(documents)
        log.create_indexes(INDEXES)
        yield name


@contextmanager
def _halved(client: MongoClient[dict[str, Any]], whole: str) -> Iterator[str]:
    """Give a database with the first half of the log's events, of the same alarms."""
    with _database(client) as name:
        first = {"$match": {"_id": {"$lte": COUNT // 2}}}
        client[whole][EVENTS].aggregate([first, {"$out": {"db": name, "coll": EVENTS}}])
        client[name][EVENTS].create_indexes(INDEXES)
        yield name


def _measured(uri: str, database: str, way: str) -> tuple[float, float]:
    """Return the seconds that it takes in a process of its own, and the most memory it had (MB)."""
    command = [sys.executable, "-m", "tests.bench.bench_replay", uri, database, way]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory = output.split()
    return float(seconds), float(memory)


async def _replay(uri: str, database: str, *, newest: bool) -> None:
    async with storage(Settings(mongodb_uri=uri, database=database)) as store:
        model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
        await replay_alarms(store.log, model, store.leases, holder(), newest=newest)


def _work(uri: str, database: str, way: str) -> None:
    began = time.perf_counter()
    if way == "bare":
        with MongoClient[dict[str, Any]](uri) as client:
            for _ in client[database][EVENTS].find(sort=[("_id", 1)], batch_size=BATCH):
                pass
    else:
        asyncio.run(_replay(uri, database, newest=way == "newest"))
    seconds = time.perf_counter() - began
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def log_of(alarms: int, life: int = LIFE) -> Iterator[Event]:
    """Yield the events of a log in which so many alarms live at the same time, with `life` events each."""
    order = random.Random(1)
    current = [Alarm.absent(Identity("default", f"pump-{n}", "overheat").alarm_id) for n in range(alarms)]
    position, turns = 0, list(range(alarms))
    for step in range(life):
        order.shuffle(turns)
        for number in turns:
            position += 1
            now = STARTED + timedelta(milliseconds=25 * position)
            event = decide(current[number], _command(number, step, current[number], now))
            assert event is not None
            placed = place(current[number], event, position, None)
            current[number] = placed.alarm
            yield placed


def _command(number: int, step: int, alarm: Alarm, now: datetime) -> Command:
    cycle, step = divmod(step, CYCLE)
    identity = Identity("default", f"pump-{number}", "overheat")
    actor = OPERATOR if step in (2, 3, 6, 7) else Actor(identity.source, "source")
    context = Context(event_id=str(uuid_utils.uuid7()), tenant="default", actor=actor, now=now)
    match step:
        case 0 | 1 | 5 | 9:
            return Raise(
                context=context,
                identity=identity,
                severity="major",
                text=f"Bearing at {80 + step} degrees, the limit is 75",
                labels={"plant": "north", "line": str(number % 7)},
            )
        case 2 | 6:
            return Acknowledge(context=context, alarm_id=alarm.id, revision=alarm.revision)
        case 3:
            return Assign(context=context, alarm_id=alarm.id, assignee=("bob", "eve")[cycle % 2])
        case 7:
            return Comment(context=context, alarm_id=alarm.id, text="Bearing ordered")
        case _:
            return Clear(context=context, alarm_id=alarm.id)


if __name__ == "__main__":
    _work(*sys.argv[1:])

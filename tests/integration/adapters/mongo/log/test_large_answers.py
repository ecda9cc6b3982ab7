"""Reads whose answer would be larger than the 16 MiB that MongoDB puts into one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from adapters.mongo.alarms.alarm_list import SCAN_BYTES, MongoAlarmList
from adapters.mongo.client import Database
from core.alarm.events import Event
from core.application.replay.log_pages import pages, with_snapshots
from tests.kit.appending import append_large
from tests.kit.mongologs import WritableLog

EVENTS = 300
"""20 MB."""


@pytest_asyncio.fixture
async def log(connected: Database) -> AsyncIterator[WritableLog]:
    log = WritableLog(connected)
    await log.create()
    async with log.running():
        await append_large(log, EVENTS)
        yield log


async def test_one_answer_is_short_of_what_was_asked_for(log: WritableLog) -> None:
    first = await log.read(0, EVENTS)
    assert 0 < len(first.events) < EVENTS
    rest = await log.read(len(first.events), EVENTS)
    assert rest.events[-1].position == EVENTS


async def test_the_newest_events_of_many_streams_come_all(log: WritableLog, connected: Database) -> None:
    streams = [event.stream for event in await read_all(log)]
    assert len(set(streams)) == EVENTS
    newest = await asyncio.gather(*(log.newest(stream) for stream in [*streams, "absent"]))
    assert [event and event.stream for event in newest] == [*streams, None]
    idle: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True}},
        {"$match": {"ns": f"{connected.name}.events"}},
    ]
    assert await connected.client.admin.aggregate(idle).to_list() == []


@pytest.mark.parametrize("after", [0, 100])
async def test_a_range_is_read_whole(log: WritableLog, after: int) -> None:
    positions = [event.position for event in (await read_all(log, after))]
    assert positions == list(range(after + 1, EVENTS + 1))


async def test_the_pages_of_a_scan_are_bounded_in_bytes(log: WritableLog, connected: Database) -> None:
    alarms = MongoAlarmList(connected)
    rows = {event.alarm.id: event.alarm for event in await read_all(log)}
    await alarms.write(rows)
    pages = [page async for page in alarms.scan("default")]
    assert [row for page in pages for row in page] == sorted(rows.values(), key=lambda row: row.id)
    largest = max(sum(len(msgspec.json.encode(row)) for row in page) for page in pages)
    assert SCAN_BYTES / 2 < largest < 2 * SCAN_BYTES


async def read_all(log: WritableLog, after: int = 0) -> Sequence[Event]:
    return [event async for events in pages(with_snapshots(log), after, EVENTS) for event in events]

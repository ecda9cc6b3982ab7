"""Timed shelves end by themselves, on a real MongoDB and with everything that a process runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest

from core.alarm.alarm import Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.events import Actor, Event
from core.alarm.suppression import Shelve, Unshelve
from core.log.audit import Audit
from entrypoints.process import compose
from entrypoints.process.compose import Process
from entrypoints.process.host import MACHINE
from entrypoints.process.settings import Settings
from entrypoints.process.storage import storage

SECONDS = 20


@pytest.fixture(autouse=True)
def _holders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker here is of a process of its own."""
    names = count(1)
    monkeypatch.setattr(compose, "holder", lambda: f"process-{next(names)}")


@asynccontextmanager
async def running(uri: str, database: str) -> AsyncIterator[Process]:
    async with (
        storage(Settings(mongodb_uri=uri, database=database)) as store,
        compose.running(store) as process,
    ):
        yield process


def context() -> Context:
    actor = Actor("olga", "operator")
    return Context(event_id=MACHINE.ids.new(), tenant="default", actor=actor, now=MACHINE.clock.now())


async def shelve(process: Process, source: str, seconds: float) -> Event:
    identity = Identity("default", source, "pressure")
    await process.services.handler.handle(Raise(context=context(), identity=identity, severity="major"))
    return await shelve_again(process, identity.alarm_id, seconds)


async def shelve_again(process: Process, alarm_id: str, seconds: float) -> Event:
    command = Shelve(context=context(), alarm_id=alarm_id, seconds=seconds, max_seconds=60)
    event = (await process.services.handler.handle(command)).event
    assert event is not None
    return event


async def ended(process: Process, shelved: Event) -> Event:
    """The event that ended the shelf."""
    async with asyncio.timeout(SECONDS):
        async for events in process.feed.follow(shelved.position):
            for event in events:
                if event.stream == shelved.stream and event.type == "alarm.unshelved":
                    return event
    raise AssertionError


async def check_log(process: Process, shelves: int) -> None:
    """The log is sound, and each shelf ended by its time, once and not before it."""
    audit, expired = Audit(), 0
    for event in (await process.store.log.read(0, 1_000)).events:
        before = audit.fold.alarms.get(event.stream)
        assert audit.add(event) == []
        if event.data.get("cause") == "expired":
            assert before is not None
            assert before.shelved_until is not None
            assert event.at >= before.shelved_until
            assert event.actor == Actor("deadlines", "system")
            expired += 1
    assert expired == shelves


async def test_a_shelf_ends_when_its_time_is_up(mongodb_uri: str, database: str) -> None:
    async with running(mongodb_uri, database) as process:
        shelves = [await shelve(process, f"line/{number}", 0.3 + number / 50) for number in range(10)]
        for shelved in shelves:
            event = await ended(process, shelved)
            assert event.data == {"cause": "expired"}
            assert event.alarm.state == "unacked"
        await check_log(process, 10)


async def test_a_renewed_shelf_ends_by_the_renewed_time(mongodb_uri: str, database: str) -> None:
    async with running(mongodb_uri, database) as process:
        first = await shelve(process, "line/1", 0.4)
        await process.services.handler.handle(Unshelve(context=context(), alarm_id=first.stream))
        second = await shelve_again(process, first.stream, 0.8)
        event = await ended(process, second)
        assert second.alarm.shelved_until is not None
        assert event.at >= second.alarm.shelved_until
        await check_log(process, 1)


async def test_a_shelf_whose_time_was_up_while_nobody_ran_ends_at_the_next_start(
    mongodb_uri: str, database: str
) -> None:
    async with running(mongodb_uri, database) as process:
        shelved = await shelve(process, "line/1", 0.5)
        assert await process.services.projected(shelved.position, SECONDS)
    async with running(mongodb_uri, database) as process:
        await ended(process, shelved)
        await check_log(process, 1)


async def test_the_second_process_takes_over_when_the_first_stops(mongodb_uri: str, database: str) -> None:
    async with AsyncExitStack() as first:
        leader = await first.enter_async_context(running(mongodb_uri, database))
        # It leads: there was no other yet.
        await ended(leader, await shelve(leader, "line/1", 0.2))
        async with running(mongodb_uri, database) as second:
            waiting = [await shelve(leader, f"line/{number}", 0.8) for number in (2, 3)]
            await first.aclose()
            waiting.append(await shelve(second, "line/4", 0.3))
            for shelved in waiting:
                await ended(second, shelved)
            await check_log(second, 4)

"""One process appends for all: killed, paused and left alone, what was answered is there, once, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from adapters.mongo.client import connect
from adapters.mongo.coordination.leases import MongoLeases
from core.application.one_appender import LEASE
from tests.kit.clients import streaming
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

CLIENTS = 8
COMMANDS = 240
PAUSE_SECONDS = 3.0
"""Longer than the others bear its silence, shorter than its lease."""

END_SECONDS = 60.0

Trio = list[TocsinServer]


@pytest.fixture
async def trio(tmp_path: Path, mongodb_uri: str, database: str) -> AsyncIterator[Trio]:
    async with AsyncExitStack() as stack:
        servers = [TocsinServer(tmp_path / str(number), mongodb_uri, database) for number in range(3)]
        for server in servers:
            await asyncio.to_thread(server.start)
            stack.callback(server.kill)
            if server is not servers[0]:
                await asyncio.to_thread(server.process.wait_for_line, "forwarding to")
        yield servers


async def burst(servers: Trio, half: asyncio.Event) -> tuple[list[int], int]:
    """Raise alarms at all servers; return the positions answered, and how many were answered 503 or not."""
    answered: list[int] = []
    failed = 0
    numbers = iter(range(COMMANDS))

    async def send(server: TocsinServer) -> None:
        nonlocal failed
        async with server.client() as http:
            for number in numbers:
                body = {"source": f"pump-{number}", "type": "pressure_high", "severity": "major"}
                try:
                    answer = await http.post("/v1/alarms", json=body)
                except httpx.TransportError:
                    failed += 1
                    return
                if answer.status_code == 201:
                    answered.append(answer.json()["position"])
                else:
                    assert answer.status_code == 503, answer.text
                    failed += 1
                if len(answered) >= COMMANDS // 2:
                    half.set()

    await asyncio.gather(*(send(servers[number % len(servers)]) for number in range(CLIENTS)))
    return answered, failed


async def recorded(server: TocsinServer, position: int) -> list[int]:
    async with streaming(server.ws_url, after=0) as client:
        await client.until_position(position)
    return [event["position"] for event in client.events]


async def test_the_others_forward_and_are_answered_where_their_events_landed(trio: Trio) -> None:
    answered, failed = await burst(trio, asyncio.Event())
    assert (sorted(answered), failed) == (list(range(1, COMMANDS + 1)), 0)
    async with trio[1].client() as http:
        metrics = (await http.get("/metrics")).text
    assert "tocsin_append_forwarded_total 0.0" not in metrics
    assert await recorded(trio[2], COMMANDS) == list(range(1, COMMANDS + 1))


async def test_the_appender_killed_in_a_burst_loses_nothing_that_was_answered(
    trio: Trio, mongodb_uri: str, database: str
) -> None:
    half = asyncio.Event()
    running = asyncio.create_task(burst(trio, half))
    await half.wait()
    trio[0].kill()
    answered, _ = await running
    seen = await recorded(trio[1], max(answered))
    assert seen == list(range(1, len(seen) + 1))
    assert set(answered) <= set(seen)
    assert len(answered) == len(set(answered))
    await taken_over(mongodb_uri, database, str(trio[0].process.pid))


async def test_an_appender_that_stands_still_holds_up_nobody_for_long(trio: Trio) -> None:
    half = asyncio.Event()
    running = asyncio.create_task(burst(trio, half))
    await half.wait()
    await asyncio.to_thread(trio[0].pause)
    await asyncio.sleep(PAUSE_SECONDS)
    async with trio[1].client() as http:
        answer = await http.post("/v1/alarms", json={"source": "meanwhile", "type": "x", "severity": "major"})
        assert answer.status_code == 201, answer.text
    trio[0].wake()
    # What the one that stood still had under way itself may have had no answer in time.
    answered, _ = await running
    answered.append(answer.json()["position"])
    seen = await recorded(trio[2], max(answered))
    assert seen == list(range(1, len(seen) + 1))
    assert set(answered) <= set(seen)
    assert len(answered) == len(set(answered))


async def test_an_appender_that_is_ended_hands_over_and_fails_nobody_elses_commands(
    trio: Trio, mongodb_uri: str, database: str
) -> None:
    half = asyncio.Event()
    running = asyncio.create_task(burst(trio, half))
    await half.wait()
    ended = str(trio[0].process.pid)
    stopping = asyncio.create_task(asyncio.to_thread(trio[0].terminate, END_SECONDS))
    # The lease would last longer than this if it were not given up.
    await taken_over(mongodb_uri, database, ended)
    answered, _ = await running
    await stopping
    seen = await recorded(trio[1], max(answered))
    assert seen == list(range(1, len(seen) + 1))
    assert set(answered) <= set(seen)
    assert len(answered) == len(set(answered))


async def taken_over(uri: str, database: str, dead: str) -> None:
    """Wait until another process appends for all."""
    connection = connect(uri, database)
    try:
        async with asyncio.timeout(30.0):
            while True:
                holder = await MongoLeases(connection).holder(LEASE)
                if holder is not None and f":{dead}:" not in holder.name:
                    return
                await asyncio.sleep(0.1)
    finally:
        connection.client.close()

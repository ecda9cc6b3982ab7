"""The Python client and `tocsin tail` against real servers, one of which is killed or drained."""

import asyncio
import sys
from pathlib import Path

import pytest

from core.delivery.protocol import EventMessage
from entrypoints.client.stream import TocsinStream
from entrypoints.client.subscription import ClientSubscription
from tests.e2e.conftest import Servers
from tests.kit.bursts import burst, raising
from tests.kit.processes import Process

pytestmark = pytest.mark.e2e

SECONDS = 20.0


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_every_acknowledged_event_is_seen_once_and_in_order(servers: Servers, end: str) -> None:
    doomed, _ = servers
    async with TocsinStream([server.ws_url for server in servers]) as stream:
        subscription = stream.subscribe(after=0)
        seen: list[int] = []
        following = asyncio.create_task(follow(subscription, seen))
        answered = await burst(servers, getattr(doomed, end))
        async with asyncio.timeout(SECONDS):
            while not seen or seen[-1] < max(answered):
                await asyncio.sleep(0.02)
        following.cancel()
    assert not doomed.alive
    assert set(answered) <= set(seen)
    assert seen == list(range(1, len(seen) + 1))


async def follow(subscription: ClientSubscription, seen: list[int]) -> None:
    async for item in subscription:
        assert isinstance(item, EventMessage), item
        seen.append(item.position)


async def test_tail_follows_through_a_server(servers: Servers, tmp_path: Path) -> None:
    server, _ = servers
    async with server.client() as http:
        await http.post("/v1/alarms", json=raising(1))
        options = ("--url", server.ws_url, "--after", "0", "--mongodb-uri", "mongodb://127.0.0.1:1")
        command = [sys.executable, "-m", "entrypoints.cli", "tail", *options]
        with Process("tail", command, tmp_path / "tail.log") as tail:
            await asyncio.to_thread(tail.wait_for_line, r" 1 .* raised .*pump-1 hot")
            await http.post("/v1/alarms", json=raising(2))
            await asyncio.to_thread(tail.wait_for_line, r" 2 .* raised .*pump-2 hot")

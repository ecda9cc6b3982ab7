"""The faults that come from outside: a wrong clock, readers that never read, receivers that torment."""

import asyncio

import httpx

from tests.faults.faults import World, fault
from tests.kit.attackers.readers import leave_events, leave_exports, leave_streams
from tests.kit.attackers.sessions import hoard_snapshots
from tests.kit.attackers.target import Target
from tests.kit.clocks import shifted
from tests.kit.running import START_SECONDS
from tests.kit.servers import TocsinServer
from tests.kit.waiting import eventually

AHEAD_SECONDS = 60.0
AHEAD_TRIES = 5
"""How many commands a process whose clock is ahead is given: it must refuse each."""
UNREAD_SECONDS = 5.0
READERS = 20
"""How many of each kind."""
HELL_SECONDS = 120.0
GOING_ON_SECONDS = 20.0


@fault
async def clock_ahead(world: World) -> None:
    """A process whose clock is a minute ahead commits nothing, and the others go on."""
    server, other = world.random.sample(world.servers, 2)
    usual = server.process.env or {}
    server.process.env = {**usual, **shifted(AHEAD_SECONDS)}
    try:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.process.start)
        await asyncio.to_thread(server.process.wait_for_url, f"{server.url}/healthz", START_SECONDS)
        async with server.client() as http:
            for number in range(AHEAD_TRIES):
                report = {"source": f"ahead-{number}", "type": "clock", "severity": "major"}
                answer = await http.post("/v1/alarms", json=report)
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
        await _goes_on(other)
    finally:
        await asyncio.to_thread(server.kill)
        server.process.env = usual


async def _goes_on(server: TocsinServer) -> None:
    """Wait until the log, as this server has it, is longer than it was."""
    async with server.client() as http, asyncio.timeout(GOING_ON_SECONDS):
        before = now = await _end(http)
        while now <= before:
            now = await _end(http)


async def _end(http: httpx.AsyncClient) -> int:
    answer = await http.get("/v1/events", params={"limit": 1})
    return int(answer.raise_for_status().json()["position"])


@fault
async def readers_that_never_read(world: World) -> None:
    target = Target(world.random.choice(world.servers).port, authenticated=False)
    attacks = (leave_exports, leave_streams, leave_events, hoard_snapshots)
    await asyncio.gather(*(attack(target, UNREAD_SECONDS, READERS) for attack in attacks))


@fault
async def receiver_from_hell(world: World) -> None:
    """It has been a webhook's receiver since the beginning, in each of its ways."""
    await eventually("it was called in every way", lambda: world.hell.complete, HELL_SECONDS)

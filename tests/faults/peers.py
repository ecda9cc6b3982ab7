"""The faults between processes: the one that appends for all stands still, and connections to it break."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from core.application.one_appender import LEASE
from tests.faults.faults import LEADER_SECONDS, World, ask, fault
from tests.kit import framing
from tests.kit.proxy import Proxy
from tests.kit.servers import TocsinServer
from tests.kit.waiting import eventually

PAST_SILENCE_SECONDS = 1.7
"""Longer than peers bear its silence, and shorter than its lease, which it keeps."""
CUT_BYTES = 20_000
CONNECTED_SECONDS = 60.0
"""How long peers may take to be connected: they avoid for 10 s a process that they could not reach."""


@fault
async def appender_paused(world: World) -> None:
    """The others append meanwhile what it has under way; it wakes up, holds the lease still, and goes on."""
    server, _ = await _appender(world)
    await asyncio.to_thread(server.pause)
    await asyncio.sleep(PAST_SILENCE_SECONDS)
    await world.moment(1.0)
    await asyncio.to_thread(server.wake)


@fault
async def peers_cut(world: World) -> None:
    """Connections to the one that appends break in the middle of a message, whatever it is."""
    async with _between_peers(world) as middle:
        for _ in range(3):
            await eventually("a peer is connected", lambda: middle.connections, CONNECTED_SECONDS)
            middle.cut_after(world.random.randrange(CUT_BYTES))
            await eventually("it was cut", lambda: middle.budget is None, CONNECTED_SECONDS)


@fault
async def peers_silent(world: World) -> None:
    """What was forwarded arrives long after its process has given the connection up and appended itself."""
    async with _between_peers(world) as middle:
        await eventually("a peer is connected", lambda: middle.connections, CONNECTED_SECONDS)
        await world.moment(1.0)
        middle.black_hole()
        await asyncio.sleep(PAST_SILENCE_SECONDS)
        await world.moment(1.0)
        middle.heal()
        await world.moment(1.0)


@asynccontextmanager
async def _between_peers(world: World) -> AsyncIterator[Proxy]:
    """Lead all peers through a proxy to the one that appends, which stands still until they have let go."""
    server, lease = await _appender(world)
    address = lease["address"]["at"]
    async with Proxy(int(address.rpartition(":")[2]), read=framing.chunk) as middle:
        await _announce(world, lease, f"127.0.0.1:{middle.port}")
        try:
            await asyncio.to_thread(server.pause)
            await asyncio.sleep(PAST_SILENCE_SECONDS)
            await asyncio.to_thread(server.wake)
            yield middle
        finally:
            await _announce(world, lease, address)


async def _announce(world: World, lease: Mapping[str, Any], address: str) -> None:
    """Write the holder's address into the lease, unless the lease has changed hands."""
    held = {"_id": LEASE, "address.token": lease["token"]}
    change = {"q": held, "u": {"$set": {"address.at": address}}}
    primary = await asyncio.to_thread(world.nodes.primary)
    await ask(primary, {"update": "leases", "updates": [change]}, world.database)


async def _appender(world: World) -> tuple[TocsinServer, Mapping[str, Any]]:
    """Wait until a server that lives appends for all; return it and its lease."""
    find = {"find": "leases", "filter": {"_id": LEASE}, "singleBatch": True}
    primary = await asyncio.to_thread(world.nodes.primary)
    async with asyncio.timeout(LEADER_SECONDS):
        while True:
            for lease in (await ask(primary, find, world.database))["cursor"]["firstBatch"]:
                for server in world.servers:
                    announced = lease.get("address", {}).get("token") == lease["token"]
                    if announced and f":{server.process.pid}:" in str(lease["holder"]):
                        return server, lease
            await asyncio.sleep(0.1)

"""The same promises on a standalone mongod: one process, or several with Redis between them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.run import Source, prove_on
from tests.faults.standalone import DISK, LOCAL, REDIS, Fault, Standalone
from tests.faults.test_faults import SECONDS, SEED
from tests.kit import framing
from tests.kit.disks import SmallDisk
from tests.kit.mongods import Mongod
from tests.kit.proxy import Proxy
from tests.kit.redis import RedisServer
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.faults

DISK_MB = 400
"""Room for a journal and a little more."""
SHORT = ("mongod_killed", "server_killed", "redis_killed", "messages_dropped")


@asynccontextmanager
async def local(mongod: Mongod, database: str, folder: Path) -> AsyncIterator[Standalone]:
    server = TocsinServer(folder, mongod.uri, database)
    with server.process:
        await asyncio.to_thread(server.wait_until_ready)
        yield Standalone(mongod, [server], random.Random(SEED))


@asynccontextmanager
async def with_redis(
    mongod: Mongod, database: str, folder: Path, redis: RedisServer
) -> AsyncIterator[Standalone]:
    async with Proxy(redis.port, read=framing.chunk) as messages, AsyncExitStack() as stack:
        urls = [redis.url, redis.url, f"redis://127.0.0.1:{messages.port}/0"]
        servers = [
            TocsinServer(folder, mongod.uri, database, options=["--feed", "redis", "--redis-url", url])
            for url in urls
        ]
        for server in servers:
            stack.enter_context(server.process)
            await asyncio.to_thread(server.wait_until_ready)
        yield Standalone(mongod, servers, random.Random(SEED), redis, messages)


async def shown(world: Standalone, faults: dict[str, Fault], source: Source, *, seconds: float) -> None:
    verdict = await prove_on(world, faults, source, seed=SEED, seconds=seconds)
    print(f"\n{verdict.table()}")  # noqa: T201 (the table is what a run is for)
    assert not verdict.violations, verdict.table()
    assert not verdict.wrong, verdict.table()


def short(faults: dict[str, Fault]) -> dict[str, Fault]:
    return {name: fault for name, fault in faults.items() if name in SHORT}


async def test_one_process_on_a_standalone_loses_nothing(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    async with local(standalone, database, tmp_path) as world:
        await shown(world, short(LOCAL), Source(standalone.uri, database, None), seconds=0.0)


async def test_a_full_disk_loses_nothing(database: str, tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", DISK_MB) as disk, Mongod(tmp_path / "disk" / "mongod") as mongod:
        async with local(mongod, database, tmp_path) as world:
            world.disk = disk
            await shown(world, DISK, Source(mongod.uri, database, None), seconds=0.0)


async def test_several_processes_with_redis_lose_nothing(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        source = Source(standalone.uri, database, "redis", redis.url)
        async with with_redis(standalone, database, tmp_path, redis) as world:
            await shown(world, short(REDIS), source, seconds=0.0)


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 900)
async def test_one_process_on_a_standalone_loses_nothing_again_and_again(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    async with local(standalone, database, tmp_path) as world:
        await shown(world, LOCAL, Source(standalone.uri, database, None), seconds=SECONDS)


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 900)
async def test_several_processes_with_redis_lose_nothing_again_and_again(
    standalone: Mongod, database: str, tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        source = Source(standalone.uri, database, "redis", redis.url)
        async with with_redis(standalone, database, tmp_path, redis) as world:
            await shown(world, REDIS, source, seconds=SECONDS)

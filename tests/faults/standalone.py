"""The faults of a standalone mongod with one server (`local`), or with several and Redis between them."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from tests.kit.disks import SmallDisk
from tests.kit.mongods import Mongod
from tests.kit.proxy import Proxy
from tests.kit.redis import RedisServer
from tests.kit.servers import TocsinServer
from tests.kit.waiting import eventually

PAUSE_SECONDS = 3.0
SILENT_SECONDS = 3.0
FULL_SECONDS = 60.0
NO_SPACE = "No space left on device"


@dataclass
class Standalone:
    """What can be broken: the last server reaches Redis by way of `messages` alone."""

    mongod: Mongod
    servers: list[TocsinServer]
    random: random.Random
    redis: RedisServer | None = None
    messages: Proxy | None = None
    disk: SmallDisk | None = None
    fired: Counter[str] = field(default_factory=Counter)

    async def mend(self) -> None:
        """Undo everything, and wait until all is whole."""
        if self.messages is not None:
            self.messages.dropping = False
            self.messages.cut()
        if self.disk is not None:
            await asyncio.to_thread(self.disk.clear)
        for broken in (self.mongod, self.redis, *self.servers):
            if broken is not None:
                await asyncio.to_thread(broken.heal)

    async def moment(self, longest: float) -> None:
        """Let the load run on: how long decides what the next step interrupts."""
        await asyncio.sleep(self.random.random() * longest)


async def mongod_killed(world: Standalone) -> None:
    """What was applied and not journaled is gone afterwards."""
    await asyncio.to_thread(world.mongod.kill)
    await world.moment(1.0)


async def mongod_paused(world: Standalone) -> None:
    await asyncio.to_thread(world.mongod.pause)
    await world.moment(PAUSE_SECONDS)
    await asyncio.to_thread(world.mongod.wake)


async def server_killed(world: Standalone) -> None:
    await asyncio.to_thread(world.random.choice(world.servers).kill)
    await world.moment(1.0)


async def server_paused(world: Standalone) -> None:
    server = world.random.choice(world.servers)
    await asyncio.to_thread(server.pause)
    await world.moment(PAUSE_SECONDS)
    await asyncio.to_thread(server.wake)


async def redis_killed(world: Standalone) -> None:
    assert world.redis is not None
    await asyncio.to_thread(world.redis.kill)
    await world.moment(2.0)


async def messages_dropped(world: Standalone) -> None:
    assert world.messages is not None
    before = world.messages.fired["dropping"]
    world.messages.dropping = True
    async with asyncio.timeout(SILENT_SECONDS * 10):
        while world.messages.fired["dropping"] == before:
            await asyncio.sleep(0.05)
    await asyncio.sleep(SILENT_SECONDS)


async def disk_full(world: Standalone) -> None:
    """What mongod has journaled is there when it is started again with room to write."""
    assert world.disk is not None
    await asyncio.to_thread(world.disk.fill)
    full = partial(_out_of_space, world.mongod)
    await eventually("mongod has met the end of the disk", full, FULL_SECONDS)
    await world.moment(2.0)
    await asyncio.to_thread(world.mongod.kill)


def _out_of_space(mongod: Mongod) -> bool:
    return not mongod.alive or NO_SPACE in mongod.process.output()


Fault = Callable[[Standalone], Awaitable[None]]
LOCAL: dict[str, Fault] = {
    each.__name__: each for each in (mongod_killed, mongod_paused, server_killed, server_paused)
}
DISK: dict[str, Fault] = {disk_full.__name__: disk_full}
REDIS: dict[str, Fault] = LOCAL | {each.__name__: each for each in (redis_killed, messages_dropped)}

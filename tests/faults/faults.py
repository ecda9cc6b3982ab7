"""The faults: each breaks something under load, waits until that has told, and mends it."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bson import Timestamp

from adapters.mongo.moments import from_now
from core.application.leases import LEASE_SECONDS
from core.application.one_appender import LEASE as APPENDER
from tests.kit.attackers.hell import Hell
from tests.kit.framing import command
from tests.kit.mongods import Mongod
from tests.kit.proxy import Proxy
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.waiting import eventually

INSERT = command("insert", "events")
PAST_ELECTION_SECONDS = 3.0
PAST_LEASE_SECONDS = 8.0
LEADER_SECONDS = 20.0
MEGABYTE = 1024 * 1024
ROLLING_WRITES = 100
"""How many writes of 8 MiB the oplog of 64 MiB may take to forget what is older."""


class Front(Proxy):
    """A proxy before whichever node is primary."""

    async def point_at(self, node: Mongod) -> None:
        """Lead every connection to the node from now on."""
        if self._server_port != node.port:
            self._server_port = node.port
            self.cut()


@dataclass
class World:
    """What can be broken: the last server reaches the set by way of `front` alone."""

    nodes: ReplicaSet
    servers: list[TocsinServer]
    front: Front
    database: str
    random: random.Random
    hell: Hell
    fired: Counter[str] = field(default_factory=Counter)

    async def mend(self) -> None:
        """Undo everything, and wait until all is whole."""
        self.front.heal()
        self.front.delay_ms |= {"up": 0.0, "down": 0.0}
        await asyncio.to_thread(self.nodes.heal)
        await self.front.point_at(await asyncio.to_thread(self.nodes.primary))
        for server in self.servers:
            await asyncio.to_thread(server.heal)

    async def moment(self, longest: float) -> None:
        """Let the load run on: how long decides what the next step interrupts."""
        await asyncio.sleep(self.random.random() * longest)


Fault = Callable[[World], Awaitable[None]]
FAULTS: dict[str, Fault] = {}


def fault(strike: Fault) -> Fault:
    """List a fault; where it returns, it has fired. `World.mend` follows."""
    FAULTS[strike.__name__] = strike
    return strike


@fault
async def primary_killed(world: World) -> None:
    primary = await asyncio.to_thread(world.nodes.primary)
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(world.nodes.primary, but=[primary])
    await world.moment(1.0)


@fault
async def primary_paused(world: World) -> None:
    """It wakes up as a stale primary, and has to be told."""
    primary = await asyncio.to_thread(world.nodes.primary)
    await asyncio.to_thread(primary.pause)
    await asyncio.to_thread(world.nodes.primary, but=[primary])
    await world.moment(PAST_ELECTION_SECONDS)
    await asyncio.to_thread(primary.wake)


@fault
async def stepped_down(world: World) -> None:
    await asyncio.to_thread(world.nodes.step_down)


@fault
async def replication_stopped(world: World) -> None:
    """What the primary took meanwhile is rolled back: the case in which a position trusted early is a gap."""
    primary = await asyncio.to_thread(world.nodes.primary)
    await asyncio.to_thread(world.nodes.stop_replication)
    await world.moment(2.0)
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(world.nodes.release_replication)
    await asyncio.to_thread(world.nodes.primary, but=[primary])
    await world.moment(1.0)


@fault
async def answer_swallowed(world: World) -> None:
    await _let_append(world, world.servers[-1])
    for _ in range(3):
        await world.front.swallow_answer(INSERT).wait(20.0)
        await world.moment(0.3)


@fault
async def request_cut(world: World) -> None:
    await _let_append(world, world.servers[-1])
    await world.front.cut_before(INSERT).wait(20.0)
    world.front.cut_after(world.random.randrange(20_000))
    await eventually("it was cut in the middle", lambda: world.front.budget is None)


@fault
async def request_postponed(world: World) -> None:
    """The insert arrives long after its client gave it up and sent it again."""
    await _let_append(world, world.servers[-1])
    await world.front.postpone(INSERT).wait(20.0)
    await world.moment(1.0)
    await world.front.release()


@fault
async def network_lost(world: World) -> None:
    await _let_append(world, world.servers[-1])
    world.front.black_hole()
    await asyncio.sleep(2.0)
    await world.moment(4.0)
    world.front.cut()


@fault
async def network_slow(world: World) -> None:
    world.front.delay_ms |= {"up": 30.0, "down": 30.0}
    await asyncio.sleep(2.0)


@fault
async def server_killed(world: World) -> None:
    server = world.random.choice(world.servers)
    await asyncio.to_thread(server.kill)
    await world.moment(1.0)


@fault
async def server_paused(world: World) -> None:
    server = world.random.choice(world.servers)
    await asyncio.to_thread(server.pause)
    await world.moment(PAST_ELECTION_SECONDS)
    await asyncio.to_thread(server.wake)


@fault
async def lease_holder_paused(world: World) -> None:
    """It wakes up believing that it still leads."""
    server = await _leader(world)
    await asyncio.to_thread(server.pause)
    await asyncio.sleep(PAST_LEASE_SECONDS)
    await asyncio.to_thread(server.wake)


async def _leader(world: World) -> TocsinServer:
    """Wait until a server that lives holds a lease: just after a kill the dead one still does."""
    primary = await asyncio.to_thread(world.nodes.primary)
    async with asyncio.timeout(LEADER_SECONDS):
        while True:
            holders = {str(lease["holder"]) for lease in await _found(world, primary, "leases", {})}
            for server in world.servers:
                if any(f":{server.process.pid}:" in holder for holder in holders):
                    return server
            await asyncio.sleep(0.1)


async def _let_append(world: World, server: TocsinServer) -> None:
    """Hand the lease of the appender to the server: what then happens on its way to MongoDB meets appends."""
    primary = await asyncio.to_thread(world.nodes.primary)
    named = {"_id": {"$regex": f":{server.process.pid}:"}}
    async with asyncio.timeout(LEADER_SECONDS):
        while not (processes := await _found(world, primary, "processes", named)):
            await asyncio.sleep(0.1)
        holder = processes[0]["_id"]
        held = {"_id": APPENDER, "holder": holder, "$expr": {"$eq": ["$address.token", "$token"]}}
        while not await _found(world, primary, "leases", held):
            await ask(primary, _handover(holder), world.database)
            await asyncio.sleep(0.1)


def _handover(holder: str) -> dict[str, Any]:
    """Return the command that gives the appender's lease to this holder, which then finds it its own."""
    change = {
        "holder": {"$literal": holder},
        "token": {"$add": ["$token", 1]},
        "until": from_now(LEASE_SECONDS),
    }
    update = {"q": {"_id": APPENDER, "holder": {"$ne": holder}}, "u": [{"$set": change}]}
    return {"update": "leases", "updates": [update], "writeConcern": {"w": "majority"}}


async def _found(
    world: World, node: Mongod, collection: str, condition: dict[str, Any]
) -> list[dict[str, Any]]:
    asked = {"find": collection, "filter": condition, "singleBatch": True}
    documents: list[dict[str, Any]] = (await ask(node, asked, world.database))["cursor"]["firstBatch"]
    return documents


@fault
async def change_stream_killed(world: World) -> None:
    primary = await asyncio.to_thread(world.nodes.primary)
    operations = {"$currentOp": {"allUsers": True, "idleCursors": True}}
    answer = await ask(primary, {"aggregate": 1, "pipeline": [operations], "cursor": {"batchSize": 1_000}})
    streams = [each for each in answer["cursor"]["firstBatch"] if "$changeStream" in str(each.get("cursor"))]
    assert streams, "nobody has a change stream"
    for stream in streams:
        if "opid" in stream and world.random.random() < 0.5:
            await ask(primary, {"killOp": 1, "op": stream["opid"]})
        else:
            kill = {"killCursors": "$cmd.aggregate", "cursors": [stream["cursor"]["cursorId"]]}
            await ask(primary, kill, world.database)


@fault
async def oplog_rolled_over(world: World) -> None:
    """What a paused server has not heard of is not in the oplog any more."""
    primary = await asyncio.to_thread(world.nodes.primary)
    server = world.servers[0]
    await asyncio.to_thread(server.pause)
    newest = await _oplog(primary, -1)
    filler = [{"filler": "x" * (2 * MEGABYTE)} for _ in range(4)]
    for _ in range(ROLLING_WRITES):
        # Acknowledged by all, so that no node is left behind for good.
        write = {"insert": "filler", "documents": filler, "writeConcern": {"w": 3, "wtimeout": 20_000}}
        await ask(primary, write, world.database)
        if await _oplog(primary, 1) > newest:
            break
    else:
        raise AssertionError("the oplog did not roll over")
    await ask(primary, {"drop": "filler"}, world.database)
    await asyncio.to_thread(server.wake)


async def _oplog(node: Mongod, direction: int) -> Timestamp:
    find = {"find": "oplog.rs", "sort": {"$natural": direction}, "limit": 1, "singleBatch": True}
    found: Timestamp = (await ask(node, find, "local"))["cursor"]["firstBatch"][0]["ts"]
    return found


async def ask(node: Mongod, asked: dict[str, Any], database: str = "admin") -> dict[str, Any]:
    """Let a node carry out a command, and return its answer."""
    return await asyncio.to_thread(node.ask, asked, database=database, seconds=30.0)

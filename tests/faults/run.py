"""One run: several servers and clients under load, one fault after the other, and the verdict as a table."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from adapters.mongo.client import connect
from adapters.mongo.log.log import MongoLog
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from entrypoints.process.settings import FeedChoice
from tests.faults.checker import Client, History, Violation, prove
from tests.faults.faults import FAULTS, Front, World
from tests.faults.followers import follow_feed, follow_stream
from tests.faults.load import SOURCES, Load
from tests.faults.outside import receiver_from_hell
from tests.kit.attackers.hell import receiving_from_hell
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.waiting import eventually

SERVERS = 3
OPTIONS = ("--webhook-allow", "127.0.0.0/8")
SETTLE_SECONDS = 60.0
"""How long servers and clients may take, once all is whole again, until they have caught up."""


class _Alarms(msgspec.Struct):
    alarms: list[Alarm]
    next: str | None
    position: int


@dataclass(frozen=True)
class Verdict:
    """What a run has shown."""

    seed: int
    seconds: float
    history: History
    violations: list[Violation]
    longest_stall: float
    wrong: Counter[int]

    def table(self) -> str:
        """Return it for people."""
        outcomes = Counter(operation.outcome for operation in self.history.operations)
        fired = ", ".join(f"{name} {times}" for name, times in sorted(self.history.fired.items()))
        deliveries = sum(len(client.seen) for client in self.history.clients)
        rows = {
            "seed, seconds": f"{self.seed}, {self.seconds:.0f}",
            "faults fired": f"{self.history.fired.total()} ({fired})",
            "commands": f"{outcomes['ok']} ok, {outcomes['refused']} refused, {outcomes['unknown']} unknown",
            "events in the log": f"{len(self.history.log)}",
            "deliveries": f"{deliveries} to {len(self.history.clients)} clients",
            "longest stall": f"{self.longest_stall:.1f} s",
            "answers of status 500": f"{self.wrong.total()}",
            "violations": f"{len(self.violations)}",
        }
        lines = [f"{name:<24}{value}" for name, value in rows.items()]
        return "\n".join(lines + [f"  {each.kind}: {each.detail}" for each in self.violations[:20]])


class Breakable(Protocol):
    """What a run is on: servers under load, and a way to undo what a fault did."""

    servers: list[TocsinServer]
    random: random.Random
    fired: Counter[str]

    async def mend(self) -> None:
        """Undo everything, and wait until all is whole."""
        ...

    async def moment(self, longest: float) -> None:
        """Let the load run on for a random time."""
        ...


W = TypeVar("W", bound=Breakable)


@dataclass(frozen=True)
class Source:
    """Where the log is, and by which doorbell a process follows it (None: a process of its own cannot)."""

    uri: str
    database: str
    feed: FeedChoice | None = "changestream"
    redis_url: str | None = None


async def run(
    nodes: ReplicaSet, database: str, folder: Path, faults: Sequence[str], *, seed: int, seconds: float
) -> Verdict:
    """Let every one of the faults happen to a replica set and its servers, as `prove_on` does."""
    async with _world(nodes, database, folder, seed) as world:
        if receiver_from_hell.__name__ in faults:
            await _announce(world)
        chosen = {name: FAULTS[name] for name in faults}
        return await prove_on(world, chosen, Source(nodes.uri, database), seed=seed, seconds=seconds)


async def prove_on(
    world: W,
    faults: Mapping[str, Callable[[W], Awaitable[None]]],
    source: Source,
    *,
    seed: int,
    seconds: float,
) -> Verdict:
    """Let every one of the faults happen, in rounds of random order, until the time is over.

    Raises:
        ProvesNothing: one of them did not fire, or nothing was acknowledged or delivered.
    """
    began = time.monotonic()
    load = Load(world.servers, seed)
    clients = _clients() if source.feed else _clients()[1:]
    async with asyncio.TaskGroup() as followers:
        tasks = []
        for number, client in enumerate(clients):
            if client.name == "feed" and source.feed:
                following = follow_feed(source.uri, source.database, client, source.feed, source.redis_url)
            else:
                following = follow_stream(world.servers, client, seed + number)
            tasks.append(followers.create_task(following))
        async with load.running():
            await _strike(world, faults, began + seconds)
        end = max([await load.mark(server) for server in world.servers])
        for each in clients:
            await eventually(f"{each.name} reached {end}", partial(_reached, each, end), SETTLE_SECONDS)
        for task in tasks:
            task.cancel()
    log = await _log(source.uri, source.database)
    alarms = await listed(world.servers[0], log[-1].position)
    history = History(load.operations, clients, log, alarms, world.fired)
    found = prove(history, faults)
    return Verdict(seed, time.monotonic() - began, history, found, load.longest_stall, load.wrong)


def _reached(client: Client, position: int) -> bool:
    return client.until >= position


def _clients() -> list[Client]:
    return [
        Client("feed"),
        Client("stream, everything"),
        Client("stream, everything again"),
        Client("stream, a few sources", sources=frozenset(SOURCES[:5])),
    ]


@asynccontextmanager
async def _world(nodes: ReplicaSet, database: str, folder: Path, seed: int) -> AsyncIterator[World]:
    chance = random.Random(seed)
    async with (
        Front(nodes.primary().port) as front,
        receiving_from_hell() as hell,
        AsyncExitStack() as stack,
    ):
        retry = f"&retryWrites={'true' if seed % 2 else 'false'}"
        uris = [nodes.uri] * (SERVERS - 1) + [front.uri + retry]
        servers = [TocsinServer(folder, uri, database, options=OPTIONS) for uri in uris]
        for server in servers:
            stack.callback(server.kill)
            await asyncio.to_thread(server.start)
        yield World(nodes, servers, front, database, chance, hell)


async def _announce(world: World) -> None:
    """Make a webhook of each way in which the receiver from hell answers."""
    async with world.servers[0].client() as http:
        for url in world.hell.urls.values():
            (await http.post("/v1/webhooks", json={"url": url})).raise_for_status()


async def _strike(world: W, faults: Mapping[str, Callable[[W], Awaitable[None]]], until: float) -> None:
    for number in count():
        for name in world.random.sample(list(faults), len(faults)):
            # The first round is carried to its end: every fault has to fire.
            if number and time.monotonic() >= until:
                return
            await world.moment(2.0)
            await faults[name](world)
            world.fired[name] += 1
            await world.mend()


async def _log(uri: str, database: str) -> list[Event]:
    connection = connect(uri, database)
    try:
        log, events = MongoLog(connection), list[Event]()
        while page := (await log.read(events[-1].position if events else 0, 1_000)).events:
            events += page
        return events
    finally:
        connection.client.close()


async def listed(
    server: TocsinServer, position: int, credentials: Mapping[str, str] | None = None
) -> dict[str, Alarm]:
    """Read the whole list as soon as it has reached the position; `credentials`: who asks."""
    found: dict[str, Alarm] = {}
    parameters: dict[str, str | int] = {"state": "all", "limit": 1_000, "min_position": position}
    async with server.client() as http:
        while True:
            answer = await http.get("/v1/alarms", params=parameters, headers=credentials)
            answer.raise_for_status()
            page = msgspec.json.decode(answer.content, type=_Alarms)
            found |= {alarm.id: alarm for alarm in page.alarms}
            if page.next is None:
                return found
            parameters["cursor"] = page.next

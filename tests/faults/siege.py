"""A siege: two servers under normal load, sessions included, one attack after the other, then several."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

import httpx

from adapters.mongo.client import connect
from adapters.mongo.log.log import MongoLog
from core.alarm.events import Event
from tests.faults.besiegers import attack
from tests.faults.checker import Client, History, Operation, Outcome, Violation, judged, positions
from tests.faults.followers import follow_stream
from tests.faults.run import SETTLE_SECONDS, listed
from tests.kit.attackers.bystander import AGAIN_SECONDS, SOURCES, TYPE, Watched
from tests.kit.attackers.seeding import raise_alarms
from tests.kit.attackers.watching import OTHERS, Seen, bystander, windows
from tests.kit.processes import Process
from tests.kit.servers import TocsinServer
from tests.kit.tokens import bearing, token
from tests.kit.waiting import NeverHappened, eventually

RATE = 100.0
"""Commands a second at each server."""
SESSIONS = 500
EVERYTHING = 4
"""How many sessions follow everything; each of the others follows one source."""
SILENCE_SECONDS = 30.0
"""Nobody pauses a server here, and sessions that come back add to the load."""
WINDOW_SECONDS = 10.0
ENDED_SECONDS = 90.0
"""How long a bystander may take to end: its last command may be given up only after a while."""
ALARMS = 3_000
TEXT = "x" * 1_000
MARK = "the-end"
"""The source, and the key, of the alarm that is raised last."""
TOKEN_SECONDS = 86_400.0
PAGE = 1_000
OUTCOMES: dict[str, Outcome] = {"ok": "ok", "unknown": "unknown"}
P99_MILLISECONDS = 250
GROWTH = 1.2


@dataclass
class Siege:
    """What was besieged, and what has been seen of it up to now."""

    servers: Sequence[TocsinServer]
    seen: list[Seen]
    seconds: float
    pids: list[int]
    fired: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    commands: int = 0

    def whole(self) -> Seen:
        """Return what all bystanders saw."""
        return Seen(list(chain.from_iterable(seen.windows for seen in self.seen)))

    def faults(self) -> list[str]:
        """Return everything that must not be."""
        found = [f"{each.kind}: {each.detail}" for each in self.violations[:20]]
        for server, pid, seen in zip(self.servers, self.pids, self.seen, strict=True):
            if (server.alive, server.process.pid) != (True, pid):
                found.append(f"{server} did not live through it")
            if (grown := growth(seen)) > GROWTH:
                found.append(f"the memory of {server} grew by the factor {grown:.2f}")
        if (p99 := self.whole().quantile(0.99)) >= P99_MILLISECONDS:
            found.append(f"p99 of commands is {p99} ms")
        return found

    def table(self) -> str:
        """Return it for people."""
        attacks = ", ".join(f"{name} {times}" for name, times in sorted(self.fired.items()))
        rows = {
            "seconds": f"{self.seconds:.0f}",
            "attacks": f"{self.fired.total()} ({attacks})",
            "commands in the log": f"{self.commands}",
            **{str(server): str(seen) for server, seen in zip(self.servers, self.seen, strict=True)},
            "violations": f"{len(self.violations)}",
        }
        return "\n".join([f"{name:<24}{value}" for name, value in rows.items()] + self.faults())


def growth(seen: Seen) -> float:
    """Return by which factor memory is larger in the last third of the windows than in the first."""
    sizes = [window.last for window in seen.windows]
    third = max(1, len(sizes) // 3)
    return sum(sizes[-third:]) / max(1, sum(sizes[:third]))


@dataclass(frozen=True)
class Log:
    """Where the log is that was written to meanwhile."""

    uri: str
    database: str

    async def pages(self) -> AsyncIterator[tuple[Sequence[Event], int]]:
        """Read it page by page, each with the position that it begins behind."""
        connection, after = connect(self.uri, self.database), 0
        try:
            while page := (await MongoLog(connection).read(after, PAGE)).events:
                yield page, after
                after = page[-1].position
        finally:
            connection.client.close()


async def besiege(
    servers: Sequence[TocsinServer], log: Log, folder: Path, seconds: float, seed: int
) -> Siege:
    """Attack two servers for so long, every attack at least once, and judge what became of the load."""
    siege = Siege(servers, [Seen() for _ in servers], seconds, [each.process.pid for each in servers])
    clients = _clients(await raise_alarms(servers[0], ALARMS, TEXT))
    async with asyncio.TaskGroup() as followers:
        following = [
            followers.create_task(
                follow_stream(servers, client, seed + number, _operator(number), SILENCE_SECONDS)
            )
            for number, client in enumerate(clients)
        ]
        async with _load(siege, folder):
            await attack(servers, siege.fired, folder, seconds=seconds, seed=seed)
        mark = await _mark(servers[0])
        with suppress(NeverHappened):
            # Who has not got there by then has missed something: the violations say what.
            await eventually("all sessions are at the end", partial(_reached, clients, mark), SETTLE_SECONDS)
        for each in following:
            each.cancel()
    await _judge(siege, log, [*_operations(folder), mark], clients)
    return siege


def _clients(after: int) -> list[Client]:
    """Return the sessions; each also follows the source of the mark, so that all of them can tell the end."""
    everything = [Client(f"everything {number}", after, after) for number in range(EVERYTHING)]
    return everything + [
        Client(f"session {number}", after, after, frozenset({f"line-{number % SOURCES}", MARK}))
        for number in range(SESSIONS - EVERYTHING)
    ]


def _reached(clients: Sequence[Client], mark: Operation) -> bool:
    return all(client.until >= (mark.position or 0) for client in clients)


def _operator(number: int) -> dict[str, str]:
    return bearing(token(f"operator-{number}", OTHERS, ("operator", "source"), TOKEN_SECONDS))


@asynccontextmanager
async def _load(siege: Siege, folder: Path) -> AsyncIterator[None]:
    """Give commands and watch as long as the context lasts; tell every window."""
    with ExitStack() as stack:
        processes = []
        for server in siege.servers:
            written = str(folder / f"operations-{server.port}")
            watched = Watched(server.port, server.process.pid, OTHERS, RATE, WINDOW_SECONDS, written)
            processes.append(stack.enter_context(bystander(watched, folder)))
            await asyncio.to_thread(processes[-1].wait_for_line, "watching")
        telling = asyncio.create_task(_tell(siege, processes))
        try:
            yield
        finally:
            telling.cancel()
            for process in processes:
                await asyncio.to_thread(process.terminate, ENDED_SECONDS)
            _look(siege, processes)


async def _tell(siege: Siege, processes: Sequence[Process]) -> None:
    while True:
        await asyncio.sleep(WINDOW_SECONDS)
        _look(siege, processes)


def _look(siege: Siege, processes: Sequence[Process]) -> None:
    """Take in the windows that the bystanders have told of, and print the new ones."""
    for server, seen, process in zip(siege.servers, siege.seen, processes, strict=True):
        told = windows(process.output())
        for window in told[len(seen.windows) :]:
            size = window.last / 1_024
            print(f"{time.strftime('%X')} {server} {size:.0f} MiB, {Seen([window])}", flush=True)  # noqa: T201
        seen.windows[:] = told


async def _mark(server: TocsinServer) -> Operation:
    """Raise an alarm that every session follows, however long that takes."""
    body = {"source": MARK, "type": TYPE, "severity": "major", "text": MARK}
    async with server.client() as http, asyncio.timeout(SETTLE_SECONDS):
        while True:
            with suppress(httpx.TransportError):
                answer = await http.post(
                    "/v1/alarms", json=body, headers=_operator(0) | {"Idempotency-Key": MARK}
                )
                if answer.is_success:
                    return Operation(MARK, "ok", answer.json()["position"])
            await asyncio.sleep(AGAIN_SECONDS)


def _operations(folder: Path) -> Iterator[Operation]:
    for written in folder.glob("operations-*"):
        for line in written.read_text(encoding="ascii").splitlines():
            key, outcome, position = line.split()
            yield Operation(key, OUTCOMES[outcome], int(position) or None)


async def _judge(siege: Siege, log: Log, operations: list[Operation], clients: list[Client]) -> None:
    own: list[Event] = []
    async for page, after in log.pages():
        siege.violations += positions(page, after)
        own += [event for event in page if event.tenant == OTHERS]
    for client in clients:
        # The judge looks at what a session should have had up to where it is.
        client.until = own[-1].position
    alarms = await listed(siege.servers[0], own[-1].position, _operator(0))
    siege.commands = len(own)
    siege.violations += judged(History(operations, clients, own, alarms))

"""One appender for all: several processes append flat out, one of them further from mongod than the rest."""

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec

from adapters.mongo.client import connect
from adapters.mongo.coordination.leases import MongoLeases
from adapters.mongo.coordination.peer_key import MongoPeerKey
from adapters.mongo.log.doorbell import ChangeStreamDoorbell
from adapters.peers.network import PeerNetwork
from core.application.feed import Feed
from core.application.one_appender import LEASE, OneAppender
from core.application.workers.leader import Candidate
from tests.bench.table import Row, median, percentile
from tests.kit.appending import first_raise
from tests.kit.hosts import HOST
from tests.kit.mongologs import WritableLog
from tests.kit.proxy import Proxy

FEW, MANY = 4, 8
WRITERS = 16
SECONDS = 4.0
ROUNDS = 3
FAR_MS = 5.0
"""How much later each message arrives on the way from the far process to mongod."""
GATES = {FEW: (">= 0.85", 0.2), MANY: (">= 0.7", 0.4)}
"""By the number of processes: the least share of what one alone reaches, and the longest p99 in seconds."""
SETTLE_SECONDS = 30.0
"""How long a process may take until it appends for all or forwards."""


class Appended(msgspec.Struct):
    """What one process got done: how long each of its appends took, in seconds."""

    latencies: list[float]

    @property
    def rate(self) -> float:
        """Events each second."""
        return len(self.latencies) / SECONDS


def run(uri: str) -> list[Row]:
    """Measure everything on the MongoDB at `uri`, which names one server."""
    return asyncio.run(_run(uri))


async def _run(uri: str) -> list[Row]:
    alone: list[float] = []
    together: dict[int, list[list[Appended]]] = {FEW: [], MANY: []}
    async with Proxy(urlsplit(uri).port or 27017) as proxy:
        proxy.delay_ms["up"] = FAR_MS
        for _ in range(ROUNDS):
            [single] = await _together([uri])
            alone.append(single.rate)
            for number, rounds in together.items():
                rounds.append(await _together([uri] * (number - 1) + [proxy.uri]))
    return [
        _far(together[FEW]),
        *(row for number, rounds in together.items() for row in _rows(number, rounds, alone)),
    ]


def _far(rounds: Sequence[Sequence[Appended]]) -> Row:
    far = [processes[-1].rate for processes in rounds]
    mean = median([_total(processes) for processes in rounds]) / FEW
    return Row(
        f"far process / mean of {FEW}", _rate(far), f"{mean:,.0f} events/s", median(far) / mean, ">= 0.1"
    )


def _rows(number: int, rounds: Sequence[Sequence[Appended]], alone: list[float]) -> list[Row]:
    """Return how fast so many processes append together, and how long the slowest of them takes."""
    share, longest = GATES[number]
    total = [_total(processes) for processes in rounds]
    slowest = max(percentile(each.latencies or [SECONDS], 0.99) for processes in rounds for each in processes)
    return [
        Row(
            f"{number} processes / one alone",
            _rate(total),
            _rate(alone),
            median(total) / median(alone),
            share,
        ),
        Row(
            f"slowest of {number} processes' p99 of an append / bound",
            f"{slowest * 1e3:.0f} ms",
            f"{longest * 1e3:.0f} ms",
            slowest / longest,
            "<= 1",
        ),
    ]


def _total(processes: Sequence[Appended]) -> float:
    return sum(each.rate for each in processes)


def _rate(rates: list[float]) -> str:
    return f"{median(rates):,.0f} events/s"


async def _together(uris: Sequence[str]) -> list[Appended]:
    """Let one process for each URI append to a new log, all at the same time."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    database = connect(uris[0], name)
    await WritableLog(database).create()
    processes = [await _start(uris[0], name)]
    try:
        # The first one is to append for all: the far one would make another measurement.
        await _line(processes[0])
        processes += [await _start(uri, name) for uri in uris[1:]]
        await asyncio.gather(*(_line(process) for process in processes[1:]))
        for process in processes:
            _tell(process)
        lines = await asyncio.gather(*(_line(process) for process in processes))
        return [msgspec.json.decode(line, type=Appended) for line in lines]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await database.client.drop_database(name)
        database.client.close()


async def _start(uri: str, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.bench_fair", uri, name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=64 * 1024 * 1024,
    )


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


def _tell(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def _appending_process(uri: str, name: str) -> None:
    async with _log(uri, name) as log:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        latencies: list[float] = []
        end = time.perf_counter() + SECONDS
        await asyncio.gather(*(_append(log, end, latencies) for _ in range(WRITERS)))
        print(msgspec.json.encode(Appended(latencies)).decode(), flush=True)


async def _append(log: WritableLog, end: float, latencies: list[float]) -> None:
    while (began := time.perf_counter()) < end:
        await log.append(*first_raise())
        latencies.append(time.perf_counter() - began)


@asynccontextmanager
async def _log(uri: str, name: str) -> AsyncIterator[WritableLog]:
    """Give a log as a server has it: with a feed that shows it what others append."""
    database = connect(uri, name)
    log = WritableLog(database)
    feed = Feed(log, ChangeStreamDoorbell(database), HOST.chance)
    feed.on_events(log.learn, log.forget)
    await feed.start()
    holder, key = HOST.ids.new(), await MongoPeerKey(database).read()
    async with (
        log.running(feed.hear),
        PeerNetwork.joined(key, holder, log.submit, host="127.0.0.1", port=0) as network,
        asyncio.TaskGroup() as tasks,
    ):
        leases = MongoLeases(database)
        one = OneAppender(Candidate(leases, holder, HOST.chance), leases, network, log)
        work = [tasks.create_task(each) for each in (feed.run(), one.hold(), one.follow())]
        await _settled(log, leases, holder)
        yield log
        for each in work:
            each.cancel()
    database.client.close()


async def _settled(log: WritableLog, leases: MongoLeases, own: str) -> None:
    """Return once this process appends for all or forwards. Raises TimeoutError."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while log.counts.forwarded == 0:
            found = await leases.holder(LEASE)
            if found is not None and found.name == own:
                return
            await log.append(*first_raise())
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(_appending_process(sys.argv[1], sys.argv[2]))

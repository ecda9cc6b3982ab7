"""MongoDB away or slow while commands pour in: a bounded queue, 503, memory that stays flat, recovery."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path

import httpx
import pytest

from adapters.mongo.client import connect
from core.alarm.events import Event
from core.errors import OutcomeUnknown, Unavailable
from core.log import appender
from tests.kit.appending import first_raise
from tests.kit.mongologs import WritableLog
from tests.kit.proxy import Proxy
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

CLIENTS = 60
QUEUE = 20
SECONDS = 30.0
LONGEST_ANSWER = 7.0
"""What is promised is about 5 s; the rest is this machine's, on which everything runs at once."""
GROWTH_MB = 48.0
TEXT = "x" * 2_000


@pytest.fixture
async def proxy(replica_set: ReplicaSet) -> AsyncIterator[Proxy]:
    async with Proxy(replica_set.primary().port) as proxy:
        yield proxy


def rss_mb(server: TocsinServer) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1_024


async def raised(http: httpx.AsyncClient, source: str) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    body = {"source": source, "type": "pressure", "severity": "major", "text": f"{time.monotonic()} {TEXT}"}
    return await http.post("/v1/alarms", json=body), time.monotonic() - began


async def poured(https: Sequence[httpx.AsyncClient], name: str) -> list[tuple[httpx.Response, float]]:
    """Let every client raise an alarm at once."""
    return await asyncio.gather(*(raised(http, f"{name}-{number}") for number, http in enumerate(https)))


async def test_commands_that_pour_in_are_refused_in_time_and_cost_no_memory(
    proxy: Proxy, database: str, tmp_path: Path
) -> None:
    server = TocsinServer(tmp_path, proxy.uri, database)
    async with AsyncExitStack() as stack:
        stack.enter_context(server.process)
        await asyncio.to_thread(server.wait_until_ready)
        https = [await stack.enter_async_context(server.client()) for _ in range(CLIENTS)]
        assert {answer.status_code for answer, _ in await poured(https, "before")} == {201}
        before = rss_mb(server)
        proxy.black_hole()
        # Half of them about alarms that the server remembers, half about alarms that it has to read.
        known, unknown = poured(https[::2], "before"), poured(https[1::2], "away")
        answers = [*chain(*await asyncio.gather(known, unknown))]
        grown = rss_mb(server) - before
        proxy.cut()
        proxy.heal()
        async with asyncio.timeout(SECONDS):
            while (await raised(https[0], "after"))[0].status_code == httpx.codes.SERVICE_UNAVAILABLE:
                pass
        assert (await raised(https[0], "again"))[0].status_code == httpx.codes.CREATED
    assert Counter(answer.status_code for answer, _ in answers) == {503: CLIENTS}
    assert all(answer.headers["Retry-After"] for answer, _ in answers)
    assert max(seconds for _, seconds in answers) < LONGEST_ANSWER
    assert grown < GROWTH_MB
    assert proxy.fired["black_hole"]


async def test_what_does_not_fit_the_queue_is_refused_at_once(
    proxy: Proxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "QUEUE_SUBMISSIONS", QUEUE)
    connection = connect(proxy.uri, database)
    log = WritableLog(connection)
    await log.create()
    async with log.running():
        await log.append(*first_raise())
        proxy.delay_ms["up"] = 300.0
        appends = [asyncio.create_task(log.append(*first_raise())) for _ in range(3 * QUEUE)]
        answers = await asyncio.gather(*appends, return_exceptions=True)
        proxy.delay_ms["up"] = 0.0
        last = await log.append(*first_raise())
    landed = [answer for answer in answers if isinstance(answer, Event)]
    refused = [answer for answer in answers if isinstance(answer, Unavailable | OutcomeUnknown)]
    # It waits for an answer, by way of the proxy on this loop.
    await asyncio.to_thread(connection.client.close)
    assert (len(landed), len(refused)) == (QUEUE, 2 * QUEUE)
    assert {str(answer) for answer in refused} == {f"{QUEUE} commands are waiting already"}
    assert last.position == QUEUE + 2

"""The relay against bare posts of the same bodies by httpx: 10,000 pending rows to one fast receiver."""

import asyncio
import multiprocessing
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import cast

import httpx
import uvloop

from adapters.memory.leases import MemoryLeases
from adapters.mongo.client import Database, connect
from adapters.mongo.outbox.outbox import MongoOutbox
from adapters.mongo.outbox.webhooks import MongoWebhooks
from adapters.webhook.formats.registry import FORMATS
from adapters.webhook.sender import HttpSender
from core.alarm.evolution import place
from core.application.webhooks.endpoint import RelayParts
from core.application.webhooks.relay import Relay
from core.outbox.lanes import AT_ONCE
from core.outbox.routing import WebhookRoutes
from core.outbox.row import Row
from core.outbox.webhook import Webhook
from tests.bench.bench_log import decided
from tests.bench.table import Row as Figure
from tests.bench.table import median
from tests.kit.hosts import HOST, candidate
from tests.kit.outgoing import AGES, SECRET

ROWS = 10_000
ROUNDS = 3
BOUND_SECONDS = 300.0

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def run(uri: str) -> list[Figure]:
    """Measure on the MongoDB at `uri`."""
    return asyncio.run(_run(uri))


async def _run(uri: str) -> list[Figure]:
    ours, floors = [], []
    with receiver() as port:
        for _ in range(ROUNDS):
            hook = Webhook(
                id="bench",
                tenant="default",
                url=f"http://127.0.0.1:{port}/",
                secrets=(SECRET,),
                created_at=datetime.now(UTC),
            )
            rows = _rows(hook)
            ours.append(await _relayed(uri, hook, rows))
            floors.append(await _posted(hook.url, rows))
    figure = Figure(
        "relay, 10,000 pending rows, one receiver",
        f"{median(ours):,.0f}/s",
        f"{median(floors):,.0f}/s",
        median([one / floor for one, floor in zip(ours, floors, strict=True)]),
        ">= 0.5",
    )
    return [figure]


def _rows(hook: Webhook) -> list[Row]:
    events = [place(*decided(number), number, None) for number in range(1, ROWS + 1)]
    return WebhookRoutes([hook], FORMATS).rows(events, datetime.now(UTC))


async def _relayed(uri: str, hook: Webhook, rows: list[Row]) -> float:
    """Return how many rows a second one relay delivers and records."""
    async with _database(uri) as database, aclosing(HttpSender(FORMATS, ["127.0.0.1"])) as sender:
        webhooks, outbox = MongoWebhooks(database), MongoOutbox(database)
        await webhooks.create()
        await outbox.create()
        await webhooks.add(hook)
        for start in range(0, ROWS, 1_000):
            await outbox.add(rows[start : start + 1_000])
        parts = RelayParts(webhooks, outbox, sender, lambda _: asyncio.Event(), HOST.clock, HOST.chance, AGES)
        relay = Relay(parts, candidate(MemoryLeases()))
        began = time.perf_counter()
        working = asyncio.create_task(relay.run())
        async with asyncio.timeout(BOUND_SECONDS):
            while hook.id not in relay.counts or relay.counts[hook.id].delivered < ROWS:
                await asyncio.sleep(0.01)
        seconds = time.perf_counter() - began
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        if await outbox.waiting():
            raise AssertionError("rows are still pending")
    return ROWS / seconds


async def _posted(url: str, rows: list[Row]) -> float:
    """Return how many bodies a second httpx posts with as many calls at once."""
    bodies = iter([row.body for row in rows])
    headers = {"content-type": "application/cloudevents+json"}
    async with httpx.AsyncClient(trust_env=False) as client:

        async def work() -> None:
            for body in bodies:
                (await client.post(url, content=body, headers=headers)).raise_for_status()

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return ROWS / (time.perf_counter() - began)


@asynccontextmanager
async def _database(uri: str) -> AsyncIterator[Database]:
    database = connect(uri, f"bench_{uuid.uuid4().hex[:8]}")
    try:
        yield database
    finally:
        await database.client.drop_database(database.name)
        database.client.close()


@contextmanager
def receiver() -> Iterator[int]:
    """Run a receiver that answers at once, in a process of its own; gives its port."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_receive, args=(theirs,))
    process.start()
    try:
        yield int(ours.recv())
    finally:
        ours.send("stop")
        process.join()


class _Receiver(asyncio.Protocol):
    """Answers every request by its length, and looks at nothing else."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one by its methods alone.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            at = self._buffer[:end].lower().index(b"content-length:") + len(b"content-length:")
            length = int(self._buffer[at:end].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(ANSWER)


def _receive(pipe: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        server.close()

    uvloop.run(serve())

"""Half an hour of a thousand sessions, a tenth of them stalling, leaving and coming back: nothing is missed.

python -m pytest tests/e2e/test_soak.py -m long -s       (TOCSIN_SOAK_SECONDS: how long, default 1,800)
"""

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from core.delivery.ring import RING_EVENTS
from tests.kit.clients import streaming
from tests.kit.servers import TocsinServer

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(7_200)]

SECONDS = float(os.environ.get("TOCSIN_SOAK_SECONDS", "1800"))
SESSIONS = 1_000
UNSTEADY = SESSIONS // 10
EVERY = 0.4
"""Seconds between two events."""
SAMPLES = 30.0
SETTLED = 0.25
"""From this part of the run on memory must not grow any more."""
GROWTH = 1.15
CATCH_UP = 60.0
FILLED_AT_ONCE = 500


class _Part(msgspec.Struct):
    position: int


class _Message(msgspec.Struct):
    op: str
    position: int = 0
    events: list[_Part] = []


_decoder = msgspec.json.Decoder(_Message)


class Operator:
    """One client that counts what it gets: each position once, in order, none left out."""

    def __init__(self, urls: list[str], position: int, *, steady: bool) -> None:
        self.position = position
        self.lives = 0
        self._urls = urls
        self._steady = steady

    async def run(self) -> None:
        """Follow for ever, at one process or the other."""
        while True:
            url = self._urls[self.lives % len(self._urls)]
            self.lives += 1
            with suppress(ConnectionClosed, OSError, TimeoutError):
                protocols = [Subprotocol("tocsin.v1.json")]
                async with connect(url, subprotocols=protocols, compression=None, open_timeout=60) as socket:
                    await socket.send(f'{{"op":"subscribe","id":"a","after":{self.position}}}')
                    await self._follow(socket)

    async def _follow(self, socket: ClientConnection) -> None:
        leave_at = None if self._steady else time.monotonic() + random.uniform(5, 40)
        while leave_at is None or time.monotonic() < leave_at:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if leave_at is None else 1.0):
                    self._take(_decoder.decode(await socket.recv()))
        if random.random() < 0.5:
            # What arrives meanwhile fills this client's buffers, and then the server's.
            await asyncio.sleep(random.uniform(5, 45))

    def _take(self, message: _Message) -> None:
        if message.op in ("error", "reset"):
            pytest.fail(f"a client was told {message}")
        for event in message.events:
            assert event.position == self.position + 1, f"{event.position} follows {self.position}"
            self.position = event.position


def resident(server: TocsinServer) -> int:
    """Return the process's memory, in KiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


async def feed(server: TocsinServer, until: float, each: Callable[[int], None]) -> None:
    """Raise and clear alarms of a hundred sources, evenly."""
    async with server.client() as http:
        for number in range(10**9):
            if time.monotonic() > until:
                return
            body = {"source": f"plant/{number // 2 % 100}", "type": "pressure"}
            path, more = ("/v1/alarms", {"severity": "major"}) if number % 2 == 0 else ("/v1/clear", {})
            with suppress(httpx.TransportError):
                answer = await http.post(path, json=body | more)
                assert answer.status_code in (200, 201), answer.text
                each(answer.json()["position"])
            await asyncio.sleep(EVERY)


async def fill_the_ring(server: TocsinServer) -> int:
    """Record as many events as a process keeps, so that memory does not grow by them; return the last."""
    last = 0
    async with server.client() as http:
        for first in range(0, RING_EVENTS + FILLED_AT_ONCE, FILLED_AT_ONCE):
            numbers = range(first, first + FILLED_AT_ONCE)
            items = [
                {"command": "raise", "source": f"old/{n}", "type": "pressure", "severity": "minor"}
                for n in numbers
            ]
            answer = await http.post("/v1/commands", json=items, timeout=60)
            assert answer.status_code == 200, answer.text
            last = max(item["position"] for item in answer.json())
    return last


async def test_a_thousand_sessions_miss_nothing(tmp_path: Path, mongodb_uri: str, database: str) -> None:
    last, memory = 0, list[tuple[float, list[int]]]()

    def recorded(position: int) -> None:
        nonlocal last
        last = max(last, position)

    with (
        TocsinServer(tmp_path, mongodb_uri, database) as first,
        TocsinServer(tmp_path, mongodb_uri, database) as second,
    ):
        urls = [first.ws_url, second.ws_url]
        # What nobody subscribes to is not encoded, and so takes less memory than it will.
        async with streaming(urls[0]) as one, streaming(urls[1]) as other:
            last = await fill_the_ring(first)
            await asyncio.gather(one.until_position(last), other.until_position(last))
        start = last
        operators = [
            Operator(urls if number % 2 else urls[::-1], start, steady=number >= UNSTEADY)
            for number in range(SESSIONS)
        ]
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(operator.run()) for operator in operators]
            feeding = tasks.create_task(feed(first, began + SECONDS, recorded))
            while not feeding.done():
                memory.append((time.monotonic() - began, [resident(first), resident(second)]))
                await asyncio.wait([feeding], timeout=min(SAMPLES, SECONDS / 8))
            async with asyncio.timeout(CATCH_UP):
                while any(operator.position < last for operator in operators):
                    await asyncio.sleep(0.2)
            for each in running:
                each.cancel()
    lives = sum(operator.lives for operator in operators)
    print(f"\n{last - start} events to {SESSIONS} sessions of {lives} connections in {SECONDS:.0f} s")  # noqa: T201
    for seconds, sizes in memory:
        print(f"{seconds:7.0f} s  {' '.join(f'{size / 1024:7.1f} MiB' for size in sizes)}")  # noqa: T201
    assert last - start > SECONDS / EVERY / 4
    assert lives > SESSIONS
    settled = [sizes for seconds, sizes in memory if seconds >= SECONDS * SETTLED]
    for process in range(2):
        assert settled[-1][process] <= GROWTH * settled[0][process]

"""Writers: commands over HTTP in bursts, repeated while that may help, and how each of them ended."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx

from core.alarm.alarm import Identity
from tests.faults.checker import Operation
from tests.kit.servers import TocsinServer

SOURCES = tuple(f"line-{number}" for number in range(24))
TYPE = "pressure"
WRITERS = 16
TRIES = 4
"""How often a command is sent, with the same Idempotency-Key, until an answer is final."""
BURST = 40
REST_SECONDS = 0.5
ANSWER_SECONDS = 12.0
"""How long a writer waits for an answer: longer than a server does for MongoDB."""


class Load:
    """What the writers asked for, and how it ended."""

    def __init__(self, servers: Sequence[TocsinServer], seed: int) -> None:
        self.operations: list[Operation] = []
        # Answers that no fault excuses, by status.
        self.wrong: Counter[int] = Counter()
        self.longest_stall = 0.0
        self._servers = list(servers)
        self._random = random.Random(seed)
        self._numbers = count(1)
        self._last_ok = time.monotonic()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write as long as the context lasts; at its end, what is under way is brought to an end."""
        ending = asyncio.Event()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=WRITERS)
        async with (
            httpx.AsyncClient(timeout=ANSWER_SECONDS, limits=limits, trust_env=False) as http,
            asyncio.TaskGroup() as writers,
        ):
            self._last_ok = time.monotonic()
            for _ in range(WRITERS):
                writers.create_task(self._write(http, ending))
            try:
                yield
            finally:
                ending.set()

    async def mark(self, server: TocsinServer) -> int:
        """Raise an alarm by the server until it is acknowledged; return the position.

        What the server had in doubt before is settled then. Every client wants that source.
        """
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http, asyncio.timeout(60.0):
            while True:
                key = f"op-{next(self._numbers)}"
                operation = await self._carry_out(http, [server], key, "/v1/alarms", raising(SOURCES[0], key))
                if operation.position is not None:
                    return operation.position

    async def _write(self, http: httpx.AsyncClient, ending: asyncio.Event) -> None:
        while not ending.is_set():
            for _ in range(BURST):
                await self._command(http)
                if ending.is_set():
                    return
            await asyncio.sleep(self._random.random() * REST_SECONDS)

    async def _command(self, http: httpx.AsyncClient) -> None:
        key = f"op-{next(self._numbers)}"
        source = self._random.choice(SOURCES)
        kind = self._random.choice(("raise", "raise", "raise", "clear", "comment"))
        servers = self._random.sample(self._servers, len(self._servers))
        if kind == "raise":
            await self._carry_out(http, servers, key, "/v1/alarms", raising(source, key))
        elif kind == "clear":
            await self._carry_out(http, servers, key, "/v1/clear", {"source": source, "type": TYPE})
        else:
            alarm = Identity("default", source, TYPE).alarm_id
            await self._carry_out(http, servers, key, f"/v1/alarms/{alarm}/comment", {"text": key})

    async def _carry_out(
        self,
        http: httpx.AsyncClient,
        servers: Sequence[TocsinServer],
        key: str,
        path: str,
        body: dict[str, Any],
    ) -> Operation:
        """Send a command until its answer is final, to one server after the other.

        A raise carries its key in its text too, so every other one goes without Idempotency-Key, once.
        """
        keyed = path != "/v1/alarms" or self._random.random() < 0.5
        headers = {"Idempotency-Key": key} if keyed else {}
        in_doubt, operation = False, Operation(key, "refused")
        for number in range(TRIES if keyed else 1):
            url = servers[number % len(servers)].url
            try:
                answer = await http.post(url + path, json=body, headers=headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                await asyncio.sleep(0.05)
                continue
            except httpx.TransportError:
                in_doubt = True
                continue
            said = answer.json()
            if answer.is_success and said["changed"]:
                operation = self._acknowledged(Operation(key, "ok", said["position"]))
                break
            if not answer.is_server_error:
                break
            in_doubt |= said.get("code") != "unavailable"
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                self.wrong[answer.status_code] += 1
        if operation.outcome != "ok" and in_doubt:
            operation = Operation(key, "unknown")
        self.operations.append(operation)
        return operation

    def _acknowledged(self, operation: Operation) -> Operation:
        now = time.monotonic()
        self.longest_stall = max(self.longest_stall, now - self._last_ok)
        self._last_ok = now
        return operation


def raising(source: str, key: str) -> dict[str, str]:
    """Return the body of a raise that changes the alarm, whatever it was."""
    return {"source": source, "type": TYPE, "severity": "major", "text": key}

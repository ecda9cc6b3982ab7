"""`tocsin serve --processes`: one port, several processes; ended, killed and renewed under load."""

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.kit.clients import StreamClient, streaming
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.waiting import eventually

pytestmark = pytest.mark.e2e

STARTED = re.compile(r"Tocsin is at")
CHILD = re.compile(r"process (\d) has pid (\d+)")


@pytest.fixture
def supervised(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[TocsinServer]:
    options = ["--processes", "2", "--drain-seconds", "1"]
    with TocsinServer(tmp_path, replica_set.uri, database, options=options) as running:
        yield running
        # A clean end takes the children along; a kill would leave them.
        if running.alive:
            running.terminate()


def starts(server: TocsinServer) -> int:
    return len(STARTED.findall(server.process.output()))


def children(server: TocsinServer) -> dict[int, int]:
    return {int(index): int(pid) for index, pid in CHILD.findall(server.process.output())}


async def until_started(server: TocsinServer, times: int) -> None:
    await eventually(f"{times} starts", lambda: starts(server) >= times or None, 30.0)


async def until_answered(answered: list[int], count: int) -> None:
    await eventually(f"{count} answers", lambda: len(answered) >= count or None)


class Follower:
    """Follows the log through whatever happens, and keeps the positions it was sent."""

    def __init__(self, server: TocsinServer) -> None:
        self._server = server
        self.positions: list[int] = []

    async def run(self, log: str) -> None:
        while True:
            after = self.positions[-1] if self.positions else 0
            with suppress(OSError, ConnectionClosed, WebSocketException, TimeoutError):
                async with streaming(self._server.ws_url, after=after, log=log) as client:
                    await self._follow(client)

    async def _follow(self, client: StreamClient) -> None:
        seen = 0
        while True:
            await client.receive()
            events = client.events
            self.positions += [event["position"] for event in events[seen:]]
            seen = len(events)


async def raise_for_ever(server: TocsinServer, answered: list[int]) -> None:
    number = 0
    while True:
        number += 1
        body = {"source": f"pump-{number}", "type": "leak", "severity": "major"}
        with suppress(httpx.HTTPError):
            async with server.client() as http:
                answer = await http.post("/v1/alarms", json=body)
                if answer.is_success:
                    answered.append(answer.json()["position"])


async def test_processes_are_renewed_one_by_one_and_no_event_is_lost(supervised: TocsinServer) -> None:
    await until_started(supervised, 2)
    async with streaming(supervised.ws_url) as first:
        log = first.log
    followers, answered = [Follower(supervised), Follower(supervised)], list[int]()
    working = [asyncio.create_task(each.run(log)) for each in followers]
    working.append(asyncio.create_task(raise_for_ever(supervised, answered)))
    try:
        for times, (index, number) in enumerate(
            [(0, signal.SIGTERM), (1, signal.SIGTERM), (0, signal.SIGKILL)], start=3
        ):
            os.kill(children(supervised)[index], number)
            await until_started(supervised, times)
            await until_answered(answered, len(answered) + 20)
        working.pop().cancel()
        last = max(answered)

        def delivered() -> bool:
            for task in working:
                if task.done():
                    task.result()
            return all(each.positions and each.positions[-1] >= last for each in followers)

        await eventually("all delivered", lambda: delivered() or None)
    finally:
        for task in working:
            task.cancel()
    for each in followers:
        assert each.positions == list(range(1, len(each.positions) + 1))
    assert await asyncio.to_thread(supervised.terminate) == 0
    for pid in children(supervised).values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_killed_supervisor_takes_its_processes_along(supervised: TocsinServer) -> None:
    await until_started(supervised, 2)
    pids = children(supervised).values()
    os.kill(supervised.process.pid, signal.SIGKILL)
    await eventually("both are gone", lambda: not any(runs(pid) for pid in pids) or None)
    async with supervised.client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("/healthz")


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended may wait for its new parent to notice."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_what_must_not_start_is_not_tried_again(tmp_path: Path) -> None:
    server = TocsinServer(
        tmp_path, "mongodb://127.0.0.1:1", "any", options=["--processes", "2", "--host", "0.0.0.0"]
    )
    server.process.start()
    assert server.process.wait(30.0) == 2
    assert "refusing to listen" in server.process.output()

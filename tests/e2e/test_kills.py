"""Processes killed in the middle: what was acknowledged is there, once, in order."""

import asyncio
import subprocess
import sys

import httpx
import pytest

from tests.e2e.conftest import Servers
from tests.kit.clients import streaming
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

CLIENTS = 16
BURST = 400


def raising(number: int) -> dict[str, str]:
    return {"source": f"pump-{number}", "type": "pressure_high", "severity": "major"}


async def test_a_server_killed_in_a_burst_loses_nothing_it_answered(servers: Servers) -> None:
    doomed, other = servers
    async with streaming(doomed.ws_url) as client:
        answered = await burst(doomed)
        await client.drain()
    async with streaming(other.ws_url, after=client.position, log=client.log) as again:
        await again.until_position(max(answered))
    seen = [event["position"] for event in client.events + again.events]
    assert set(answered) <= set(seen)
    assert seen == list(range(1, len(seen) + 1))


async def burst(server: TocsinServer) -> list[int]:
    """Raise alarms from many clients and kill the server half-way; return the positions it answered."""
    answered: list[int] = []
    numbers = iter(range(BURST))

    async def send(http: httpx.AsyncClient) -> None:
        for number in numbers:
            answer = await http.post("/v1/alarms", json=raising(number))
            answered.append(answer.json()["position"])
            if len(answered) == BURST // 2:
                server.kill()

    async with server.client() as http:
        results = await asyncio.gather(*(send(http) for _ in range(CLIENTS)), return_exceptions=True)
    assert any(isinstance(result, httpx.TransportError) for result in results), "it was not killed in time"
    return answered


async def test_a_mongod_killed_and_restarted_loses_nothing_that_was_answered(
    servers: Servers, replica_set: ReplicaSet, database: str
) -> None:
    server, other = servers
    async with streaming(other.ws_url) as client, server.client() as http:
        before = await http.post("/v1/alarms", json=raising(1))
        assert before.status_code == 201
        replica_set.kill()
        several = [{"command": "raise", **raising(100 + number)} for number in range(1_000)]
        during, many = await asyncio.gather(
            http.post("/v1/alarms", json=raising(2)), http.post("/v1/commands", json=several)
        )
        assert (during.status_code, during.headers["retry-after"]) == (503, "1")
        assert during.json()["code"] in ("unavailable", "outcome_unknown")
        assert (many.status_code, len(many.json())) == (200, 1_000)
        assert {each["code"] for each in many.json()} <= {"unavailable", "outcome_unknown"}
        assert (await http.get("/readyz")).status_code == 503
        replica_set.heal()
        after = await raised_again(http, 3)
        await client.until_position(after)
        assert [event["position"] for event in client.events] == list(range(1, after + 1))
    assert verify(replica_set.uri, database) == 0


async def raised_again(http: httpx.AsyncClient, number: int) -> int:
    """Raise an alarm as soon as that is possible; return its position."""

    async def attempt() -> int | None:
        answer = await http.post("/v1/alarms", json=raising(number))
        return int(answer.json()["position"]) if answer.is_success else None

    for _ in range(60):
        position = await attempt()
        if position is not None:
            return position
    raise AssertionError("it never took a command again")


def verify(uri: str, database: str) -> int:
    command = [
        sys.executable,
        "-m",
        "entrypoints.cli",
        "verify",
        "--mongodb-uri",
        uri,
        "--database",
        database,
    ]
    return subprocess.run(command, check=False, timeout=60).returncode

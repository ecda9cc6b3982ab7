"""An event in the log that nobody can read harms neither other commands nor the process that meets it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from adapters.mongo.client import Database
from adapters.mongo.log.store import EVENTS
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.waiting import POLL_SECONDS

pytestmark = pytest.mark.e2e

SECONDS = 30.0


@pytest.fixture
def server(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[TocsinServer]:
    with TocsinServer(tmp_path, replica_set.uri, database) as running:
        yield running


@pytest_asyncio.fixture
async def http(server: TocsinServer) -> AsyncIterator[httpx.AsyncClient]:
    async with server.client() as client:
        yield client


async def raise_alarm(http: httpx.AsyncClient, source: str, key: str | None = None) -> httpx.Response:
    body = {"source": source, "type": "leak", "severity": "major"}
    return await http.post("/v1/alarms", json=body, headers={"Idempotency-Key": key} if key else {})


async def until_ready(http: httpx.AsyncClient, status: int) -> list[str]:
    """Wait until /readyz answers with the status; return its reasons."""
    async with asyncio.timeout(SECONDS):
        while (answer := await http.get("/readyz")).status_code != status:
            await asyncio.sleep(POLL_SECONDS)
    reasons: list[str] = answer.json()["reasons"]
    return reasons


async def test_a_key_whose_event_cannot_be_read_stops_no_other_command(
    http: httpx.AsyncClient, connected: Database
) -> None:
    assert (await raise_alarm(http, "pump", "once")).status_code == 201
    assert (await http.get("/v1/alarms", params={"min_position": 1})).status_code == 200
    await connected[EVENTS].update_one({"_id": 1}, {"$unset": {"alarm": True}})
    answer = await raise_alarm(http, "valve", "once")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "Idempotency-Key cannot be read" in answer.json()["detail"]
    assert (await raise_alarm(http, "fan")).status_code == 201
    assert (await http.get("/readyz")).status_code == 200


async def test_a_feed_that_cannot_read_an_event_says_so_and_goes_on_once_it_can(
    server: TocsinServer, http: httpx.AsyncClient, connected: Database
) -> None:
    assert (await raise_alarm(http, "pump")).status_code == 201
    assert (await http.get("/v1/alarms", params={"min_position": 1})).status_code == 200
    await connected[EVENTS].insert_one({"_id": 2, "stream": "odd", "revision": 1, "event_id": "odd"})
    reasons = await until_ready(http, 503)
    assert "the feed failed with KeyError and is started again" in reasons
    figures = await http.get("/metrics")
    assert figures.status_code == 200
    assert "tocsin_feed_position 1.0" in figures.text
    assert "tocsin_store_reachable 1.0" in figures.text
    assert server.alive
    await connected[EVENTS].delete_one({"_id": 2})
    assert await until_ready(http, 200) == []
    assert (await raise_alarm(http, "fan")).json()["position"] == 2

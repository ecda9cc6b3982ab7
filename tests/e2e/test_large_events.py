"""Clients that read hundreds of events as large as the bounds allow, which no answer of MongoDB can hold."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from adapters.mongo.client import Database
from tests.kit.appending import append_large
from tests.kit.clients import streaming
from tests.kit.eventsource import SECONDS, event_source
from tests.kit.mongologs import WritableLog
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

EVENTS = 600
WHOLE = list(range(1, EVENTS + 1))


@pytest_asyncio.fixture
async def server(connected: Database, mongodb_uri: str, tmp_path: Path) -> AsyncIterator[TocsinServer]:
    log = WritableLog(connected)
    await log.create()
    async with log.running():
        await append_large(log, EVENTS)
    with TocsinServer(tmp_path, mongodb_uri, connected.name) as running:
        yield running


async def test_every_way_of_reading_brings_them_all(server: TocsinServer) -> None:
    async with streaming(server.ws_url, after=0) as client:
        received = await client.until(EVENTS)
    assert [event["position"] for event in received] == WHOLE
    async with event_source(f"{server.url}/v1/events", after=0) as source:
        assert [event["position"] for event in await source.events(EVENTS)] == WHOLE
    async with httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as http:
        positions, after = list[int](), 0
        while after < EVENTS:
            answer = (await http.get("/v1/events", params={"after": after, "limit": 1_000})).json()
            positions += [event["position"] for event in answer["events"]]
            after = answer["next"]
        assert positions == WHOLE

"""Events as large as the bounds allow: whoever begins at the beginning gets every one of them."""

import asyncio

import pytest

from tests.e2e.attacks.conftest import TIMEOUT_SECONDS, Victim
from tests.kit.attackers.seeding import raise_large_alarms
from tests.kit.clients import streaming
from tests.kit.eventsource import event_source

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_SECONDS)]

EVENTS = 600
SECONDS = 20.0


@pytest.fixture
async def fresh(victim: Victim) -> Victim:
    """Give the server anew, so that it has to read the events from the log."""
    await raise_large_alarms(victim.server, EVENTS)
    await asyncio.to_thread(victim.server.terminate)
    await asyncio.to_thread(victim.server.start)
    return victim


async def test_large_events_all_come_by_websocket(fresh: Victim) -> None:
    headers = fresh.target.credentials()
    async with streaming(fresh.server.ws_url, after=0, headers=headers) as client:
        async with asyncio.timeout(SECONDS):
            events = await client.until(EVENTS)
    assert [event["position"] for event in events] == list(range(1, EVENTS + 1))


async def test_large_events_all_come_by_event_stream(fresh: Victim) -> None:
    address = f"{fresh.server.url}/v1/events"
    async with event_source(address, credential=fresh.target.token, after=0) as source:
        async with asyncio.timeout(SECONDS):
            await source.expect("subscribed")
            events = await source.events(until=EVENTS)
    assert [event["position"] for event in events] == list(range(1, EVENTS + 1))

"""Receivers of webhooks that answer in every way that hurts: the process bears it, a good one gets all."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.attacks.conftest import AUTHENTICATION, TIMEOUT_SECONDS, Victim
from tests.kit.attackers.hell import Hell, receiving_from_hell
from tests.kit.attackers.seeding import raise_alarms
from tests.kit.attackers.target import Target
from tests.kit.receiver import Receiver, receiving
from tests.kit.servers import TocsinServer
from tests.kit.tokens import bearing, token
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(TIMEOUT_SECONDS)]

ALARMS = 50
SECONDS = 60.0
ADMINISTRATOR = bearing(token("root", roles=("admin",)))


@pytest.fixture
def victim(mongodb_uri: str, database: str, tmp_path: Path) -> Iterator[Victim]:
    """Give a running server that may call receivers on loopback."""
    options = ["--webhook-allow", "127.0.0.0/8"]
    with TocsinServer(tmp_path, mongodb_uri, database, options=options, env=AUTHENTICATION) as server:
        yield Victim(server, tmp_path)


async def test_a_receiver_from_hell_harms_nobody(victim: Victim) -> None:
    async with receiving_from_hell() as hell, receiving() as good:

        async def attack(_: Target) -> None:
            async with victim.server.client() as http:
                await _announce(http, [*hell.urls.values(), good.url])
            await raise_alarms(victim.server, ALARMS)
            await _told(hell, good)

        await victim.bears(attack)


async def _announce(http: httpx.AsyncClient, urls: list[str]) -> None:
    for url in urls:
        made = await http.post("/v1/webhooks", json={"url": url}, headers=ADMINISTRATOR)
        assert made.status_code == 201, made.text


async def _told(hell: Hell, good: Receiver) -> None:
    await eventually("every torment was asked for", lambda: hell.complete, SECONDS)
    await good.until("every event", lambda: len({each.position for each in good.taken}) >= ALARMS, SECONDS)

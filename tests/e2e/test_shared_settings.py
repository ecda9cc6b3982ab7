"""Two real processes, of which one lacks the webhook allow-list: both say so, and both stay ready."""

import asyncio
from pathlib import Path

import httpx

from tests.kit.servers import TocsinServer

WARNING = "another process has another TOCSIN_WEBHOOK_ALLOW"
SECONDS = 90.0


async def warned(client: httpx.AsyncClient) -> None:
    """Wait until the process warns."""
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await client.get("/readyz")
            assert answer.status_code == 200
            if answer.json().get("warnings") == [WARNING]:
                return
            await asyncio.sleep(0.2)


async def test_a_setting_that_differs_is_told_by_each_process(
    mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    allowing = TocsinServer(tmp_path, mongodb_uri, database, options=["--webhook-allow", "127.0.0.0/8"])
    lacking = TocsinServer(tmp_path, mongodb_uri, database)
    with allowing, lacking:
        async with allowing.client() as one, lacking.client() as two:
            await asyncio.gather(warned(one), warned(two))
            for client in (one, two):
                assert "\ntocsin_settings_differing 1.0\n" in (await client.get("/metrics")).text
    for server in (allowing, lacking):
        assert f"{WARNING}: set the same for all" in (tmp_path / f"tocsin-{server.port}.log").read_text()

"""Server processes killed while they send to webhooks: nothing is lost, and each alarm stays in order."""

import asyncio
from collections import defaultdict
from pathlib import Path

import httpx

from tests.kit.receiver import receiving
from tests.kit.servers import TocsinServer

SOURCES = 15
ROUNDS = 4


async def _report(client: httpx.AsyncClient, source: str) -> None:
    """Raise and clear one alarm, each in two steps; a server that is gone is asked again."""
    for _ in range(ROUNDS):
        for path, more in (("/v1/alarms", {"severity": "major"}), ("/v1/clear", {})):
            body = {"source": source, "type": "pressure", **more}
            assert (await client.post(path, json=body)).status_code in (200, 201)


async def test_killed_relays_lose_nothing(mongodb_uri: str, database: str, tmp_path: Path) -> None:
    options = ["--webhook-allow", "127.0.0.0/8"]
    first, second = (
        TocsinServer(tmp_path / name, mongodb_uri, database, options=options) for name in ("first", "second")
    )
    async with receiving(lambda number: "slow" if number % 3 else "ok") as receiver:
        with first, second:
            async with second.client() as client:
                made = await client.post("/v1/webhooks", json={"url": receiver.url})
                assert made.status_code == 201
                reports = [_report(client, f"line/{number}") for number in range(SOURCES)]
                working = asyncio.gather(*reports)
                for seen in (5, 40):
                    # The first to start leads; whichever leads afterwards, it is killed in the middle.
                    await receiver.until("some events", receiver.had(seen + 1))
                    await asyncio.to_thread(first.kill)
                    await asyncio.to_thread(first.start)
                await working
                everything = SOURCES * ROUNDS * 2
                await receiver.until(
                    "every event", lambda: len({each.position for each in receiver.taken}) == everything
                )
    firsts: dict[str, list[int]] = defaultdict(list)
    for each in receiver.taken:
        if each.position not in firsts[each.event["subject"]]:
            firsts[each.event["subject"]].append(each.position)
    assert len(firsts) == SOURCES
    assert all(positions == sorted(positions) for positions in firsts.values())

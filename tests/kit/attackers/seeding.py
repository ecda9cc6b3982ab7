"""What there is to attack: alarms by the thousand, and events as large as the bounds allow."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from tests.kit.attackers.target import Target
from tests.kit.servers import TocsinServer

REQUEST_BYTES = 900_000
COMMANDS = 1_000
AT_ONCE = 2
"""How many requests are under way at the same time."""
TRIES = 5
JSON = {"Content-Type": "application/json"}
SECONDS = 60.0


async def raise_alarms(server: TocsinServer, count: int, text: str = "") -> int:
    """Raise so many alarms, and wait until they are listed; return the last position."""
    return await _report(server, ({"source": f"plant/{number}", "text": text} for number in range(count)))


async def raise_large_alarms(server: TocsinServer, count: int) -> int:
    """Raise alarms as large as an alarm may be: about 33 KB each; return the last position."""
    labels = {f"{number:03d}" + "n" * 197: "v" * 250 for number in range(32)}
    large = {"text": "t" * 4_096, "details": {"d": "d" * 15_000}, "labels": labels}
    return await _report(server, ({"source": f"plant/{number}", **large} for number in range(count)))


async def _report(server: TocsinServer, alarms: Iterable[dict[str, Any]]) -> int:
    target, last = Target(server.port), 0
    requests = _requests(alarms)
    async with server.client() as http:
        http.headers.update(target.credentials())

        async def post() -> None:
            nonlocal last
            for body in requests:
                last = max(last, await _commands(http, body))

        await asyncio.gather(*(post() for _ in range(AT_ONCE)))
        listed = await http.get("/v1/alarms", params={"min_position": last, "limit": 1}, timeout=SECONDS)
        assert listed.status_code == 200, listed.text
    return last


async def _commands(http: httpx.AsyncClient, body: bytes) -> int:
    """Post reports until each is committed, which a busy machine may take some tries for."""
    for _ in range(TRIES):
        answer = await http.post("/v1/commands", content=body, headers=JSON, timeout=SECONDS)
        assert answer.status_code == httpx.codes.OK, answer.text
        items = answer.json()
        if all("position" in item for item in items):
            return max(int(item["position"]) for item in items)
    raise AssertionError(f"not committed after {TRIES} tries: {answer.text[:500]}")


def _requests(alarms: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Pack the reports into bodies that are within the bounds."""
    items: list[str] = []
    size = 0
    for alarm in alarms:
        item = json.dumps({"command": "raise", "type": "pressure", "severity": "major", **alarm})
        if items and (size + len(item) > REQUEST_BYTES or len(items) == COMMANDS):
            yield _array(items)
            items, size = [], 0
        items.append(item)
        size += len(item) + 1
    yield _array(items)


def _array(items: list[str]) -> bytes:
    return f"[{','.join(items)}]".encode()

"""Bodies that stop or drip are not waited for; slow ones that go on are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from starlette.types import Message

from entrypoints.http import arriving
from entrypoints.http.app import create_app
from entrypoints.http.state import AppState
from tests.kit.http import HttpStage

SOON = 0.2
SECONDS = 20.0
PATHS = ("/v1/alarms", "/v1/commands", "/v2/enqueue", "/v1/ingest/alertmanager")

Receive = Callable[[], Awaitable[Message]]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "BODY_SECONDS", SOON)


async def asked(stage: HttpStage, path: str, receive: Receive) -> list[Message]:
    """Post a body as it comes from `receive`; return what was sent."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"content-length", b"100000"),
        ],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(SECONDS):
        await create_app(AppState(services=stage.services))(scope, receive, send)
    return sent


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_stops_is_not_waited_for(stage: HttpStage, path: str) -> None:
    parts: Iterator[Message] = iter([part(b" ")])

    async def receive() -> Message:
        for each in parts:
            return each
        await asyncio.Event().wait()
        raise AssertionError

    start, body = await asked(stage, path, receive)
    assert (start["status"], b"body_too_slow" in body["body"]) == (408, True)
    assert (b"connection", b"close") in start["headers"]


async def test_a_body_that_drips_is_not_waited_for(stage: HttpStage) -> None:
    async def receive() -> Message:
        await asyncio.sleep(SOON / 20)
        return part(b" ")

    assert (await asked(stage, "/v1/alarms", receive))[0]["status"] == 408


async def test_a_body_that_goes_on_is_waited_for(stage: HttpStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "LEAST_BYTES_PER_SECOND", 1_000)
    loop = asyncio.get_running_loop()
    over = loop.time() + 2 * SOON

    async def receive() -> Message:
        await asyncio.sleep(SOON / 20)
        return part(b" " * 100, more=loop.time() < over)

    assert (await asked(stage, "/v1/alarms", receive))[0]["status"] == 400

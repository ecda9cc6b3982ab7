"""A client of event streams as a browser's EventSource is one (WHATWG HTML §9.2), by httpx."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.kit.tokens import bearing

SECONDS = 20.0
"""How long a test waits for the next event."""


@dataclass(frozen=True)
class Sent:
    """An event of a stream."""

    event: str
    data: dict[str, Any]
    id: str


class EventSource:
    """Reads one response; `last_id` and `retry` are what the client would come back with, and when."""

    def __init__(self, response: httpx.Response, last_id: str = "") -> None:
        self.response = response
        self.last_id = last_id
        self.retry = 0
        self.comments = 0
        self._lines = response.aiter_lines()

    async def hear(self) -> Sent:
        """Return the next event. Raises StopAsyncIteration at the stream's end."""
        async with asyncio.timeout(SECONDS):
            while True:
                sent = await self._block()
                if sent is not None:
                    return sent

    async def expect(self, name: str) -> Sent:
        """Return the next event, which must have this name."""
        sent = await self.hear()
        assert sent.event == name, sent
        return sent

    async def events(self, until: int) -> list[dict[str, Any]]:
        """Return the events of alarms up to the one at this position."""
        got: list[dict[str, Any]] = []
        while not got or got[-1]["position"] < until:
            sent = await self.hear()
            if sent.event.startswith("alarm."):
                assert sent.event == sent.data["type"]
                assert sent.id.endswith(f":{sent.data['position']}")
                got.append(sent.data)
        return got

    async def ended(self) -> list[Sent]:
        """Read to the end, and return what came until then."""
        rest: list[Sent] = []
        try:
            while True:
                rest.append(await self.hear())
        except StopAsyncIteration:
            return rest

    async def _block(self) -> Sent | None:
        """Read up to an empty line; None: it holds no event, but for instance the time to come back."""
        name, data, new_id = "", "", self.last_id
        async for line in self._lines:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match field:
                case "":
                    if not line:
                        self.last_id = new_id
                        return Sent(name, json.loads(data), new_id) if data else None
                    self.comments += 1
                case "event":
                    name = value
                case "data":
                    data += value
                case "id":
                    new_id = value
                case "retry":
                    self.retry = int(value)
                case _:
                    raise AssertionError(f"an unknown field: {line}")
        raise StopAsyncIteration


@asynccontextmanager
async def event_source(
    url: str,
    last_id: str | None = None,
    credential: str | None = None,
    **parameters: str | int,
) -> AsyncIterator[EventSource]:
    """Open an event stream; `credential`: a token or an API key."""
    headers = {"Accept": "text/event-stream", **(bearing(credential) if credential else {})}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    timeout = httpx.Timeout(SECONDS)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=timeout) as http,
        http.stream("GET", url, params=parameters or None, headers=headers) as response,
    ):
        if response.status_code != httpx.codes.OK:
            await response.aread()
        yield EventSource(response, last_id or "")

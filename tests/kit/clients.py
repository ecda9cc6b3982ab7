"""Clients of a running server as the tests use them: HTTP by httpx, the stream by websockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SECONDS = 20.0
"""How long a test waits for a message."""

Message = dict[str, Any]


class SentAway(ConnectionError):
    """The server ends, and said goodbye before it answered."""


class StreamClient:
    """One connection to `/v1/stream` with one subscription, and every event it was sent, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.log = ""
        self.events: list[Message] = []
        self.position = 0

    async def receive(self, seconds: float = SECONDS) -> Message:
        """Return the next message, whatever it is."""
        async with asyncio.timeout(seconds):
            raw = await self._connection.recv()
        message: Message = json.loads(raw)
        if message["op"] == "events":
            self.events += message["events"]
        if "position" in message:
            self.position = message["position"]
        return message

    async def expect(self, op: str) -> Message:
        """Return the next message, which must be of this kind. Raises SentAway."""
        message = await self.receive()
        if message["op"] == "goodbye" != op:
            raise SentAway(message)
        assert message["op"] == op, message
        return message

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self._connection.send(json.dumps(message))

    async def send_text(self, text: str) -> None:
        """Send anything at all."""
        await self._connection.send(text)

    async def until(self, count: int) -> list[Message]:
        """Return all events as soon as there are `count` of them."""
        while len(self.events) < count:
            await self.receive()
        return self.events

    async def drain(self) -> None:
        """Take what has arrived, up to the end of a connection that was cut."""
        with suppress(ConnectionClosed):
            while True:
                await self.receive()

    async def closed(self) -> tuple[int, str]:
        """Take what arrives until the server closes; return its code and reason."""
        async with asyncio.timeout(SECONDS):
            await self.drain()
            await self._connection.wait_closed()
        return self._connection.close_code or 0, self._connection.close_reason or ""

    async def until_position(self, position: int) -> None:
        """Wait until everything up to the position has been delivered."""
        while self.position < position:
            await self.receive()


@asynccontextmanager
async def streaming(
    ws_url: str,
    after: int | None = None,
    log: str | None = None,
    headers: Any = None,
    **subscription: Any,
) -> AsyncIterator[StreamClient]:
    """Connect and subscribe; `after` None: from now on; `headers`: those of the handshake."""
    protocol = Subprotocol("tocsin.v1.json")
    options: dict[str, Any] = {"subprotocols": [protocol], "max_size": None, "additional_headers": headers}
    async with connect(ws_url, **options) as connection:
        client = StreamClient(connection)
        client.log = (await client.expect("hello"))["log"]
        message: Message = {"op": "subscribe", "id": "a", **subscription}
        if after is not None:
            message |= {"after": after, "log": log or client.log}
        await client.send(**message)
        await client.expect("subscribed")
        yield client

"""A WebSocket server that does what a test says, for clients of the stream."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SECONDS = 10.0


class Scripted:
    """One accepted connection, as a script sees it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self._connection.send(msgspec.msgpack.encode(message))

    async def hear(self) -> dict[str, Any]:
        """Return the client's next message."""
        async with asyncio.timeout(SECONDS):
            message: dict[str, Any] = msgspec.msgpack.decode(await self._connection.recv(decode=False))
        return message

    async def hello(self, log: str = "log-1", position: int = 0) -> None:
        """Greet the client."""
        await self.say(op="hello", log=log, position=position)

    async def subscribed(self, position: int, log: str = "log-1") -> dict[str, Any]:
        """Greet the client, and accept its subscription; return what it asked for."""
        await self.hello(log)
        asked = await self.hear()
        await self.say(op="subscribed", id=asked["id"], position=position)
        return asked

    async def close(self, code: int) -> None:
        """Close the connection."""
        await self._connection.close(code)

    async def ended(self) -> None:
        """Wait until the client goes."""
        await self._connection.wait_closed()


Script = Callable[[Scripted], Awaitable[None]]


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[str]:
    """Give the address of a server that follows one script for each connection, then refuses any more.

    What goes wrong in a script, a failed assertion too, is raised at the end.
    """
    waiting = list(scripts)
    errors: list[BaseException] = []

    async def handle(connection: ServerConnection) -> None:
        if not waiting:
            await connection.close(4403, "no more scripts")
            return
        try:
            await waiting.pop(0)(Scripted(connection))
        except ConnectionClosed:
            pass
        except BaseException as error:
            errors.append(error)
            raise

    protocol = Subprotocol("tocsin.v1.msgpack")
    async with serve(handle, "127.0.0.1", 0, subprotocols=[protocol], close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/stream"
    if errors:
        raise errors[0]
    assert not waiting, "the client came less often than it should have"

"""One client's connection as the driver sees it."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from core.rates import TokenBucket

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Wire(Protocol):
    """What writes to an accepted WebSocket or to a response (see adapters.uvicorn)."""

    drained: Callable[[], None] | None

    def write(self, frame: bytes) -> bool:
        """Write a whole frame. False: the socket is full, write nothing more until `drained` is called."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the socket behind what was written; what receives from it is told."""
        ...


class Peer:
    """A socket: how to write to it, and who waits until it has taken something."""

    __slots__ = ("allowance", "blocked_at", "room", "wire", "write")

    def __init__(self, wire: Wire, allowance: TokenBucket) -> None:
        self.wire = wire
        # A token for each message that its client may send.
        self.allowance = allowance
        self.write = wire.write
        # Since when, by the loop's clock, the socket has been full.
        self.blocked_at = 0.0
        # Set when the answers that waited have been sent, or the session is over.
        self.room: asyncio.Event | None = None

    async def wait_for_room(self) -> None:
        """Wait until `make_room`."""
        if self.room is None:
            self.room = asyncio.Event()
        await self.room.wait()

    def make_room(self) -> None:
        """Let those who wait for room look again."""
        if self.room is not None:
            self.room.set()
            self.room = None

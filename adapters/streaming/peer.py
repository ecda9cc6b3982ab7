"""One client's connection as the driver sees it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from core.delivery.requests import NeedSnapshot
from core.rates import TokenBucket

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Wire(Protocol):
    """Writes to an accepted WebSocket or to a response (see adapters.uvicorn)."""

    filled: Callable[[], None] | None
    resumed: Callable[[], None] | None

    def write(self, frame: bytes) -> bool:
        """Write a whole frame. False: the socket is full, write nothing more until `resumed` is called."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the socket after what was written; the reader of the socket is told."""
        ...


class Peer:
    """A client's socket, its allowance, its snapshots, and the wait until the socket has taken data."""

    __slots__ = ("allowance", "blocked_at", "room", "snapshots", "wire", "write")

    def __init__(self, wire: Wire, allowance: TokenBucket) -> None:
        self.wire = wire
        # A token for each message that the client may send.
        self.allowance = allowance
        self.write = wire.write
        # The snapshot that is under way, and those that wait for it to end.
        self.snapshots: deque[NeedSnapshot] = deque()
        # Since when the socket has been full, by the loop's clock.
        self.blocked_at = 0.0
        # Set once the waiting answers have been sent, or the session is over.
        self.room: asyncio.Event | None = None

    async def wait_for_room(self) -> None:
        """Wait until `make_room`."""
        if self.room is None:
            self.room = asyncio.Event()
        await self.room.wait()

    def make_room(self) -> None:
        """Wake the tasks that wait for room."""
        if self.room is not None:
            self.room.set()
            self.room = None

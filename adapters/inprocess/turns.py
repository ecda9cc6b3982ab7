"""One command at a time for each alarm, within this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import Unavailable

TURN_SECONDS = 5.0
"""How long a command waits for those before it on the same alarm."""


class StreamTurns:
    """Turns by stream, in order of arrival (see core.coordination.ports.Turns).

    Nobody waits longer than `seconds`.
    """

    def __init__(self, seconds: float = TURN_SECONDS) -> None:
        self._seconds = seconds
        self._locks: dict[str, asyncio.Lock] = {}
        self._interested: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, stream: str) -> AsyncIterator[None]:
        """Wait for the stream's turn. Raises Unavailable when it does not come in time."""
        lock = self._locks.setdefault(stream, asyncio.Lock())
        self._interested[stream] = self._interested.get(stream, 0) + 1
        try:
            await self._acquire(stream, lock)
            try:
                yield
            finally:
                lock.release()
        finally:
            self._interested[stream] -= 1
            if not self._interested[stream]:
                del self._interested[stream], self._locks[stream]

    async def _acquire(self, stream: str, lock: asyncio.Lock) -> None:
        # Not `lock.locked()`: a lock that was just released is free, but those in line go first.
        if self._interested[stream] == 1:
            await lock.acquire()
            return
        try:
            async with asyncio.timeout(self._seconds):
                await lock.acquire()
        except TimeoutError:
            raise Unavailable("too many commands on this alarm at once") from None

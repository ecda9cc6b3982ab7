"""Bounds how many costly things a process does at the same time, and how many wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import Unavailable


class Places:
    """So many places, and a bounded queue for them.

    `most` take a place at the same time, at most `waiting` wait for one, each for at most `seconds`. What
    goes on in pieces takes a place for each, and is refused at its first piece only.
    """

    def __init__(self, what: str, most: int, waiting: int, seconds: float) -> None:
        self._what = what
        self._free = asyncio.Semaphore(most)
        self._most_waiting = waiting
        self._seconds = seconds
        self.waiting = 0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take a place for as long as the context lasts. Raises Unavailable: there is none in time."""
        await self._take()
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def waited_for(self) -> AsyncIterator[None]:
        """Take a place in turn, however long that takes: for what has begun and is to go on."""
        async with self._free:
            yield

    async def _take(self) -> None:
        if self._free.locked() and self.waiting >= self._most_waiting:
            raise Unavailable(f"this process has too many {self._what} waiting")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable(f"{self._what} take all places of this process") from None
        finally:
            self.waiting -= 1

"""Bounds how many costly things a process does at the same time, and how many wait for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core.errors import Unavailable

REST_SECONDS = 1.0
"""How long a place rests at most after it was used."""


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
    async def taken(self, rests: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        """Take a place for as long as the context lasts. Raises Unavailable: there is none in time.

        If `rests` says so at its end, the place rests for as long as it was used: others have half the time.
        """
        await self._take()
        async with self._used(rests):
            yield

    @asynccontextmanager
    async def waited_for(self, rests: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        """Take a place in turn, however long that takes: for what has begun and is to go on."""
        await self._free.acquire()
        async with self._used(rests):
            yield

    @asynccontextmanager
    async def _used(self, rests: Callable[[], bool]) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            if rests():
                loop.call_later(min(loop.time() - began, REST_SECONDS), self._free.release)
            else:
                self._free.release()

    def check_queue(self) -> None:
        """Check, before anything is done for it, that one more may wait. Raises Unavailable."""
        if self._free.locked() and self.waiting >= self._most_waiting:
            raise Unavailable(f"this process has too many {self._what} waiting")

    async def _take(self) -> None:
        self.check_queue()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable(f"{self._what} take all places of this process") from None
        finally:
            self.waiting -= 1

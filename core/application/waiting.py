"""Waiting for whatever comes first, and ending what was waited for."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from core.alarm.events import Event

T = TypeVar("T")

CANCEL_SECONDS = 1.0
"""After how long a task that goes on in spite of being cancelled is cancelled again."""


async def cancelled(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel the tasks until they have ended: a task group that fails at that moment drops a cancellation."""
    tasks = list(tasks)
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(
    *awaited: Coroutine[Any, Any, object], watched: Iterable["asyncio.Future[Any]"] = ()
) -> None:
    """Return once one of them is done, or has failed; then cancel what is awaited, not what is watched."""
    own = [asyncio.ensure_future(each) for each in awaited]
    try:
        await asyncio.wait([*own, *watched], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(own)


@asynccontextmanager
async def closing(generator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """End the generator with the block that reads it, not when it is collected: it may hold a cursor open."""
    try:
        yield generator
    finally:
        # Ports promise no more than an iterator.
        close = getattr(generator, "aclose", None)
        if close is not None:
            await close()


class Arrivals:
    """The batches of a follower, waited for together with what else may come first."""

    def __init__(self, batches: AsyncIterator[Sequence[Event]]) -> None:
        self._batches = batches
        self._coming: asyncio.Future[Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with closing(self._batches):
            if self._coming is not None:
                await cancelled([self._coming])

    async def next(
        self, *awaited: Coroutine[Any, Any, object], watched: Iterable["asyncio.Future[Any]"] = ()
    ) -> Sequence[Event]:
        """Return the next batch, or none if something else came first. Raises what the follower raises."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._batches))
        await first_of(*awaited, watched=[self._coming, *watched])
        if not self._coming.done():
            return ()
        coming, self._coming = self._coming, None
        events: Sequence[Event] = coming.result()
        return events

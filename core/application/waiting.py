"""Waiting for events of the log, and for what else may come first."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from core.alarm.events import Event

T = TypeVar("T")


class Waiting:
    """Waits for events, a bell or a task, whichever comes first."""

    def __init__(self, batches: AsyncIterator[Sequence[Event]]) -> None:
        self._batches = batches
        self._coming: asyncio.Future[Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._coming is not None:
            await cancelled([self._coming])
        close = getattr(self._batches, "aclose", None)
        if close is not None:
            await close()

    async def next(self, changed: asyncio.Event, tasks: Sequence[asyncio.Task[int]]) -> Sequence[Event]:
        """Return the next events, or none if something else came first."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._batches))
        async with _set(changed) as bell:
            await asyncio.wait({self._coming, bell, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if not self._coming.done():
            return ()
        coming, self._coming = self._coming, None
        events: Sequence[Event] = coming.result()
        return events


@asynccontextmanager
async def _set(event: asyncio.Event) -> AsyncIterator["asyncio.Task[Any]"]:
    """Give what is done when the event is set."""
    waiting = asyncio.create_task(event.wait())
    try:
        yield waiting
    finally:
        await cancelled([waiting])


async def cancelled(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel the tasks and wait for their end."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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

"""Waits for the first of several things, and cancels the rest."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from core.alarm.events import Event

T = TypeVar("T")

CANCEL_SECONDS = 1.0
"""After how long a task that ignores its cancellation is cancelled again."""


def loop_time() -> float:
    """Return the event loop's clock, in seconds."""
    return asyncio.get_running_loop().time()


async def cancelled(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel the tasks until all have ended: a task group that fails meanwhile drops a cancellation."""
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
    """Return once one has ended or failed; then cancel the `awaited`, not the `watched`."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    try:
        await asyncio.wait([*tasks, *watched], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(tasks)


@asynccontextmanager
async def failing_with(tasks: Iterable["asyncio.Task[None]"]) -> AsyncIterator[None]:
    """Cancel the block once one of the tasks fails, and raise that task's error."""
    tasks = list(tasks)
    try:
        async with asyncio.timeout(None) as block:

            def ended(task: "asyncio.Task[None]") -> None:
                if _error(task) is not None:
                    block.reschedule(loop_time())

            for task in tasks:
                task.add_done_callback(ended)
            try:
                yield
            finally:
                for task in tasks:
                    task.remove_done_callback(ended)
    except TimeoutError:
        error = next(filter(None, map(_error, tasks)), None)
        if error is None or not block.expired():
            raise
        raise error from None


def _error(task: "asyncio.Task[None]") -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


@asynccontextmanager
async def closing(generator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close the generator with the block, not when it is collected: it may hold a cursor open."""
    try:
        yield generator
    finally:
        # A port promises an iterator, which may have no `aclose`.
        close = getattr(generator, "aclose", None)
        if close is not None:
            await close()


class Arrivals:
    """Receives a follower's batches while waiting for other things as well."""

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
        """Return the next batch, or none if something else came first. Raises the follower's errors."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._batches))
        await first_of(*awaited, watched=[self._coming, *watched])
        if not self._coming.done():
            return ()
        coming, self._coming = self._coming, None
        events: Sequence[Event] = coming.result()
        return events

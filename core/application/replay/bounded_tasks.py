"""Runs a few pieces of work at a time, while the next ones are prepared."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from core.application.waiting import cancelled


class BoundedTasks:
    """Runs at most `width` coroutines at once. Leaving the context waits for all, or cancels on an error."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._running: deque[asyncio.Task[None]] = deque()

    async def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the work; at `width` pieces, wait for the oldest first, and raise its error."""
        if len(self._running) >= self._width:
            await self._running.popleft()
        self._running.append(asyncio.create_task(work))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while error is None and self._running:
                await self._running.popleft()
        finally:
            await cancelled(self._running)

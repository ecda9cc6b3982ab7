"""Running workers for as long as a test looks at them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol


class Worker(Protocol):
    """What runs for ever, or until it has met an event of a newer version."""

    async def run(self) -> None:
        """Run."""
        ...


@asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    """Run them for as long as the context lasts; what one raises ends the test."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(worker.run()) for worker in workers]
        yield
        for task in started:
            task.cancel()

"""A worker task ends when it is told to, whatever its work makes of being cancelled."""

import asyncio
from contextlib import suppress

import pytest

from adapters.memory.leases import MemoryLeases
from core.application import waiting
from core.application.workers.leader import LeaderTask
from core.coordination.ports import Lease
from core.errors import Unavailable
from tests.kit.hosts import candidate

SECONDS = 10.0


class Work:
    """Work whose task group has an error to raise when it is cancelled, and so forgets that it was."""

    def __init__(self) -> None:
        self.inside = asyncio.Event()

    async def work(self, _: Lease) -> None:
        with suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._break_when_cancelled())
        await asyncio.Event().wait()

    async def _break_when_cancelled(self) -> None:
        self.inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise Unavailable("it broke at the same moment")


async def test_work_that_drops_a_cancellation_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "CANCEL_SECONDS", 0.01)
    leases, work = MemoryLeases(), Work()
    running = asyncio.create_task(LeaderTask(candidate(leases), "relay", work.work).run())
    async with asyncio.timeout(SECONDS):
        await work.inside.wait()
        running.cancel()
        await asyncio.wait({running})
    assert running.cancelled()
    assert await leases.acquire("relay", "b", SECONDS) is not None

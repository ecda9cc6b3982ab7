"""One process at a time on a database, in a time that jumps ahead whenever everything waits."""

import asyncio

import pytest

from adapters.memory.leases import MemoryLeases
from core.application.background import Background
from core.application.leases import LEASE_SECONDS
from core.application.workers.single_process import PATIENCE_SECONDS, PROCESS_LEASE, single_process
from core.coordination.ports import Lease
from core.errors import StartupRefused
from tests.kit.jumping import run

BACKGROUND = Background(lambda: 0.0)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_process_whose_lease_another_took_ends_and_leaves_it_alone() -> None:
    async def test() -> None:
        leases, began = MemoryLeases(now), asyncio.Event()

        async def first() -> None:
            async with single_process(leases, "first", BACKGROUND):
                began.set()
                await asyncio.Event().wait()

        running = asyncio.create_task(first())
        await began.wait()
        await leases.take_over(PROCESS_LEASE, "second", 10 * LEASE_SECONDS)
        with pytest.raises(StartupRefused, match="another process took over"):
            await running
        assert now() < LEASE_SECONDS
        assert await leases.acquire(PROCESS_LEASE, "third", LEASE_SECONDS) is None

    run(test)


def test_a_process_waits_for_the_lease_that_a_killed_one_left_behind() -> None:
    async def test() -> None:
        leases = MemoryLeases(now)
        await leases.take_over(PROCESS_LEASE, "killed", LEASE_SECONDS)
        async with single_process(leases, "next", BACKGROUND):
            assert LEASE_SECONDS <= now() <= PATIENCE_SECONDS

    run(test)


def test_processes_that_hear_each_other_share_the_lease() -> None:
    async def test() -> None:
        leases = MemoryLeases(now)
        async with single_process(leases, "redis", BACKGROUND, shared=True):
            async with single_process(leases, "redis", BACKGROUND, shared=True):
                pass
            with pytest.raises(StartupRefused, match="another process is running"):
                await single_process(leases, "host:1", BACKGROUND).__aenter__()

    run(test)


class FailingLeases(MemoryLeases):
    """Leases of which one renewal fails as nobody foresaw."""

    failures = 1

    async def renew(self, lease: Lease, seconds: float) -> bool:
        if self.failures:
            self.failures -= 1
            raise ValueError("a bug")
        return await super().renew(lease, seconds)


def test_a_renewal_that_fails_unforeseen_is_told_and_tried_again_before_the_lease_ends() -> None:
    async def test() -> None:
        leases, background = FailingLeases(now), Background(lambda: 0.0)
        async with single_process(leases, "first", background):
            await asyncio.sleep(LEASE_SECONDS / 2)
            told = "the lease of the process failed with ValueError and is started again"
            assert background.troubles("serving") == [told]
            await asyncio.sleep(2 * LEASE_SECONDS)
            assert await leases.acquire(PROCESS_LEASE, "second", LEASE_SECONDS) is None

    run(test)

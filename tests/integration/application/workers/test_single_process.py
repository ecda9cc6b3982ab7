"""One process at a time on a database, in a time that jumps ahead whenever everything waits."""

import asyncio

import pytest

from adapters.memory.leases import MemoryLeases
from core.application.leases import LEASE_SECONDS
from core.application.workers.single_process import PATIENCE_SECONDS, PROCESS_LEASE, single_process
from core.errors import StartupRefused
from tests.kit.jumping import run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_process_whose_lease_another_took_ends_and_leaves_it_alone() -> None:
    async def test() -> None:
        leases, began = MemoryLeases(now), asyncio.Event()

        async def first() -> None:
            async with single_process(leases, "first"):
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
        async with single_process(leases, "next"):
            assert LEASE_SECONDS <= now() <= PATIENCE_SECONDS

    run(test)


def test_processes_that_hear_each_other_share_the_lease() -> None:
    async def test() -> None:
        leases = MemoryLeases(now)
        async with single_process(leases, "redis", shared=True):
            async with single_process(leases, "redis", shared=True):
                pass
            with pytest.raises(StartupRefused, match="another process is running"):
                await single_process(leases, "host:1").__aenter__()

    run(test)

"""Worker tasks are spread over the processes, in a time that jumps ahead whenever everything waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.memory.leases import MemoryLeases
from adapters.memory.presence import MemoryPresence
from core.application.leases import LEASE_SECONDS
from core.application.workers.balancing import LOOK_SECONDS, PRESENT_SECONDS, Balancing
from core.application.workers.leader import STANDBY_SECONDS, LeaderTask
from core.coordination.ports import Lease
from tests.kit.hosts import HOST, candidate
from tests.kit.jumping import run
from tests.kit.workers import running

TASKS = 4


def now() -> float:
    return asyncio.get_running_loop().time()


async def work(_: Lease) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def process(
    leases: MemoryLeases, presence: MemoryPresence, name: str
) -> AsyncIterator[list[LeaderTask]]:
    tasks = [LeaderTask(candidate(leases, name), f"task {number}", work) for number in range(TASKS)]
    async with running(*tasks, Balancing(presence, name, tasks, HOST.chance)):
        await asyncio.sleep(STANDBY_SECONDS)
        yield tasks


def led(*processes: list[LeaderTask]) -> list[int]:
    """How many tasks each process leads."""
    return [sum(task.leading for task in tasks) for tasks in processes]


def test_a_second_process_gets_its_share_and_gives_it_back() -> None:
    async def test() -> None:
        leases, presence = MemoryLeases(now), MemoryPresence(now)
        async with process(leases, presence, "a") as first:
            assert led(first) == [4]
            async with process(leases, presence, "b") as second:
                await asyncio.sleep(5 * LOOK_SECONDS)
                assert led(first, second) == [2, 2]
            await asyncio.sleep(STANDBY_SECONDS)
            assert led(first) == [4]

    run(test)


async def tokens(leases: MemoryLeases) -> list[int]:
    """The tasks' tokens, greater each time that a task was let go of; `a` leads them all."""
    held = [await leases.acquire(f"task {number}", "a", LEASE_SECONDS) for number in range(TASKS)]
    return [lease.token for lease in held if lease is not None]


def test_one_more_than_another_leads_is_no_reason_to_let_go() -> None:
    async def test() -> None:
        leases, presence = MemoryLeases(now), MemoryPresence(now)
        await presence.announce("another", TASKS - 1, 100 * PRESENT_SECONDS)
        async with process(leases, presence, "a") as first:
            await asyncio.sleep(5 * LOOK_SECONDS)
            assert led(first) == [4]
            assert await tokens(leases) == [1] * TASKS

    run(test)


def test_one_process_alone_keeps_all() -> None:
    async def test() -> None:
        leases, presence = MemoryLeases(now), MemoryPresence(now)
        async with process(leases, presence, "a") as first:
            await asyncio.sleep(5 * LOOK_SECONDS)
            assert led(first) == [4]
            assert await tokens(leases) == [1] * TASKS

    run(test)

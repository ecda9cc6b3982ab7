"""A worker task under its lease, in a time that jumps ahead whenever everything waits."""

import asyncio
from contextlib import suppress

from adapters.memory.leases import MemoryLeases
from core.application.leases import LEASE_SECONDS
from core.application.workers.leader import LeaderTask
from core.coordination.ports import Lease
from core.errors import Unavailable, UnknownEvent
from tests.kit.hosts import candidate
from tests.kit.jumping import run
from tests.kit.workers import running


def now() -> float:
    return asyncio.get_running_loop().time()


class FlakyLeases(MemoryLeases):
    """Leases that cannot be reached while `away`."""

    away = False

    async def renew(self, lease: Lease, seconds: float) -> bool:
        if self.away:
            raise Unavailable("away")
        return await super().renew(lease, seconds)


def test_work_is_cancelled_when_the_lease_may_have_run_out() -> None:
    async def test() -> None:
        leases = FlakyLeases(now)
        began, ended = asyncio.Event(), list[float]()

        async def work(_: Lease) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(now())

        async with running(LeaderTask(candidate(leases), "task", work)):
            await began.wait()
            leases.away = True
            await asyncio.sleep(1.5 * LEASE_SECONDS)
            # It competes for the lease again, and gets it.
            assert ended == [LEASE_SECONDS]

    run(test)


def test_a_lease_is_kept_for_as_long_as_the_work_takes() -> None:
    async def test() -> None:
        leases = MemoryLeases(now)
        done = asyncio.Event()
        tokens: list[int] = []

        async def work(lease: Lease) -> None:
            tokens.append(lease.token)
            for _ in range(50):
                await asyncio.sleep(LEASE_SECONDS / 10)
                assert await leases.acquire("task", "b", LEASE_SECONDS) is None
            done.set()
            await asyncio.Event().wait()

        async with running(LeaderTask(candidate(leases), "task", work)):
            await done.wait()
        assert tokens == [1]

    run(test)


def test_work_that_gives_up_the_lead_competes_again() -> None:
    async def test() -> None:
        leases = MemoryLeases(now)
        tokens: list[int] = []

        async def work(lease: Lease) -> None:
            tokens.append(lease.token)
            if len(tokens) == 3:
                raise UnknownEvent("alarm.dreamt", 1, 7)

        task = LeaderTask(candidate(leases), "task", work)
        await task.run()
        assert tokens == [1, 2, 3]
        assert task.status.startswith("stopped: event 7")

    run(test)


class Forgetful:
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


def test_work_that_drops_a_cancellation_is_ended_all_the_same() -> None:
    async def test() -> None:
        leases, work = MemoryLeases(now), Forgetful()
        task = asyncio.create_task(LeaderTask(candidate(leases), "relay", work.work).run())
        await work.inside.wait()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert await leases.acquire("relay", "b", LEASE_SECONDS) is not None

    run(test)

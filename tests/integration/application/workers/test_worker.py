"""What every worker does: it goes on through every outage, and ends with its lease."""

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar

import pytest

from adapters.memory.leases import MemoryLeases
from core.application.leases import LEASE_SECONDS
from core.application.workers.leader import Candidate
from core.application.workers.worker import LONGEST_PAUSE_SECONDS, Worker
from core.coordination.ports import Lease
from core.errors import LogMismatch, Unavailable, UnknownEvent
from tests.kit.jumping import run

SUCCESS = "success"


class Scripted(Worker):
    """A worker whose goes end as they are told to, and that tells when they began."""

    logger: ClassVar = logging.getLogger("tocsin.scripted")
    again: ClassVar = "going again"
    first_pause_seconds: ClassVar = 1.0

    def __init__(self, leases: MemoryLeases, script: Sequence[Exception | str | None]) -> None:
        super().__init__(Candidate(leases, "a", lambda: 1.0), "scripted")
        self.script = list(script)
        self.began: list[float] = []

    async def _work_once(self, _: Lease) -> None:
        self.began.append(asyncio.get_running_loop().time())
        if not self.script:
            raise UnknownEvent("alarm.dreamt", 9, 1)
        step = self.script.pop(0)
        if step == SUCCESS:
            self._succeeded()
            step = Unavailable("away")
        if isinstance(step, Exception):
            raise step


class Picky(Scripted):
    """One that says at once that the log does not match."""

    routine: ClassVar = (Unavailable,)


def worked(*script: Exception | str | None, kind: type[Scripted] = Scripted) -> list[float]:
    """Let a worker go through the script; return how long it paused before each further go."""
    pauses: list[float] = []

    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        lease = await leases.acquire("scripted", "a", 1_000)
        assert lease is not None
        worker = kind(leases, script)
        with pytest.raises(UnknownEvent):
            await worker.work(lease)
        pauses.extend(late - early for early, late in zip(worker.began, worker.began[1:], strict=False))

    run(test)
    return pauses


def test_the_pause_doubles_with_every_failure_and_has_a_bound() -> None:
    assert worked(*[Unavailable("away")] * 5) == [2, 4, LONGEST_PAUSE_SECONDS] + [LONGEST_PAUSE_SECONDS] * 2


def test_a_success_makes_the_next_failure_the_first() -> None:
    assert worked(Unavailable("away"), LogMismatch("gap"), SUCCESS, Unavailable("away")) == [2, 4, 2, 4]


def test_the_first_failure_is_routine_and_the_second_is_told(caplog: pytest.LogCaptureFixture) -> None:
    worked(Unavailable("first"), LogMismatch("second"), SUCCESS)
    assert [record.getMessage() for record in caplog.records] == ["going again: second"]


def test_a_failure_that_is_not_routine_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    worked(LogMismatch("first"), SUCCESS, kind=Picky)
    assert [record.getMessage() for record in caplog.records] == ["going again: first"]


def test_of_the_errors_of_many_tasks_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [Unavailable("away"), Unavailable("too")])])
    assert worked(nested, nested) == [2, 4]
    assert [record.getMessage() for record in caplog.records] == ["going again: away"]


def test_an_error_that_is_not_expected_ends_the_work() -> None:
    async def test() -> None:
        worker = Scripted(MemoryLeases(), [KeyError("bug")])
        with pytest.raises(KeyError):
            await worker.work(Lease("scripted", "a", 1))

    run(test)


def test_work_ends_when_its_lease_is_held_by_another() -> None:
    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        lease = await leases.acquire("scripted", "a", LEASE_SECONDS)
        assert lease is not None
        await leases.take_over("scripted", "b", LEASE_SECONDS)
        worker = Scripted(leases, [None])
        await worker.work(lease)
        assert len(worker.began) == 1

    run(test)


def test_work_goes_on_as_long_as_its_lease_is_held() -> None:
    assert len(worked(None, None, None)) == 3


def test_a_worker_stops_at_an_event_of_a_newer_version_and_says_so() -> None:
    async def test() -> None:
        worker = Scripted(MemoryLeases(asyncio.get_running_loop().time), [])
        await worker.run()
        assert worker.status.startswith("stopped: event 1 is alarm.dreamt v9")
        assert worker.task.stopped

    run(test)

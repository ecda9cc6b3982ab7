"""The base of every worker: it leads under its lease, and works on through every outage."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import ClassVar

from core.application.leases import LEASE_SECONDS
from core.application.workers.leader import Candidate, LeaderTask
from core.backoff import backoff
from core.coordination.ports import Lease
from core.errors import LogMismatch, Unavailable

LONGEST_PAUSE_SECONDS = 5.0


class Worker(ABC):
    """Runs in one process at a time, by `task`. A worker defines its work in `_work_once`."""

    logger: ClassVar[logging.Logger]
    again: ClassVar[str]
    """The line for the log after a failure: what the worker does next."""
    routine: ClassVar[tuple[type[Exception], ...]] = (Unavailable, LogMismatch)
    """Errors that are logged only when they repeat: they happen at every failover, or swap."""
    first_pause_seconds: ClassVar[float] = 0.05

    def __init__(self, candidate: Candidate, lease: str) -> None:
        self._leases = candidate.leases
        self._chance = candidate.chance
        self.name = lease
        """The name of its lease, as it stands in the log and at `/readyz`."""
        self.task = LeaderTask(candidate, lease, self.work)
        self._failures = 0

    @property
    def status(self) -> str:
        """`leading`, `standby`, or one line that says why the task stopped."""
        return self.task.status

    async def run(self) -> None:
        """Work for ever; cancelling it releases the lease. Returns at an event of a newer version."""
        await self.task.run()

    def log_replaced(self) -> None:
        """Start over from the stored state: the feed has seen another log."""
        self.task.restart()

    async def work(self, lease: Lease) -> None:
        """Work until the lease is lost, through every outage. Raises UnknownEvent."""
        while True:
            try:
                await self._work_once(lease)
                if not await self._leases.renew(lease, LEASE_SECONDS):
                    return
            except* (Unavailable, LogMismatch) as group:
                self._failed(_first(group))
            pause = backoff(self._failures, self.first_pause_seconds, LONGEST_PAUSE_SECONDS, self._chance())
            await asyncio.sleep(pause)

    @abstractmethod
    async def _work_once(self, lease: Lease) -> None:
        """Work from the stored state on, and report each success; return if another leader has written.

        Raises:
            UnknownEvent: an event is of a newer version.
            LogMismatch, Unavailable: try again; also as a group.
        """

    def _succeeded(self) -> None:
        """Count the next failure as the first."""
        self._failures = 0

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures > 1 or not isinstance(error, self.routine):
            self.logger.warning("%s: %s", self.again, error)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first error that is not a group: tasks nest groups."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error

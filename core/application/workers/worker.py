"""What every worker does: it leads under its lease, and goes on through every outage."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import ClassVar

from core.application.workers.leader import LEASE_SECONDS, Candidate, LeaderTask
from core.backoff import backoff
from core.coordination.ports import Lease
from core.errors import LogMismatch, Unavailable

LONGEST_PAUSE_SECONDS = 5.0


class Worker(ABC):
    """Runs in one process at a time, by `task`. What is its own is one go of the work, `_go`."""

    logger: ClassVar[logging.Logger]
    again: ClassVar[str]
    """What it does after something broke a go off, in a line of the log."""
    routine: ClassVar[tuple[type[Exception], ...]] = (Unavailable, LogMismatch)
    """What is worth a line only when it comes again: it happens at every failover, or swap."""
    first_pause_seconds: ClassVar[float] = 0.05

    def __init__(self, candidate: Candidate, lease: str) -> None:
        self._leases = candidate.leases
        self._chance = candidate.chance
        self.task = LeaderTask(candidate, lease, self.work)
        self._failures = 0

    @property
    def status(self) -> str:
        """`leading`, `standby`, or in one line why it has stopped."""
        return self.task.status

    async def run(self) -> None:
        """Work for ever; cancelling it lets go of the lease. Returns at an event of a newer version."""
        await self.task.run()

    def log_replaced(self) -> None:
        """Begin anew from what is stored: the feed has seen another log."""
        self.task.restart()

    async def work(self, lease: Lease) -> None:
        """Work until the lease is lost, through every outage. Raises UnknownEvent."""
        while True:
            try:
                await self._go(lease)
                if not await self._leases.renew(lease, LEASE_SECONDS):
                    return
            except* (Unavailable, LogMismatch) as group:
                self._failed(_first(group))
            pause = backoff(self._failures, self.first_pause_seconds, LONGEST_PAUSE_SECONDS, self._chance())
            await asyncio.sleep(pause)

    @abstractmethod
    async def _go(self, lease: Lease) -> None:
        """Work from what is stored on, and tell of each success; return if another leader has written.

        Raises:
            UnknownEvent: an event is of a newer version.
            LogMismatch, Unavailable: it is to be tried again; also as a group.
        """

    def _succeeded(self) -> None:
        """Take the next failure for the first."""
        self._failures = 0

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures > 1 or not isinstance(error, self.routine):
            self.logger.warning("%s: %s", self.again, error)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return an error of the group itself, not of the groups that tasks have made of it."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error

"""Worker tasks that run in one process at a time, under a lease (ADR 0011)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from core.application.leases import LEASE_SECONDS, renew_until_lost
from core.application.waiting import cancelled, first_of, loop_time
from core.coordination.ports import Lease, Leases
from core.errors import Unavailable, UnknownEvent
from core.host import Chance

logger = logging.getLogger("tocsin.worker")

STANDBY_SECONDS = 0.8
"""How often a standby process tries: after a kill nobody leads for the lease plus this, at most."""
AWAY_SECONDS = 2 * STANDBY_SECONDS
"""How long a process that stepped down leaves the lease alone."""
RELEASE_SECONDS = 1.0

LEADING = "leading"
STANDBY = "standby"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process that stands for leases: `holder` is unique among processes, `chance` spreads its tries."""

    leases: Leases
    holder: str
    chance: Chance


class LeaderTask:
    """Runs `work` while this process holds the lease `name`.

    `work` is cancelled once the lease is lost or may have expired. This process counts a lease from before it
    sent the request, so never for longer than the server does. `work` may still write once more after losing
    the lease; its writes must bear that. When `work` returns, the process gives up the lead.
    """

    def __init__(
        self,
        candidate: Candidate,
        name: str,
        work: Callable[[Lease], Awaitable[None]],
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self._candidate = candidate
        self._leases = candidate.leases
        self._name = name
        self._work = work
        self._seconds = seconds
        self._working: asyncio.Future[None] | None = None
        self._away = 0.0
        self.status = STANDBY
        """`leading`, `standby`, or one line that says why the task stopped."""

    async def run(self) -> None:
        """Lead whenever the lease is free, for ever; cancelling it releases the lease.

        Returns at an event of a newer version: a newer process must lead then.
        """
        try:
            while True:
                await self._lead(*await self._acquired())
        except UnknownEvent as error:
            self.status = f"{STOPPED}: {error}"
            logger.error("%s %s", self._name, self.status)  # noqa: TRY400 (one clear line is the point)

    def restart(self) -> None:
        """Restart the work, if it is under way: the state it started from has changed."""
        if self._working is not None:
            self._working.cancel()

    @property
    def leading(self) -> bool:
        """Whether the work is under way here."""
        return self._working is not None

    @property
    def stopped(self) -> bool:
        """Whether the task met an event of a newer version, and leads no more."""
        return self.status.startswith(STOPPED)

    def step_down(self) -> None:
        """Release the lease, and leave it alone long enough for another process to take it."""
        self._away = AWAY_SECONDS
        self.restart()

    async def _acquired(self) -> tuple[Lease, float]:
        """Wait for the lease; return it and its end, by the loop's clock."""
        away, self._away = self._away, 0.0
        await asyncio.sleep(away)
        holder, chance = self._candidate.holder, self._candidate.chance
        while True:
            sent = loop_time()
            with suppress(Unavailable):
                lease = await self._leases.acquire(self._name, holder, self._seconds)
                if lease is not None:
                    return lease, sent + self._seconds
            await asyncio.sleep(STANDBY_SECONDS * (0.75 + chance() / 4))

    async def _lead(self, lease: Lease, until: float) -> None:
        self.status = LEADING
        logger.info("%s: leading, token %d", self._name, lease.token)
        self._working = asyncio.ensure_future(self._work(lease))
        keeping = asyncio.ensure_future(self._keep(lease, until))
        try:
            await first_of(watched=(self._working, keeping))
        finally:
            working, self._working = self._working, None
            await cancelled([working, keeping])
            self.status = STANDBY
            await self._release(lease)
        for task in (working, keeping):
            if not task.cancelled():
                task.result()

    async def _keep(self, lease: Lease, until: float) -> None:
        how = await renew_until_lost(self._leases, lease, self._seconds, until)
        logger.warning("%s: %s", self._name, how)

    async def _release(self, lease: Lease) -> None:
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._leases.release(lease)

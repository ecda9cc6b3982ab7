"""Worker tasks that run in one process at a time, under a lease (ADR 0011)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from core.application.waiting import cancelled
from core.coordination.ports import Lease, Leases
from core.errors import Unavailable, UnknownEvent
from core.host import Chance

logger = logging.getLogger("tocsin.worker")

LEASE_SECONDS = 4.0
STANDBY_SECONDS = 0.8
"""How often a standby process tries: after a kill the lease and this are how long nobody leads."""
AWAY_SECONDS = 2 * STANDBY_SECONDS
"""How long a process that stepped down leaves the lease to others."""
RELEASE_SECONDS = 1.0

LEADING = "leading"
STANDBY = "standby"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who stands for leases: `holder` must be unique among all processes, `chance` spreads its tries."""

    leases: Leases
    holder: str
    chance: Chance


class LeaderTask:
    """Runs `work` under the lease `name`, in this process or, while another one holds it, not at all.

    `work` is cancelled as soon as the lease is lost, or cannot be renewed before it may have run out: by
    this process's clock, from before the request was sent, so it never counts on longer than the server
    does. It may still write once more than it should; what it writes must bear that.
    `work` returning gives up the lead.
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
        """`leading`, `standby`, or in one line why it has stopped."""

    async def run(self) -> None:
        """Lead whenever the lease can be had, for ever; cancelling it lets go of the lease.

        Returns when an event of a newer version was met: a newer process is to lead then.
        """
        try:
            while True:
                await self._lead(*await self._acquired())
        except UnknownEvent as error:
            self.status = f"{STOPPED}: {error}"
            logger.error("%s %s", self._name, self.status)  # noqa: TRY400 (one clear line is the point)

    def restart(self) -> None:
        """Begin the work anew, if it is under way: what it started from has changed."""
        if self._working is not None:
            self._working.cancel()

    @property
    def leading(self) -> bool:
        """Whether the work is under way here."""
        return self._working is not None

    @property
    def stopped(self) -> bool:
        """Whether it met an event of a newer version, and leads no more."""
        return self.status.startswith(STOPPED)

    def step_down(self) -> None:
        """Let go of the lease, and keep away from it long enough for another process to come first."""
        self._away = AWAY_SECONDS
        self.restart()

    async def _acquired(self) -> tuple[Lease, float]:
        """Wait for the lease; return it and until when it is held, by the clock of the loop."""
        away, self._away = self._away, 0.0
        await asyncio.sleep(away)
        holder, chance = self._candidate.holder, self._candidate.chance
        while True:
            sent = _clock()
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
            await asyncio.wait({self._working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            working, self._working = self._working, None
            await cancelled([working, keeping])
            self.status = STANDBY
            await self._release(lease)
        for task in (working, keeping):
            if not task.cancelled():
                task.result()

    async def _keep(self, lease: Lease, until: float) -> None:
        """Renew the lease at a third of its time; return when it is lost, or may be."""
        while True:
            await asyncio.sleep(min(self._seconds / 3, until - _clock()))
            sent = _clock()
            if sent >= until:
                logger.warning("%s: the lease could not be renewed in time", self._name)
                return
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout_at(until):
                    if not await self._leases.renew(lease, self._seconds):
                        logger.warning("%s: the lease was lost", self._name)
                        return
                until = sent + self._seconds

    async def _release(self, lease: Lease) -> None:
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._leases.release(lease)


def _clock() -> float:
    return asyncio.get_running_loop().time()

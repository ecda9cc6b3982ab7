"""Keeps a lease while work goes on, and tells when it is lost."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from core.application.waiting import loop_time
from core.coordination.ports import Lease, Leases
from core.errors import Unavailable

LEASE_SECONDS = 4.0


class ConditionalLeases:
    """Leases that this process takes and keeps only while `fault` names none: else another must lead."""

    def __init__(self, leases: Leases, fault: Callable[[], str | None]) -> None:
        self._leases = leases
        self._fault = fault

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take the lease if it is free and this process has no fault."""
        return None if self._fault() else await self._leases.acquire(name, holder, seconds)

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Extend the lease; False: it was lost, or this process has a fault."""
        return not self._fault() and await self._leases.renew(lease, seconds)

    async def release(self, lease: Lease) -> None:
        """Release the lease at once."""
        await self._leases.release(lease)


async def renew_until_lost(leases: Leases, lease: Lease, seconds: float, until: float | None = None) -> str:
    """Renew the lease at a third of its time; return how it was lost, once another holder has it.

    `until`: the lease's end, by the loop's clock; then also return once the lease may have ended. None: keep
    trying while MongoDB is away, when no other process can take the lease either.
    """
    while True:
        pause = seconds / 3
        await asyncio.sleep(pause if until is None else min(pause, until - loop_time()))
        sent = loop_time()
        if until is not None and sent >= until:
            return "the lease could not be renewed in time"
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout_at(until):
                if not await leases.renew(lease, seconds):
                    return "the lease was lost"
            if until is not None:
                until = sent + seconds

"""Keeps a second process off a database where the two could not hear of each other's events."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from core.application.background import Background
from core.application.leases import LEASE_SECONDS, renew_until_lost
from core.application.waiting import loop_time
from core.coordination.ports import Lease, Leases
from core.errors import StartupRefused, Unavailable

logger = logging.getLogger("tocsin.process")

PROCESS_LEASE = "process"
TRY_SECONDS = 0.5
"""How often a new process tries to get the lease."""
PATIENCE_SECONDS = LEASE_SECONDS + 1.0
"""How long a new process waits: the lease of a killed one must expire first."""


@asynccontextmanager
async def single_process(
    leases: Leases, holder: str, background: Background, *, shared: bool = False
) -> AsyncIterator[None]:
    """Hold the process lease; cancel the block once another process has the lease.

    `background` keeps the task that renews the lease, and tells of its failures. `shared`: processes that
    can hear each other share the lease, under one name, and never release it.

    Raises:
        StartupRefused: another process has the lease, or took it while this one was paused.
        Unavailable: MongoDB cannot be reached.
    """
    lease = await _acquired(leases, holder)
    try:
        async with asyncio.timeout(None) as block:
            renewing = background.keep(
                "the lease of the process", "serving", lambda: _keep(leases, lease, block)
            )
            keeping = asyncio.create_task(renewing, name="process lease")
            try:
                yield
            finally:
                keeping.cancel()
    except TimeoutError:
        if not block.expired():
            raise
        raise StartupRefused(f"ending: another process took over the lease {PROCESS_LEASE}") from None
    finally:
        if not shared:
            with suppress(Unavailable):
                await leases.release(lease)


async def _acquired(leases: Leases, holder: str) -> Lease:
    until = loop_time() + PATIENCE_SECONDS
    while True:
        lease = await leases.acquire(PROCESS_LEASE, holder, LEASE_SECONDS)
        if lease is not None:
            return lease
        if loop_time() >= until:
            raise StartupRefused(
                "another process is running on this database, and on a standalone mongod without Redis the"
                " two would not hear of each other's events: stop it, make mongod a replica set of one, or"
                " choose the feed redis for both"
            )
        await asyncio.sleep(TRY_SECONDS)


async def _keep(leases: Leases, lease: Lease, block: asyncio.Timeout) -> None:
    await renew_until_lost(leases, lease, LEASE_SECONDS)
    logger.error("another process took over the lease %s", PROCESS_LEASE)
    block.reschedule(loop_time())

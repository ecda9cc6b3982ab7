"""Being the only process on a database, where no other could be heard of."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from core.application.workers.leader import LEASE_SECONDS
from core.coordination.ports import Lease, Leases
from core.errors import StartupRefused, Unavailable

logger = logging.getLogger("tocsin.process")

PROCESS_LEASE = "process"
TRY_SECONDS = 0.5
"""How often a new process tries to get the lease."""
PATIENCE_SECONDS = LEASE_SECONDS + 1.0
"""How long a new process waits: one that was killed leaves a lease behind that has to run out."""


@asynccontextmanager
async def single_process(leases: Leases, holder: str, *, shared: bool = False) -> AsyncIterator[None]:
    """Hold the process lease; once another has it, what runs inside is cancelled.

    `shared`: processes that can hear each other hold it together, under one name, and none lets go of it.

    Raises:
        StartupRefused: another process has it, or took it while this one was paused.
        Unavailable: MongoDB cannot be reached.
    """
    lease = await _acquired(leases, holder)
    try:
        async with asyncio.timeout(None) as held:
            keeping = asyncio.create_task(_keep(leases, lease, held), name="process lease")
            try:
                yield
            finally:
                keeping.cancel()
    except TimeoutError:
        if not held.expired():
            raise
        raise StartupRefused(f"ending: another process took over the lease {PROCESS_LEASE}") from None
    finally:
        if not shared:
            with suppress(Unavailable):
                await leases.release(lease)


async def _acquired(leases: Leases, holder: str) -> Lease:
    until = _clock() + PATIENCE_SECONDS
    while True:
        lease = await leases.acquire(PROCESS_LEASE, holder, LEASE_SECONDS)
        if lease is not None:
            return lease
        if _clock() >= until:
            raise StartupRefused(
                "another process is running on this database, and on a standalone mongod without Redis they"
                " would not hear of each other's events: stop it, or make mongod a replica set of one, or"
                " choose the feed redis for both"
            )
        await asyncio.sleep(TRY_SECONDS)


async def _keep(leases: Leases, lease: Lease, held: asyncio.Timeout) -> None:
    """Renew the lease; while MongoDB is away nobody else can take it either."""
    while True:
        await asyncio.sleep(LEASE_SECONDS / 3)
        with suppress(Unavailable):
            if not await leases.renew(lease, LEASE_SECONDS):
                logger.error("another process took over the lease %s", PROCESS_LEASE)
                held.reschedule(_clock())
                return


def _clock() -> float:
    return asyncio.get_running_loop().time()

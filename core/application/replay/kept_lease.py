"""Renews a replay's leases as its work goes on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from core.application.waiting import loop_time
from core.coordination.ports import Lease, Takeover
from core.errors import StartupRefused, Unavailable

REPLAY_SECONDS = 30.0
"""How long the lease of a killed replay keeps others from starting."""
RENEW_SECONDS = 5.0
"""How often a replay renews that lease."""

Renew = Callable[[], Awaitable[None]]
"""Keeps a lease. Raises StartupRefused once the lease is lost."""


class LeaseKeeper:
    """Renews a lease when called, at most once in `every` seconds."""

    def __init__(self, leases: Takeover, lease: Lease, seconds: float, every: float) -> None:
        self._leases = leases
        self._lease = lease
        self._seconds = seconds
        self._every = every
        self._due = loop_time() + every

    async def __call__(self) -> None:
        """Renew the lease if it is time to. Raises StartupRefused if the lease was lost."""
        if loop_time() < self._due:
            return
        self._due = loop_time() + self._every
        if not await self._leases.renew(self._lease, self._seconds):
            raise StartupRefused(f"the lease {self._lease.name} was lost to another process")


@asynccontextmanager
async def kept_lease(leases: Takeover, name: str, holder: str) -> AsyncIterator[Renew]:
    """Hold a replay's lease, renewed by the yielded function. Raises StartupRefused if another has it."""
    lease = await leases.acquire(name, holder, REPLAY_SECONDS)
    if lease is None:
        raise StartupRefused("another replay of this read model is running")
    try:
        yield LeaseKeeper(leases, lease, REPLAY_SECONDS, RENEW_SECONDS)
    finally:
        await let_go(leases, lease)


async def let_go(leases: Takeover, lease: Lease) -> None:
    """Release the lease, if MongoDB can be reached."""
    # The lease also expires by itself; an error here would hide the replay's own outcome.
    with suppress(Unavailable):
        await leases.release(lease)
